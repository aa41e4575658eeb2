"""A small HTTP proxy: CONNECT, and plain requests with their whole URL. Every name leads to a loopback port, by the port asked for."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.listening import listen


@dataclass
class ProxyServer:
    ports: dict[int, int]
    """The loopback port behind a port that is asked for."""
    answer: bytes | None = None
    """Written in place of doing what was asked."""
    port: int = 0
    heads: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
                return
            await self._pass_on(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _pass_on(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        if method == "CONNECT":
            upstream = await self._connect(int(target.rpartition(":")[2]))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            parts = urlsplit(target)
            upstream = await self._connect(parts.port or 80)
            lines = [line for line in head.split("\r\n") if not line.lower().startswith("proxy-")]
            lines[0] = f"{method} {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1"
            upstream[1].write("\r\n".join(lines).encode("latin-1"))
        try:
            await asyncio.gather(_pipe(reader, upstream[1]), _pipe(upstream[0], writer))
        finally:
            upstream[1].transport.abort()

    async def _connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.ports[port])


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError


@contextlib.asynccontextmanager
async def serve_proxy(ports: dict[int, int]) -> AsyncGenerator[ProxyServer]:
    """A proxy on loopback, in the test's own loop."""
    proxy = ProxyServer(ports)
    async with listen(proxy.serve) as proxy.port:
        yield proxy
