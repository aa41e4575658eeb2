"""Cases NET through `object.*`: where a store may be, and where it may not."""

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from tests.support.network import PUBLIC_ADDRESS
from tests.support.s3 import BUCKET, HOST, Bucket, open_bucket, open_trusted_bucket
from tests.support.servers import redirect, serve_http

from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError, Operation, RetryableError
from flowforge.steps.object.copy import copy
from flowforge.steps.object.delete import delete
from flowforge.steps.object.get import get
from flowforge.steps.object.list import list_objects
from flowforge.steps.object.put import put
from flowforge.steps.object.stat import look

CALLS: list[tuple[Operation, JsonObject]] = [
    (get, {"key": "x"}),
    (put, {"key": "x", "data": "1"}),
    (list_objects, {}),
    (copy, {"key": "x", "to": "y"}),
    (delete, {"key": "x"}),
    (look, {"key": "x"}),
]


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncGenerator[Bucket]:
    async with open_bucket(tmp_path) as opened:
        yield opened


async def code_of(bucket: Bucket, endpoint: str, operation: Operation = get, more: JsonObject | None = None) -> str:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await bucket.attempts.call(
            operation, {"store": {**bucket.store(), "endpoint": endpoint}, **({"key": "x"} if more is None else more)}
        )
    assert caught.value.message.endswith(".")
    return caught.value.code


DENIED = {
    "NET-01": ["127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f.1", "0177.0.0.1"],
    "NET-02": ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"],
    "NET-03": ["[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[fc00::1]"],
    "NET-04": ["169.254.169.254", "100.100.100.200", "100.64.0.1", "192.0.0.192", "168.63.129.16"],
    "NET-05": ["10.0.0.1", "172.16.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
}


@pytest.mark.parametrize(("case", "host"), [(case, host) for case, hosts in DENIED.items() for host in hosts])
async def test_net_23_an_address_that_is_not_public_is_denied_without_a_packet(case: str, host: str, bucket: Bucket):
    for scheme in ("http", "https"):
        assert await code_of(bucket, f"{scheme}://{host}") == "egress_denied", case
    assert bucket.world.connected == []


@pytest.mark.parametrize(("operation", "more"), CALLS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_net_23_every_operation_is_judged(scheme: str, operation: Operation, more: JsonObject, bucket: Bucket):
    bucket.world.names.set("metadata.google.internal", ["169.254.169.254"])
    assert await code_of(bucket, f"{scheme}://metadata.google.internal", operation, more) == "egress_denied"
    assert await code_of(bucket, f"{scheme}://{HOST}:22", operation, more) == "port_denied"
    assert bucket.world.connected == []


@pytest.mark.parametrize("answer", [[PUBLIC_ADDRESS, "fd00::1"], [PUBLIC_ADDRESS, "10.0.0.1"]])
async def test_net_06_a_name_is_denied_if_any_of_its_addresses_is(answer: list[str], bucket: Bucket):
    bucket.world.names.set("mixed.example", answer)
    assert await code_of(bucket, "http://mixed.example") == "egress_denied"
    assert bucket.world.connected == []


async def test_net_07_a_name_is_resolved_once_a_connection_and_that_address_connected_to(bucket: Bucket):
    bucket.world.names.set(HOST, [PUBLIC_ADDRESS], ["127.0.0.1"])
    await bucket.attempts.call(put, {"store": bucket.store(), "key": "x", "data": "1"})
    assert bucket.world.names.asked == [HOST]
    assert bucket.world.connected == [(PUBLIC_ADDRESS, 80)]
    assert await code_of(bucket, f"http://{HOST}") == "egress_denied"
    assert bucket.world.connected == [(PUBLIC_ADDRESS, 80)]


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1/", "http://10.0.0.1/x", "http://other.example/x", f"http://{HOST}:8080/x"]
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_net_08_a_redirect_leads_nowhere_else(status: int, location: str, bucket: Bucket):
    bucket.world.names.set("other.example", ["93.184.216.35"])
    async with serve_http() as server:
        server.on(f"/{BUCKET}/x", redirect(location, status))
        bucket.world.ports[80] = server.port
        await code_of(bucket, f"http://{HOST}")
    assert set(bucket.world.connected) == {(PUBLIC_ADDRESS, 80)}


@pytest.mark.parametrize("endpoint", ["file:///etc", "gopher://x", "ftp://x", "unix:/run/x", "x", "//x"])
async def test_net_11_other_schemes_are_refused(endpoint: str, bucket: Bucket):
    assert await code_of(bucket, endpoint) == "scheme"


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("http://user:pw@s3.example.com", "url_invalid"),
        ("http://good@127.0.0.1", "url_invalid"),
        ("http://127.0.0.1#@good", "url_invalid"),
        ("http://s3.example.com?x=1", "url_invalid"),
        ("http://127.0.0.1\\@good", "url_invalid"),
        ("http://%31%32%37.0.0.1", "url_invalid"),
        ("http://s3.example.com:0", "url_invalid"),
        ("http://s3.example.com\r\nX: 1", "header_invalid"),
    ],
)
async def test_net_12_an_endpoint_means_the_same_to_the_judge_and_to_the_library(endpoint: str, code: str, bucket: Bucket):
    assert await code_of(bucket, endpoint) == code
    assert bucket.world.connected == []


@pytest.mark.parametrize("host", ["localhost", "localhost.", "foo.localhost", "10.0.0.1.nip.io"])
async def test_net_13_names_are_judged_by_their_address(host: str, bucket: Bucket):
    bucket.world.names.set(host.rstrip("."), ["127.0.0.1" if "local" in host else "10.0.0.1"])
    assert await code_of(bucket, f"http://{host}") == "egress_denied"
    assert bucket.world.connected == []


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211, 9000])
async def test_net_14_ports_are_denied_unless_listed(port: int, bucket: Bucket):
    assert await code_of(bucket, f"http://{HOST}:{port}") == "port_denied"
    assert await code_of(bucket, f"https://{HOST}:{port}") == "port_denied"
    assert bucket.world.connected == []


@pytest.mark.parametrize("allow", [["127.0.0.1"], ["127.0.0.0/8"]])
async def test_net_14_what_the_administrator_lists_is_open(allow: Sequence[str], tmp_path: Path):
    async with open_bucket(tmp_path, allow=allow) as bucket:
        store = bucket.store(endpoint=f"http://127.0.0.1:{bucket.port}")
        await bucket.attempts.call(put, {"store": store, "key": "x", "data": "1"})
        assert bucket.world.connected == [("127.0.0.1", bucket.port)]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "no_proxy"])
async def test_net_17_proxies_of_the_environment_are_not_read(name: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, name, "*" if name.lower() == "no_proxy" else "http://127.0.0.1:1")
    await bucket.attempts.call(put, {"store": bucket.store(), "key": "x", "data": "1"})
    assert bucket.world.connected == [(PUBLIC_ADDRESS, 80)]
    assert await code_of(bucket, "http://127.0.0.1:1") == "egress_denied"


async def test_net_18_a_certificate_that_is_not_trusted_is_refused(tmp_path: Path):
    async with open_trusted_bucket(tmp_path) as bucket:
        store = bucket.store(endpoint=f"https://{HOST}")
        await bucket.attempts.call(put, {"store": store, "key": "x", "data": "1"})
        bucket.world.names.set("other.example", [PUBLIC_ADDRESS])
        assert await code_of(bucket, "https://other.example") == "tls"
        os.environ.pop("SSL_CERT_FILE")
        assert await code_of(bucket, f"https://{HOST}") == "tls"
