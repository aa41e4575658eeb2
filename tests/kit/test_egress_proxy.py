"""Through a proxy: what it is told, what is judged nevertheless, and what is said when it does not do its part."""

import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator

import pytest
import trustme
from tests.support.http2_server import serve_http2
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.proxies import ProxyServer, serve_proxy
from tests.support.servers import EffectServer, Reply, redirect, serve_http

from flowforge.kit.egress import EgressClient, EgressError, EgressFault, EgressRequest
from flowforge.kit.errors import ValidationError
from flowforge.kit.limits import Limits

CREDENTIALS = b64encode(b"user:p@ss word").decode()


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
async def proxy(server: EffectServer) -> AsyncGenerator[ProxyServer]:
    async with serve_proxy({80: server.port, 8080: server.port}) as running:
        yield running


def make_client(proxy: ProxyServer, world: World | None = None, allow: tuple[str, ...] = (), *, user: str = "") -> EgressClient:
    world = world or World()
    world.names.set("known.example", [PUBLIC_ADDRESS])
    world.names.set("inner.example", ["10.0.0.1"])
    return world.make_client(allow, proxy=f"http://{user}127.0.0.1:{proxy.port}", limits=Limits(http_total_ms=3_000))


async def fault_of(client: EgressClient, url: str) -> EgressError:
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", url))
    await client.aclose()
    return caught.value


@pytest.mark.parametrize("host", ["known.example", "not-known-here.example"])
async def test_a_plain_request_goes_to_the_proxy_with_its_whole_url(host: str, proxy: ProxyServer, server: EffectServer):
    world = World()
    client = make_client(proxy, world, user="user:p%40ss%20word@")
    response = await client.send(EgressRequest("POST", f"http://{host}:8080/a%20b?c=d", body=b"hello"))
    await client.aclose()
    assert (response.status, response.url) == (200, f"http://{host}:8080/a%20b?c=d")
    assert proxy.heads[0].startswith(f"POST http://{host}:8080/a%20b?c=d HTTP/1.1\r\n")
    assert f"\r\nProxy-Authorization: Basic {CREDENTIALS}\r\n" in proxy.heads[0]
    assert (server.received[0].target, server.received[0].headers["host"]) == ("/a%20b?c=d", f"{host}:8080")
    assert "proxy-authorization" not in server.received[0].headers
    assert world.connected == [("127.0.0.1", proxy.port)]


@pytest.mark.parametrize("http2", [False, True])
async def test_https_goes_through_a_tunnel_that_the_proxy_cannot_read(http2: bool):
    protocols = ("h2",) if http2 else ("http/1.1",)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - its stubs name an optional package
    async with serve_http2(protocols=protocols) as modern, serve_http(context) as plain:
        authority_pem = modern.authority_pem if http2 else authority.cert_pem.bytes().decode()
        async with serve_proxy({443: modern.port if http2 else plain.port}) as proxy:
            client = make_client(proxy, user="user:p%40ss%20word@")
            request = EgressRequest("GET", "https://api.example/secret", http2=http2, authority_pem=authority_pem)
            responses = [await client.send(request) for _ in range(2)]
            await client.aclose()
        received = modern.received if http2 else plain.received
    assert [response.http_version for response in responses] == ["HTTP/2" if http2 else "HTTP/1.1"] * 2
    assert len(proxy.heads) == 1
    assert proxy.heads[0].startswith("CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n")
    assert f"\r\nProxy-Authorization: Basic {CREDENTIALS}\r\n" in proxy.heads[0]
    assert "secret" not in proxy.heads[0]
    assert all("proxy-authorization" not in request.headers for request in received)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://10.0.0.1/", EgressFault.DENIED),
        ("http://[::1]/", EgressFault.DENIED),
        ("http://2130706433/", EgressFault.DENIED),
        ("http://inner.example/", EgressFault.DENIED),
        ("http://localhost/", EgressFault.DENIED),
        ("http://printer/", EgressFault.DENIED),
        ("http://metadata.google.internal/", EgressFault.DENIED),
        ("http://box.home.arpa/", EgressFault.DENIED),
        ("http://known.example:22/", EgressFault.PORT_DENIED),
        ("http://not-known-here.example:22/", EgressFault.PORT_DENIED),
    ],
)
async def test_net_17_the_target_is_judged_behind_a_proxy_too(url: str, fault: EgressFault, proxy: ProxyServer):
    world = World()
    assert (await fault_of(make_client(proxy, world), url)).fault is fault
    assert world.connected == []


@pytest.mark.parametrize("allow", ["printer", "printer:80", "*.office.internal"])
async def test_an_entry_opens_a_name_that_only_the_proxy_knows(allow: str, proxy: ProxyServer):
    client = make_client(proxy, allow=(allow,))
    host = "a.office.internal" if allow.startswith("*") else "printer"
    assert (await client.send(EgressRequest("GET", f"http://{host}/"))).status == 200
    await client.aclose()


async def test_net_08_a_redirect_is_judged_behind_a_proxy_too(proxy: ProxyServer, server: EffectServer):
    server.on("/start", redirect("http://10.0.0.1/"))
    assert (await fault_of(make_client(proxy), "http://known.example/start")).fault is EgressFault.DENIED
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "another user or password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "status 403"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "did not answer in HTTP"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 2**20, "too much"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "closed the connection to known.example:443"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_named(answer: bytes, words: str, proxy: ProxyServer):
    proxy.answer = answer
    error = await fault_of(make_client(proxy, user="user:secret@"), "https://known.example/")
    assert (error.fault, error.is_retryable) == (EgressFault.CONNECTION_FAILED, True)
    assert f"The proxy 127.0.0.1:{proxy.port}" in error.message
    assert words in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("proxy_host", ["127.0.0.2", "no-such-proxy.example"])
async def test_a_proxy_that_is_not_there_is_named(proxy_host: str):
    world = World()
    world.names.set("known.example", [PUBLIC_ADDRESS])
    error = await fault_of(world.make_client(proxy=f"http://{proxy_host}:1"), "http://known.example/")
    assert error.fault is EgressFault.CONNECTION_FAILED
    assert f"The proxy {proxy_host}:1 could not be" in error.message


async def test_net_18_the_target_s_certificate_is_checked_through_the_tunnel():
    async with serve_http2() as server, serve_proxy({443: server.port}) as proxy:
        error = await fault_of(make_client(proxy), "https://api.example/")
    assert error.fault is EgressFault.TLS


async def test_a_proxy_s_own_refusal_of_a_plain_request_is_not_the_server_s(proxy: ProxyServer):
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    error = await fault_of(make_client(proxy), "http://known.example/")
    assert error.fault is EgressFault.CONNECTION_FAILED
    assert "another user or password" in error.message


async def test_addresses_for_other_protocols_do_not_go_through_the_proxy(proxy: ProxyServer, server: EffectServer):
    server.on("/", Reply())
    client = make_client(proxy)
    assert await client.find_addresses("known.example", 25, usual_ports=frozenset({25})) == [PUBLIC_ADDRESS]
    with pytest.raises(EgressError) as caught:
        await client.find_addresses("not-known-here.example", 25, usual_ports=frozenset({25}))
    assert caught.value.fault is EgressFault.CONNECTION_FAILED


@pytest.mark.parametrize(
    "url",
    [
        *(
            "proxy.example:3128",
            "https://proxy.example:443",
            "socks5://proxy.example:1080",
            "http://proxy.example",
            "http://:3128",
        ),
        *(
            "http://proxy.example:x",
            "http://proxy.example:99999",
            "http://proxy.example:3128/path",
            "http://[::1:80",
            "http://a:80?b",
        ),
    ],
)
def test_what_is_no_proxy_is_refused_without_telling_its_password(url: str):
    secret = url.replace("//", "//user:hunter2@")
    world = World()
    with pytest.raises(ValidationError) as caught:
        world.make_client(proxy=secret)
    assert "hunter2" not in caught.value.message
    assert [detail.field for detail in caught.value.details] == ["EGRESS_PROXY"]
