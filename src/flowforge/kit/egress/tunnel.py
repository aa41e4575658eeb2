"""A way out for libraries that make their own connections: a proxy on loopback, which leads only to what the policy allows.

It speaks what HTTP clients speak to a proxy (RFC 9110 9.3.6 CONNECT, RFC 9112 3.2.2 absolute-form). Whoever uses it needs a passage: a
user name and password of its own, for one host and port, that are worth nothing once it is closed.
"""

import asyncio
import hmac
import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from flowforge.kit.egress.client import EgressClient
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.proxy import Streams

HEAD_TIMEOUT_S: Final = 10.0
HEAD_MAX_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 64 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOP_HEADERS: Final = (b"proxy-authorization", b"proxy-connection", b"connection", b"keep-alive")
"""Headers that are between the client and this proxy only."""


@dataclass(slots=True)
class Passage:
    """What a library is given: `proxy_url`, with its credentials. `fault` says why it was not let through, if it was not."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    proxy_port: int
    fault: EgressError | None = None
    is_connected: bool = False
    """Whether the other side was reached at all."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]], repr=False)

    @property
    def proxy_url(self) -> str:
        """Holds the password: not for logs."""
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.proxy_port}"

    def admits(self, authorization: bytes) -> bool:
        """Whether a Proxy-Authorization header (RFC 7617) is that of this passage."""
        wanted = b"Basic " + b64encode(f"{self.user}:{self.password}".encode())
        return hmac.compare_digest(authorization.strip(), wanted)


@dataclass(frozen=True, slots=True)
class _Head:
    """A request as it came: method, target, the headers without those for the proxy, and what those said."""

    method: bytes
    target: bytes
    version: bytes
    lines: tuple[bytes, ...]
    authorization: bytes
    body_bytes: int


class EgressTunnel:
    """Opens passages. Begins to listen at the first one; `aclose` when done. Belongs to one event loop.

    Each connection of a passage is judged by the egress client's policy when it is made, the name resolved once, and connected to
    exactly an address that was judged, or through the client's proxy.
    """

    def __init__(self, client: EgressClient) -> None:
        self._client = client
        self._server: asyncio.Server | None = None
        self._starting = asyncio.Lock()
        self._passages: dict[str, Passage] = {}

    @asynccontextmanager
    async def open_passage(self, host: str, port: int) -> AsyncGenerator[Passage]:
        """A passage to one host and port, until the end of the block; its connections are cut then."""
        proxy_port = await self._listen()
        passage = Passage(host.lower(), port, secrets.token_hex(8), secrets.token_hex(16), proxy_port)
        self._passages[passage.user] = passage
        try:
            yield passage
        finally:
            del self._passages[passage.user]
            await _end(passage.tasks)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            await _end({task for passage in self._passages.values() for task in passage.tasks})
            await self._server.wait_closed()
            self._server = None

    async def _listen(self) -> int:
        async with self._starting:
            if self._server is None:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_MAX_BYTES)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        passage: Passage | None = None
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = _parse_head(await reader.readuntil(b"\r\n\r\n"))
            passage = self._find_passage(head)
            if passage is None:
                await _answer(writer, 407, "Proxy-Authenticate: Basic")
                return
            passage.tasks.add(task)
            await self._forward(head, passage, (reader, writer))
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            await _answer(writer, 400)
        except OSError as error:
            if passage is not None and not passage.is_connected:
                passage.fault = EgressError(EgressFault.CONNECTION_FAILED, f"The connection broke ({error}).")
        except asyncio.CancelledError:
            # The passage was closed, and with it everything on the way; nobody waits for this task's own end but that.
            writer.transport.abort()
        finally:
            if passage is not None:
                passage.tasks.discard(task)
            writer.close()

    def _find_passage(self, head: _Head) -> Passage | None:
        return next((passage for passage in self._passages.values() if passage.admits(head.authorization)), None)

    async def _forward(self, head: _Head, passage: Passage, client: Streams) -> None:
        reader, writer = client
        host, port, path = _read_target(head)
        try:
            server = await self._connect(passage, host, port)
        except EgressError as error:
            passage.fault = error
            await _answer(writer, 403 if not error.is_retryable else 502, f"X-Fault: {error.fault.value}")
            return
        passage.is_connected = True
        try:
            if head.method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _pipe_both(client, server)
            else:
                server[1].write(_write_head(head, path))
                await _pipe_exactly(reader, server[1], head.body_bytes)
                await _pipe_answer(server[0], client)
        finally:
            server[1].transport.abort()

    async def _connect(self, passage: Passage, host: str, port: int) -> Streams:
        if (host, port) != (passage.host, passage.port):
            raise EgressError(EgressFault.DENIED, f"{host}:{port} is not where this connection was to go; it is refused.")
        return await self._client.dial(host, port)


def _parse_head(data: bytes) -> _Head:
    """Raises ValueError for what is no request, or has a body without a length."""
    first, *lines = data[:-4].split(b"\r\n")
    method, target, version = first.split(b" ")
    authorization, body_bytes = b"", 0
    kept: list[bytes] = []
    for line in lines:
        name, mark, value = line.partition(b":")
        lowered = name.lower()
        if not mark or not name or name != name.strip() or lowered == b"transfer-encoding":
            raise ValueError("a header that is not understood")
        if lowered == b"proxy-authorization":
            authorization = value
        if lowered == b"content-length":
            body_bytes = int(value)
        if lowered not in _HOP_HEADERS:
            kept.append(line)
    if body_bytes < 0 or not version.startswith(b"HTTP/1."):
        raise ValueError("a length or version that is not understood")
    return _Head(method, target, version, tuple(kept), authorization, body_bytes)


def _read_target(head: _Head) -> tuple[str, int, str]:
    """Host in lower case, port, and path with query. Raises ValueError."""
    text = head.target.decode("ascii")
    if head.method == b"CONNECT":
        parts = urlsplit(f"//{text}")
        if parts.port is None or parts.path:
            raise ValueError("no host and port")
        return parts.hostname or "", parts.port, ""
    parts = urlsplit(text)
    if parts.scheme != "http" or "@" in parts.netloc:
        raise ValueError("no absolute URL of HTTP")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme], path


def _write_head(head: _Head, path: str) -> bytes:
    # One request a connection: what follows it, if anything, is never sent on unread.
    lines = [head.method + b" " + path.encode("ascii") + b" HTTP/1.1", *head.lines, b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _answer(writer: asyncio.StreamWriter, status: int, *lines: str) -> None:
    head = "\r\n".join([f"HTTP/1.1 {status} Refused", *lines, "Content-Length: 0", "Connection: close"])
    with suppress(OSError):  # who hung up needs no answer
        writer.write(f"{head}\r\n\r\n".encode("ascii"))
        await writer.drain()


async def _pipe_both(client: Streams, server: Streams) -> None:
    """Until both sides have said all; or, when one breaks, the other is cut too."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_pipe(client[0], server[1]))
        group.create_task(_pipe(server[0], client[1]))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # a broken connection ends like a closed one; the client notices what is missing
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):  # gone already
        if writer.can_write_eof():
            writer.write_eof()


async def _pipe_exactly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size_bytes: int) -> None:
    left_bytes = size_bytes
    while left_bytes:
        data = await reader.read(min(_PIECE_BYTES, left_bytes))
        if not data:
            raise ConnectionError("the request ended too early")
        left_bytes -= len(data)
        writer.write(data)
        await writer.drain()
    await writer.drain()


async def _pipe_answer(server: asyncio.StreamReader, client: Streams) -> None:
    """Passes the answer on, as the last one of this connection, until the server has said all or the client has enough."""
    reader, writer = client
    first, *lines = await _read_answer_head(server)
    while first.partition(b" ")[2].startswith(b"1"):
        first, *lines = await _read_answer_head(server)  # interim answers are for nobody: the client asked for none
    kept = [line for line in lines if line.partition(b":")[0].lower() not in _HOP_HEADERS]
    writer.write(b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n")
    body, hang_up = asyncio.create_task(_pipe(server, writer)), asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait((body, hang_up), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end({body, hang_up})


async def _read_answer_head(server: asyncio.StreamReader) -> list[bytes]:
    try:
        return (await server.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionError("the server gave no answer") from error


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    ending = [task for task in tasks if task is not asyncio.current_task()]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
