"""Who sends a delivery: list WH of the bad input (cases 01 to 12, 40, 41)."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Any, cast

import pytest
from tests.triggers.hook_lab import SECRET, HookLab, make_document, read_code, read_json, sign

from flowforge.kit.values import JsonValue
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers import signatures
from flowforge.triggers.errors import DeliveryIdError, SignatureError
from flowforge.triggers.signatures import Sent, make_verifier

BODY = b'{"b":1,"a":2}'
NOW_S = 1_700_000_000

# The example of Slack's guide "Verifying requests from Slack".
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_TIME = 1_531_420_618
SLACK_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10"
    b"d2c447fce8b6703c"
)
# The example of GitHub's guide "Validating webhook deliveries".
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
# The example of the Standard Webhooks libraries.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STANDARD_TIME = 1_614_265_330
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# Stripe publishes the scheme, and a secret of this form, but no whole example: HMAC-SHA256 over `<t>.<body>`, in hexadecimal digits.
STRIPE_SECRET = "whsec_test_secret"
STRIPE_BODY = b'{"id": "evt_test_webhook", "object": "event"}'


def sent(body: bytes, at_s: int = NOW_S, /, **headers: str) -> Sent:
    return Sent({name.replace("_", "-"): [value] for name, value in headers.items()}, body, at_s * 1_000)


def hex_of(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def standard(body: bytes, timestamp: str, *, delivery_id: str = "msg_1", secret: str = STANDARD_SECRET) -> dict[str, str]:
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{delivery_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook_id": delivery_id,
        "webhook_timestamp": timestamp,
        "webhook_signature": "v1," + b64encode(digest).decode(),
    }


async def test_wh_01_a_delivery_without_signature_is_refused(lab: HookLab):
    answer = await lab.send("orders", BODY, unsigned="")
    assert (answer.status_code, read_code(answer)) == (401, "signature")
    assert read_json(answer)["error"]["code"] == "INVALID_SIGNATURE"
    assert await lab.count_runs() == 0


async def test_wh_02_the_signature_of_another_secret_is_refused(lab: HookLab):
    answer = await lab.send("orders", BODY, **sign(BODY, "another"))
    assert answer.status_code == 401
    assert await lab.count_runs() == 0


async def test_wh_03_a_body_changed_by_a_byte_is_refused(lab: HookLab):
    answer = await lab.send("orders", BODY.replace(b"1", b"2"), **sign(BODY))
    assert answer.status_code == 401
    assert await lab.count_runs() == 0


async def test_wh_04_the_signature_is_over_the_raw_bytes(lab: HookLab):
    answer = await lab.send("orders", BODY, **sign(b'{"a":2,"b":1}'))
    assert answer.status_code == 401
    answer = await lab.send("orders", BODY, **sign(BODY))
    assert answer.status_code == 202
    assert await lab.count_runs() == 1


@pytest.mark.parametrize("form", ["upper", "base64"])
async def test_wh_05_a_signature_in_another_encoding_is_refused(lab: HookLab, form: str):
    digest = hmac.digest(SECRET.encode(), BODY, "sha256")
    text = digest.hex().upper() if form == "upper" else b64encode(digest).decode()
    answer = await lab.send("orders", BODY, x_webhook_signature=f"sha256={text}")
    assert answer.status_code == 401


@pytest.mark.parametrize("form", ["scheme", "empty", "no scheme", "many"])
async def test_wh_06_another_scheme_no_value_or_too_many_are_refused(lab: HookLab, form: str):
    right = sign(BODY)["x-webhook-signature"]
    value = {
        "scheme": right.replace("sha256=", "v0="),
        "empty": "",
        "no scheme": right.removeprefix("sha256="),
        # Only five are looked at, and the right one comes later.
        "many": ",".join(["sha256=" + "0" * 64] * 400 + [right]),
    }[form]
    answer = await lab.send("orders", BODY, x_webhook_signature=value)
    assert answer.status_code == 401
    assert await lab.count_runs() == 0


def test_wh_06_at_most_five_signatures_are_compared():
    verify = make_verifier("hmac", SECRET)
    wrong, right = "sha256=" + "0" * 64, sign(BODY)["x-webhook-signature"]
    verify(sent(BODY, x_webhook_signature=",".join([wrong] * 4 + [right])))
    with pytest.raises(SignatureError):
        verify(sent(BODY, x_webhook_signature=",".join([wrong] * 10_000 + [right])))


async def test_wh_07_one_of_two_signatures_is_enough(lab: HookLab):
    value = "sha256=" + "0" * 64 + ", " + sign(BODY)["x-webhook-signature"]
    answer = await lab.send("orders", BODY, x_webhook_signature=value)
    assert answer.status_code == 202


async def test_wh_07_and_08_an_old_secret_is_good_until_it_is_taken_away(lab: HookLab):
    await lab.set_secret("NEW", "the-new-one")
    both = "{path: orders, auth: {hmac: ['${{ secrets.NEW }}', '${{ secrets.SHOP }}']}}"
    await lab.publish(make_document("shop", both))
    assert (await lab.send("orders", BODY, **sign(BODY))).status_code == 202
    assert (await lab.send("orders", BODY, **sign(BODY, "the-new-one"))).status_code == 202
    await lab.publish(make_document("shop", "{path: orders, auth: {hmac: '${{ secrets.NEW }}'}}"))
    assert (await lab.send("orders", BODY, **sign(BODY))).status_code == 401
    assert (await lab.send("orders", BODY, **sign(BODY, "the-new-one"))).status_code == 202


@pytest.mark.parametrize("offset_s", [-301, 301])
def test_wh_09_and_10_a_time_too_far_away_is_refused(offset_s: int):
    verify = make_verifier("standard", STANDARD_SECRET)
    verify(sent(BODY, **standard(BODY, str(NOW_S + offset_s + (1 if offset_s < 0 else -1)))))
    with pytest.raises(SignatureError) as refused:
        verify(sent(BODY, **standard(BODY, str(NOW_S + offset_s))))
    assert refused.value.details[0].code == "timestamp"


async def test_wh_09_a_delivery_signed_long_ago_starts_nothing(lab: HookLab):
    await lab.set_secret("STANDARD", STANDARD_SECRET)
    await lab.publish(make_document("standard", "{path: standard, auth: {standard: '${{ secrets.STANDARD }}'}}"))
    old = standard(BODY, str(lab.parts.clock.now_ms() // 1_000 - 301))
    answer = await lab.send("standard", BODY, unsigned="", **old)
    assert (answer.status_code, read_code(answer)) == (401, "timestamp")
    fresh = standard(BODY, str(lab.parts.clock.now_ms() // 1_000))
    assert (await lab.send("standard", BODY, unsigned="", **fresh)).status_code == 202


@pytest.mark.parametrize("timestamp", ["", "abc", "1e9", f"-{NOW_S}", f"{NOW_S}000", f" {NOW_S}", f"{NOW_S}.0", "１７"])
def test_wh_11_a_time_that_is_no_whole_number_of_seconds_is_refused(timestamp: str):
    for form, headers in {
        "standard": standard(BODY, timestamp),
        "slack": {
            "x_slack_request_timestamp": timestamp,
            "x_slack_signature": "v0=" + hex_of(STANDARD_SECRET, f"v0:{timestamp}:".encode() + BODY),
        },
        "stripe": {"stripe_signature": f"t={timestamp},v1=" + hex_of(STANDARD_SECRET, f"{timestamp}.".encode() + BODY)},
    }.items():
        with pytest.raises(SignatureError):
            make_verifier(form, STANDARD_SECRET)(sent(BODY, **headers))


def test_wh_12_a_time_that_is_not_what_was_signed_is_refused():
    headers = standard(BODY, str(NOW_S - 1_000)) | {"webhook_timestamp": str(NOW_S)}
    with pytest.raises(SignatureError):
        make_verifier("standard", STANDARD_SECRET)(sent(BODY, **headers))
    old = hex_of(STRIPE_SECRET, f"{NOW_S - 1_000}.".encode() + BODY)
    with pytest.raises(SignatureError):
        make_verifier("stripe", STRIPE_SECRET)(sent(BODY, stripe_signature=f"t={NOW_S},v1={old}"))
    with pytest.raises(SignatureError):
        make_verifier("stripe", STRIPE_SECRET)(sent(BODY, stripe_signature=f"t={NOW_S - 1_000},t={NOW_S},v1={old}"))


STRIPE_SIGNATURE = f"t={NOW_S},v1=" + hex_of(STRIPE_SECRET, f"{NOW_S}.".encode() + STRIPE_BODY)


def is_accepted(form: str, secret: str, delivery: Sent) -> bool:
    try:
        make_verifier(form, secret)(delivery)
    except SignatureError:
        return False
    return True


VECTORS = {
    "github": (GITHUB_SECRET, GITHUB_BODY, NOW_S, {"x_hub_signature_256": GITHUB_SIGNATURE}),
    "slack": (
        SLACK_SECRET,
        SLACK_BODY,
        SLACK_TIME,
        {"x_slack_request_timestamp": str(SLACK_TIME), "x_slack_signature": SLACK_SIGNATURE},
    ),
    "standard": (
        STANDARD_SECRET,
        STANDARD_BODY,
        STANDARD_TIME,
        {"webhook_id": STANDARD_ID, "webhook_timestamp": str(STANDARD_TIME), "webhook_signature": STANDARD_SIGNATURE},
    ),
    "stripe": (STRIPE_SECRET, STRIPE_BODY, NOW_S, {"stripe_signature": STRIPE_SIGNATURE}),
}


@pytest.mark.parametrize("form", VECTORS)
def test_wh_40_the_published_examples_are_accepted(form: str):
    secret, body, now_s, headers = VECTORS[form]
    assert is_accepted(form, secret, sent(body, now_s, **headers))


@pytest.mark.parametrize("form", VECTORS)
def test_wh_40_the_published_examples_with_a_bit_flipped_are_refused(form: str):
    secret, body, now_s, headers = VECTORS[form]
    verify = make_verifier(form, secret)
    for position in range(0, len(body), 7):
        changed = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        with pytest.raises(SignatureError):
            verify(sent(changed, now_s, **headers))
    for name, value in headers.items():
        flipped = value[:-2] + chr(ord(value[-2]) ^ 1) + value[-1]
        with pytest.raises((SignatureError, DeliveryIdError)):
            verify(sent(body, now_s, **{**headers, name: flipped}))
    with pytest.raises(SignatureError):
        make_verifier(form, secret + "x")(sent(body, now_s, **headers))


async def test_wh_41_a_challenge_is_echoed_for_slack_alone_and_only_a_short_one(lab: HookLab):
    await lab.set_secret("SLACK", SLACK_SECRET)
    await lab.publish(make_document("slack", "{path: slack, auth: {slack: '${{ secrets.SLACK }}'}}"))

    async def ask(word: str) -> tuple[int, str, str]:
        body = b'{"type":"url_verification","challenge":"%s"}' % word.encode()
        now_s = lab.parts.clock.now_ms() // 1_000
        signature = "v0=" + hex_of(SLACK_SECRET, f"v0:{now_s}:".encode() + body)
        answer = await lab.send("slack", body, unsigned="", x_slack_request_timestamp=str(now_s), x_slack_signature=signature)
        return answer.status_code, answer.headers["content-type"], answer.text

    assert await ask("<b>3eZbrw1aBm2rZgRNFdxV2595E9CY") == (
        200,
        "text/plain; charset=utf-8",
        "<b>3eZbrw1aBm2rZgRNFdxV2595E9CY",
    )
    assert (await ask("x" * 2**20))[0] == 400
    body = b'{"type":"url_verification","challenge":"x"}'
    assert (await lab.send("slack", body, unsigned="")).status_code == 401
    assert await lab.count_runs() == 0
    assert (await lab.send("orders", body)).status_code == 202


@pytest.mark.parametrize(
    ("auth", "headers", "wrong"),
    [
        (
            "{bearer: '${{ secrets.SHOP }}'}",
            {"authorization": f"Bearer {SECRET}"},
            [{}, {"authorization": "Bearer x"}, {"authorization": SECRET}, {"authorization": "Bearer "}],
        ),
        (
            "{basic: {user: shop, password: '${{ secrets.SHOP }}'}}",
            {"authorization": "Basic " + b64encode(f"shop:{SECRET}".encode()).decode()},
            [{}, {"authorization": "Basic c2hvcDo="}, {"authorization": "Basic ==="}, {"authorization": f"Bearer {SECRET}"}],
        ),
        ("{api_key: {header: X-Shop, value: '${{ secrets.SHOP }}'}}", {"x-shop": SECRET}, [{}, {"x-shop": ""}, {"x-shop": "x"}]),
    ],
)
async def test_a_shared_secret_in_a_header_opens_and_is_not_kept(
    lab: HookLab, auth: str, headers: dict[str, str], wrong: list[dict[str, str]]
):
    await lab.publish(make_document("other", f"{{path: other, auth: {auth}}}"))
    for given in wrong:
        assert (await lab.send("other", BODY, unsigned="", **given)).status_code == 401, given
    answer = await lab.send("other", BODY, unsigned="", **headers)
    assert answer.status_code == 202
    started = await lab.read_start(read_json(answer)["run_id"])
    assert SECRET not in str(started)
    assert not headers.keys() & started["trigger"]["headers"].keys()


async def test_a_hook_whose_secret_is_missing_takes_nothing_and_its_requests_say_why(lab: HookLab):
    await lab.publish(make_document("other", "{path: other, auth: {hmac: '${{ secrets.NOT_SET }}'}}"))
    for secret in ("", "None", SECRET):
        assert (await lab.send("other", BODY, **sign(BODY, secret))).status_code == 401
    [trigger] = [found for found in await lab.list_triggers() if found["workflow"] == "other"]
    requests = (await lab.get(f"/{trigger['id']}/requests"))["data"]
    assert [request["error"] for request in requests] == ["secret_missing"] * 3


async def test_a_new_value_of_the_secret_holds_at_once(lab: HookLab):
    assert (await lab.send("orders", BODY)).status_code == 202
    await lab.set_secret("SHOP", "changed")
    assert (await lab.send("orders", BODY)).status_code == 401
    assert (await lab.send("orders", BODY, **sign(BODY, "changed"))).status_code == 202


def list_forms() -> dict[str, tuple[JsonValue, Sent]]:
    """Each form with a secret, and a delivery that is proved by it."""
    basic = b64encode(b"ann:open").decode()
    return {
        "hmac": ("s", sent(BODY, x_webhook_signature="sha256=" + hex_of("s", BODY))),
        "github": ("s", sent(BODY, x_hub_signature_256="sha256=" + hex_of("s", BODY))),
        "standard": (STANDARD_SECRET, sent(BODY, **standard(BODY, str(NOW_S)))),
        "stripe": ("s", sent(BODY, stripe_signature=f"t={NOW_S},v1=" + hex_of("s", f"{NOW_S}.".encode() + BODY))),
        "slack": (
            "s",
            sent(
                BODY,
                x_slack_request_timestamp=str(NOW_S),
                x_slack_signature="v0=" + hex_of("s", f"v0:{NOW_S}:".encode() + BODY),
            ),
        ),
        "bearer": ("token", sent(BODY, authorization="Bearer token")),
        "basic": ({"user": "ann", "password": "open"}, sent(BODY, authorization=f"Basic {basic}")),
        "api_key": ({"header": "x-key", "value": "k"}, sent(BODY, x_key="k")),
    }


def test_wh_26_what_is_secret_is_compared_in_constant_time_alone(monkeypatch: pytest.MonkeyPatch):
    auth = cast("Any", TRIGGER_KINDS["webhook"].parameters.schema())["properties"]["auth"]["anyOf"]
    assert auth[0]["enum"] == ["none"], "the ninth form has nothing to compare"
    assert auth[1]["properties"].keys() == list_forms().keys()
    compared: list[tuple[bytes, bytes]] = []
    answers = {"is": False}

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return answers["is"]

    monkeypatch.setattr(signatures.hmac, "compare_digest", compare)
    for form, (secret, delivery) in list_forms().items():
        compared.clear()
        answers["is"] = False
        with pytest.raises(SignatureError):
            make_verifier(form, secret)(delivery)
        ((given, wanted),) = compared
        assert given == wanted, f"{form}: a right proof is refused by the comparison and by nothing else"
        answers["is"] = True
        other: JsonValue = (
            {name: "x-key" if name == "header" else "other" for name in secret} if isinstance(secret, dict) else "other"
        )
        make_verifier(form, other)(delivery)
    compared.clear()
    make_verifier("bearer", ["new", "old"])(list_forms()["bearer"][1])
    assert [wanted for _, wanted in compared] == [b"new", b"old"], "it goes on after one that is equal"
