"""A small HTTP/2 server under the test's control, as `servers.py` has one for HTTP/1.1."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import trustme
from tests.support.listening import listen
from tests.support.servers import Received, Reply


@dataclass
class Http2Session:
    """One connection. A responder may write what it likes by `machine` and `flush`, or bytes by `writer`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    machine: h2.connection.H2Connection
    bodies: dict[int, bytearray] = field(default_factory=dict[int, bytearray])
    heads: dict[int, list[tuple[str, str]]] = field(default_factory=dict[int, list[tuple[str, str]]])
    ended: asyncio.Queue[int] = field(default_factory=asyncio.Queue[int])
    begun: asyncio.Queue[int] = field(default_factory=asyncio.Queue[int])
    acknowledges: bool = True
    """Whether windows are opened again for what was received."""

    async def flush(self) -> None:
        self.writer.write(self.machine.data_to_send())
        await self.writer.drain()
        await asyncio.sleep(0)  # a flood must not keep the client, in the same loop, from breaking it off

    async def pump(self) -> None:
        """Takes in what the client says next; ConnectionError at its end."""
        data = await self.reader.read(65_536)
        if not data:
            raise ConnectionResetError
        for event in self.machine.receive_data(data):
            self._note(event)
        await self.flush()

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            stream_id = event.stream_id
            self.heads[stream_id] = [
                (bytes(name).decode(), bytes(value).decode("latin-1")) for name, value in event.headers or ()
            ]
            self.bodies[stream_id] = bytearray()
            self.begun.put_nowait(stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data or b""
            if self.acknowledges and event.flow_controlled_length:
                self.machine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.put_nowait(event.stream_id)

    async def reply(self, stream_id: int, reply: Reply) -> None:
        await self.send_head(stream_id, reply, ends=not reply.body)
        if reply.body:
            await self.send_data(stream_id, reply.body, ends=True)

    async def send_head(self, stream_id: int, reply: Reply, *, ends: bool = False) -> None:
        headers = [(":status", str(reply.status)), *((name.lower(), value) for name, value in reply.headers)]
        self.machine.send_headers(stream_id, headers, end_stream=ends)
        await self.flush()

    async def send_data(self, stream_id: int, data: bytes, *, ends: bool = False) -> None:
        left = memoryview(data)
        while left:
            size_bytes = min(len(left), self.machine.local_flow_control_window(stream_id), self.machine.max_outbound_frame_size)
            if size_bytes <= 0:
                await self.pump()
                continue
            part, left = left[:size_bytes], left[size_bytes:]
            self.machine.send_data(stream_id, bytes(part), end_stream=ends and not left)
            await self.flush()


Responder = Callable[[Http2Session, int], Awaitable[None]]


@dataclass
class Http2Server:
    """`routes` maps a path to what answers it; any other gets `{"ok": true}`. An `early` path is answered before its body is there."""

    authority_pem: str
    port: int = 0
    routes: dict[str, Responder] = field(default_factory=dict[str, Responder])
    early: set[str] = field(default_factory=set[str])
    received: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    sessions: list[Http2Session] = field(default_factory=list[Http2Session])

    def on(self, path: str, answer: Reply | Responder) -> None:
        async def give(session: Http2Session, stream_id: int) -> None:
            assert isinstance(answer, Reply)
            await session.reply(stream_id, answer)

        self.routes[path] = give if isinstance(answer, Reply) else answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # The names and values are not looked at on their way out: a test may send what no server should.
        configuration = h2.config.H2Configuration(
            client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        session = Http2Session(reader, writer, h2.connection.H2Connection(configuration))
        self.sessions.append(session)
        try:
            session.machine.initiate_connection()
            await session.flush()
            while True:
                await self._serve_one(session)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            writer.transport.abort()

    async def _serve_one(self, session: Http2Session) -> None:
        while session.begun.empty():
            await session.pump()
        stream_id = session.begun.get_nowait()
        head = dict(session.heads[stream_id])
        path = head[":path"].partition("?")[0]
        while path not in self.early and session.ended.empty():
            await session.pump()
        body = bytes(session.bodies[stream_id])
        if path not in self.early:
            session.ended.get_nowait()
        self.received.append(Received(head[":method"], head[":path"], head, body))
        await self.routes.get(path, _answer_by_default)(session, stream_id)


async def _answer_by_default(session: Http2Session, stream_id: int) -> None:
    await session.reply(stream_id, Reply(headers=(("Content-Type", "application/json"),), body=b'{"ok": true}'))


@contextlib.asynccontextmanager
async def serve_http2(host: str = "api.example", protocols: tuple[str, ...] = ("h2",)) -> AsyncGenerator[Http2Server]:
    """A server on loopback whose certificate is for the host, signed by an authority of its own."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    context.set_alpn_protocols(list(protocols))
    server = Http2Server(authority.cert_pem.bytes().decode())
    async with listen(server.serve, context) as server.port:
        yield server
