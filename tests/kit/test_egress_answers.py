"""Cases NET-18, NET-20 and faults F52 to F57: what a server may do to us. What we may do is in test_egress.py."""

import asyncio
import gzip
import resource
import socket
import ssl
import time
import warnings
import zlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from tests.support.clock import ManualClock
from tests.support.network import StreamingClient, World
from tests.support.servers import (
    HANG,
    EffectServer,
    Misbehaviour,
    Received,
    Reply,
    drip,
    redirect,
    send_endlessly,
    send_raw,
    serve_http,
)

from flowforge.kit.egress import EgressClient, EgressError, EgressFault, EgressRequest, EgressResponse
from flowforge.kit.limits import Limits

HASTY = Limits(http_connect_ms=200, http_total_ms=200, http_idle_ms=200)


@pytest.fixture(params=[EgressClient, StreamingClient], ids=["send", "stream"], autouse=True)
def client_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[EgressClient]:
    """Every case holds for `send` and for `stream`."""
    monkeypatch.setattr(World, "client_class", request.param)
    return request.param


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


async def get(
    server: EffectServer, path: str = "/", limits: Limits | None = None, clock: ManualClock | None = None
) -> EgressResponse:
    client = World().make_client(["127.0.0.1"], limits=limits, clock=clock)
    try:
        return await client.send(EgressRequest("GET", server.url + path))
    finally:
        await client.aclose()


async def fault_of(server: EffectServer, path: str = "/", limits: Limits | None = None) -> EgressError:
    with pytest.raises(EgressError) as caught:
        await get(server, path, limits)
    return caught.value


async def wait_until_released(server: EffectServer) -> None:
    async with asyncio.timeout(5):
        await server.is_idle.wait()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"])
async def test_f52_an_endless_body_is_cut(head: bytes, server: EffectServer):
    server.on("/", send_endlessly(head, CHUNK if head == CHUNKED else b"x" * 65_536))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fault = await fault_of(server)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert (fault.fault, fault.is_retryable) == (EgressFault.RESPONSE_TOO_LARGE, False)
    assert grown_kib < 32 * 1024
    await wait_until_released(server)


async def test_f52_a_body_of_just_the_limit_is_taken(server: EffectServer):
    limits = Limits(http_body_bytes=2_000)
    server.on("/fits", Reply(body=b"x" * 2_000))
    server.on("/one-more", Reply(body=b"x" * 2_001))
    assert len((await get(server, "/fits", limits)).body) == 2_000
    assert (await fault_of(server, "/one-more", limits)).fault is EgressFault.RESPONSE_TOO_LARGE


def _bomb(times: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    piece = b"\0" * 2**20
    return b"".join(compressor.compress(piece) for _ in range(times)) + compressor.flush()


BOMB = _bomb(200)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", BOMB, id="gzip"),
        pytest.param("gzip, gzip", gzip.compress(BOMB, mtime=0), id="gzip twice"),
        pytest.param("deflate", zlib.compress(b"\0" * 2**26), id="deflate"),
        pytest.param(", ".join(["gzip"] * 100), BOMB, id="gzip a hundred times"),
        pytest.param("gzip, gzip, gzip", b"", id="three encodings"),
    ],
)
async def test_f53_a_bomb_is_cut(encoding: str, body: bytes, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Encoding", encoding),), body=body))
    started_s = time.process_time()
    fault = await fault_of(server)
    assert fault.fault is EgressFault.RESPONSE_TOO_LARGE
    assert time.process_time() - started_s < 1


async def test_f53_a_bomb_in_a_redirect_is_not_decoded(server: EffectServer):
    server.on("/", redirect("/end", body=BOMB, headers=(("Content-Encoding", "gzip"),)))
    assert (await get(server)).url.endswith("/end")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress"])
async def test_f53_an_encoding_that_was_not_asked_for_is_refused(encoding: str, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Encoding", encoding),), body=b"x"))
    assert (await fault_of(server)).fault is EgressFault.RESPONSE_INVALID


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


TEXT = b"hello " * 50_000


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT, mtime=0)),
        ("GZIP", gzip.compress(TEXT[:1_000], mtime=0) + gzip.compress(TEXT[1_000:], mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\0" * 100),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", _raw_deflate(TEXT)),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT), mtime=0)),
        ("identity", TEXT),
        ("", TEXT),
    ],
)
async def test_a_compressed_body_is_decoded(encoding: str, body: bytes, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Encoding", encoding),), body=body))
    assert (await get(server)).body == TEXT


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(TEXT, mtime=0)[:-20],
        b"no gzip at all",
        gzip.compress(TEXT, mtime=0) + b"rest",
        gzip.compress(b"", mtime=0) * 2_000,
    ],
)
async def test_a_broken_compressed_body_is_invalid(body: bytes, server: EffectServer):
    server.on("/", Reply(headers=(("Content-Encoding", "gzip"),), body=body))
    assert (await fault_of(server)).fault is EgressFault.RESPONSE_INVALID


@pytest.mark.parametrize(
    ("behaviour", "streamed"), [pytest.param(HANG, HANG, id="F54"), pytest.param(drip(0.02), drip(0.6), id="F55")]
)
async def test_silence_and_dripping_end_at_the_time_allowed(
    behaviour: Misbehaviour, streamed: Misbehaviour, server: EffectServer, client_class: type[EgressClient]
):
    # `send` has a total time; `stream` has one until the headers, and then one for each piece.
    server.on("/", behaviour if client_class is EgressClient else streamed)
    started_s = time.monotonic()
    fault = await fault_of(server, limits=HASTY)
    assert (fault.fault, fault.is_retryable) == (EgressFault.TIMEOUT, True)
    assert 0.2 <= time.monotonic() - started_s < 1.2
    await wait_until_released(server)


async def test_f54_the_total_time_covers_redirects(server: EffectServer):
    async def answer_late(request: Received) -> Reply:
        await asyncio.sleep(0.08)
        return redirect(request.path + "x")

    for length in range(1, 7):
        server.on("/" + "x" * (length - 1), answer_late)
    assert (await fault_of(server, limits=HASTY)).fault is EgressFault.TIMEOUT


async def test_f54_a_server_that_never_completes_the_tls_handshake_is_given_up(server: EffectServer):
    # A plain server takes the client's hello for the beginning of a request and waits for the rest.
    client = World().make_client(["127.0.0.1"], limits=HASTY)
    with pytest.raises(EgressError) as caught:
        await client.send(EgressRequest("GET", f"https://127.0.0.1:{server.port}/"))
    assert caught.value.fault is EgressFault.TIMEOUT


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!",), id="half of the body"),
        pytest.param((CHUNKED, b"5\r\nhalf!\r\n"), id="half of the chunks"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-",), id="half of the head"),
        pytest.param((), id="nothing at all"),
    ],
)
async def test_f56_a_connection_that_breaks_gives_a_retryable_fault_and_no_part(pieces: tuple[bytes, ...], server: EffectServer):
    server.on("/", send_raw(*pieces))
    fault = await fault_of(server)
    assert (fault.fault, fault.is_retryable) == (EgressFault.CONNECTION_FAILED, True)


NOW_MS = 1_750_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        ("5", 5_000),
        ("0", 0),
        ("86400", 3_600_000),
        ("99999999999999999999", 3_600_000),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90_000),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), 3_600_000),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), None),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
async def test_f57_retry_after_is_believed_only_where_it_makes_sense(value: str, expected_ms: int | None, server: EffectServer):
    server.on("/", Reply(503, (("Retry-After", value),)))
    assert (await get(server, clock=ManualClock(NOW_MS))).retry_after_ms == expected_ms


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100_000, id="1xx flood"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 2**20 + b"\r\n\r\n", id="1 MiB headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 2**17 + b"\r\n", id="1 MiB of headers"),
        pytest.param(CHUNKED + b"zz\r\nx\r\n0\r\n\r\n", id="chunk size"),
        pytest.param(CHUNKED + b"-1\r\nx\r\n0\r\n\r\n", id="negative chunk size"),
        pytest.param(CHUNKED + b"fffffffffffffffffffffffff\r\nx", id="huge chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 999999 What\r\n\r\n", id="status"),
    ],
)
async def test_net_20_an_answer_that_is_no_http_is_invalid(pieces: bytes, server: EffectServer):
    server.on("/", send_raw(pieces))
    fault = await fault_of(server)
    assert (fault.fault, fault.is_retryable) == (EgressFault.RESPONSE_INVALID, False)
    await wait_until_released(server)


async def test_net_20_interim_answers_before_a_good_one_are_fine(server: EffectServer):
    server.on("/", send_raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert (await get(server)).body == b"ok"


def _make_server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - its stubs name an optional package
    return context


def _trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - as above
    return context


async def _call_with_tls(
    server_context: ssl.SSLContext, trust: ssl.SSLContext | None, host: str = "api.example"
) -> tuple[World, EgressClient, EgressResponse]:
    async with serve_http(server_context) as server:
        world = World(ports={443: server.port})
        world.names.set(host, ["93.184.216.34"])
        client = world.make_client(tls=trust)
        try:
            return world, client, await client.send(EgressRequest("GET", f"https://{host}/"))
        finally:
            await client.aclose()


async def test_net_18_a_trusted_server_is_called_by_its_name():
    authority = trustme.CA()
    world, _, response = await _call_with_tls(_make_server_context(authority.issue_cert("api.example")), _trust(authority))
    assert response.status == 200
    assert world.server_names == ["api.example"]
    assert world.connected == [("93.184.216.34", 443)]


async def test_net_18_certificates_that_prove_nothing_are_refused():
    authority, stranger = trustme.CA(), trustme.CA()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    refused = {
        "self-signed": (_make_server_context(stranger.issue_cert("api.example")), _trust(authority)),
        "expired": (_make_server_context(authority.issue_cert("api.example", not_after=yesterday)), _trust(authority)),
        "wrong host": (_make_server_context(authority.issue_cert("other.example")), _trust(authority)),
        "by address": (_make_server_context(authority.issue_cert("93.184.216.34")), _trust(authority)),
        "by default": (_make_server_context(authority.issue_cert("api.example")), None),
    }
    for name, (server_context, trust) in refused.items():
        with pytest.raises(EgressError) as caught:
            await _call_with_tls(server_context, trust)
        assert caught.value.fault is EgressFault.TLS, name
        assert not caught.value.is_retryable


async def test_net_18_tls_1_0_is_refused():
    authority = trustme.CA()
    context = _make_server_context(authority.issue_cert("api.example"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the case
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        world = World(ports={443: listener.getsockname()[1]})
        world.names.set("api.example", ["93.184.216.34"])
        server = asyncio.create_task(asyncio.to_thread(_shake_hands_once, listener, context))
        with pytest.raises(EgressError) as caught:
            await world.make_client(tls=_trust(authority)).send(EgressRequest("GET", "https://api.example/"))
        assert await server == "refused"
    assert caught.value.fault is EgressFault.TLS


def _shake_hands_once(listener: socket.socket, context: ssl.SSLContext) -> str:
    """A blocking server, because asyncio's closes before the alert that names the reason has left."""
    connection, _ = listener.accept()
    with connection:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except ssl.SSLError:
            return "refused"
    return "agreed"
