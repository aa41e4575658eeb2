"""HTTP/2: the same bounds and faults as HTTP/1.1 has, against a real server."""

import asyncio
import gzip
import time
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from tests.support.http2_server import Http2Server, Http2Session, Responder, serve_http2
from tests.support.network import PUBLIC_ADDRESS, StreamingClient, World
from tests.support.servers import Reply, redirect

from flowforge.kit.egress import BodySource, EgressClient, EgressError, EgressFault, EgressRequest, EgressResponse
from flowforge.kit.limits import Limits

HASTY = Limits(http_connect_ms=2_000, http_total_ms=300, http_idle_ms=300)


@pytest.fixture(params=[EgressClient, StreamingClient], ids=["send", "stream"], autouse=True)
def client_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[EgressClient]:
    """Every case holds for `send` and for `stream`."""
    monkeypatch.setattr(World, "client_class", request.param)
    return request.param


@pytest.fixture
async def server() -> AsyncGenerator[Http2Server]:
    async with serve_http2() as running:
        yield running


def make_client(server: Http2Server, limits: Limits | None = None) -> EgressClient:
    world = World(ports={443: server.port})
    world.names.set("api.example", [PUBLIC_ADDRESS])
    return world.make_client(limits=limits)


def ask(server: Http2Server, path: str = "/", method: str = "GET", body: bytes | BodySource | None = None) -> EgressRequest:
    return EgressRequest(method, f"https://api.example{path}", body=body, authority_pem=server.authority_pem, http2=True)


async def get(server: Http2Server, path: str = "/", limits: Limits | None = None) -> EgressResponse:
    client = make_client(server, limits)
    try:
        return await client.send(ask(server, path))
    finally:
        await client.aclose()


async def fault_of(server: Http2Server, path: str = "/", limits: Limits | None = None) -> EgressFault:
    with pytest.raises(EgressError) as caught:
        await get(server, path, limits)
    return caught.value.fault


async def test_http2_is_spoken_when_both_sides_want_it(server: Http2Server):
    response = await get(server, "/a?b=c")
    assert (response.status, response.body, response.http_version) == (200, b'{"ok": true}', "HTTP/2")
    received = server.received[0].headers
    assert (received[":authority"], received[":path"], received[":scheme"]) == ("api.example", "/a?b=c", "https")
    assert received["flowforge-depth"] == "1"
    assert "host" not in received


async def test_http1_is_spoken_unless_http2_is_asked_for(server: Http2Server):
    client = make_client(server, HASTY)
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", "https://api.example/", authority_pem=server.authority_pem))
    await client.aclose()
    assert caught.value.fault in {EgressFault.TLS, EgressFault.CONNECTION_FAILED, EgressFault.RESPONSE_INVALID}
    assert server.received == []


async def test_one_connection_serves_request_after_request(server: Http2Server):
    client = make_client(server)
    for number in range(5):
        assert (await client.send(ask(server, f"/{number}"))).status == 200
    await client.aclose()
    assert [request.target for request in server.received] == ["/0", "/1", "/2", "/3", "/4"]
    assert server.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own(server: Http2Server):
    client = make_client(server)
    responses = await asyncio.gather(*(client.send(ask(server, f"/{number}")) for number in range(5)))
    await client.aclose()
    assert [response.status for response in responses] == [200] * 5
    assert server.connections == 5


@pytest.mark.parametrize("size_bytes", [0, 1, 65_535, 65_536, 3_000_000])
async def test_bodies_of_any_size_pass_the_windows(size_bytes: int, server: Http2Server):
    async def echo(session: Http2Session, stream_id: int) -> None:
        await session.reply(stream_id, Reply(body=bytes(session.bodies[stream_id])))

    server.on("/echo", echo)
    client = make_client(server)
    content = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    for _ in range(2):
        assert (await client.send(ask(server, "/echo", "POST", content))).body == content
    await client.aclose()
    assert server.received[0].headers["content-length"] == str(size_bytes)
    assert server.connections == 1


async def test_a_body_source_is_sent_and_opened_again_for_a_redirect(server: Http2Server):
    opened = 0

    async def open_pieces() -> AsyncIterator[bytes]:
        nonlocal opened
        opened += 1
        for _ in range(100):
            yield b"x" * 10_000

    server.on("/start", redirect("/end", 307))
    client = make_client(server)
    await client.send(ask(server, "/start", "PUT", BodySource(1_000_000, open_pieces)))
    await client.aclose()
    assert [len(request.body) for request in server.received] == [1_000_000, 1_000_000]
    assert opened == 2


async def test_an_answer_before_the_body_was_sent_ends_the_sending(server: Http2Server):
    async def refuse(session: Http2Session, stream_id: int) -> None:
        session.acknowledges = False
        await session.reply(stream_id, Reply(413, body=b"too much"))

    server.early.add("/upload")
    server.on("/upload", refuse)
    client = make_client(server)
    response = await client.send(ask(server, "/upload", "POST", b"x" * 5_000_000))
    await client.send(ask(server))
    await client.aclose()
    assert (response.status, response.body) == (413, b"too much")
    assert server.connections == 2


async def test_head_and_statuses_without_body(server: Http2Server):
    server.on("/none", Reply(204))
    server.on("/head", Reply(headers=(("Content-Length", "100"),)))
    client = make_client(server)
    none = await client.send(ask(server, "/none"))
    head = await client.send(ask(server, "/head", "HEAD"))
    await client.aclose()
    assert (none.status, none.body, head.status, head.body) == (204, b"", 200, b"")
    assert server.connections == 1


async def test_net_08_redirects_are_judged(server: Http2Server):
    server.on("/start", redirect("https://127.0.0.1/"))
    assert await fault_of(server, "/start") is EgressFault.DENIED


async def test_f52_an_endless_body_is_cut(server: Http2Server):
    async def send_endlessly(session: Http2Session, stream_id: int) -> None:
        await session.send_head(stream_id, Reply())
        while True:
            await session.send_data(stream_id, b"x" * 16_384)

    server.on("/", send_endlessly)
    assert await fault_of(server) is EgressFault.RESPONSE_TOO_LARGE


async def test_f53_a_bomb_is_cut(server: Http2Server):
    server.on("/", Reply(headers=(("Content-Encoding", "gzip"),), body=gzip.compress(b"\0" * 2**26)))
    started_s = time.process_time()
    assert await fault_of(server) is EgressFault.RESPONSE_TOO_LARGE
    assert time.process_time() - started_s < 1


async def test_f53_a_compressed_body_is_decoded(server: Http2Server):
    server.on("/", Reply(headers=(("Content-Encoding", "gzip"),), body=gzip.compress(b"hello" * 1_000)))
    assert (await get(server)).body == b"hello" * 1_000


async def test_f54_silence_ends_at_the_time_allowed(server: Http2Server):
    async def say_nothing(session: Http2Session, stream_id: int) -> None:
        del stream_id
        await session.pump()

    server.on("/", say_nothing)
    assert await fault_of(server, limits=HASTY) is EgressFault.TIMEOUT


async def test_f55_pings_are_no_body(server: Http2Server):
    async def ping(session: Http2Session, stream_id: int) -> None:
        await session.send_head(stream_id, Reply())
        while True:
            session.machine.ping(b"12345678")
            await session.flush()
            await asyncio.sleep(0.01)

    server.on("/", ping)
    assert await fault_of(server, limits=HASTY) is EgressFault.TIMEOUT


async def _cut(session: Http2Session, stream_id: int) -> None:
    await session.send_head(stream_id, Reply(headers=(("Content-Length", "10"),)))
    await session.send_data(stream_id, b"half!")
    raise ConnectionResetError


async def _reset(session: Http2Session, stream_id: int) -> None:
    await session.send_head(stream_id, Reply())
    await session.send_data(stream_id, b"half!")
    session.machine.reset_stream(stream_id, 2)
    await session.flush()


async def _refuse(session: Http2Session, stream_id: int) -> None:
    session.machine.reset_stream(stream_id, 7)
    await session.flush()


async def _say_farewell(session: Http2Session, stream_id: int) -> None:
    del stream_id
    session.machine.close_connection(1, last_stream_id=0)
    await session.flush()


@pytest.mark.parametrize("responder", [_cut, _reset, _refuse, _say_farewell])
async def test_f56_an_answer_that_breaks_off_is_a_failed_connection(responder: Responder, server: Http2Server):
    server.on("/", responder)
    assert await fault_of(server, limits=HASTY) is EgressFault.CONNECTION_FAILED


GOAWAY_GRACEFUL = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"


async def test_a_farewell_does_not_break_the_answer_under_way(server: Http2Server):
    async def close_gently(session: Http2Session, stream_id: int) -> None:
        await session.send_head(stream_id, Reply())
        session.writer.write(GOAWAY_GRACEFUL)
        await session.send_data(stream_id, b"whole", ends=True)

    server.on("/", close_gently)
    client = make_client(server)
    assert (await client.send(ask(server))).body == b"whole"
    assert (await client.send(ask(server))).body == b"whole"
    await client.aclose()
    assert server.connections == 2


async def test_a_farewell_between_two_requests_is_heard(server: Http2Server):
    client = make_client(server)
    await client.send(ask(server, "/1"))
    server.sessions[0].machine.close_connection()
    await server.sessions[0].flush()
    await asyncio.sleep(0.05)
    assert (await client.send(ask(server, "/2"))).status == 200
    await client.aclose()
    assert server.connections == 2


async def _flood_interim(session: Http2Session, stream_id: int) -> None:
    while True:
        session.machine.send_headers(stream_id, [(":status", "103"), ("link", "</x>" * 20)])
        await session.flush()


async def _switch(session: Http2Session, stream_id: int) -> None:
    session.machine.send_headers(stream_id, [(":status", "101")])
    await session.flush()


async def _send_large_headers(session: Http2Session, stream_id: int) -> None:
    await session.send_head(stream_id, Reply(headers=[(f"x-{number}", "y" * 1_000) for number in range(1_000)]), ends=True)


async def _break_a_header(session: Http2Session, stream_id: int) -> None:
    await session.send_head(stream_id, Reply(headers=(("x-a", "b\r\nset-cookie: c"),)), ends=True)


async def _send_no_status(session: Http2Session, stream_id: int) -> None:
    await session.send_head(stream_id, Reply(999_999), ends=True)


async def _promise_less(session: Http2Session, stream_id: int) -> None:
    await session.reply(stream_id, Reply(headers=(("content-length", "3"),), body=b"12345"))


async def _send_garbage(session: Http2Session, stream_id: int) -> None:
    del stream_id
    session.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await session.pump()


async def _send_large_frame(session: Http2Session, stream_id: int) -> None:
    session.writer.write(b"\xff\xff\xff\0\0" + stream_id.to_bytes(4, "big") + b"x" * 100_000)
    await session.pump()


async def _push(session: Http2Session, stream_id: int) -> None:
    session.writer.write(b"\0\0\x05\x05\x04" + stream_id.to_bytes(4, "big") + b"\0\0\0\2\x82")
    await session.pump()


@pytest.mark.parametrize(
    "responder",
    [
        *(_flood_interim, _switch, _send_large_headers, _break_a_header, _send_no_status, _promise_less),
        *(_send_garbage, _send_large_frame, _push),
    ],
)
async def test_net_20_an_answer_that_breaks_the_rules_is_invalid(responder: Responder, server: Http2Server):
    server.on("/", responder)
    assert await fault_of(server, limits=Limits(http_total_ms=5_000)) is EgressFault.RESPONSE_INVALID


async def test_net_20_interim_answers_before_a_good_one_are_fine(server: Http2Server):
    async def hint(session: Http2Session, stream_id: int) -> None:
        session.machine.send_headers(stream_id, [(":status", "103")])
        await session.reply(stream_id, Reply(body=b"ok"))

    server.on("/", hint)
    assert (await get(server)).body == b"ok"


async def test_net_18_a_certificate_is_checked_for_http2_too(server: Http2Server):
    client = make_client(server)
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", "https://api.example/", http2=True))
    await client.aclose()
    assert caught.value.fault is EgressFault.TLS
