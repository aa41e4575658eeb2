"""Checkpoints, retention and sinks, as the background does them."""

import asyncio
import json
import re
import socket
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
from sqlalchemy import func, select
from tests.audit.logbook import ADA, AT, AUTHOR, KEYS, RING, export, read, sign, write
from tests.support.clock import ManualClock

from flowforge.audit.checkpoints import list_checkpoints
from flowforge.audit.duties import CheckpointDuty, ExportDuty, RetentionDuty, list_duties
from flowforge.audit.models import AuditCheckpoint, PersonKey
from flowforge.audit.persons import find_keys, reencrypt_keys
from flowforge.audit.proving import verify_chain, verify_file
from flowforge.audit.service import Author, record_as
from flowforge.audit.sinks import ObjectSink, SyslogSink
from flowforge.audit.syslog import format_message, read_place
from flowforge.audit.verifying import Verdict
from flowforge.kit.database.session import Database
from flowforge.kit.errors import DependencyError, ValidationError
from flowforge.kit.keyring import Keyring
from flowforge.kit.objects.folder import FolderShelf
from flowforge.kit.settings import Settings

DAY_MS = 86_400_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


async def count_checkpoints(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(AuditCheckpoint)) or 0


async def test_a_checkpoint_is_made_when_it_is_time_and_something_was_added(sqlite: Database, clock: ManualClock):
    duty = CheckpointDuty(sqlite, KEYS, clock, 3_600_000)
    await duty.run_once()
    assert await count_checkpoints(sqlite) == 0
    await write(sqlite, 2)
    for _ in range(2):
        await duty.run_once()
    assert await count_checkpoints(sqlite) == 1
    await write(sqlite)
    clock.advance(3_599_999)
    await duty.run_once()
    assert await count_checkpoints(sqlite) == 1
    clock.advance(1)
    await asyncio.gather(*(duty.run_once() for _ in range(3)))
    assert await count_checkpoints(sqlite) == 2
    assert await verify_chain(sqlite.read, KEYS.list_public()) == Verdict(3, 3, 3)


async def test_old_rows_go_up_to_a_checkpoint_and_the_rest_verifies(database: Database, clock: ManualClock, tmp_path: Path):
    for _ in range(3):
        await write(database, 2)
        await sign(database, at_ms=clock.now_ms())
        clock.advance(DAY_MS)
    duty = RetentionDuty(database, clock, keep_ms=DAY_MS + DAY_MS // 2)
    await duty.run_once()
    assert [row.no for row in await read(database)] == [5, 6, 7]
    assert (await read(database))[-1].action == "audit.retired"
    await duty.run_once()
    assert await verify_chain(database.read, KEYS.list_public()) == Verdict(3, 6, 7)
    lines = await export(database, tmp_path / "log")
    assert b'"from":5' in lines[0]
    assert verify_file(tmp_path / "log", KEYS.list_public()) == Verdict(3, 6, 7)


async def test_rows_are_kept_for_ever_and_for_sinks_that_have_not_got_them(sqlite: Database, clock: ManualClock):
    await write(sqlite, 2)
    await sign(sqlite)
    clock.advance(10 * DAY_MS)
    await RetentionDuty(sqlite, clock, keep_ms=0).run_once()
    await RetentionDuty(sqlite, clock, keep_ms=DAY_MS, sinks=["objects"]).run_once()
    assert len(await read(sqlite)) == 2


async def test_each_checkpoint_becomes_a_file_that_verifies_by_itself(sqlite: Database, clock: ManualClock, tmp_path: Path):
    shelf = FolderShelf(tmp_path / "objects")
    duty = ExportDuty([ObjectSink(sqlite, clock, shelf)])
    for count in (3, 2):
        await write(sqlite, count, AUTHOR)
        clock.advance(1_000)
        await sign(sqlite, at_ms=clock.now_ms())
    await write(sqlite)
    for _ in range(2):
        await duty.run_once()
    ids = sorted(found.id for found in shelf.scan("audit"))
    verdicts = [verify_file(keep(shelf, file_id, tmp_path), KEYS.list_public()) for file_id in ids]
    assert verdicts == [Verdict(3, 3, 3), Verdict(2, 5, 5)]
    async with sqlite.read() as session:
        assert len(await list_checkpoints(session)) == 2


def keep(shelf: FolderShelf, file_id: str, folder: Path) -> Path:
    with shelf.open(file_id) as stream:
        (folder / file_id).write_bytes(stream.read())
    return folder / file_id


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.heard.put(self.request[0])  # type: ignore[attr-defined]


class Stream(socketserver.StreamRequestHandler):
    """Reads the length before each message (RFC 6587)."""

    def handle(self) -> None:
        while digits := self._read_length():
            self.server.heard.put(self.rfile.read(digits))  # type: ignore[attr-defined]

    def _read_length(self) -> int:
        text = b""
        while (letter := self.rfile.read(1)).isdigit():
            text += letter
        return int(text or b"0")


@contextmanager
def listen(kind: str, folder: Path) -> Generator[tuple[str, SimpleQueue[bytes]]]:
    """A syslog server in this process: its URL and what it hears."""
    if kind == "udp":
        server: socketserver.BaseServer = socketserver.UDPServer(("127.0.0.1", 0), Datagrams)
        url = f"udp://127.0.0.1:{server.server_address[1]}"
    elif kind == "tcp":
        server = socketserver.TCPServer(("127.0.0.1", 0), Stream)
        url = f"tcp://127.0.0.1:{server.server_address[1]}"
    else:
        server = socketserver.UnixDatagramServer(str(folder / "log"), Datagrams)
        url = f"unix://{folder}/log"
    heard: SimpleQueue[bytes] = SimpleQueue()
    server.heard = heard  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield url, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


RFC_5424 = re.compile(rb"<109>1 (\S+Z) \S+ flowforge - (\S+) - (\{.*\})", re.DOTALL)


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix"])
async def test_rows_and_checkpoints_go_to_syslog(sqlite: Database, clock: ManualClock, tmp_path: Path, kind: str):
    await write(sqlite, 2)
    await sign(sqlite)
    with listen(kind, tmp_path) as (url, heard):
        duty = ExportDuty([SyslogSink(sqlite, clock, read_place(url))])
        await duty.run_once()
        await write(sqlite)
        await duty.run_once()
        messages = [heard.get(timeout=10) for _ in range(4)]
        assert heard.empty()
    matches = [match for message in messages if (match := RFC_5424.fullmatch(message))]
    assert [match[2] for match in matches] == [b"thing.changed", b"thing.changed", b"audit.checkpoint", b"thing.changed"]
    told = [json.loads(match[3]) for match in matches]
    assert [line["no"] for line in told] == [1, 2, 2, 3]
    assert told[0]["hash"] == (await read(sqlite))[0].hash


async def test_a_syslog_server_that_is_away_keeps_no_other_sink_from_its_rows(
    sqlite: Database, clock: ManualClock, tmp_path: Path
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = SyslogSink(sqlite, clock, read_place(f"tcp://127.0.0.1:{port}"))
    shelf = FolderShelf(tmp_path / "objects")
    await write(sqlite)
    await sign(sqlite)
    with pytest.raises(DependencyError, match="tried again"):
        await ExportDuty([away, ObjectSink(sqlite, clock, shelf)]).run_once()
    assert len(list(shelf.scan("audit"))) == 1
    with listen("tcp", tmp_path) as (url, heard):
        await SyslogSink(sqlite, clock, read_place(url)).run_once()
        assert b"thing.changed" in heard.get(timeout=10)


def test_a_message_is_never_too_long_for_a_datagram():
    message = format_message({"time": "2026-01-01T00:00:00Z", "action": "a b", "no": 1, "before": "x" * 70_000}, "host")
    assert len(message) < 1_000
    assert b' a_b - {"time"' in message
    assert b'"shortened":true' in message


def test_settings_name_the_sinks(sqlite: Database, clock: ManualClock, tmp_path: Path):
    def make(**given: str) -> Settings:
        return Settings.model_validate({"data": tmp_path, **given})

    assert len(list_duties(make(), sqlite, KEYS, clock)) == 2
    given = make(audit_syslog_url="udp://log.example.com", audit_export_url=f"file://{tmp_path}")
    assert len(list_duties(given, sqlite, KEYS, clock)) == 3
    assert read_place(given.audit_syslog_url or "").port == 514
    with pytest.raises(ValidationError, match="AUDIT_EXPORT_URL"):
        list_duties(make(audit_export_url="ftp://x"), sqlite, KEYS, clock)


@pytest.mark.parametrize("url", ["log.example.com", "http://x", "udp://", "unix://", "unix://host/x"])
def test_what_is_no_place_of_syslog_is_refused(url: str, tmp_path: Path):
    with pytest.raises(ValueError, match="syslog"):
        Settings.model_validate({"data": tmp_path, "audit_syslog_url": url})


async def test_keys_of_persons_are_sealed_anew_with_another_ring(database: Database):
    await write(database, 1, AUTHOR)
    async with database.read() as session:
        old = await session.get_one(PersonKey, ADA)
    new = Keyring(b"n" * 32)
    async with database.write() as session:
        assert (await reencrypt_keys(session, new)).unreadable == (ADA,)
    both = Both(new)
    async with database.write() as session:
        assert (await reencrypt_keys(session, both)).changed == 1
    async with database.read() as session:
        assert (await session.get_one(PersonKey, ADA)).key_id == new.current_key_id != old.key_id
        assert (await find_keys(session, new, {ADA}))[ADA] is not None
        assert (await find_keys(session, RING, {ADA}))[ADA] is None


class Both(Keyring):
    """Writes with a new key, and reads with the old ring too."""

    __slots__ = ()

    def __init__(self, new: Keyring) -> None:
        super().__init__(b"n" * 32)
        self._ciphers.update(RING._ciphers)
        assert new.current_key_id == self.current_key_id


async def test_a_row_of_a_person_without_an_address_needs_no_key(sqlite: Database):
    async with sqlite.write.begin() as session:
        await record_as(session, Author(f"user:{ADA}", at_ms=AT), "user.signed_in", "user", ADA)
    assert (await read(sqlite))[0].ip is None
