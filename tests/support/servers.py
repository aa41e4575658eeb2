"""A small HTTP server under the test's control: it answers as told, misbehaves as told, and counts what reached it.

It is also the effect server: `deliveries` tells how often each `Idempotency-Key` arrived, `effects` how many different ones did.
"""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.listening import listen

from flowforge.kit.values import JsonValue


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived. Header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at_ms: int = 0
    """When it had arrived."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """An ordinary answer; Content-Length is added unless the headers have one."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Writes whatever it likes; the connection is aborted afterwards."""

    act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


Answer = Reply | Misbehaviour
Responder = Callable[[Received], Answer | Awaitable[Answer]]


def json_reply(value: JsonValue, status: int = 200) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), json.dumps(value).encode())


def redirect(location: str, status: int = 302, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> Reply:
    return Reply(status, (("Location", location), *headers), body)


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del writer
    await reader.read()


HANG = Misbehaviour(_hang)
"""Says nothing until the client goes away."""


def drip(interval_s: float) -> Misbehaviour:
    """A well-formed head, then a byte of the body from time to time, for ever."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(interval_s)

    return Misbehaviour(act)


def send_raw(*pieces: bytes) -> Misbehaviour:
    """These bytes, then a reset."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return Misbehaviour(act)


def send_endlessly(head: bytes, piece: bytes) -> Misbehaviour:
    """The head, then the piece again and again until the client goes away."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return Misbehaviour(act)


@dataclass
class EffectServer:
    """`routes` maps a path to what answers it; a path without one gets `{"ok": true}`. `fail_ratio` of those fail with 503, by the seed."""

    port: int = 0
    scheme: str = "http"
    routes: dict[str, Responder] = field(default_factory=dict[str, Responder])
    received: list[Received] = field(default_factory=list[Received])
    deliveries: Counter[str] = field(default_factory=Counter[str])
    connections: int = 0
    open_connections: int = 0
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no connection is open."""
    fail_ratio: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def effects(self) -> int:
        return len(self.deliveries)

    def on(self, path: str, answer: Answer | Responder) -> None:
        """Answers requests for the path: always the same way, or as a function of the request says."""
        self.routes[path] = (lambda _: answer) if isinstance(answer, Answer) else answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self.is_idle.clear()
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            self.open_connections -= 1
            if not self.open_connections:
                self.is_idle.set()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read_request(reader)
        if request is None:
            return False
        self._count(request)
        answer = self.routes.get(request.path, self._answer_by_default)(request)
        if not isinstance(answer, Answer):
            answer = await answer
        if isinstance(answer, Misbehaviour):
            await answer.act(reader, writer)
            return False
        _write_reply(writer, answer, has_body=request.method != "HEAD")
        await writer.drain()
        return True

    def _count(self, request: Received) -> None:
        self.received.append(request)
        key = request.headers.get("idempotency-key")
        if key is not None:
            self.deliveries[key] += 1

    def _answer_by_default(self, request: Received) -> Reply:
        del request
        if self.fail_ratio and self.random.random() < self.fail_ratio:
            return Reply(503, (("Retry-After", "0"),))
        return json_reply({"ok": True})


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, time.time_ns() // 1_000_000)


def _write_reply(writer: asyncio.StreamWriter, reply: Reply, *, has_body: bool) -> None:
    names = {name.lower() for name, _ in reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Status", *(f"{name}: {value}" for name, value in reply.headers)]
    if not names & {"content-length", "transfer-encoding"} and reply.status not in {204, 304}:
        lines.append(f"Content-Length: {len(reply.body)}")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    if has_body:
        writer.write(reply.body)


@contextlib.asynccontextmanager
async def serve_http(tls: ssl.SSLContext | None = None) -> AsyncGenerator[EffectServer]:
    """A server on loopback, in the test's own loop."""
    server = EffectServer(scheme="https" if tls else "http")
    async with listen(server.serve, tls) as server.port:
        yield server


@contextlib.contextmanager
def serve_in_thread() -> Generator[EffectServer]:
    """A server on loopback in a thread of its own, for tests of other processes."""
    started: list[EffectServer] = []
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serve_http() as server:
            started.append(server)
            is_ready.set()
            await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            is_ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="effect-server")
    thread.start()
    try:
        is_ready.wait()
        yield started[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
