"""Slack, Teams and Telegram."""

import email
import json
from collections.abc import Mapping
from typing import cast

import pytest
from tests.steps.message.calls import SECRET, SERVER, after_ms, is_retried
from tests.support.attempts import Attempts, call, refuse
from tests.support.servers import HANG, Answer, EffectServer, Received, Reply, json_reply, redirect, send_raw

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Operation
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.message.slack import send_to_slack
from flowforge.steps.message.teams import send_to_teams
from flowforge.steps.message.telegram import send_to_telegram

BOT: JsonObject = {"server": f"{SERVER}/api/", "token": SECRET, "channel": "#orders"}
HOOK = f"{SERVER}/hooks/{SECRET}"
CHAT: JsonObject = {"server": SERVER, "token": SECRET, "chat_id": 42}
SENT: JsonObject = {"ok": True, "result": {"message_id": 7, "chat": {"id": 42, "type": "private"}}}

SENDERS: Mapping[str, tuple[Operation, JsonObject, str]] = {
    "slack bot": (send_to_slack, {**BOT, "text": "x"}, "/api/chat.postMessage"),
    "slack webhook": (send_to_slack, {"webhook_url": HOOK, "text": "x"}, f"/hooks/{SECRET}"),
    "teams": (send_to_teams, {"webhook_url": HOOK, "text": "x"}, f"/hooks/{SECRET}"),
    "telegram": (send_to_telegram, {**CHAT, "text": "x"}, f"/bot{SECRET}/sendMessage"),
}


def read_body(request: Received) -> JsonObject:
    return cast("JsonObject", json.loads(request.body))


async def test_slack_a_bot_posts_to_a_channel(attempts: Attempts, server: EffectServer):
    server.on("/api/chat.postMessage", json_reply({"ok": True, "channel": "C1", "ts": "1.2"}))
    blocks: JsonObject = {"type": "section", "text": {"type": "mrkdwn", "text": "ä"}}
    output = await call(attempts, send_to_slack, **BOT, text="ä <b>", blocks=[blocks], thread="1.1", unfurl=False)
    assert output == {"channel": "C1", "message_id": "1.2"}
    sent = server.received[0]
    assert sent.headers["authorization"] == f"Bearer {SECRET}"
    assert sent.headers["content-type"] == "application/json; charset=utf-8"
    assert read_body(sent) == {
        "channel": "#orders",
        "text": "ä <b>",
        "blocks": [blocks],
        "thread_ts": "1.1",
        "unfurl_links": False,
        "unfurl_media": False,
    }


async def test_slack_a_webhook_posts_to_its_channel(attempts: Attempts, server: EffectServer):
    server.on(f"/hooks/{SECRET}", Reply(body=b"ok"))
    assert await call(attempts, send_to_slack, webhook_url=HOOK, text="x") == {"channel": None, "message_id": None}
    assert read_body(server.received[0])["text"] == "x"


SLACK_ERRORS: Mapping[str, tuple[Reply, str, bool, int | None]] = {
    "channel": (json_reply({"ok": False, "error": "channel_not_found"}), "slack_channel_not_found", False, None),
    "passing": (json_reply({"ok": False, "error": "internal_error"}), "slack_internal_error", True, None),
    "limit": (
        Reply(429, (("Retry-After", "30"), ("Content-Type", "application/json")), b'{"ok":false,"error":"ratelimited"}'),
        "slack_ratelimited",
        True,
        30_000,
    ),
    "limit without a word": (Reply(429, (("Retry-After", "30"),)), "http_429", True, 30_000),
    "an odd error": (json_reply({"ok": False, "error": "A B"}, 400), "http_400", False, None),
    "down": (Reply(503), "http_503", True, None),
    "not slack": (json_reply({"hello": 1}), "response_invalid", False, None),
    "html": (Reply(200, (), b"<html>"), "response_invalid", False, None),
}


@pytest.mark.parametrize(("reply", "code", "is_passing", "wait_ms"), SLACK_ERRORS.values(), ids=SLACK_ERRORS.keys())
async def test_slack_what_it_refuses_has_a_code(
    reply: Reply, code: str, is_passing: bool, wait_ms: int | None, attempts: Attempts, server: EffectServer
):
    server.on("/api/chat.postMessage", reply)
    error = await refuse(attempts, send_to_slack, **BOT, text="x")
    assert (error.code, is_retried(error), after_ms(error)) == (code, is_passing, wait_ms)


@pytest.mark.parametrize(
    ("reply", "code", "is_passing"),
    [
        (Reply(404, (), b"no_service"), "slack_no_service", False),
        (Reply(400, (), b"invalid_payload"), "slack_invalid_payload", False),
        (Reply(404, (), b"<html>"), "http_404", False),
        (Reply(500, (), b"rollup_error"), "http_500", True),
    ],
)
async def test_slack_a_webhook_that_refuses_has_a_code(
    reply: Reply, code: str, is_passing: bool, attempts: Attempts, server: EffectServer
):
    server.on(f"/hooks/{SECRET}", reply)
    error = await refuse(attempts, send_to_slack, webhook_url=HOOK, text="x")
    assert (error.code, is_retried(error)) == (code, is_passing)


async def test_teams_a_text_becomes_a_card(attempts: Attempts, server: EffectServer):
    server.on(f"/hooks/{SECRET}", Reply(202))
    assert await call(attempts, send_to_teams, webhook_url=HOOK, text="ä", title="T") == {"status": 202}
    [attachment] = json.loads(server.received[0].body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [line["text"] for line in attachment["content"]["body"]] == ["T", "ä"]
    card: JsonObject = {"type": "AdaptiveCard", "version": "1.4", "body": []}
    await call(attempts, send_to_teams, webhook_url=HOOK, card=card)
    assert json.loads(server.received[1].body)["attachments"][0]["content"] == card


async def test_teams_a_failure_with_a_good_status_is_one(attempts: Attempts, server: EffectServer):
    said = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    server.on(f"/hooks/{SECRET}", Reply(200, (), said))
    error = await refuse(attempts, send_to_teams, webhook_url=HOOK, text="x")
    assert (error.code, is_retried(error)) == ("teams_failed", True)


async def test_teams_a_message_that_is_too_long_is_not_sent(attempts: Attempts, server: EffectServer):
    assert (await refuse(attempts, send_to_teams, webhook_url=HOOK, text="x" * 28_672)).code == "message_too_long"
    assert server.received == []


async def test_telegram_a_bot_sends_a_text(attempts: Attempts, server: EffectServer):
    server.on(f"/bot{SECRET}/sendMessage", json_reply(SENT))
    output = await call(attempts, send_to_telegram, **CHAT, text="ä", parse_mode="HTML", reply_to=3, silent=True)
    assert output == {"message_id": 7, "chat_id": 42}
    assert read_body(server.received[0]) == {
        "chat_id": 42,
        "text": "ä",
        "parse_mode": "HTML",
        "reply_parameters": {"message_id": 3},
        "disable_notification": True,
    }


async def test_telegram_a_bot_sends_a_document(attempts: Attempts, server: EffectServer):
    server.on(f"/bot{SECRET}/sendDocument", json_reply(SENT))
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    value = objects.put(b"%PDF", name="größe.pdf", media_type="application/pdf").to_json()
    await call(attempts, send_to_telegram, **CHAT, file=value, text="ä", reply_to=3, silent=True)
    sent = server.received[0]
    message = email.message_from_bytes(b"Content-Type: " + sent.headers["content-type"].encode() + b"\r\n\r\n" + sent.body)
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    assert parts == [b"42", "ä".encode(), b'{"message_id":3}', b"true", b"%PDF"]
    assert 'name="document"; filename="größe.pdf"'.encode() in sent.body


TELEGRAM_ERRORS: Mapping[str, tuple[Reply, str, bool, int | None]] = {
    "chat": (
        json_reply({"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}, 400),
        "telegram_400",
        False,
        None,
    ),
    "limit": (
        json_reply({"ok": False, "error_code": 429, "description": "wait", "parameters": {"retry_after": 5}}, 429),
        "telegram_429",
        True,
        5_000,
    ),
    "a long wait": (
        json_reply({"ok": False, "error_code": 429, "description": "wait", "parameters": {"retry_after": 10**9}}, 429),
        "telegram_429",
        True,
        3_600_000,
    ),
    "down": (json_reply({"ok": False, "error_code": 502, "description": "Bad Gateway"}, 502), "telegram_502", True, None),
    "proxy": (Reply(502, (), b"<html>"), "http_502", True, None),
    "not telegram": (json_reply([]), "response_invalid", False, None),
}


@pytest.mark.parametrize(("reply", "code", "is_passing", "wait_ms"), TELEGRAM_ERRORS.values(), ids=TELEGRAM_ERRORS.keys())
async def test_telegram_what_it_refuses_has_a_code(
    reply: Reply, code: str, is_passing: bool, wait_ms: int | None, attempts: Attempts, server: EffectServer
):
    server.on(f"/bot{SECRET}/sendMessage", reply)
    error = await refuse(attempts, send_to_telegram, **CHAT, text="x")
    assert (error.code, is_retried(error), after_ms(error)) == (code, is_passing, wait_ms)


@pytest.mark.parametrize(("text", "with_file"), [("x" * 4_097, False), ("x" * 1_025, True)])
async def test_telegram_a_text_that_is_too_long_is_not_sent(text: str, with_file: bool, attempts: Attempts, server: EffectServer):
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    value = objects.put(b"x", name="a", media_type="text/plain").to_json()
    error = await refuse(attempts, send_to_telegram, **CHAT, text=text, file=value if with_file else None)
    assert (error.code, server.received) == ("message_too_long", [])


async def test_telegram_a_file_that_is_none_is_not_sent(attempts: Attempts, server: EffectServer):
    error = await refuse(attempts, send_to_telegram, **CHAT, file={"$file": {"path": "/etc/passwd"}})
    assert (error.code, server.received) == ("file_invalid", [])


FAULTS: Mapping[str, Answer] = {
    "an error that repeats the request": Reply(500, (("Location", HOOK),), f"{HOOK} {SECRET}".encode()),
    "a reset": send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!"),
    "silence": HANG,
    "a redirect": redirect(f"http://127.0.0.1/{SECRET}", 307),
    "nonsense": send_raw(f"{SECRET}\r\n\r\n".encode()),
    "a refusal": json_reply({"ok": False, "error_code": 400, "description": SECRET, "error": "invalid_auth"}, 401),
}


@pytest.mark.parametrize(("operation", "parameters", "path"), SENDERS.values(), ids=SENDERS.keys())
@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS.keys())
async def test_a19_the_secret_url_stands_in_no_error(
    answer: Answer, operation: Operation, parameters: JsonObject, path: str, attempts: Attempts, server: EffectServer
):
    server.on(path, answer)
    error = await refuse(attempts, operation, **parameters)
    shown = f"{error} {error.message} {error.details} {attempts.log}"
    assert "s3cr" not in shown
    assert path not in shown
    assert len(server.received) == 1


@pytest.mark.parametrize(("operation", "parameters", "path"), SENDERS.values(), ids=SENDERS.keys())
async def test_a19_a_url_that_is_no_secret_of_the_vault_is_hidden_all_the_same(
    operation: Operation, parameters: JsonObject, path: str, attempts: Attempts, server: EffectServer
):
    attempts.secrets = ("some other secret",)
    server.on(path, lambda request: Reply(500, (), f"{HOOK} {request.headers.get('authorization')} {request.target}".encode()))
    error = await refuse(attempts, operation, **parameters)
    assert "s3cr" not in str(error.details)


HOSTS = [
    pytest.param("http://127.0.0.1", "egress_denied", id="NET-01"),
    pytest.param("http://[::1]", "egress_denied", id="NET-02"),
    pytest.param("http://[2002:7f00:1::]", "egress_denied", id="NET-03"),
    pytest.param("http://169.254.169.254", "egress_denied", id="NET-04"),
    pytest.param("http://10.0.0.1", "egress_denied", id="NET-05"),
    pytest.param("file://x", "scheme", id="NET-11"),
    pytest.param("http://api.example:6379", "port_denied", id="NET-14"),
]


@pytest.mark.parametrize(("operation", "parameters", "path"), SENDERS.values(), ids=SENDERS.keys())
@pytest.mark.parametrize(("host", "code"), HOSTS)
async def test_a09_net_23_what_the_guard_refuses_is_not_called(
    host: str, code: str, operation: Operation, parameters: JsonObject, path: str, attempts: Attempts, server: EffectServer
):
    name = "server" if "server" in parameters else "webhook_url"
    error = await refuse(attempts, operation, **{**parameters, name: f"{host}/x"})
    assert (error.code, server.connections) == (code, 0)


BLOCKS: list[JsonValue] = [{} for _ in range(51)]
FAULTY: Mapping[str, tuple[Operation, JsonObject]] = {
    "slack: no way": (send_to_slack, {"text": "x"}),
    "slack: two ways": (send_to_slack, {**BOT, "webhook_url": HOOK, "text": "x"}),
    "slack: no channel": (send_to_slack, {"token": "x", "text": "x"}),
    "slack: a webhook with a channel": (send_to_slack, {"webhook_url": HOOK, "channel": "x", "text": "x"}),
    "slack: a webhook with a thread": (send_to_slack, {"webhook_url": HOOK, "thread": "x", "text": "x"}),
    "slack: nothing to say": (send_to_slack, BOT),
    "slack: too many blocks": (send_to_slack, {**BOT, "blocks": BLOCKS}),
    "teams: nothing to say": (send_to_teams, {"webhook_url": HOOK}),
    "teams: two things": (send_to_teams, {"webhook_url": HOOK, "text": "x", "card": {"type": "AdaptiveCard"}}),
    "teams: no card": (send_to_teams, {"webhook_url": HOOK, "card": {"type": "x"}}),
    "telegram: nothing to say": (send_to_telegram, CHAT),
    "telegram: no chat": (send_to_telegram, {"token": "x", "text": "x"}),
    "telegram: a mode": (send_to_telegram, {**CHAT, "text": "x", "parse_mode": "LaTeX"}),
}


@pytest.mark.parametrize(("operation", "parameters"), FAULTY.values(), ids=FAULTY.keys())
def test_faulty_parameters_are_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(operation, parameters)
    assert SECRET not in caught.value.message


def test_the_ledger_sees_the_host_alone():
    targets = [find_target(operation, parameters) for operation, parameters, _ in SENDERS.values()]
    assert targets == ["api.example"] * 4
    assert find_target(send_to_telegram, {"token": "x"}) == "api.telegram.org"
    assert find_target(send_to_slack, {"token": "x"}) == "slack.com"
