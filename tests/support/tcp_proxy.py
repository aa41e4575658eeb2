"""A TCP proxy between a program and its server that a test can cut, freeze, slow down, or make lose one answer.

It runs in a thread of its own: what goes through it is in other processes.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_PIECE_BYTES: Final = 65_536


@dataclass
class TcpProxy:
    """Leads each connection to `target`, a port of loopback. Its methods are called from the test's thread."""

    target: int
    port: int = 0
    connections: int = 0
    """How many there ever were."""
    _delay_s: float = 0.0
    _is_cut: bool = False
    _marker: bytes = b""
    _passes_request: bool = False
    _losses: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Ends every connection with a reset, and refuses new ones until `heal`."""
        self._is_cut = True
        self._call(self._abort)

    def drop(self) -> None:
        """Ends every connection with a reset; new ones are welcome."""
        self._call(self._abort)

    def freeze(self) -> None:
        """Nothing goes through, and nobody is told, until `heal`."""
        self._call(self._flows.clear)

    def slow(self, delay_s: float) -> None:
        """What a client sends arrives that much later: each round trip takes so much longer."""
        self._delay_s = delay_s

    def lose_answer(self, marker: bytes) -> None:
        """The next request that holds these bytes reaches the server, its answer nobody: the connection is cut instead."""
        self._marker, self._passes_request = marker, True

    def lose_request(self, marker: bytes) -> None:
        """The next request that holds these bytes is lost, and its connection is cut."""
        self._marker, self._passes_request = marker, False

    @property
    def losses(self) -> int:
        """How many requests or answers were lost on purpose."""
        return self._losses

    def heal(self) -> None:
        self._is_cut, self._delay_s, self._marker = False, 0.0, b""
        self._call(self._flows.set)

    def _call(self, act: Callable[[], None]) -> None:
        """Acts in the proxy's loop, and waits until it is done."""
        done: Future[None] = Future()

        def work() -> None:
            act()
            done.set_result(None)

        self._loop.call_soon_threadsafe(work)
        done.result(10)

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        self._open.add(writer)
        self.connections += 1
        try:
            if self._is_cut:
                return
            await self._flows.wait()
            answers, upstream = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(upstream)
            mute = asyncio.Event()
            pipes = [
                asyncio.ensure_future(self._send(reader, upstream, mute)),
                asyncio.ensure_future(self._answer(answers, writer, mute)),
            ]
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the proxy ends, or one side has gone
        finally:
            for each in (writer, upstream):
                if each is not None:
                    self._open.discard(each)
                    each.transport.abort()

    async def _send(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        while data := await reader.read(_PIECE_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._flows.wait()
            if self._marker and self._marker in data:
                mute.set()
                await self._lose(data, upstream)
                return
            upstream.write(data)
            await upstream.drain()

    async def _lose(self, data: bytes, upstream: asyncio.StreamWriter) -> None:
        self._marker = b""
        if self._passes_request:
            upstream.write(data)
            await upstream.drain()
            await asyncio.sleep(0.2)  # the server does what it was asked before it sees the cut
        self._losses += 1

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        while data := await answers.read(_PIECE_BYTES):
            await self._flows.wait()
            if mute.is_set():
                continue
            writer.write(data)
            await writer.drain()

    async def run(self, ready: threading.Event) -> None:
        self._flows.set()
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(listener.sockets[0].getsockname()[1])
        ready.set()
        await self._ended.wait()
        listener.close()
        self._abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*rest, return_exceptions=True)

    def work(self, ready: threading.Event) -> None:
        try:
            self._loop.run_until_complete(self.run(ready))
        finally:
            ready.set()
            self._loop.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)


@contextmanager
def open_tcp_proxy(target: int) -> Generator[TcpProxy]:
    """A proxy on a free port of loopback before the port `target`."""
    proxy, ready = TcpProxy(target), threading.Event()
    thread = threading.Thread(target=proxy.work, args=(ready,), name="tcp-proxy")
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
