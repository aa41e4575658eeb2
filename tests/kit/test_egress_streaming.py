"""What only streams do: large bodies in little memory, either way, and reading at one's own pace."""

import asyncio
import gzip
import hashlib
import resource
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from tests.support.http2_server import Http2Session, serve_http2
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.proxies import serve_proxy
from tests.support.servers import EffectServer, Misbehaviour, Reply, redirect, send_raw, serve_http

from flowforge.kit.egress import BodySource, EgressClient, EgressError, EgressFault, EgressRequest
from flowforge.kit.limits import Limits

MIB = 2**20
LARGE = 200 * MIB
PIECE = bytes(range(256)) * 256


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
async def client() -> AsyncGenerator[EgressClient]:
    client = World().make_client(["127.0.0.1"], limits=Limits(http_total_ms=500, http_idle_ms=300))
    yield client
    await client.aclose()


def send_large(size_bytes: int) -> Misbehaviour:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size_bytes)
        for _ in range(size_bytes // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
        await reader.read()

    return Misbehaviour(act)


async def read_all(client: EgressClient, request: EgressRequest, max_bytes: int = LARGE) -> int:
    async with client.stream(request, max_bytes=max_bytes) as answer:
        return sum([len(piece) async for piece in answer.iterate()])


async def check_memory(client: EgressClient, request: EgressRequest) -> None:
    await read_all(client, request)  # what is loaded once is loaded
    tracemalloc.start()
    try:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert await read_all(client, request) == LARGE
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 32 * 1024


async def test_200_mib_are_read_in_little_memory(server: EffectServer):
    server.on("/", send_large(LARGE))
    client = World().make_client(["127.0.0.1"])
    await check_memory(client, EgressRequest("GET", server.url))
    await client.aclose()


async def test_200_mib_are_read_in_little_memory_over_http2_through_a_proxy():
    async def send(session: Http2Session, stream_id: int) -> None:
        await session.send_head(stream_id, Reply())
        for _ in range(LARGE // len(PIECE)):
            await session.send_data(stream_id, PIECE)
        session.machine.end_stream(stream_id)
        await session.flush()

    async with serve_http2() as server, serve_proxy({443: server.port}) as proxy:
        server.on("/", send)
        world = World()
        world.names.set("api.example", [PUBLIC_ADDRESS])
        client = world.make_client(proxy=proxy.url)
        request = EgressRequest("GET", "https://api.example/", authority_pem=server.authority_pem, http2=True)
        assert await read_all(client, request) == LARGE
        await client.aclose()


async def test_a_server_that_is_faster_than_its_reader_waits(server: EffectServer, client: EgressClient):
    sent = 0

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        while True:
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    server.on("/", Misbehaviour(act))
    async with client.stream(EgressRequest("GET", server.url), max_bytes=LARGE) as answer:
        await answer.read(1)
        await asyncio.sleep(0.2)
        assert sent < 16 * MIB
    await asyncio.wait_for(server.is_idle.wait(), 5)


@pytest.mark.parametrize("head", [b"", b"Content-Encoding: gzip\r\n"])
async def test_f52_f53_a_stream_is_cut_at_its_bound(head: bytes, server: EffectServer, client: EgressClient):
    server.on(
        "/", Reply(headers=(("Content-Encoding", "gzip"),), body=gzip.compress(b"\0" * 50 * MIB)) if head else send_large(LARGE)
    )
    pieces: list[int] = []

    async def read() -> None:
        async with client.stream(EgressRequest("GET", server.url), max_bytes=MIB) as answer:
            async for piece in answer.iterate():
                pieces.append(len(piece))  # noqa: PERF401 - what came before the error counts

    with pytest.raises(EgressError) as caught:
        await read()
    assert caught.value.fault is EgressFault.RESPONSE_TOO_LARGE
    assert sum(pieces) <= MIB
    assert max(pieces) <= 65_536


async def test_a_stream_may_be_larger_than_the_limit_of_send(server: EffectServer, client: EgressClient):
    server.on("/", send_large(20 * MIB))
    assert await read_all(client, EgressRequest("GET", server.url)) == 20 * MIB


async def test_reading_gives_as_much_as_is_asked_for(server: EffectServer, client: EgressClient):
    server.on(
        "/", Reply(404, (("X-A", "b"), ("Retry-After", "3"), ("Content-Encoding", "gzip")), gzip.compress(b"0123456789" * 20_000))
    )
    async with client.stream(EgressRequest("GET", server.url + "/"), max_bytes=MIB) as answer:
        assert (answer.status, answer.headers["x-a"], answer.url) == (404, "b", server.url + "/")
        assert (answer.retry_after_ms, answer.http_version) == (3_000, "HTTP/1.1")
        assert [await answer.read(7), await answer.read(0), await answer.read(5)] == [b"0123456", b"", b"78901"]
        assert len(await answer.read(100_000)) == 100_000
        rest = b"".join([piece async for piece in answer.iterate()])
        assert rest.startswith(b"23456")
        assert len(rest) == 200_000 - 100_012
        assert await answer.read(10) == b""


async def test_a_body_that_was_read_leaves_the_connection_to_the_next(server: EffectServer, client: EgressClient):
    server.on("/", Reply(body=b"x" * 100))
    request = EgressRequest("GET", server.url)
    for _ in range(3):
        await read_all(client, request)
    assert server.connections == 1
    async with client.stream(request, max_bytes=MIB):
        pass
    await read_all(client, request)
    assert server.connections == 2


async def test_an_error_of_the_reader_closes_the_connection_and_is_its_own(server: EffectServer, client: EgressClient):
    server.on("/", send_large(LARGE))

    async def read() -> None:
        async with client.stream(EgressRequest("GET", server.url), max_bytes=LARGE) as answer:
            await answer.read(10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()
    await asyncio.wait_for(server.is_idle.wait(), 5)


async def test_a_cancelled_reader_closes_the_connection(server: EffectServer, client: EgressClient):
    server.on("/", send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!"))

    async def wait_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")
        await reader.read()

    server.on("/", Misbehaviour(wait_for_ever))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read_all(client, EgressRequest("GET", server.url)), 0.1)
    await asyncio.wait_for(server.is_idle.wait(), 5)


async def test_f55_a_slow_body_may_take_longer_than_the_total_time(server: EffectServer, client: EgressClient):
    async def drip_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.05)
            writer.write(b"x")
        await reader.read()

    server.on("/", Misbehaviour(drip_on))
    started_s = time.monotonic()
    assert await read_all(client, EgressRequest("GET", server.url)) == 12
    assert time.monotonic() - started_s > 0.55


def make_source(size_bytes: int, *, pause_s: float = 0.0) -> tuple[BodySource, list[str]]:
    """A source, and what became of each opening of it."""
    openings: list[str] = []

    async def open_pieces() -> AsyncIterator[bytes]:
        openings.append("open")
        try:
            for start in range(0, size_bytes, len(PIECE)):
                await asyncio.sleep(pause_s)
                yield PIECE[: size_bytes - start]
        finally:
            openings[-1] = "closed"

    return BodySource(size_bytes, open_pieces), openings


@pytest.mark.parametrize("size_bytes", [0, 1, 65_536, 5_000_000])
async def test_a_source_is_sent_whole(size_bytes: int, server: EffectServer, client: EgressClient):
    source, openings = make_source(size_bytes)
    async with client.stream(EgressRequest("POST", server.url, body=source), max_bytes=MIB) as answer:
        assert answer.status == 200
    response = await client.send(EgressRequest("PUT", server.url, body=source))
    assert response.status == 200
    expected = (PIECE * (size_bytes // len(PIECE) + 1))[:size_bytes]
    assert [request.body for request in server.received] == [expected] * 2
    assert openings == ["closed", "closed"]


@pytest.mark.parametrize(("status", "expected"), [(307, 2), (308, 2), (301, 1), (302, 1), (303, 1)])
async def test_a_source_is_opened_again_for_a_redirect_that_keeps_the_body(
    status: int, expected: int, server: EffectServer, client: EgressClient
):
    server.on("/start", redirect("/end", status))
    source, openings = make_source(300_000)
    async with client.stream(EgressRequest("POST", f"{server.url}/start", body=source), max_bytes=MIB) as answer:
        assert answer.url == f"{server.url}/end"
    assert [len(request.body) for request in server.received] == [300_000, 300_000 if expected == 2 else 0]
    assert openings == ["closed"] * expected


async def test_sending_may_take_longer_than_the_total_time(server: EffectServer, client: EgressClient):
    source, _ = make_source(20 * len(PIECE), pause_s=0.05)
    async with client.stream(EgressRequest("POST", server.url, body=source), max_bytes=MIB) as answer:
        assert answer.status == 200
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("POST", server.url, body=source))
    assert caught.value.fault is EgressFault.TIMEOUT


async def test_f54_a_server_that_does_not_listen_is_given_up(client: EgressClient):
    stalled = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        await stalled.wait()
        writer.transport.abort()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    source, openings = make_source(50 * MIB)
    with pytest.raises(EgressError) as caught:
        async with client.stream(EgressRequest("POST", f"http://127.0.0.1:{port}/", body=source), max_bytes=MIB):
            pass
    assert caught.value.fault is EgressFault.TIMEOUT
    assert openings == ["closed"]
    stalled.set()
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("is_source", [False, True])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 102 Processing\r\n\r\n"])
async def test_an_answer_before_the_body_was_sent_is_heard(interim: bytes, is_source: bool, client: EgressClient):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(interim + b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much")
        await writer.drain()
        await reader.read(MIB)  # as servers do that linger for a while before they close
        await reader.read(MIB)
        writer.transport.abort()

    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    body = make_source(50 * MIB)[0] if is_source else PIECE * (50 * MIB // len(PIECE))
    async with client.stream(EgressRequest("POST", f"http://127.0.0.1:{port}/", body=body), max_bytes=MIB) as answer:
        assert (answer.status, await answer.read(100)) == (413, b"too much")
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize(("promised", "words"), [(99, "more bytes than the 99"), (101, "fewer bytes than the 101")])
async def test_a_source_that_changed_is_not_passed_off_as_whole(
    promised: int, words: str, server: EffectServer, client: EgressClient
):
    source, openings = make_source(100)
    with pytest.raises(EgressError) as caught:
        async with client.stream(EgressRequest("POST", server.url, body=BodySource(promised, source.open)), max_bytes=MIB):
            pass
    assert words in caught.value.message
    assert openings == ["closed"]
    assert server.received == []


async def test_a_source_s_own_error_is_its_own(server: EffectServer, client: EgressClient):
    async def open_pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        await client.send(EgressRequest("POST", server.url, body=BodySource(10, open_pieces)))
    assert server.received == []
    await asyncio.wait_for(server.is_idle.wait(), 5)


async def test_one_stream_may_be_the_source_of_another(server: EffectServer, client: EgressClient):
    content = b"copied " * 100_000
    server.on("/from", Reply(body=content))
    async with client.stream(EgressRequest("GET", f"{server.url}/from"), max_bytes=MIB) as answer:
        source = BodySource(len(content), answer.iterate)
        await client.send(EgressRequest("PUT", f"{server.url}/to", body=source))
    assert hashlib.sha256(server.received[1].body).digest() == hashlib.sha256(content).digest()
