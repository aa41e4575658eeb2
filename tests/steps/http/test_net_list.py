"""The list NET of addresses that may not be called (A09, NET-23), through every place of these operations that takes a URL."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.steps.http.calls import call
from tests.support.attempts import Attempts
from tests.support.servers import EffectServer, redirect

from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError, Operation
from flowforge.steps.http.download import download
from flowforge.steps.http.request import request as http_request
from flowforge.steps.http.upload import upload

REFUSED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "NET-01": (
        "egress_denied",
        (
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0.0.0.0/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
        ),
    ),
    "NET-02": (
        "egress_denied",
        ("http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/"),
    ),
    "NET-03": (
        "egress_denied",
        ("http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1::1]/", "http://[2002:7f00:1::]/", "http://[fc00::1]/"),
    ),
    "NET-04": (
        "egress_denied",
        ("http://169.254.169.254/latest", "http://100.100.100.200/", "http://100.64.0.1/", "http://192.0.0.192/"),
    ),
    "NET-05": (
        "egress_denied",
        (
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://192.168.0.1/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://240.0.0.1/",
            "http://255.255.255.255/",
        ),
    ),
    "NET-11": ("scheme", ("file:///etc/passwd", "gopher://x/", "ftp://x/", "dict://x/", "data:,x", "unix:/tmp/x")),
    "NET-14": ("port_denied", tuple(f"http://api.example:{port}/" for port in (22, 25, 6379, 5432, 11211))),
}
ALL = [pytest.param(code, url, id=f"{case} {url}") for case, (code, urls) in REFUSED.items() for url in urls]
CALLERS: Mapping[str, tuple[Operation, JsonObject]] = {
    "http.request": (http_request, {}),
    "http.request to a file": (http_request, {"response": "file"}),
    "http.request with pages": (http_request, {"paging": {"link": True}}),
    "http.download": (download, {}),
    "http.upload": (upload, {"path": "a.txt"}),
    "http.upload by tus": (upload, {"path": "a.txt", "protocol": "tus"}),
}


@pytest.fixture(autouse=True)
def source(attempts: Attempts, tmp_path: Path) -> None:
    (tmp_path / "work/a.txt").write_bytes(b"x")


@pytest.mark.parametrize(("operation", "parameters"), CALLERS.values(), ids=CALLERS.keys())
@pytest.mark.parametrize(("code", "url"), ALL)
async def test_a09_net_23_no_operation_calls_what_the_guard_refuses(
    code: str, url: str, operation: Operation, parameters: JsonObject, attempts: Attempts, server: EffectServer
):
    with pytest.raises(FatalError) as caught:
        await attempts.call(operation, {"url": url, **parameters})
    assert (caught.value.code, server.connections) == (code, 0)


@pytest.mark.parametrize(("operation", "parameters"), CALLERS.values(), ids=CALLERS.keys())
@pytest.mark.parametrize(("code", "url"), ALL)
async def test_a09_net_23_nor_does_a_token_url(
    code: str, url: str, operation: Operation, parameters: JsonObject, attempts: Attempts, server: EffectServer
):
    auth: JsonObject = {"oauth2": {"token_url": url, "client_id": "a", "client_secret": "b"}}
    with pytest.raises(FatalError) as caught:
        await call(attempts, operation, "/", auth=auth, **parameters)
    assert (caught.value.code, server.connections) == (code, 0)


@pytest.mark.parametrize(("operation", "parameters"), CALLERS.values(), ids=CALLERS.keys())
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(("target", "code"), [("http://127.0.0.1/", "egress_denied"), ("file:///etc/passwd", "scheme")])
async def test_net_08_nor_does_a_redirect_lead_there(
    target: str, code: str, status: int, operation: Operation, parameters: JsonObject, attempts: Attempts, server: EffectServer
):
    server.on("/", redirect(target, status))
    with pytest.raises(FatalError) as caught:
        await call(attempts, operation, "/", **parameters)
    assert (caught.value.code, len(server.received)) == (code, 1)


@pytest.mark.parametrize(("operation", "parameters"), CALLERS.values(), ids=CALLERS.keys())
async def test_a02_a_host_that_came_with_data_is_judged_after_it_was_filled_in(
    operation: Operation, parameters: JsonObject, attempts: Attempts, server: EffectServer
):
    body = {"host": "127.0.0.1"}
    with pytest.raises(FatalError) as caught:
        await attempts.call(operation, {"url": f"https://{body['host']}/", **parameters})
    assert (caught.value.code, server.connections) == ("egress_denied", 0)
