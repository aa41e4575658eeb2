"""W3: a one-step run over HTTP, and W6 with the server in it. The clients are a process of their own and cost as little as they can."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final, cast

CONNECTIONS: Final = 50
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured: seconds of each request, and requests a second over all."""

    p50_ms: float
    p99_ms: float
    per_s: float


class Client(asyncio.Protocol):
    """One connection that sends the same request again and again."""

    def __init__(self, request: bytes, count: int, status: bytes) -> None:
        self.request, self.left, self.status = request, count, b"HTTP/1.1 " + status
        self.took_s: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._send()

    def _send(self) -> None:
        self._began_s = time.perf_counter()
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head = self._seen.find(_END_OF_HEAD)
        if head < 0:
            return
        place = self._seen.find(_LENGTH)
        length = int(self._seen[place + len(_LENGTH) : self._seen.index(b"\r", place)])
        if len(self._seen) < head + 4 + length:
            return
        if not self._seen.startswith(self.status):
            self.done.set_exception(RuntimeError(self._seen[:600].decode()))
            return
        self.took_s.append(time.perf_counter() - self._began_s)
        self._seen = b""
        self.left -= 1
        if self.left:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("The server closed the connection."))


async def measure_load(port: int, request: bytes, *, connections: int, count: int, status: bytes) -> Load:
    """`count` requests over so many connections."""
    loop = asyncio.get_running_loop()
    clients = [Client(request, count // connections, status) for _ in range(connections)]
    began_s = time.perf_counter()
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    took_s = time.perf_counter() - began_s
    took_ms = sorted(seconds * 1_000 for client in clients for seconds in client.took_s)
    return Load(median(took_ms), quantiles(took_ms, n=100)[98], len(took_ms) / took_s)


def make_request(path: str, body: bytes, key: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main(arguments: Sequence[str]) -> None:
    """The load process: `python -m bench.server PORT PATH KEY BODY CONNECTIONS COUNT STATUS`; prints one JSON object."""
    import uvloop  # noqa: PLC0415 (the clients' process alone)

    port, path, key, body, connections, count, status = arguments
    request = make_request(path, body.encode(), key)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(
            measure_load(int(port), request, connections=int(connections), count=int(count), status=status.encode())
        )
    print(json.dumps({"p50_ms": load.p50_ms, "p99_ms": load.p99_ms, "per_s": load.per_s}))


if __name__ == "__main__":
    main(sys.argv[1:])
