"""Cases NET of outbound HTTP: what may be called, and what is sent there. What comes back is in test_egress_answers.py."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence

import pytest
from tests.support.network import PUBLIC_ADDRESS, StreamingClient, World
from tests.support.servers import EffectServer, Received, Reply, json_reply, redirect, send_raw, serve_http

from flowforge.kit.egress import EgressClient, EgressError, EgressFault, EgressPolicy, EgressRequest
from flowforge.kit.egress.addresses import Address
from flowforge.kit.egress.proxy import Streams
from flowforge.kit.errors import ValidationError
from flowforge.kit.limits import Limits


@pytest.fixture(params=[EgressClient, StreamingClient], ids=["send", "stream"], autouse=True)
def client_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[EgressClient]:
    """Every case holds for `send` and for `stream`."""
    monkeypatch.setattr(World, "client_class", request.param)
    return request.param


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
def world(server: EffectServer) -> World:
    """`public.example` and `other.example` lead to the server, on any public port."""
    world = World(ports={80: server.port, 443: server.port, 8080: server.port})
    world.names.set("public.example", [PUBLIC_ADDRESS])
    world.names.set("other.example", ["93.184.216.35"])
    return world


async def fault_of(
    world: World, request: EgressRequest | str, allow: Sequence[str] = (), limits: Limits | None = None
) -> EgressFault:
    client = world.make_client(allow, limits=limits)
    try:
        with pytest.raises(EgressError) as caught:
            await client.send(request if isinstance(request, EgressRequest) else EgressRequest("GET", request))
        assert caught.value.message.endswith(".")
        return caught.value.fault
    finally:
        await client.aclose()


DENIED = {
    "NET-01": ["127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f.1", "0177.0.0.1"],
    "NET-02": ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"],
    "NET-03": [
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[2002:7f00:1::]",
        "[fe80::1%25lo]",
        "[fc00::1]",
    ],
    "NET-04": ["169.254.169.254", "100.100.100.200", "100.64.0.1", "192.0.0.192", "168.63.129.16"],
    "NET-05": ["10.0.0.1", "172.16.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
}


@pytest.mark.parametrize(("case", "host"), [(case, host) for case, hosts in DENIED.items() for host in hosts])
async def test_an_address_that_is_not_public_is_denied_without_a_packet(case: str, host: str, world: World):
    assert await fault_of(world, f"http://{host}/") is EgressFault.DENIED, case
    assert world.connected == []


async def test_net_04_a_name_of_a_metadata_service_is_denied(world: World):
    world.names.set("metadata.google.internal", ["169.254.169.254"])
    assert await fault_of(world, "http://metadata.google.internal/computeMetadata/v1/") is EgressFault.DENIED
    assert world.connected == []


@pytest.mark.parametrize("answer", [[PUBLIC_ADDRESS, "fd00::1"], [PUBLIC_ADDRESS, "10.0.0.1"], ["10.0.0.1", PUBLIC_ADDRESS]])
async def test_net_06_a_name_is_denied_if_any_of_its_addresses_is(answer: list[str], world: World):
    world.names.set("mixed.example", answer)
    assert await fault_of(world, "http://mixed.example/") is EgressFault.DENIED
    assert world.connected == []


async def test_net_07_a09_a_name_is_resolved_once_and_that_address_connected_to(world: World, server: EffectServer):
    world.names.set("rebind.example", [PUBLIC_ADDRESS], ["127.0.0.1"])
    client = world.make_client()
    response = await client.send(EgressRequest("GET", "http://rebind.example/"))
    await client.aclose()
    assert response.status == 200
    assert world.names.asked == ["rebind.example"]
    assert world.connected == [(PUBLIC_ADDRESS, 80)]
    assert server.received[0].headers["host"] == "rebind.example"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("http://127.0.0.1/", EgressFault.DENIED),
        ("http://inner.example/", EgressFault.DENIED),
        ("//10.0.0.1/x", EgressFault.DENIED),
        ("ftp://public.example/", EgressFault.SCHEME),
        ("file:///etc/passwd", EgressFault.SCHEME),
        ("http://public.example:22/", EgressFault.PORT_DENIED),
    ],
)
async def test_net_08_each_redirect_is_judged(status: int, location: str, fault: EgressFault, world: World, server: EffectServer):
    world.names.set("inner.example", ["192.168.1.1"])
    server.on("/start", redirect(location, status))
    assert await fault_of(world, "http://public.example/start") is fault
    assert world.connected == [(PUBLIC_ADDRESS, 80)]


async def test_net_09_credentials_are_dropped_when_a_redirect_changes_the_host(world: World, server: EffectServer):
    server.on("/start", redirect("http://other.example/end"))
    headers = (
        ("Authorization", "Bearer t"),
        ("X-Api-Key", "k"),
        ("Cookie", "c=1"),
        ("Accept", "text/plain"),
        ("Idempotency-Key", "i"),
    )
    client = world.make_client()
    response = await client.send(EgressRequest("GET", "http://public.example/start", headers))
    await client.aclose()
    first, second = server.received
    assert {"authorization", "x-api-key", "cookie"} <= first.headers.keys()
    assert second.headers.keys().isdisjoint({"authorization", "x-api-key", "cookie"})
    assert (second.headers["accept"], second.headers["idempotency-key"]) == ("text/plain", "i")
    assert response.url == "http://other.example/end"


async def test_net_09_credentials_stay_on_the_same_host(world: World, server: EffectServer):
    server.on("/start", redirect("/end"))
    client = world.make_client()
    await client.send(EgressRequest("GET", "http://public.example/start", (("Authorization", "Bearer t"),)))
    await client.aclose()
    assert [request.headers["authorization"] for request in server.received] == ["Bearer t", "Bearer t"]


async def test_net_09_credentials_are_dropped_on_another_port_of_the_same_host(world: World, server: EffectServer):
    server.on("/start", redirect("http://public.example:8080/end"))
    client = world.make_client()
    await client.send(EgressRequest("GET", "http://public.example/start", (("Authorization", "Bearer t"),)))
    await client.aclose()
    assert "authorization" not in server.received[1].headers


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (302, "PUT", "PUT"),
    ],
)
async def test_a_redirect_keeps_or_changes_the_method_as_the_standard_says(
    status: int, method: str, expected: str, world: World, server: EffectServer
):
    server.on("/start", redirect("/end", status))
    client = world.make_client()
    await client.send(EgressRequest(method, "http://public.example/start", (("Content-Type", "text/plain"),), b"body"))
    await client.aclose()
    end = server.received[1]
    assert end.method == expected
    assert (end.body, "content-type" in end.headers) == ((b"", False) if expected == "GET" else (b"body", True))


async def test_net_10_redirects_end_at_the_limit(world: World, server: EffectServer):
    server.on("/loop", redirect("/loop"))
    assert await fault_of(world, "http://public.example/loop") is EgressFault.REDIRECTS
    assert len(server.received) == Limits().http_redirects + 1


async def test_net_10_as_many_redirects_as_allowed_are_followed(world: World, server: EffectServer):
    for hop in range(Limits().http_redirects):
        server.on(f"/{hop}", redirect(f"/{hop + 1}"))
    client = world.make_client()
    response = await client.send(EgressRequest("GET", "http://public.example/0"))
    await client.aclose()
    assert response.url == f"http://public.example/{Limits().http_redirects}"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://public.example/",
        "ftp://public.example/",
        "dict://x:11211/",
        "data:,x",
        "unix:/run/x",
        "//x/y",
        "x",
    ],
)
async def test_net_11_other_schemes_are_refused(url: str, world: World):
    assert await fault_of(world, url) is EgressFault.SCHEME


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://user:pw@public.example/", EgressFault.URL_INVALID),
        ("http://good@127.0.0.1/", EgressFault.URL_INVALID),
        ("http://@public.example/", EgressFault.URL_INVALID),
        ("http://127.0.0.1#@good/", EgressFault.DENIED),
        ("http://127.0.0.1?@good/", EgressFault.DENIED),
        ("http://127.0.0.1\\@good/", EgressFault.URL_INVALID),
        ("http:\\\\127.0.0.1\\", EgressFault.URL_INVALID),
        ("http://%31%32%37.0.0.1/", EgressFault.URL_INVALID),
        ("http:///path", EgressFault.URL_INVALID),
        ("http://public.example:99999/", EgressFault.URL_INVALID),
        ("http://public.example:0/", EgressFault.URL_INVALID),
        (" http://public.example/", EgressFault.URL_INVALID),
        ("http://[::1", EgressFault.URL_INVALID),
        ("http://" + "a" * 9_000, EgressFault.URL_INVALID),
    ],
)
async def test_net_12_a_url_means_the_same_to_the_judge_and_to_the_connection(url: str, fault: EgressFault, world: World):
    assert await fault_of(world, url) is fault
    assert world.connected == []


@pytest.mark.parametrize(
    "host", ["localhost.", "foo.localhost", "127.0.0.1.nip.io", "xn--exmple-cua.com", "exämple.com.", "127。0。0。1"]
)
async def test_net_13_a_name_is_judged_by_its_address(host: str, world: World):
    for name in ("localhost", "foo.localhost", "127.0.0.1.nip.io", "xn--exmple-cua.com"):
        world.names.set(name, ["127.0.0.1"])
    assert await fault_of(world, f"http://{host}/") is EgressFault.DENIED
    assert world.connected == []


@pytest.mark.parametrize("port", [22, 25, 6379, 5432, 11211, 1, 9000, 65535])
async def test_net_14_a_port_is_denied_unless_allowed(port: int, world: World, server: EffectServer):
    assert await fault_of(world, f"http://public.example:{port}/") is EgressFault.PORT_DENIED
    world.ports[port] = server.port
    client = world.make_client([f"public.example:{port}"])
    assert (await client.send(EgressRequest("GET", f"http://public.example:{port}/"))).status == 200
    await client.aclose()
    assert server.received[0].headers["host"] == f"public.example:{port}"


@pytest.mark.parametrize(
    "request_",
    [
        EgressRequest("GET", "http://public.example/", (("X-A", "a\r\nX-B: b"),)),
        EgressRequest("GET", "http://public.example/", (("X-A", "a\nb"),)),
        EgressRequest("GET", "http://public.example/", (("X-A", "a\0b"),)),
        EgressRequest("GET", "http://public.example/", (("X A", "a"),)),
        EgressRequest("GET", "http://public.example/", (("X-A\r\nX-B", "a"),)),
        EgressRequest("GET", "http://public.example/", (("", "a"),)),
        EgressRequest("GET", "http://public.example/a\r\nX: y"),
        EgressRequest("GET", "http://public.exa\nmple/"),
        EgressRequest("GET /x HTTP/1.1\r\nX: y", "http://public.example/"),
        EgressRequest("CONNECT", "http://public.example/"),
        EgressRequest("get", "http://public.example/"),
        EgressRequest("", "http://public.example/"),
    ],
)
async def test_net_15_nothing_can_be_smuggled_into_the_request(request_: EgressRequest, world: World):
    assert await fault_of(world, request_) is EgressFault.HEADER_INVALID
    assert world.connected == []


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Proxy-Authorization", "proxy-x", "Upgrade", "FlowForge-Depth"],
)
async def test_net_16_headers_of_the_transport_are_reserved(name: str, world: World):
    assert await fault_of(world, EgressRequest("GET", "http://public.example/", ((name, "1"),))) is EgressFault.HEADER_RESERVED


async def test_net_17_proxies_of_the_environment_are_ignored(world: World, server: EffectServer, monkeypatch: pytest.MonkeyPatch):
    async with serve_http() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        client = world.make_client()
        await client.send(EgressRequest("GET", "http://public.example/"))
        await client.aclose()
        assert (len(server.received), proxy.connections) == (1, 0)


async def test_net_19_a_circle_of_calls_to_our_own_address_ends(world: World, server: EffectServer):
    client = world.make_client(own_urls=["http://public.example"])
    await client.send(EgressRequest("GET", "http://public.example/api", depth=4))
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", "http://public.example/api", depth=5))
    await client.send(EgressRequest("GET", "http://other.example/", depth=5))
    await client.aclose()
    assert caught.value.fault is EgressFault.LOOP
    assert [request.headers["flowforge-depth"] for request in server.received] == ["5", "6"]


async def test_net_19_a_redirect_back_to_us_counts_too(world: World, server: EffectServer):
    server.on("/start", redirect("http://public.example/api"))
    client = world.make_client(own_urls=["http://public.example"])
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", "http://other.example/start", depth=5))
    await client.aclose()
    assert caught.value.fault is EgressFault.LOOP


async def test_net_21_cookies_are_not_kept(world: World, server: EffectServer):
    server.on("/", Reply(headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))))
    client = world.make_client()
    first = await client.send(EgressRequest("GET", "http://public.example/"))
    await client.send(EgressRequest("GET", "http://public.example/"))
    await client.aclose()
    assert first.headers["set-cookie"] == "a=1, b=2"
    assert all("cookie" not in request.headers for request in server.received)


@pytest.mark.parametrize(
    "entry",
    [
        "*.com",
        "*",
        "*.co.uk",
        "*.localhost",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/7",
        "http://x",
        "a b",
        "x:0",
        "x:99999",
        "x:http",
        "ex*mple.com",
        "a..b",
        "-",
    ],
)
def test_net_22_an_entry_that_opens_too_much_or_is_none_is_refused(entry: str):
    with pytest.raises(ValidationError) as caught:
        EgressPolicy.parse(["fine.example", entry])
    assert [detail.code for detail in caught.value.details] == ["egress_allow_invalid"]
    assert repr(entry) in caught.value.message


@pytest.mark.parametrize(
    ("entry", "url", "is_allowed"),
    [
        ("inner.example", "http://inner.example:6379/", True),
        ("inner.example:81", "http://inner.example:81/", True),
        ("inner.example:81", "http://inner.example/", False),
        ("*.corp.example", "http://a.b.corp.example/", True),
        ("*.corp.example", "http://corp.example/", False),
        ("*.corp.example", "http://evilcorp.example/", False),
        ("10.0.0.0/8", "http://10.9.8.7/", True),
        ("10.0.0.0/8:81", "http://10.9.8.7:81/", True),
        ("10.0.0.0/8", "http://[::ffff:10.9.8.7]/", True),
        ("10.0.0.0/8", "http://11.9.8.7:22/", False),
        ("[fc00::/7]:81", "http://[fd00::1]:81/", True),
        ("[fc00::/7]:81", "http://[fd00::1]/", False),
        ("metadata.example", "http://metadata.example/", False),
        ("169.254.169.254", "http://metadata.example/", True),
    ],
)
async def test_net_22_an_entry_opens_what_it_names_and_nothing_else(
    entry: str, url: str, is_allowed: bool, world: World, server: EffectServer
):
    world.ports |= {81: server.port, 6379: server.port}
    world.names.set("metadata.example", ["169.254.169.254"])
    for name in ("inner.example", "corp.example", "a.b.corp.example", "evilcorp.example"):
        world.names.set(name, ["10.0.0.1"])
    if not is_allowed:
        assert await fault_of(world, url, [entry]) in {EgressFault.DENIED, EgressFault.PORT_DENIED}
        return
    client = world.make_client([entry])
    assert (await client.send(EgressRequest("GET", url))).status == 200
    await client.aclose()


async def test_the_next_address_is_tried_when_one_does_not_answer(world: World, server: EffectServer):
    # The server listens on 127.0.0.1 alone: the whole of 127/8 is loopback, and elsewhere in it nobody answers on the port.
    world.names.set("two.example", ["127.0.0.2", "127.0.0.1"])
    world.names.set("none.example", ["127.0.0.2"])
    client = world.make_client(["two.example", "none.example"])
    response = await client.send(EgressRequest("GET", f"http://two.example:{server.port}/"))
    assert await fault_of(world, f"http://none.example:{server.port}/", ["none.example"]) is EgressFault.CONNECTION_FAILED
    await client.aclose()
    assert response.status == 200
    assert world.connected[:2] == [("127.0.0.2", server.port), ("127.0.0.1", server.port)]


async def test_an_address_that_swallows_packets_leaves_time_for_the_next(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.kit.egress.network.SHARE_MIN_S", 0.05)
    connect = world.connect

    async def swallow(address: Address, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
        if str(address) == "93.184.216.1":
            await asyncio.Event().wait()
        return await connect(address, port, tls, host)

    world.connect = swallow
    world.names.set("two.example", ["93.184.216.1", PUBLIC_ADDRESS])
    world.names.set("none.example", ["93.184.216.1", "93.184.216.1"])
    client = world.make_client(limits=Limits(http_connect_ms=300))
    assert (await client.send(EgressRequest("GET", "http://two.example/"))).status == 200
    assert await fault_of(world, "http://none.example/", limits=Limits(http_connect_ms=300)) is EgressFault.TIMEOUT
    await client.aclose()


async def test_an_unknown_name_may_be_tried_again(world: World):
    client = world.make_client()
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", "http://unknown.example/"))
    assert (caught.value.fault, caught.value.is_retryable) == (EgressFault.CONNECTION_FAILED, True)


async def test_a_connection_is_used_again_for_the_same_origin_only(world: World, server: EffectServer):
    client = world.make_client()
    for url in ("http://public.example/1", "http://public.example/2", "http://other.example/3"):
        await client.send(EgressRequest("GET", url))
    await client.aclose()
    assert server.connections == 2
    assert [request.target for request in server.received] == ["/1", "/2", "/3"]


async def test_a_connection_that_the_server_closed_is_not_used_again(world: World, server: EffectServer):
    client = world.make_client()
    await client.send(EgressRequest("GET", "http://public.example/1"))
    server.on("/2", send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    await client.send(EgressRequest("GET", "http://public.example/2"))
    await server.is_idle.wait()
    await client.send(EgressRequest("GET", "http://other.example/3"))
    await client.send(EgressRequest("GET", "http://public.example/4"))
    await client.aclose()
    assert [request.target for request in server.received] == ["/1", "/2", "/3", "/4"]
    assert server.connections == 3


async def test_what_is_sent_is_what_was_asked(world: World, server: EffectServer):
    def answer(request: Received) -> Reply:
        return json_reply({"target": request.target, "length": request.headers.get("content-length")})

    server.on("/ä path".replace("ä", "%C3%A4").replace(" ", "%20"), answer)
    client = world.make_client()
    response = await client.send(EgressRequest("POST", "http://PUBLIC.example/ä path?q=a b#frag", (("X-Name", "ünï"),), b"12345"))
    empty = await client.send(EgressRequest("POST", "http://public.example/%C3%A4%20path"))
    head = await client.send(EgressRequest("HEAD", "http://public.example/"))
    await client.aclose()
    assert response.body == b'{"target": "/%C3%A4%20path?q=a%20b", "length": "5"}'
    assert b'"length": "0"' in empty.body
    assert (head.status, head.body) == (200, b"")
    assert server.received[0].headers["x-name"].encode("latin-1") == "ünï".encode()
