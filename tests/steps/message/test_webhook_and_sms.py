"""Signed webhooks, and text messages by a gateway."""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping

import pytest
from tests.steps.message.calls import SECRET, SERVER, after_ms, is_retried
from tests.support.attempts import Attempts, call, refuse
from tests.support.servers import EffectServer, Received, Reply, json_reply, redirect

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.message.sms import send_sms
from flowforge.steps.message.webhook import send_webhook

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SMS: JsonObject = {"url": f"{SERVER}/sms", "to": "+4915112345678", "text": "Hello"}
FORM: JsonObject = {"To": "{to}", "Body": "{text}"}


def check_signature(request: Received, key: bytes, signature: str) -> bool:
    """The receiver's side, written from Standard Webhooks 1.0 anew."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    return signature == "v1," + b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def test_webhook_the_signature_is_the_one_of_the_specification(attempts: Attempts, server: EffectServer):
    output = await call(attempts, send_webhook, url=f"{SERVER}/hook", data={"test": 2432232314}, secret=KEY)
    sent = server.received[0]
    assert (output["status"], output["message_id"]) == (200, sent.headers["webhook-id"])
    assert json.loads(sent.body) == {"test": 2432232314}
    assert sent.headers["webhook-timestamp"] == str(attempts.now_ms // 1_000)
    assert check_signature(sent, b64decode(KEY.removeprefix("whsec_")), sent.headers["webhook-signature"])


async def test_webhook_a_key_that_is_being_replaced_signs_twice(attempts: Attempts, server: EffectServer):
    await call(attempts, send_webhook, url=f"{SERVER}/hook", data=None, secret=[SECRET, KEY])
    first, second = server.received[0].headers["webhook-signature"].split(" ")
    assert check_signature(server.received[0], SECRET.encode(), first)
    assert check_signature(server.received[0], b64decode(KEY.removeprefix("whsec_")), second)


async def test_webhook_the_id_is_the_same_at_every_attempt(attempts: Attempts, server: EffectServer):
    for _ in range(2):
        await call(attempts, send_webhook, url=f"{SERVER}/hook", data=1, secret=KEY)
        attempts.now_ms += 5_000
    first, second = server.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


async def test_webhook_an_event_has_type_and_time(attempts: Attempts, server: EffectServer):
    await call(attempts, send_webhook, url=f"{SERVER}/hook", data=[1], event="order.shipped", secret=KEY, headers={"X-A": 1})
    assert json.loads(server.received[0].body) == {
        "type": "order.shipped",
        "timestamp": "2026-01-02T03:04:05Z",
        "data": [1],
    }
    assert server.received[0].headers["x-a"] == "1"


@pytest.mark.parametrize(("status", "is_passing"), [(302, False), (400, False), (410, False), (429, True), (503, True)])
async def test_webhook_a_status_fails_the_step(status: int, is_passing: bool, attempts: Attempts, server: EffectServer):
    server.on("/hook", redirect(f"{SERVER}/other", status, SECRET.encode(), [("Retry-After", "9")]))
    error = await refuse(attempts, send_webhook, url=f"{SERVER}/hook", data=1, secret=SECRET)
    assert (error.code, is_retried(error), after_ms(error)) == (f"http_{status}", is_passing, 9_000)
    assert SECRET not in str(error.details)
    assert len(server.received) == 1
    assert (await call(attempts, send_webhook, url=f"{SERVER}/hook", data=1, secret=SECRET, expect=status))["status"] == status


async def test_webhook_a_key_that_is_no_base64_is_told_without_showing_it(attempts: Attempts, server: EffectServer):
    error = await refuse(attempts, send_webhook, url=f"{SERVER}/hook", data=1, secret="whsec_§§§")
    assert (error.code, "§" in error.message, server.received) == ("secret_invalid", False, [])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("http://127.0.0.1/", "egress_denied", id="NET-01"),
        pytest.param("http://[::1]/", "egress_denied", id="NET-02"),
        pytest.param("http://169.254.169.254/", "egress_denied", id="NET-04"),
        pytest.param("http://10.0.0.1/", "egress_denied", id="NET-05"),
        pytest.param("file:///etc/passwd", "scheme", id="NET-11"),
        pytest.param("http://api.example:25/", "port_denied", id="NET-14"),
    ],
)
async def test_a09_net_23_what_the_guard_refuses_is_not_called(url: str, code: str, attempts: Attempts, server: EffectServer):
    errors = [
        await refuse(attempts, send_webhook, url=url, data=1, secret=KEY),
        await refuse(attempts, send_sms, **{**SMS, "url": url}, form=FORM),
    ]
    assert ([error.code for error in errors], server.connections) == ([code, code], 0)


async def test_sms_a_form_is_filled_in(attempts: Attempts, server: EffectServer):
    server.on("/sms", json_reply({"sid": "SM1"}, 201))
    form: JsonObject = {"To": "{to}", "From": "{from}", "Body": "{text} {text}", "Fixed": 1, "List": ["{to}", None]}
    auth: JsonObject = {"basic": {"user": "a", "password": SECRET}}
    output = await call(
        attempts, send_sms, **{**SMS, "text": "{to} & ä"}, form=form, auth=auth, id_from="sid", **{"from": "Shop"}
    )
    assert (output["status"], output["message_id"], output["body"]) == (201, "SM1", {"sid": "SM1"})
    sent = server.received[0]
    assert sent.body == (
        b"To=%2B4915112345678&From=Shop&Body=%7Bto%7D+%26+%C3%A4+%7Bto%7D+%26+%C3%A4&Fixed=1&List=%2B4915112345678"
    )
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["authorization"].startswith("Basic ")


async def test_sms_json_and_query_are_filled_in(attempts: Attempts, server: EffectServer):
    body: JsonObject = {"messages": [{"destinations": [{"to": "{to}"}], "text": "{text}", "flash": False}]}
    await call(attempts, send_sms, **SMS, json=body)
    assert json.loads(server.received[0].body) == {
        "messages": [{"destinations": [{"to": "+4915112345678"}], "text": "Hello", "flash": False}]
    }
    await call(attempts, send_sms, **SMS, method="GET", query={"n": "{to}", "t": "{text}"})
    assert server.received[1].target == "/sms?n=%2B4915112345678&t=Hello"


async def test_a02_what_is_filled_in_is_not_looked_at_again(attempts: Attempts, server: EffectServer):
    await call(attempts, send_sms, **{**SMS, "text": "{to} ${{ secrets.X }} {text}"}, json={"a": "{text}", "b": "{to}"})
    assert json.loads(server.received[0].body)["a"] == "{to} ${{ secrets.X }} {text}"


@pytest.mark.parametrize(
    ("answer", "equals", "is_good"),
    [
        ({"status": "queued"}, "queued", True),
        ({"status": "sent"}, ["queued", "sent"], True),
        ({"status": "failed"}, "queued", False),
        ({"status": 0}, 0, True),
        ({"status": False}, 0, False),
        ({}, "queued", False),
        ("ok", "queued", False),
    ],
)
async def test_sms_an_answer_that_says_no_fails_the_step(
    answer: JsonValue, equals: JsonValue, is_good: bool, attempts: Attempts, server: EffectServer
):
    server.on("/sms", json_reply(answer))
    accepted: JsonObject = {"from": "status", "equals": equals}
    if is_good:
        assert (await call(attempts, send_sms, **SMS, form=FORM, accepted=accepted))["body"] == answer
    else:
        error = await refuse(attempts, send_sms, **SMS, form=FORM, accepted=accepted)
        assert (error.code, is_retried(error)) == ("sms_refused", False)


async def test_sms_a_status_fails_the_step(attempts: Attempts, server: EffectServer):
    server.on("/sms", Reply(429, (("Retry-After", "3"),), SECRET.encode()))
    error = await refuse(attempts, send_sms, **SMS, form=FORM)
    assert (error.code, is_retried(error), after_ms(error)) == ("http_429", True, 3_000)
    assert SECRET not in str(error.details)


FAULTY: Mapping[str, JsonObject] = {
    "no plus": {"to": "4915112345678"},
    "too long": {"to": "+1234567890123456"},
    "letters": {"to": "+49151x2345678"},
    "a line break": {"to": "+4915112345678\n"},
    "no text": {"text": ""},
    "nowhere to go": {"form": {"To": "{to}"}},
    "two bodies": {"json": {"a": "{to}{text}"}},
    "a form with GET": {"method": "GET"},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_sms_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(send_sms, {**SMS, "form": FORM, **parameters})


@pytest.mark.parametrize("headers", [{"webhook-id": "x"}, {"X": "a\r\nb"}, {"Host": "x"}])
def test_webhook_faulty_headers_are_refused(headers: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(send_webhook, {"url": SERVER, "data": 1, "secret": "x", "headers": headers})


def test_the_ledger_sees_the_host_alone():
    assert find_target(send_sms, SMS) == "api.example"
    assert find_target(send_webhook, {"url": f"{SERVER}/{SECRET}"}) == "api.example"
