"""Encrypted connections, through a proxy that speaks each protocol's way into TLS and hands the rest to the real server."""

import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select

import pytest
import trustme
from tests.steps.sql.conftest import Desk
from tests.support.attempts import Attempts, make_services
from tests.support.network import World

from flowforge.kit.values import JsonValue
from flowforge.operations import AttemptError, FatalError
from flowforge.steps.sql.query import query

pytestmark = pytest.mark.parametrize("desk", ["postgres", "mysql"], indirect=True)

MYSQL_TLS_FLAG = 0x0800


@dataclass
class Proxy:
    """`names` are those that TLS clients asked for."""

    port: int
    authority: str
    names: list[str | None] = field(default_factory=list["str | None"])


@contextmanager
def run_proxy(desk: Desk, certified: str) -> Generator[Proxy]:
    """In threads: a stream of asyncio may have read the first bytes of TLS before it is told that they are."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listener.getsockname()[1], authority.cert_pem.bytes().decode())
    context.sni_callback = lambda _socket, name, _context: proxy.names.append(name)
    greet = greet_postgres if desk.database.kind == "postgres" else greet_mysql
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    def serve(outer: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", desk.database.port)) as inner, closing(outer):
            outer.settimeout(10)
            inner.settimeout(10)
            with suppress(OSError, EOFError):
                outer = greet(outer, inner, context)
                with outer:
                    relay(outer, inner)

    def accept() -> None:
        with suppress(OSError):  # the listener was shut
            while True:
                outer, _ = listener.accept()
                start(lambda outer=outer: serve(outer))

    start(accept)
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()


def relay(outer: socket.socket, inner: socket.socket) -> None:
    """Both ways, in one thread: a TLS socket must not be read and written at once."""
    while True:
        has_rest = isinstance(outer, ssl.SSLSocket) and outer.pending() > 0
        ready = [outer] if has_rest else select([outer, inner], [], [], 10)[0]
        for source in ready:
            data = source.recv(65_536)
            if not data:
                return
            (inner if source is outer else outer).sendall(data)
        if not ready:
            return


def read_exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def greet_postgres(outer: socket.socket, inner: socket.socket, context: ssl.SSLContext) -> socket.socket:
    first = read_exactly(outer, 8)
    if first[4:] != (80877103).to_bytes(4):  # SSLRequest
        inner.sendall(first)
        return outer
    outer.sendall(b"S")
    return context.wrap_socket(outer, server_side=True)


def read_packet(source: socket.socket) -> tuple[int, bytearray]:
    head = read_exactly(source, 4)
    return head[3], bytearray(read_exactly(source, int.from_bytes(head[:3], "little")))


def write_packet(target: socket.socket, number: int, data: bytes | bytearray) -> None:
    target.sendall(len(data).to_bytes(3, "little") + bytes([number]) + data)


def greet_mysql(outer: socket.socket, inner: socket.socket, context: ssl.SSLContext) -> socket.socket:
    _, hello = read_packet(inner)
    place = hello.index(0, 1) + 1 + 4 + 9  # after the version, the connection's number and the salt
    hello[place + 1] |= MYSQL_TLS_FLAG >> 8
    write_packet(outer, 0, hello)
    number, answer = read_packet(outer)
    if len(answer) == 32:  # SSLRequest: the rest follows encrypted, and every number of the greeting is one higher
        outer = context.wrap_socket(outer, server_side=True)
        number, answer = read_packet(outer)
    answer[1] &= 0xFF ^ (MYSQL_TLS_FLAG >> 8)
    write_packet(inner, 1, answer)
    said, verdict = read_packet(inner)
    write_packet(outer, said + number - 1, verdict)
    return outer


async def ask(desk: Desk, proxy: Proxy, tmp_path: Path, mode: str, certificate: str | None) -> JsonValue:
    world = World()
    world.names.set("db.internal", ["127.0.0.1"])
    client = world.make_client(["127.0.0.1"])
    scheme = desk.database.url.partition(":")[0]
    option = f"?sslmode={mode}" if mode else ""
    url = f"{scheme}://{desk.database.user}:@db.internal:{proxy.port}/{desk.database.name}{option}"
    parameters: dict[str, JsonValue] = {
        "database": url,
        "statement": "SELECT ? AS v",
        "parameters": ["x"],
        "authority": certificate,
    }
    try:
        found = await Attempts(make_services(tmp_path, client)).call(query, parameters)
    finally:
        await client.aclose()
    assert isinstance(found, dict)
    return found["rows"]


async def test_net_18_a_trusted_certificate_of_the_host_is_let_through(desk: Desk, tmp_path: Path):
    with run_proxy(desk, "db.internal") as proxy:
        assert await ask(desk, proxy, tmp_path, "verify-full", proxy.authority) == [{"v": "x"}]
        assert proxy.names == ["db.internal"]


async def test_net_18_a_certificate_of_another_host_is_refused(desk: Desk, tmp_path: Path):
    with run_proxy(desk, "other.internal") as proxy:
        with pytest.raises(FatalError) as caught:
            await ask(desk, proxy, tmp_path, "verify-full", proxy.authority)
        assert caught.value.code == "tls"
        assert await ask(desk, proxy, tmp_path, "verify-ca", proxy.authority) == [{"v": "x"}]


async def test_net_18_a_certificate_that_nobody_trusts_is_refused(desk: Desk, tmp_path: Path):
    with run_proxy(desk, "db.internal") as proxy:
        for mode in ("verify-full", "verify-ca"):
            with pytest.raises(FatalError) as caught:
                await ask(desk, proxy, tmp_path, mode, None)
            assert caught.value.code == "tls"
        assert await ask(desk, proxy, tmp_path, "require", None) == [{"v": "x"}]


async def test_the_connection_is_encrypted_where_the_server_can(desk: Desk, tmp_path: Path):
    with run_proxy(desk, "db.internal") as proxy:
        assert await ask(desk, proxy, tmp_path, "", None) == [{"v": "x"}]
        assert len(proxy.names) == 1
        assert await ask(desk, proxy, tmp_path, "disable", None) == [{"v": "x"}]
        assert len(proxy.names) == 1


async def test_authorities_that_are_no_pem_are_refused(desk: Desk, tmp_path: Path):
    with run_proxy(desk, "db.internal") as proxy:
        with pytest.raises(AttemptError) as caught:
            await ask(desk, proxy, tmp_path, "verify-full", "no certificate")
        assert caught.value.code == "tls"
