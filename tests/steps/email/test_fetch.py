"""`email.fetch` and `email.mark`, with a real IMAP server."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.steps.email.world import UID_VALIDITY, MailWorld, open_mail_world
from tests.support.attempts import Attempts
from tests.support.mail_servers import PASSWORD, USER, Authority, serve_imap

from flowforge.kit.egress import EgressClient
from flowforge.kit.mail import mailbox as mailboxes
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations import Operation
from flowforge.operations.calling import InvalidParametersError
from flowforge.operations.definition import AttemptError, FatalError, RetryableError
from flowforge.steps.email import fetch as fetching
from flowforge.steps.email.fetch import fetch
from flowforge.steps.email.mark import mark

SERVER: JsonObject = {"url": "imaps://imap.example.com", "user": USER, "password": PASSWORD}
ALL: JsonObject = {"unseen": None}


def letter(subject: str, body: str = "Hello\r\n", sender: str = "ada@example.com") -> bytes:
    return f"From: {sender}\r\nTo: shop@example.com\r\nSubject: {subject}\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\n\r\n{body}".encode()


WITH_FILE = (
    b"From: a@example.com\r\nSubject: Invoice\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nSee below\r\n--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=i.csv\r\n\r\nid\r\n7\r\n--b--\r\n"
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[MailWorld]:
    async with open_mail_world(tmp_path) as opened:
        yield opened


async def take(world: MailWorld, operation: Operation = fetch, **parameters: object) -> dict[str, Any]:
    return cast("dict[str, Any]", await world.attempts.call(operation, cast("JsonObject", {"server": SERVER, **parameters})))


async def fail(world: MailWorld, operation: Operation = fetch, **parameters: object) -> AttemptError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await take(world, operation, **parameters)
    return caught.value


async def test_an_empty_mailbox(world: MailWorld):
    result = await take(world)
    assert result == {"messages": [], "skipped": [], "last_uid": None, "uid_validity": UID_VALIDITY, "has_more": False}


async def test_messages_come_oldest_first_with_their_files(world: MailWorld):
    uids = await world.imap.add(letter("One"), WITH_FILE)
    result = await take(world)
    assert [(message["uid"], message["subject"]) for message in result["messages"]] == [(uids[0], "One"), (uids[1], "Invoice")]
    facts = result["messages"][1]["attachments"][0]["file"]["$file"]
    objects = cast("ObjectStore", world.attempts.services[ObjectStore])
    assert (facts["name"], objects.read(facts["id"])) == ("i.csv", b"id\r\n7")
    assert result["messages"][0]["size"] == len(letter("One"))
    assert await world.imap.list_flags() == {uids[0]: set(), uids[1]: set()}


async def test_seen_messages_are_left_out_unless_asked_for(world: MailWorld):
    await world.imap.add(letter("Old"), flags=[b"\\Seen"])
    await world.imap.add(letter("New"))
    assert [message["subject"] for message in (await take(world))["messages"]] == ["New"]
    assert [message["subject"] for message in (await take(world, search={"unseen": False}))["messages"]] == ["Old"]
    assert len((await take(world, search=ALL))["messages"]) == 2


@pytest.mark.parametrize(
    ("search", "subjects"),
    [
        ({"from": "grace"}, ["B"]),
        ({"subject": "a"}, ["A"]),
        ({"to": "shop@"}, ["A", "B"]),
        ({"text": "needle"}, ["B"]),
        ({"since": "2026-01-02"}, ["A", "B"]),
        ({"since": "2026-01-03"}, []),
        ({"before": "2026-01-02"}, []),
        ({"subject": 'quote " and \\ slash'}, []),
        ({"subject": "ü"}, []),
        ({"flagged": True}, []),
        ({"flagged": False, "from": "ada", "since": "2026-01-01", "before": "2027-01-01"}, ["A"]),
    ],
)
async def test_the_search(search: JsonObject, subjects: list[str], world: MailWorld):
    await world.imap.add(letter("A"), letter("B", "a needle in here\r\n", "grace@example.com"))
    assert [message["subject"] for message in (await take(world, search=search))["messages"]] == subjects


async def test_pages_follow_each_other_exactly(world: MailWorld):
    uids = await world.imap.add(*(letter(str(number)) for number in range(7)))
    seen: list[int] = []
    result: dict[str, Any] = {"has_more": True, "last_uid": None, "uid_validity": None}
    while result["has_more"]:
        result = await take(world, search=ALL, limit=3, after_uid=result["last_uid"], uid_validity=result["uid_validity"])
        seen += [message["uid"] for message in result["messages"]]
    assert seen == uids
    again = await take(world, search=ALL, after_uid=result["last_uid"], uid_validity=result["uid_validity"])
    assert (again["messages"], again["last_uid"], again["has_more"]) == ([], uids[-1], False)


async def test_a_folder_that_was_made_anew_is_told(world: MailWorld):
    error = await fail(world, after_uid=5, uid_validity=UID_VALIDITY - 1)
    assert (error.code, error.details) == ("uid_validity_changed", {"uid_validity": UID_VALIDITY})


async def test_messages_are_marked_and_moved_once_all_are_stored(world: MailWorld):
    await world.imap.open_folder("Done")
    await world.imap.add(letter("One"), letter("Two"), letter("Three"))
    result = await take(world, limit=2, mark_seen=True, move_to="Done")
    assert len(result["messages"]) == 2
    assert list((await world.imap.list_flags()).values()) == [set()]
    assert list((await world.imap.list_flags("Done")).values()) == [{"\\Seen"}, {"\\Seen"}]
    assert result["has_more"]


async def test_nothing_is_marked_when_one_message_cannot_be_stored(world: MailWorld, tmp_path: Path):
    uids = await world.imap.add(letter("One"), WITH_FILE)
    (tmp_path / "files" / ".staging").write_text("in the way")
    with pytest.raises((FatalError, RetryableError)):
        await take(world, mark_seen=True)
    assert await world.imap.list_flags() == {uid: set() for uid in uids}


async def test_a_message_that_is_too_large_is_skipped(world: MailWorld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "MESSAGE_MAX_BYTES", 1_000)
    small, large, last = await world.imap.add(letter("Small"), letter("Large", "x" * 2_000), letter("Last"))
    result = await take(world, mark_seen=True)
    assert [message["uid"] for message in result["messages"]] == [small, last]
    assert [skipped["uid"] for skipped in result["skipped"]] == [large]
    assert result["skipped"][0]["size"] > 2_000
    assert (await world.imap.list_flags())[large] == set()
    assert result["last_uid"] == last


@pytest.mark.parametrize("bound", ["ALL_MAX_BYTES", "INLINE_MAX_BYTES"])
async def test_a_step_that_has_enough_leaves_the_rest(bound: str, world: MailWorld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, bound, 50)
    uids = await world.imap.add(letter("One"), letter("Two"))
    result = await take(world)
    assert ([message["uid"] for message in result["messages"]], result["last_uid"], result["has_more"]) == (
        uids[:1],
        uids[0],
        True,
    )


async def test_a_literal_larger_than_any_message_ends_the_connection(world: MailWorld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mailboxes, "_LITERAL_MAX_BYTES", 1_000)
    await world.imap.add(letter("Large", "x" * 2_000))
    assert (await fail(world)).code == "connection_failed"


async def test_marking(world: MailWorld):
    await world.imap.open_folder("Done")
    first, second, third = await world.imap.add(letter("One"), letter("Two"), letter("Three"))
    place = {"uid_validity": UID_VALIDITY}
    assert await take(world, mark, **place, uids=[first, second], seen=True, flagged=True) == {"count": 2}
    assert (await world.imap.list_flags())[first] == {"\\Seen", "\\Flagged"}
    await take(world, mark, **place, uids=[first], seen=False)
    assert (await world.imap.list_flags())[first] == {"\\Flagged"}
    await take(world, mark, **place, uids=[second], move_to="Done")
    await take(world, mark, **place, uids=[third], delete=True)
    assert list(await world.imap.list_flags()) == [first]
    assert len(await world.imap.list_flags("Done")) == 1
    assert await take(world, mark, **place, uids=[third, 999], seen=True) == {"count": 2}
    assert await take(world, mark, **place, uids=[], seen=True) == {"count": 0}


async def test_deleting_takes_away_nothing_that_others_have_marked(world: MailWorld):
    (other,) = await world.imap.add(letter("Other"), flags=[b"\\Deleted"])
    (ours,) = await world.imap.add(letter("Ours"))
    await take(world, mark, uid_validity=UID_VALIDITY, uids=[ours], delete=True)
    assert list(await world.imap.list_flags()) == [other]


async def test_a_folder_with_another_name(world: MailWorld):
    await world.imap.add(letter("There"), folder="Entwürfe")
    assert [message["subject"] for message in (await take(world, folder="Entwürfe"))["messages"]] == ["There"]


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (fetch, {"folder": "No such folder"}),
        (fetch, {"move_to": "No such folder"}),
        (mark, {"folder": "No such folder", "uids": [101], "uid_validity": UID_VALIDITY, "seen": True}),
        (mark, {"uids": [101], "uid_validity": UID_VALIDITY, "move_to": "No such folder"}),
    ],
)
async def test_a_folder_that_is_not_there(operation: Operation, parameters: dict[str, object], world: MailWorld):
    uids = await world.imap.add(letter("One"))
    assert (await fail(world, operation, **parameters)).code == "folder_missing"
    assert list(await world.imap.list_flags()) == uids


async def test_a_wrong_password(world: MailWorld):
    error = await fail(world, server={**SERVER, "password": "wrong password"})
    assert (type(error), error.code) == (FatalError, "mail_auth")
    assert "wrong password" not in error.message


async def test_a_mailbox_needs_a_user(world: MailWorld):
    assert (await fail(world, server={"url": "imaps://imap.example.com"})).code == "mail_auth"


async def call_local(world: MailWorld, url: str, parameters: JsonObject | None = None, **more: str) -> dict[str, Any]:
    client = world.network.make_client(["localhost"])
    world.network.names.set("localhost", ["127.0.0.1"])
    mailer = Mailer(None, None, world.outbox, client, world.clock, tls=world.authority.trust)
    attempts = Attempts({**world.attempts.services, EgressClient: client, Mailer: mailer})
    try:
        server: JsonObject = {"url": url, "user": USER, "password": PASSWORD, **more}
        return cast("dict[str, Any]", await attempts.call(fetch, {"server": server, **(parameters or {})}))
    finally:
        await client.aclose()


async def test_starttls(world: MailWorld):
    async with serve_imap(world.authority.issue("localhost"), is_implicit=False) as imap:
        await imap.add(letter("Over STARTTLS"))
        result = await call_local(world, f"imap://localhost:{imap.port}?tls=starttls")
        assert result["messages"][0]["subject"] == "Over STARTTLS"


async def test_net_18_a_certificate_that_is_not_trusted_ends_it(world: MailWorld):
    for certificate in (Authority().issue("localhost"), world.authority.issue("other.example.com")):
        async with serve_imap(certificate) as imap:
            with pytest.raises(RetryableError) as caught:
                await call_local(world, f"imaps://localhost:{imap.port}")
            assert (caught.value.code, caught.value.by_default) == ("tls", False)


async def test_an_authority_of_its_own(world: MailWorld):
    other = Authority()
    async with serve_imap(other.issue("localhost")) as imap:
        result = await call_local(world, f"imaps://localhost:{imap.port}", authority=other.pem)
        assert result["messages"] == []


async def test_a_server_that_can_neither_move_nor_delete_single_messages(world: MailWorld):
    async with serve_imap(world.authority.issue("localhost"), is_bare=True) as imap:
        await imap.open_folder("Done")
        await imap.add(letter("One"))
        await call_local(world, f"imaps://localhost:{imap.port}", {"move_to": "Done"})
        assert list((await imap.list_flags()).values()) == [{"\\Deleted"}]
        assert len(await imap.list_flags("Done")) == 1


ANSWERS = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2",
    b"EXAMINE": b"* OK [UIDVALIDITY 9] fine",
    b"UID": b"* SEARCH",
    b"LOGOUT": b"* BYE",
}


async def test_a_token_in_place_of_a_password(world: MailWorld):
    said: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        while line := await reader.readline():
            tag, command, *_ = line.split()
            if command == b"AUTHENTICATE":
                writer.write(b"+ \r\n")
                said.append(b64decode(await reader.readline()))
            writer.write(ANSWERS.get(command, b"* OK") + b"\r\n" + tag + b" OK done\r\n")
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    result = await call_local(world, f"imap://localhost:{listening.sockets[0].getsockname()[1]}", token="t-1")
    listening.close()
    assert said == [f"user={USER}\1auth=Bearer t-1\1\1".encode()]
    assert result["uid_validity"] == 9


@pytest.mark.parametrize(
    "spoken", [b"", b"220 smtp\r\n", b"* BYE no\r\n", b"* OK hi\r\n", b"* OK {99999999999}\r\n", b"\xff" * 5_000], ids=repr
)
async def test_a_server_that_speaks_something_else(spoken: bytes, world: MailWorld):
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(spoken)
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(RetryableError) as caught:
        await call_local(world, f"imap://localhost:{port}")
    listening.close()
    assert caught.value.code in {"connection_failed", "mail_server_error"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"])
@pytest.mark.parametrize(("operation", "parameters"), [(fetch, {}), (mark, {"uids": [1], "uid_validity": 1, "seen": True})])
async def test_net_01_to_05_23_a_private_server_is_denied_without_a_packet(
    host: str, operation: Operation, parameters: dict[str, Any], world: MailWorld
):
    error = await fail(world, operation, **parameters, server={**SERVER, "url": f"imaps://{host}"})
    assert error.code == "egress_denied"
    assert world.network.connected == []


async def test_net_07_23_a_name_is_resolved_once_and_that_address_connected_to(world: MailWorld):
    world.network.names.set("imap.example.com", ["93.184.216.34"], ["127.0.0.1"])
    await take(world)
    assert world.network.names.asked == ["imap.example.com"]
    assert world.network.connected == [("93.184.216.34", 993)]


@pytest.mark.parametrize("port", [22, 25, 80, 6379])
async def test_net_14_23_other_ports_are_denied(port: int, world: MailWorld):
    assert (await fail(world, server={**SERVER, "url": f"imaps://imap.example.com:{port}"})).code == "port_denied"
    assert world.network.connected == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"folder": "a\r\nb"},
        {"move_to": "a\x00"},
        {"search": {"subject": "a\r\nA1 LOGOUT"}},
        {"search": {"since": "yesterday"}},
        {"search": {"raw": "ALL"}},
        {"limit": 501},
        {"limit": 0},
        {"after_uid": -1},
        {"after_uid": 2**32},
        {"server": {"url": 5}},
    ],
)
async def test_parameters_that_cannot_be(parameters: dict[str, Any], world: MailWorld):
    with pytest.raises(InvalidParametersError):
        await take(world, **parameters)
    assert world.network.connected == []


@pytest.mark.parametrize(
    "parameters",
    [{}, {"seen": True, "move_to": "a", "delete": True}, {"seen": True, "uids": [0]}, {"delete": True, "uids": ["1:*"]}],
)
async def test_marks_that_cannot_be(parameters: dict[str, object], world: MailWorld):
    with pytest.raises(InvalidParametersError):
        await world.attempts.call(mark, cast("JsonObject", {"server": SERVER, "uids": [1], "uid_validity": 1, **parameters}))
    assert world.network.connected == []
