"""W3: a one-step run over HTTP, and W6 with the server in it. The clients are a process of their own and cost as little as they can."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, cast
from urllib.request import urlopen

from bench.workloads import resident_bytes

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
    return Load(median(took_ms), took_ms[min(len(took_ms) - 1, len(took_ms) * 99 // 100)], len(took_ms) / took_s)


def make_request(path: str, body: bytes, key: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started for the bench."""

    port: int
    key: str
    path: str


@contextmanager
def open_server(command: Sequence[object], path: str) -> Generator[Server]:
    """Starts a server that says on its first line where it listens, and ends when its input does."""
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("A server of the bench ended early; its message stands above.")
            told = json.loads(line)
            yield Server(told["port"], told["key"], path)
            process.stdin.close()
            process.wait(timeout=60)
        finally:
            process.kill()


def open_ours(folder: Path) -> AbstractContextManager[Server]:
    """Limits count, as behind a proxy; the key's tier is one that never reaches them."""
    command = (sys.executable, "-m", "bench.server_process", folder, "trusted_proxies=127.0.0.1")
    return open_server(command, "/api/v1/runs")


def measure_up(folder: Path) -> tuple[float, float]:
    """W6: MiB resident of an idle `flowforge up`, and seconds from its exec to its first answer. The first one makes the data folder."""
    command = [Path(sys.executable).with_name("flowforge"), "--data", folder, "--quiet", "up", "--port", "0", "--no-sample"]
    began_s = time.perf_counter()
    with subprocess.Popen(command) as process:
        try:
            with urlopen(_await_address(process, folder) + "/ready", timeout=60) as answer:
                answer.read()
            took_s = time.perf_counter() - began_s
            time.sleep(1)  # what it does when it has begun is done
            return resident_bytes(process.pid) / 2**20, took_s
        finally:
            process.terminate()


def _await_address(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    told = folder / "run" / "server.json"
    while not told.exists():
        if process.poll() is not None:
            raise SystemExit("W6: the server ended early; its message stands above.")
        time.sleep(0.002)
    return json.loads(told.read_text("utf-8"))["url"]


def open_peer_server(python: Path, folder: Path) -> AbstractContextManager[Server]:
    return open_server((python, Path(__file__).with_name("peer_http.py"), folder), "/runs")


def measure(server: Server, query: str, *, connections: int, count: int) -> Load:
    """`query`: `?wait=30s` for answers that are waited for; without it starts are accepted."""
    status = "200" if query else "202"
    words = [server.port, server.path + query, server.key, json.dumps({"workflow": "one"}), connections, count, status]
    command = [sys.executable, "-m", "bench.server", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return Load(**json.loads(done.stdout))


def main(arguments: Sequence[str]) -> None:
    """The load process: `python -m bench.server PORT PATH KEY BODY CONNECTIONS COUNT STATUS`; prints one JSON object."""
    import uvloop

    port, path, key, body, connections, count, status = arguments
    request = make_request(path, body.encode(), key)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(
            measure_load(int(port), request, connections=int(connections), count=int(count), status=status.encode())
        )
    print(json.dumps({"p50_ms": load.p50_ms, "p99_ms": load.p99_ms, "per_s": load.per_s}))


if __name__ == "__main__":
    main(sys.argv[1:])
