"""The proxy on loopback for libraries that make their own connections: who may use it, and where it leads."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator

import pytest
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.proxies import serve_proxy
from tests.support.servers import EffectServer, Reply, serve_http

from flowforge.kit.egress import EgressFault
from flowforge.kit.egress.tunnel import EgressTunnel, Passage

HOST = "public.example"


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
def world(server: EffectServer) -> World:
    world = World(ports={80: server.port, 443: server.port})
    world.names.set(HOST, [PUBLIC_ADDRESS])
    return world


@pytest.fixture
async def tunnel(world: World) -> AsyncGenerator[EgressTunnel]:
    client = world.make_client()
    made = EgressTunnel(client)
    yield made
    await made.aclose()
    await client.aclose()


def authorize(passage: Passage) -> str:
    return "Basic " + b64encode(f"{passage.user}:{passage.password}".encode()).decode()


async def say(passage: Passage, *lines: str, body: bytes = b"", authorization: str | None = None) -> bytes:
    """All that the proxy answers to a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", passage.proxy_port)
    shown = authorize(passage) if authorization is None else authorization
    head = [*lines, f"Proxy-Authorization: {shown}"]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_a_request_is_passed_on_without_what_was_for_the_proxy(tunnel: EgressTunnel, world: World, server: EffectServer):
    server.on("/x", Reply(200, (("Connection", "keep-alive"),), b"answer"))
    async with tunnel.open_passage(HOST, 80) as passage:
        lines = (f"POST http://{HOST}/x?y=1 HTTP/1.1", f"Host: {HOST}", "Proxy-Connection: keep-alive", "Content-Length: 4")
        answer = await say(passage, *lines, body=b"body" + b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"answer")
    assert b"Connection: close" in answer
    assert b"keep-alive" not in answer
    assert world.connected == [(PUBLIC_ADDRESS, 80)]
    (received,) = server.received
    assert (received.method, received.body) == ("POST", b"body")
    assert not any(name.startswith("proxy") for name in received.headers)


async def test_a_connection_is_passed_through(tunnel: EgressTunnel, world: World, server: EffectServer):
    async with tunnel.open_passage(HOST, 443) as passage:
        reader, writer = await asyncio.open_connection("127.0.0.1", passage.proxy_port)
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nProxy-Authorization: {authorize(passage)}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.write(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1")
        assert passage.is_connected
    assert await asyncio.wait_for(reader.read(), 5) is not None
    assert reader.at_eof()
    writer.close()
    assert len(server.received) == 1
    assert world.connected == [(PUBLIC_ADDRESS, 443)]


@pytest.mark.parametrize("authorization", ["", "Basic", "Basic eDp5", "Bearer x", "basic "])
async def test_without_the_right_password_nothing_is_passed(authorization: str, tunnel: EgressTunnel, world: World):
    async with tunnel.open_passage(HOST, 80) as passage:
        for first in (f"GET http://{HOST}/ HTTP/1.1", f"CONNECT {HOST}:80 HTTP/1.1"):
            assert (await say(passage, first, authorization=authorization)).startswith(b"HTTP/1.1 407")
        assert passage.password not in repr(passage)
    assert world.connected == []
    assert world.names.asked == []


async def test_a_password_is_worth_nothing_once_its_passage_is_closed(tunnel: EgressTunnel, world: World):
    async with tunnel.open_passage(HOST, 80) as first:
        pass
    async with tunnel.open_passage(HOST, 80) as second:
        shown = authorize(first)
        assert (await say(second, f"GET http://{HOST}/ HTTP/1.1", authorization=shown)).startswith(b"HTTP/1.1 407")
    assert world.connected == []


@pytest.mark.parametrize("target", ["other.example:80", f"{HOST}:443", "127.0.0.1:80", "[::1]:80"])
async def test_a_passage_leads_to_one_place_only(target: str, tunnel: EgressTunnel, world: World):
    async with tunnel.open_passage(HOST, 80) as passage:
        assert (await say(passage, f"CONNECT {target} HTTP/1.1")).startswith(b"HTTP/1.1 403")
        assert passage.fault is not None
        assert passage.fault.fault is EgressFault.DENIED
    assert world.connected == []


@pytest.mark.parametrize(
    ("host", "port", "fault"),
    [
        ("127.0.0.1", 80, EgressFault.DENIED),
        ("inner.example", 443, EgressFault.DENIED),
        (HOST, 22, EgressFault.PORT_DENIED),
        ("none.example", 80, EgressFault.CONNECTION_FAILED),
        ("dead.example", 8080, EgressFault.CONNECTION_FAILED),
    ],
)
async def test_net_23_what_the_policy_denies_is_denied_here(
    host: str, port: int, fault: EgressFault, tunnel: EgressTunnel, world: World
):
    world.names.set("inner.example", ["192.168.1.1"])
    world.names.set("dead.example", [PUBLIC_ADDRESS])
    world.ports[8080] = 1
    for first in (f"CONNECT {host}:{port} HTTP/1.1", f"GET http://{host}:{port}/ HTTP/1.1"):
        async with tunnel.open_passage(host, port) as passage:
            answer = await say(passage, first)
            assert answer.split(b" ")[1] in {b"403", b"502"}
            assert f"X-Fault: {fault.value}".encode() in answer
            assert passage.fault is not None
            assert passage.fault.fault is fault
    assert world.connected == ([(PUBLIC_ADDRESS, 8080)] * 2 if host == "dead.example" else [])


@pytest.mark.parametrize(
    "first",
    [
        "GET / HTTP/1.1",
        "GET https://public.example/ HTTP/1.1",
        "GET ftp://public.example/ HTTP/1.1",
        "GET http://user@public.example/ HTTP/1.1",
        "GET http://public.example:x/ HTTP/1.1",
        "CONNECT public.example HTTP/1.1",
        "CONNECT public.example:80/x HTTP/1.1",
        "GET  http://public.example/ HTTP/1.1",
        "GET http://public.example/ HTTP/2",
        "GET http://public.example/ HTTP/1.1\r\nTransfer-Encoding: chunked",
        "GET http://public.example/ HTTP/1.1\r\nContent-Length: -1",
        "GET http://public.example/ HTTP/1.1\r\nContent-Length: x",
        "GET http://public.example/ HTTP/1.1\r\n folded: 1",
        "GET http://public.example/ HTTP/1.1\r\nno colon",
        "X" * 70_000,
    ],
)
async def test_what_is_no_plain_request_is_refused(first: str, tunnel: EgressTunnel, world: World):
    async with tunnel.open_passage(HOST, 80) as passage:
        assert (await say(passage, first)).split(b" ")[1] in {b"400", b"407"}
    assert world.connected == []


async def test_a_server_that_breaks_off_ends_the_connection(tunnel: EgressTunnel, world: World):
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    world.ports[80] = server.sockets[0].getsockname()[1]
    async with tunnel.open_passage(HOST, 80) as passage:
        assert await say(passage, f"GET http://{HOST}/ HTTP/1.1") == b""
        assert passage.is_connected
        assert passage.fault is None
    server.close()


async def test_closing_cuts_what_is_on_the_way_and_may_come_first(world: World):
    client = world.make_client()
    tunnel = EgressTunnel(client)
    await tunnel.aclose()
    async with tunnel.open_passage(HOST, 443) as passage:
        reader, writer = await asyncio.open_connection("127.0.0.1", passage.proxy_port)
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nProxy-Authorization: {authorize(passage)}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await tunnel.aclose()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", passage.proxy_port)
    await client.aclose()


async def test_net_17_the_tunnel_goes_through_the_proxy_that_is_set(world: World, server: EffectServer):
    server.on("/x", Reply(200, (("Connection", "close"),), b"answer"))
    async with serve_proxy({80: server.port}) as proxy:
        client = world.make_client(proxy=proxy.url)
        tunnel = EgressTunnel(client)
        async with tunnel.open_passage(HOST, 80) as passage:
            reader, writer = await asyncio.open_connection("127.0.0.1", passage.proxy_port)
            head = f"GET http://{HOST}/x HTTP/1.1\r\nHost: {HOST}\r\nProxy-Authorization: {authorize(passage)}\r\n\r\n"
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.readuntil(b"answer"), 10)
            writer.close()
        await tunnel.aclose()
        await client.aclose()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT {HOST}:80 HTTP/1.1"]
