from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import HANG, EffectServer, Received, Reply, json_reply, redirect, send_endlessly, send_raw, serve_http

from flowforge.kit.caching import MemoryCache
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext, FatalError, RetryableError
from flowforge.operations.caching import ResultCache, run_cached
from flowforge.operations.calling import InvalidParametersError, find_target, run_effect, validate_parameters
from flowforge.steps.http.request import request as http_request

SECRET = "s3cr+t/with=signs&more"


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
async def attempts(server: EffectServer, tmp_path: Path) -> AsyncGenerator[Attempts]:
    """`api.example` leads to the server."""
    world = World(ports={80: server.port})
    world.names.set("api.example", [PUBLIC_ADDRESS])
    client = world.make_client(limits=Limits(http_total_ms=300))
    yield Attempts(make_services(tmp_path, client), secrets=(SECRET,))
    await client.aclose()


async def call(attempts: Attempts, path: str = "/", **parameters: JsonValue) -> JsonObject:
    output = await attempts.call(http_request, {"url": f"http://api.example{path}", **parameters})
    assert isinstance(output, dict)
    return output


async def refuse(attempts: Attempts, path: str = "/", **parameters: JsonValue) -> FatalError | RetryableError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await call(attempts, path, **parameters)
    return caught.value


def is_retried(error: FatalError | RetryableError) -> bool:
    return isinstance(error, RetryableError) and error.by_default


async def test_json_is_parsed_and_headers_are_lower_case(attempts: Attempts, server: EffectServer):
    server.on(
        "/", Reply(headers=(("Content-Type", "application/problem+json; charset=utf-8"), ("X-Trace", "7")), body=b'{"a":[1,2.5]}')
    )
    output = await call(attempts)
    assert output["status"] == 200
    assert output["body"] == {"a": [1, 2.5]}
    assert output["headers"] == {
        "content-type": "application/problem+json; charset=utf-8",
        "x-trace": "7",
        "content-length": "13",
    }
    assert output["url"] == "http://api.example/"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/plain", b"a\xc3\xa4", "aä"),
        ("text/plain; charset=ISO-8859-1", b"\xe4", "ä"),
        ("text/plain; charset=utf-16", "ä".encode("utf-16"), "ä"),
        ("text/plain; charset=punycode", b"a", "a"),
        ("text/plain; charset=nonsense", b"\xff", "\ufffd"),
        ("application/json", b"  ", None),
        ("application/octet-stream", b"", ""),
    ],
)
async def test_a_body_is_read_as_its_type_says(
    content_type: str, body: bytes, expected: str | None, attempts: Attempts, server: EffectServer
):
    server.on("/", Reply(headers=(("Content-Type", content_type),), body=body))
    assert (await call(attempts))["body"] == expected


async def test_the_body_comes_as_asked_for(attempts: Attempts, server: EffectServer):
    server.on("/a/report.pdf", Reply(headers=(("Content-Type", "application/pdf"),), body=b'{"a": 1}'))
    assert (await call(attempts, "/a/report.pdf", response="json"))["body"] == {"a": 1}
    assert (await call(attempts, "/a/report.pdf", response="text"))["body"] == '{"a": 1}'
    assert (await call(attempts, "/a/report.pdf", response="base64"))["body"] == "eyJhIjogMX0="
    stored = (await call(attempts, "/a/report.pdf?x=1", response="file"))["body"]
    assert isinstance(stored, dict)
    facts = stored["$file"]
    assert isinstance(facts, dict)
    assert (facts["name"], facts["media_type"], facts["size"]) == ("report.pdf", "application/pdf", 8)


@pytest.mark.parametrize(
    ("parameters", "content_type", "body"),
    [
        ({"json": {"a": [1, None, "ä"]}}, "application/json", '{"a":[1,null,"ä"]}'.encode()),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": "x y&z", "b": [1, True, None], "c": None}}, "application/x-www-form-urlencoded", b"a=x+y%26z&b=1&b=true"),
        ({"text": "ä"}, "text/plain; charset=utf-8", "ä".encode()),
        ({"text": "<a/>", "headers": {"content-type": "text/xml"}}, "text/xml", b"<a/>"),
    ],
)
async def test_the_body_is_sent_as_given(
    parameters: JsonObject, content_type: str, body: bytes, attempts: Attempts, server: EffectServer
):
    await attempts.call(http_request, {"url": "http://api.example/", "method": "POST", **parameters})
    sent = server.received[0]
    assert (sent.method, sent.headers["content-type"], sent.body) == ("POST", content_type, body)


async def test_query_parameters_are_added_and_encoded(attempts: Attempts, server: EffectServer):
    await call(attempts, "/x?a=1#part", query={"b": "x y/ä&", "c": [1, 2.0, False], "d": None})
    assert server.received[0].target == "/x?a=1&b=x%20y%2F%C3%A4%26&c=1&c=2&c=false"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"bearer": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"basic": {"user": "me", "password": "pw"}}, "authorization", "Basic bWU6cHc="),
        ({"api_key": {"header": "X-Api-Key", "value": "k"}}, "x-api-key", "k"),
    ],
)
async def test_it_signs_in(auth: JsonObject, header: str, value: str, attempts: Attempts, server: EffectServer):
    await call(attempts, auth=auth)
    assert server.received[0].headers[header] == value


async def test_an_api_key_may_go_into_the_query(attempts: Attempts, server: EffectServer):
    output = await call(attempts, auth={"api_key": {"query": "key", "value": SECRET}})
    assert server.received[0].target == "/?key=s3cr%2Bt%2Fwith%3Dsigns%26more"
    assert output["url"] == "http://api.example/?key=***"


async def test_every_attempt_carries_the_idempotency_key(attempts: Attempts, server: EffectServer):
    for _ in range(2):
        await attempts.call(http_request, {"url": "http://api.example/"}, key="one")
    await call(attempts, headers={"Idempotency-Key": "own"})
    assert server.deliveries == {"one": 2, "own": 1}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_status_that_may_pass_is_retried(status: int, attempts: Attempts, server: EffectServer):
    server.on("/", json_reply({"why": "later"}, status))
    error = await refuse(attempts)
    assert (error.code, is_retried(error)) == (f"http_{status}", True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_another_status_is_retried_only_where_the_step_says_so(status: int, attempts: Attempts, server: EffectServer):
    server.on("/", json_reply({"why": "no"}, status))
    error = await refuse(attempts)
    assert isinstance(error, RetryableError)
    assert (error.code, error.by_default) == (f"http_{status}", False)
    assert isinstance(error.details, dict)
    assert (error.details["status"], error.details["body"], error.details["url"]) == (
        status,
        {"why": "no"},
        "http://api.example/",
    )


@pytest.mark.parametrize(("expect", "status"), [(404, 404), ([200, 404], 404), ([503], 503)])
async def test_an_expected_status_is_a_success(expect: JsonValue, status: int, attempts: Attempts, server: EffectServer):
    server.on("/", json_reply(None, status))
    assert (await call(attempts, expect=expect))["status"] == status


async def test_a_good_status_that_was_not_expected_is_an_error(attempts: Attempts):
    assert (await refuse(attempts, expect=[201])).code == "http_200"


@pytest.mark.parametrize(
    ("value", "after_ms"),
    [("7", 7_000), ("86400", 3_600_000), ("-1", None), ("soon", None), ("Mon, 01 Jan 2001 00:00:00 GMT", None)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_f57_retry_after_is_handed_to_the_engine(
    value: str, after_ms: int | None, status: int, attempts: Attempts, server: EffectServer
):
    server.on("/", Reply(status, (("Retry-After", value),)))
    error = await refuse(attempts)
    assert isinstance(error, RetryableError)
    assert error.after_ms == after_ms


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": ', id="F59 cut"),
        pytest.param(b"<html>", id="F59 html"),
        pytest.param(b'{"a": 99999999999999999999}', id="F59 number"),
    ],
)
async def test_f59_broken_json_where_json_was_promised_is_invalid(body: bytes, attempts: Attempts, server: EffectServer):
    server.on("/json", Reply(headers=(("Content-Type", "application/json"),), body=body))
    server.on("/text", Reply(headers=(("Content-Type", "text/html"),), body=body))
    for error in (await refuse(attempts, "/json"), await refuse(attempts, "/text", response="json")):
        assert (error.code, is_retried(error)) == ("response_invalid", False)
        assert isinstance(error.details, dict)
        assert error.details["excerpt"] == body.decode()


async def test_f59_the_excerpt_is_short_and_masked_before_it_is_cut(attempts: Attempts, server: EffectServer):
    body = b"x" * 1_015 + SECRET.encode() + "ä".encode() * 10_000
    server.on("/", Reply(headers=(("Content-Type", "application/json"),), body=body))
    error = await refuse(attempts)
    assert isinstance(error.details, dict)
    excerpt = error.details["excerpt"]
    assert isinstance(excerpt, str)
    assert excerpt.startswith("x" * 1_015 + "***ä")
    assert len(excerpt.encode()) <= 1_024


async def test_f52_an_endless_body_is_not_retried(attempts: Attempts, server: EffectServer):
    server.on("/", send_endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536))
    error = await refuse(attempts)
    assert error.code == "response_too_large"
    assert isinstance(error, FatalError)


async def test_f54_silence_is_retried(attempts: Attempts, server: EffectServer):
    server.on("/", HANG)
    error = await refuse(attempts)
    assert (error.code, is_retried(error)) == ("http_timeout", True)


async def test_f56_a_reset_is_retried_and_gives_no_output(attempts: Attempts, server: EffectServer):
    server.on("/", send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!"))
    error = await refuse(attempts)
    assert (error.code, is_retried(error), error.details) == ("connection_failed", True, None)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("http://127.0.0.1/", "egress_denied", id="NET-01"),
        pytest.param("http://[::ffff:127.0.0.1]/", "egress_denied", id="NET-02"),
        pytest.param("http://169.254.169.254/latest/meta-data", "egress_denied", id="NET-04"),
        pytest.param("file:///etc/passwd", "scheme", id="NET-11"),
        pytest.param("http://user:pw@api.example/", "url_invalid", id="NET-12"),
        pytest.param("http://api.example:6379/", "port_denied", id="NET-14"),
        pytest.param("http://api.example/\r\nX: y", "header_invalid", id="NET-15"),
    ],
)
async def test_net_23_what_the_guard_refuses_fails_the_step_for_good(
    url: str, code: str, attempts: Attempts, server: EffectServer
):
    with pytest.raises(FatalError) as caught:
        await attempts.call(http_request, {"url": url})
    assert caught.value.code == code
    assert server.received == []


async def test_a02_a_host_that_came_with_data_is_judged_after_it_was_filled_in(attempts: Attempts, server: EffectServer):
    body: JsonObject = {"host": "127.0.0.1", "text": "${{ secrets.API }}"}
    with pytest.raises(FatalError) as caught:
        await attempts.call(http_request, {"url": f"https://{body['host']}/"})
    assert caught.value.code == "egress_denied"
    await call(attempts, method="POST", json=body, headers={"X-Text": "{{=%%${{ x }}"})
    assert server.received[0].body == b'{"host":"127.0.0.1","text":"${{ secrets.API }}"}'
    assert server.received[0].headers["x-text"] == "{{=%%${{ x }}"


async def test_net_19_the_depth_of_calls_is_sent(attempts: Attempts, server: EffectServer):
    attempts.depth = 2
    await call(attempts)
    assert server.received[0].headers["flowforge-depth"] == "3"


async def test_redirects_are_followed_unless_told_otherwise(attempts: Attempts, server: EffectServer):
    server.on("/start", redirect("/end"))
    assert (await call(attempts, "/start"))["url"] == "http://api.example/end"
    stayed = await call(attempts, "/start", follow_redirects=False)
    assert (stayed["status"], stayed["url"]) == (302, "http://api.example/start")


FAULTY: Mapping[str, tuple[JsonObject, str, str]] = {
    "NET-15 header value": ({"headers": {"X": "a\r\nb"}}, "headers", "header_invalid"),
    "NET-15 header name": ({"headers": {"X Y": "a"}}, "headers", "header_invalid"),
    "NET-15 method": ({"method": "get"}, "method", "invalid_parameters"),
    "NET-15 connect": ({"method": "CONNECT"}, "method", "invalid_parameters"),
    "NET-16 host": ({"headers": {"Host": "x"}}, "headers", "header_reserved"),
    "NET-16 length": ({"headers": {"content-LENGTH": "1"}}, "headers", "header_reserved"),
    "NET-16 key": ({"auth": {"api_key": {"header": "Proxy-Authorization", "value": "x"}}}, "auth.api_key", "header_reserved"),
    "NET-18 verify": ({"verify": False}, "verify", "invalid_parameters"),
    "two bodies": ({"json": 1, "text": "x"}, "", "invalid_parameters"),
    "two ways to sign in": ({"auth": {"bearer": "x", "basic": {"user": "a", "password": "b"}}}, "auth", "invalid_parameters"),
    "no way to sign in": ({"auth": {}}, "auth", "invalid_parameters"),
    "a colon in the user": ({"auth": {"basic": {"user": "a:b", "password": "b"}}}, "auth.basic.user", "invalid_parameters"),
    "a kept answer to a change": ({"method": "POST", "cache": "10m"}, "", "invalid_parameters"),
    "a kept file": ({"response": "file", "cache": "10m"}, "", "invalid_parameters"),
    "kept for too long": ({"cache": "2d"}, "cache", "invalid_parameters"),
    "no place for the key": ({"auth": {"api_key": {"value": "x"}}}, "auth.api_key", "invalid_parameters"),
}


@pytest.mark.parametrize(("parameters", "field", "code"), FAULTY.values(), ids=FAULTY.keys())
def test_faulty_parameters_are_refused_by_field(parameters: JsonObject, field: str, code: str):
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(http_request, {"url": "http://api.example/", **parameters})
    assert [(fault.field, fault.code) for fault in caught.value.faults] == [(field, code)]


async def test_a_secret_with_a_line_break_is_not_shown(attempts: Attempts):
    error = await refuse(attempts, auth={"bearer": "s3cret-value\n"})
    assert error.code == "header_invalid"
    assert "s3cret" not in error.message


@pytest.mark.parametrize("status", [200, 500])
async def test_a19_a_secret_that_the_server_echoes_is_masked(status: int, attempts: Attempts, server: EffectServer):
    def echo(request: Received) -> Reply:
        return json_reply({"seen": request.headers["authorization"], "target": request.target}, status)

    server.on("/", echo)
    if status == 200:
        shown = repr(await call(attempts, auth={"bearer": SECRET}, query={"key": SECRET}))
    else:
        error = await refuse(attempts, auth={"bearer": SECRET}, query={"key": SECRET})
        shown = f"{error} {error.message} {error.details}"
    assert "***" in shown
    assert "s3cr" not in shown


async def test_the_ledger_sees_the_host_alone():
    assert find_target(http_request, {"url": "https://API.example:8443/orders?key=1"}) == "api.example"
    assert find_target(http_request, {"url": "https://good@evil.example/"}) is None
    assert find_target(http_request, {}) is None


async def test_an_equal_request_is_answered_from_the_cache_for_its_time(attempts: Attempts, server: EffectServer):
    clock = ManualClock()
    services = attempts.services | {ResultCache: MemoryCache(clock)}
    context = AttemptContext("run_1", "a", 1, "key", services, read_clock=clock.now_ms)

    async def ask(path: str, cache: str | None) -> None:
        parameters: JsonObject = {"url": f"http://api.example{path}", "cache": cache}

        async def run() -> tuple[str, JsonValue]:
            return await run_effect(http_request, validate_parameters(http_request, parameters), context)

        await run_cached(http_request, parameters, context, "ws_1", run)

    for path, cache in (("/a", "1m"), ("/a", "1m"), ("/b", "1m"), ("/c", None), ("/c", None)):
        await ask(path, cache)
    clock.advance(60_000)
    await ask("/a", "1m")
    assert [received.path for received in server.received] == ["/a", "/b", "/c", "/c", "/a"]
