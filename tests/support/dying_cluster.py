"""A server of a cluster on PostgreSQL that dies between statements: its own way to the database tells what goes by.

The way is a proxy within the process that dies. It hands on one message of PostgreSQL's protocol after the other, so that also within a
pipeline what is before the place has reached the database, and what is behind it never does.
"""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from tests.support.dying_server import STILL, Watch, connect

from flowforge.cluster.health import HealthPages
from flowforge.entrypoints.roles import Role
from flowforge.entrypoints.server import serving
from flowforge.entrypoints.server.cluster_ground import open_ground
from flowforge.entrypoints.server.domains import make_domains
from flowforge.entrypoints.server.listening import name_address
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import LogPipe

_LENGTH: Final = 4


@asynccontextmanager
async def open_clustered(
    folder: Path, url: DatabaseUrl, listener: socket.socket, watch: Watch | None
) -> AsyncGenerator[tuple[Installation, serving.OpenServer]]:
    """A server without an engine, on a PostgreSQL of loopback."""
    port = url.port if watch is None else _open_way(url.port, watch)
    address = f"postgresql://postgres@127.0.0.1:{port}/{url.name}?sslmode=disable"
    named = {"data": folder, "port": listener.getsockname()[1], "database_url": address}
    installation = open_installation(Settings.model_validate(named | STILL))
    pages = HealthPages([], installation.metrics, clock=SystemClock(), version="1", metrics_token=None)
    role = Role(installation.settings, installation.metrics, pages, "", cast("LogPipe", None), Masker(), asyncio.Event())
    services = Services(installation)
    try:
        async with open_ground(role, installation, "server", f"server-{os.getpid()}") as ground:
            domains = make_domains(ground, services)
            async with serving.serve_domains(ground, domains, listener):
                await connect(installation)
                yield installation, serving.OpenServer(name_address(listener), domains)
    finally:
        await services.aclose()
        await installation.aclose()


def _open_way(target: int, watch: Watch) -> int:
    """A port of this process that leads to the database."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", target))
            for source, sink, copy in ((client, server, _copy_statements), (server, client, _copy_answers)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _run(lambda source=source, sink=sink, copy=copy: _carry(source, sink, copy, watch))

    _run(serve)
    return listener.getsockname()[1]


def _run(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


Copy = Callable[[BinaryIO, Callable[[bytes], None], Watch], None]


def _carry(source: socket.socket, sink: socket.socket, copy: Copy, watch: Watch) -> None:
    """Until one of the two ends has gone."""
    with suppress(OSError), source.makefile("rb") as stream:
        copy(stream, sink.sendall, watch)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _copy_statements(client: BinaryIO, send: Callable[[bytes], None], watch: Watch) -> None:
    """Tells of each statement before the database is told to execute it."""
    send(_read_first(client))
    texts: dict[bytes, bytes] = {}
    bound = b""
    take = watch.follow_connection()
    while message := _read_message(client):
        kind, body = message[:1], message[1 + _LENGTH :]
        match kind:
            case b"P":
                name, statement = body.split(b"\0")[:2]
                texts[name] = statement
            case b"B":
                bound = texts[body.split(b"\0")[1]]
            case b"E":
                take(bound.decode())
            case b"Q":
                take(body.rstrip(b"\0").decode())
            case _:
                pass
        send(message)


def _copy_answers(server: BinaryIO, send: Callable[[bytes], None], watch: Watch) -> None:
    """Tells of each commit before that is handed on: it has been made by then, and nobody knows."""
    while message := _read_message(server):
        if message[:1] == b"C" and message[1 + _LENGTH :].startswith(b"COMMIT"):
            watch.come("committed in the database")
        send(message)


def _read_first(client: BinaryIO) -> bytes:
    """The message that a connection begins with, which has no kind."""
    length = client.read(_LENGTH)
    return length + client.read(int.from_bytes(length) - _LENGTH)


def _read_message(stream: BinaryIO) -> bytes:
    """The next one whole; empty at the end."""
    head = stream.read(1 + _LENGTH)
    return head + stream.read(int.from_bytes(head[1:]) - _LENGTH) if len(head) > _LENGTH else b""
