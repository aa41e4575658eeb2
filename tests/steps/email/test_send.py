"""`email.send`, to real servers and into the outbox."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.steps.email.world import MailWorld, open_mail_world
from tests.support.attempts import Attempts
from tests.support.mail_servers import PASSWORD, USER, Authority, SmtpServer, serve_smtp

from flowforge.kit.egress import EgressClient
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.mail.reading import read_mail
from flowforge.kit.mail.transmission import MailTimes
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations.calling import InvalidParametersError
from flowforge.operations.definition import AttemptError, FatalError, RetryableError
from flowforge.steps.email.send import send

HELLO: JsonObject = {"to": "ada@example.com", "subject": "Hello", "text": "Hi\n"}
SERVER: JsonObject = {"url": "smtps://mail.example.com", "user": USER, "password": PASSWORD}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[MailWorld]:
    async with open_mail_world(tmp_path) as opened:
        yield opened


async def deliver(world: MailWorld, key: str = "key-1", /, **changes: object) -> dict[str, Any]:
    return cast("dict[str, Any]", await world.attempts.call(send, cast("JsonObject", {**HELLO, **changes}), key))


async def fail(world: MailWorld, **changes: object) -> AttemptError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await deliver(world, **changes)
    return caught.value


def local(smtp: SmtpServer, scheme: str = "smtp", **more: str) -> JsonObject:
    return {"url": f"{scheme}://localhost:{smtp.port}?tls=starttls", "user": USER, "password": PASSWORD, **more}


async def call_local(
    world: MailWorld, times: MailTimes | None = None, tls: ssl.SSLContext | None = None, **changes: object
) -> Any:
    """With a server on loopback that EGRESS_ALLOW lists."""
    client = world.network.make_client(["localhost"])
    world.network.names.set("localhost", ["127.0.0.1"])
    mailer = Mailer(None, None, world.outbox, client, world.clock, tls=tls or world.authority.trust, times=times)
    attempts = Attempts({**world.attempts.services, EgressClient: client, Mailer: mailer})
    try:
        return await attempts.call(send, cast("JsonObject", {**HELLO, **changes}))
    finally:
        await client.aclose()


async def test_without_a_server_the_mail_lies_in_the_outbox(world: MailWorld):
    result = await deliver(world, bcc=["eve@example.com"])
    file = world.outbox / Path(result["outbox"]).name
    mail = read_mail(file.read_bytes())
    assert result["accepted"] == ["ada@example.com", "eve@example.com"]
    assert (mail.subject, mail.text, mail.message_id) == ("Hello", "Hi\n", result["message_id"])
    assert [person.address for person in (*mail.sender, *mail.bcc)] == ["flowforge@localhost", "eve@example.com"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.network.connected == []


async def test_a_second_attempt_writes_no_second_file_and_names_sort_by_time(world: MailWorld):
    first = await deliver(world, "key-1")
    world.clock.advance(1_000)
    again = await deliver(world, "key-1")
    second = await deliver(world, "key-2")
    assert again["outbox"] == first["outbox"]
    assert [f"mail/{file.name}" for file in sorted(world.outbox.iterdir())] == [first["outbox"], second["outbox"]]


async def test_an_outbox_that_cannot_be_written_to_is_a_fault_to_retry(world: MailWorld):
    world.outbox.write_text("no folder")
    assert (await fail(world)).code == "file_failed"


async def test_a_step_s_server_gets_the_mail_over_tls(world: MailWorld):
    objects = cast("ObjectStore", world.attempts.services[ObjectStore])
    stored = objects.put(b"\x00\x01", name="Straße.pdf", media_type="application/pdf").to_json()
    result = await deliver(
        world,
        server=SERVER,
        html="<img src='cid:logo'>",
        attachments=[stored, {"file": stored, "name": "b.bin", "media_type": "x/y"}, {"name": "c.csv", "text": "ä"}],
        images=[{"cid": "logo", "base64": "iVBORw==", "media_type": "image/png"}],
        headers={"List-Unsubscribe": "<https://example.com/u>", "X-Kind": "ü"},
        cc="B <b@example.com>",
        reply_to=["r@example.com"],
    )
    taken = world.smtp.taken[0]
    mail = read_mail(taken.data)
    assert result == {
        "message_id": mail.message_id,
        "accepted": ["ada@example.com", "b@example.com"],
        "rejected": [],
        "outbox": None,
    }
    assert (taken.sender, taken.recipients) == ("flowforge@localhost", ["ada@example.com", "b@example.com"])
    assert [(file.name, file.media_type, file.read()) for file in mail.attachments] == [
        ("logo", "image/png", b"\x89PNG"),
        ("Straße.pdf", "application/pdf", b"\x00\x01"),
        ("b.bin", "x/y", b"\x00\x01"),
        ("c.csv", "text/csv", "ä".encode()),
    ]
    assert mail.headers["list-unsubscribe"] == ["<https://example.com/u>"]
    assert mail.headers["x-kind"] == ["ü"]
    assert world.network.names.asked == ["mail.example.com"]
    assert not world.outbox.exists()


async def test_every_attempt_has_the_same_message_id(world: MailWorld):
    results = [await deliver(world, "key-1", server=SERVER) for _ in range(2)]
    assert results[0]["message_id"] == results[1]["message_id"]
    assert read_mail(world.smtp.taken[1].data).message_id == results[0]["message_id"]


async def test_the_installation_s_server_is_used_and_not_judged(tmp_path: Path, world: MailWorld):
    async with serve_smtp() as smtp:
        client = world.network.make_client()
        mailer = Mailer(f"smtp://127.0.0.1:{smtp.port}", "Shop <shop@example.com>", world.outbox, client, world.clock)
        result = cast("dict[str, Any]", await Attempts({**world.attempts.services, Mailer: mailer}).call(send, HELLO))
        await client.aclose()
        assert (smtp.taken[0].sender, result["outbox"]) == ("shop@example.com", None)
        assert result["message_id"].endswith("@example.com>")


async def test_a_server_without_encryption_is_no_place_for_a_password(world: MailWorld):
    error = await fail(world, server={"url": "smtp://mail.example.com?tls=none", "user": "u", "password": "hunter2"})
    assert error.code == "server_invalid"
    assert "hunter2" not in error.message


async def test_starttls_and_signing_in(world: MailWorld):
    async with serve_smtp(world.authority.issue("localhost")) as smtp:
        await call_local(world, server=local(smtp))
        assert smtp.signed_in == [(USER, True)]
        assert len(smtp.taken) == 1


@pytest.mark.parametrize("token", [PASSWORD, "stale token"])
async def test_a_token_in_place_of_a_password(token: str, world: MailWorld):
    async with serve_smtp(world.authority.issue("localhost")) as smtp:
        server: JsonObject = {"url": f"smtp://localhost:{smtp.port}?tls=starttls", "user": USER, "token": token}
        if token == PASSWORD:
            await call_local(world, server=server)
            assert (smtp.signed_in, len(smtp.taken)) == ([(USER, True)], 1)
        else:
            with pytest.raises(FatalError) as caught:
                await call_local(world, server=server)
            assert (caught.value.code, smtp.taken) == ("mail_auth", [])


async def test_an_authority_of_its_own(world: MailWorld):
    other = Authority()
    async with serve_smtp(other.issue("localhost")) as smtp:
        await call_local(world, server=local(smtp, authority=other.pem))
        assert len(smtp.taken) == 1


async def test_net_18_a_certificate_that_is_not_trusted_ends_it(world: MailWorld):
    for certificate in (Authority().issue("localhost"), world.authority.issue("other.example.com")):
        async with serve_smtp(certificate) as smtp:
            with pytest.raises(RetryableError) as caught:
                await call_local(world, server=local(smtp))
            assert (caught.value.code, caught.value.by_default) == ("tls", False)
            assert smtp.signed_in == smtp.taken == []


async def test_net_18_a_server_without_starttls_gets_no_mail(world: MailWorld):
    async with serve_smtp() as smtp:
        with pytest.raises(RetryableError) as caught:
            await call_local(world, server={"url": f"smtp://localhost:{smtp.port}?tls=starttls"})
        assert (caught.value.code, smtp.taken) == ("tls", [])


async def test_a_wrong_password_is_for_good(world: MailWorld):
    error = await fail(world, server={**SERVER, "password": "wrong password"})
    assert (type(error), error.code) == (FatalError, "mail_auth")
    assert "wrong password" not in error.message


async def test_a_sign_in_that_is_refused_for_now_is_tried_again(world: MailWorld):
    world.smtp.replies["AUTH"] = "454 4.7.0 Temporary authentication failure"
    error = await fail(world, server={**SERVER, "password": "wrong password"})
    assert (type(error), error.code) == (RetryableError, "mail_auth")


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        ({"ada@example.com": "550 5.1.1 No such user"}, FatalError, "recipients_refused"),
        ({"ada@example.com": "450 4.2.0 Greylisted"}, RetryableError, "recipients_refused"),
        ({"MAIL": "550 Not you"}, FatalError, "sender_refused"),
        ({"MAIL": "451 Later"}, RetryableError, "sender_refused"),
        ({"MAIL": "552 Too much"}, FatalError, "mail_too_large"),
        ({"DATA": "554 5.7.1 Spam"}, FatalError, "message_refused"),
        ({"DATA": "452 4.3.1 Disk full"}, RetryableError, "message_refused"),
        ({"DATA": "552 Too much"}, FatalError, "mail_too_large"),
    ],
)
async def test_what_the_server_refuses(replies: dict[str, str], kind: type, code: str, world: MailWorld):
    world.smtp.replies.update(replies)
    error = await fail(world, server=SERVER)
    assert (type(error), error.code) == (kind, code)
    assert world.smtp.taken == []


async def test_recipients_that_are_refused_are_listed_where_others_are_taken(world: MailWorld):
    world.smtp.replies["b@example.com"] = "550 5.1.1 No such user"
    result = await deliver(world, server=SERVER, to=["ada@example.com", "b@example.com"])
    assert result["accepted"] == ["ada@example.com"]
    assert result["rejected"] == [{"address": "b@example.com", "status": 550, "message": "5.1.1 No such user"}]
    assert world.smtp.taken[0].recipients == ["ada@example.com"]


async def test_who_was_refused_is_in_the_details(world: MailWorld):
    world.smtp.replies["ada@example.com"] = "550 5.1.1 No such user"
    error = await fail(world, server=SERVER)
    assert error.details == {"rejected": [{"address": "ada@example.com", "status": 550, "message": "5.1.1 No such user"}]}


async def test_a_mail_above_the_server_s_size_is_not_sent(world: MailWorld):
    async with serve_smtp(world.authority.issue("localhost"), size_max_bytes=2_000) as smtp:
        with pytest.raises(FatalError) as caught:
            await call_local(world, server=local(smtp), text="x" * 3_000)
        assert (caught.value.code, smtp.taken) == ("mail_too_large", [])


@pytest.mark.parametrize("knows_utf8", [True, False])
async def test_an_address_beyond_ascii_needs_a_server_that_knows_it(knows_utf8: bool, world: MailWorld):
    async with serve_smtp(world.authority.issue("localhost"), knows_utf8=knows_utf8) as smtp:
        if knows_utf8:
            await call_local(world, server=local(smtp), to="Jörg <jörg@bücher.example>")
            assert smtp.taken[0].recipients == ["jörg@xn--bcher-kva.example"]
            assert read_mail(smtp.taken[0].data).to[0].address == "jörg@xn--bcher-kva.example"
        else:
            with pytest.raises(FatalError) as caught:
                await call_local(world, server=local(smtp), to="jörg@example.com")
            assert caught.value.code == "smtputf8_missing"


async def test_a_server_that_says_nothing_is_left(world: MailWorld):
    async with serve_smtp() as smtp:
        smtp.hangs = True
        with pytest.raises(RetryableError) as caught:
            await call_local(world, MailTimes(1, 0.2, 5), server={"url": f"smtp://localhost:{smtp.port}"})
        assert caught.value.code == "mail_timeout"


@pytest.mark.parametrize("spoken", [b"", b"SSH-2.0-x\r\n", b"421 go away\r\n", b"220 hi\r\n", b"\xff" * 10_000])
async def test_a_server_that_speaks_something_else(spoken: bytes, world: MailWorld):
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(spoken)
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(RetryableError) as caught:
        await call_local(world, MailTimes(1, 1, 5), server={"url": f"smtp://localhost:{port}"})
    listening.close()
    assert caught.value.code in {"connection_failed", "mail_server_error"}


async def test_nobody_listens(world: MailWorld):
    with pytest.raises(RetryableError) as caught:
        await call_local(world, server={"url": "smtp://localhost:1"})
    assert caught.value.code == "connection_failed"


DENIED = [
    "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "169.254.169.254", "10.0.0.1", "192.168.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", DENIED)
async def test_net_01_to_05_23_a_private_server_is_denied_without_a_packet(host: str, world: MailWorld):
    error = await fail(world, server={"url": f"smtps://{host}:465"})
    assert error.code in {"egress_denied", "server_invalid"}
    assert world.network.connected == []


async def test_net_06_23_a_name_with_one_private_address_is_denied(world: MailWorld):
    world.network.names.set("mail.example.com", ["93.184.216.34", "10.0.0.1"])
    assert (await fail(world, server=SERVER)).code == "egress_denied"


async def test_net_07_23_a_name_is_resolved_once_and_that_address_connected_to(world: MailWorld):
    world.network.names.set("mail.example.com", ["93.184.216.34"], ["127.0.0.1"])
    await deliver(world, server=SERVER)
    assert world.network.names.asked == ["mail.example.com"]
    assert world.network.connected == [("93.184.216.34", 465)]


@pytest.mark.parametrize("port", [22, 25, 80, 6379, 5432, 11211])
async def test_net_14_23_other_ports_are_denied(port: int, world: MailWorld):
    assert (await fail(world, server={"url": f"smtp://mail.example.com:{port}"})).code == "port_denied"
    assert world.network.connected == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "ada@example.com\r\nBcc: eve@example.com"}, "address_invalid"),
        ({"to": ["ok@example.com", "nonsense"]}, "address_invalid"),
        ({"to": []}, "address_invalid"),
        ({"to": [f"a{number}@example.com" for number in range(10_000)]}, "address_invalid"),
        ({"from": "x\ny@example.com"}, "address_invalid"),
        ({"reply_to": ""}, "address_invalid"),
        ({"subject": "a\r\nBcc: eve@example.com"}, "header_invalid"),
        ({"attachments": [{"name": "a", "base64": "not base64!"}]}, "base64_invalid"),
        ({"attachments": [{"$file": {"id": "x"}}]}, "file_invalid"),
        ({"server": {"url": "smtp://user:pw@host/path"}}, "server_invalid"),
        ({"text": "x" * (26 * 2**20)}, "mail_too_large"),
    ],
)
async def test_bad_input_sends_nothing(changes: dict[str, object], code: str, world: MailWorld):
    error = await fail(world, **changes)
    assert (type(error), error.code) == (FatalError, code)
    assert not world.outbox.exists()


async def test_the_field_of_a_bad_address_is_named(world: MailWorld):
    error = await fail(world, to=["ok@example.com", "nonsense"])
    assert error.message.startswith("to[1]: ")
    assert error.details == {"field": "to[1]"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": None}, "invalid_parameters"),
        ({"text": None, "html": "  "}, "invalid_parameters"),
        ({"subject": "half \ud800"}, "invalid_parameters"),
        ({"headers": {"X-A": "a\r\nBcc: eve@example.com"}}, "header_invalid"),
        ({"headers": {"Bcc": "eve@example.com"}}, "header_reserved"),
        ({"attachments": [{"name": "a"}]}, "invalid_parameters"),
        ({"attachments": [{"text": "a"}]}, "invalid_parameters"),
        ({"attachments": [{"name": "a", "text": "a", "base64": "YQ=="}]}, "invalid_parameters"),
        ({"images": [{"cid": "x", "base64": "YQ=="}]}, "invalid_parameters"),
        ({"html": "cid:x", "images": [{"cid": "x", "base64": "YQ=="}] * 2}, "invalid_parameters"),
        ({"server": {"url": "smtps://mail.example.com", "verify": False}}, "invalid_parameters"),
    ],
)
async def test_parameters_that_cannot_be(changes: dict[str, object], code: str, world: MailWorld):
    with pytest.raises(InvalidParametersError) as caught:
        await deliver(world, **changes)
    assert code in {fault.code for fault in caught.value.faults}


async def test_a_missing_file_is_named(world: MailWorld):
    objects = cast("ObjectStore", world.attempts.services[ObjectStore])
    stored = objects.put(b"x", name="a", media_type="text/plain")
    objects.delete(stored.id)
    error = await fail(world, attachments=[stored.to_json()])
    assert (error.code, "attachments[0].file" in error.message) == ("file_missing", True)


@pytest.mark.parametrize(
    ("parameters", "target"),
    [
        ({"to": "a@b", "cc": ["c@d", "e@f"], "bcc": "g@h"}, "a@b, c@d, e@f and 1 more"),
        ({"to": "a@b", "server": {"url": "smtps://mail.example.com"}}, "mail.example.com:465"),
    ],
)
def test_the_ledger_names_the_server_or_the_recipients(parameters: JsonObject, target: str):
    assert send.target is not None
    assert send.target(parameters) == target


async def test_a_server_with_a_secret_in_its_url_has_no_target():
    assert send.target is not None
    with pytest.raises(ValueError, match="cannot be used"):
        send.target({"to": "a@b", "server": {"url": "${{ secrets.SMTP }}"}})
