"""`script.javascript` and `script.python` as steps: their errors, their log, and their way out."""

from pathlib import Path

import pytest
from tests.kit.sandbox.conftest import LIMITS
from tests.steps.script.world import open_shop
from tests.support.servers import Reply, json_reply, redirect

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, Operation, RetryableError
from flowforge.operations.models import IS_LITERAL, collect_marked
from flowforge.steps.script.javascript import javascript
from flowforge.steps.script.python import python

SECRET = "s3cr3t-t0ken-value"
LANGUAGES = [pytest.param(javascript, id="javascript"), pytest.param(python, id="python")]


def needs_python(operation: Operation) -> None:
    if operation is python:
        pytest.importorskip("pydantic_monty", reason="an optional package")


def write(operation: Operation, javascript_source: str, python_source: str) -> str:
    needs_python(operation)
    return python_source if operation is python else javascript_source


@pytest.mark.parametrize("operation", LANGUAGES)
def test_the_source_is_written_by_the_author_and_the_input_may_hold_secrets(operation: Operation):
    assert collect_marked(operation.parameters, IS_LITERAL) == {"source"}
    assert operation.secret_parameters == {"input"}


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_a_script_knows_its_run(operation: Operation, tmp_path: Path):
    source = write(operation, "return context", "context")
    async with open_shop(tmp_path) as (attempts, _, _):
        known = await attempts.call(operation, {"source": source}, key="key-7")
    assert known == {"run_id": "run_1", "step": "step", "attempt": 1, "idempotency_key": "key-7"}


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_scr_25_a_secret_that_is_logged_is_masked(operation: Operation, tmp_path: Path):
    source = write(
        operation,
        "console.log('token', input); log.info('x', { token: input, level: 1 }); return input.length",
        "print('token', input)\nlog.info('x', token=input, level=1)\nlen(input)",
    )
    async with open_shop(tmp_path, SECRET) as (attempts, _, _):
        assert await attempts.call(operation, {"source": source, "input": SECRET}) == len(SECRET)
        assert [level for level, _, _ in attempts.log] == ["info", "info"]
        assert SECRET not in str(attempts.log)
        assert attempts.log[1][2].keys() == {"token", "level_"}


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_scr_28_a_secret_in_an_error_is_masked(operation: Operation, tmp_path: Path):
    source = write(operation, "throw new Error('<b>' + input)", "raise ValueError('<b>' + input)")
    async with open_shop(tmp_path, SECRET) as (attempts, _, _):
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": source, "input": SECRET})
    assert caught.value.code == "script_error"
    assert "<b>" in caught.value.message, "it is text; who shows it escapes it"
    assert SECRET not in caught.value.message
    assert isinstance(caught.value.details, dict)
    assert caught.value.details["line"] == 1


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_scr_02_a_syntax_error_is_told_with_its_line(operation: Operation, tmp_path: Path):
    needs_python(operation)
    async with open_shop(tmp_path) as (attempts, _, _):
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": "\n\n1 = = 1"})
    assert caught.value.code == "script_syntax"
    assert isinstance(caught.value.details, dict)
    assert caught.value.details["line"] == 3


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_scr_14_http_has_what_the_step_has(operation: Operation, tmp_path: Path):
    options = '{ query: { q: [1, 2] }, headers: { "X-Mine": "a" }, auth: { bearer: input }, json: { n: 1 } }'
    source = write(
        operation,
        f"const answer = await http.post('https://api.example.com/orders', {options}); return answer",
        "http.post('https://api.example.com/orders', query={'q': [1, 2]}, headers={'X-Mine': 'a'}, auth={'bearer': input}, json={'n': 1})",
    )
    async with open_shop(tmp_path, SECRET) as (attempts, server, _):
        server.on("/orders", json_reply({"made": True}, 404))
        answer = await attempts.call(operation, {"source": source, "input": SECRET})
        [request] = server.received
    assert isinstance(answer, dict)
    assert answer["status"] == 404
    assert answer["body"] == {"made": True}
    assert answer.keys() == {"status", "headers", "body", "url"}
    assert (request.method, request.target, request.body) == ("POST", "/orders?q=1&q=2", b'{"n":1}')
    assert (request.headers["x-mine"], request.headers["authorization"]) == ("a", f"Bearer {SECRET}")


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_equal_calls_of_another_attempt_carry_the_same_key(operation: Operation, tmp_path: Path):
    source = write(
        operation,
        "for (const n of [1, 1, 2]) await http.post('https://api.example.com/pay', { json: n })",
        "for n in [1, 1, 2]:\n  http.post('https://api.example.com/pay', json=n)",
    )
    async with open_shop(tmp_path) as (attempts, server, _):
        server.on("/pay", Reply())
        for _ in range(2):
            await attempts.call(operation, {"source": source}, key="key-1")
        keys = [request.headers["idempotency-key"] for request in server.received]
    assert keys[:3] == keys[3:]
    assert len(set(keys)) == 3
    assert all(key.startswith("key-1-") for key in keys)


NET: list[tuple[str, str, str]] = [
    ("NET-01", "http://127.0.0.1/", "egress_denied"),
    ("NET-01 octal", "http://0177.0.0.1/", "egress_denied"),
    ("NET-02", "http://[::ffff:127.0.0.1]/", "egress_denied"),
    ("NET-03", "http://[64:ff9b::a9fe:a9fe]/", "egress_denied"),
    ("NET-04", "http://169.254.169.254/latest/meta-data", "egress_denied"),
    ("NET-05", "http://10.0.0.1/", "egress_denied"),
    ("NET-11", "file:///etc/passwd", "scheme"),
    ("NET-11 gopher", "gopher://example.com/", "scheme"),
    ("NET-12", "http://user:pw@api.example.com/", "url_invalid"),
    ("NET-14", "http://api.example.com:6379/", "port_denied"),
]


@pytest.mark.parametrize("operation", LANGUAGES)
@pytest.mark.parametrize(("url", "code"), [pytest.param(*case[1:], id=case[0]) for case in NET])
async def test_net_23_a09_a_script_goes_through_the_same_guard(url: str, code: str, operation: Operation, tmp_path: Path):
    source = write(operation, "return await http.get(input)", "http.get(input)")
    async with open_shop(tmp_path) as (attempts, _, world):
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": source, "input": url})
        assert world.connected == []
    assert caught.value.code == code


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_net_08_net_23_a_redirect_inwards_is_refused(operation: Operation, tmp_path: Path):
    source = write(operation, "return await http.get('https://api.example.com/go')", "http.get('https://api.example.com/go')")
    async with open_shop(tmp_path) as (attempts, server, world):
        server.on("/go", redirect("http://169.254.169.254/"))
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": source})
        assert len(world.connected) == 1
    assert caught.value.code == "egress_denied"


@pytest.mark.parametrize("operation", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        pytest.param("X-A", "a\r\nX-B: b", "header_invalid", id="NET-15"),
        pytest.param("Host", "other.example.com", "header_reserved", id="NET-16"),
    ],
)
async def test_net_15_net_16_net_23_headers_are_judged(name: str, value: str, code: str, operation: Operation, tmp_path: Path):
    source = write(
        operation,
        "await http.get('https://api.example.com/orders/42', { headers: input })",
        "http.get('https://api.example.com/orders/42', headers=input)",
    )
    async with open_shop(tmp_path) as (attempts, _, _):
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": source, "input": {name: value}})
    assert caught.value.code in {code, "invalid_parameters"}
    assert code in {caught.value.code, *(str(detail["code"]) for detail in _list_details(caught.value.details))}


def _list_details(details: JsonValue) -> list[dict[str, JsonValue]]:
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


async def test_a_failed_call_has_the_code_and_the_retries_of_http_request(tmp_path: Path):
    async with open_shop(tmp_path) as (attempts, server, world):
        world.ports[443] = 1
        with pytest.raises(RetryableError) as caught:
            await attempts.call(javascript, {"source": "await http.get('https://api.example.com/orders/42')"})
        assert caught.value.code == "connection_failed"
        world.ports[443] = server.port
        server.on("/busy", Reply(503, (("Retry-After", "7"),)))
        with pytest.raises(RetryableError) as expected:
            await attempts.call(javascript, {"source": "await http.get('https://api.example.com/busy', { expect: 200 })"})
    assert (expected.value.code, expected.value.after_ms) == ("http_503", 7_000)


@pytest.mark.parametrize("option", ["no_such_option", "cache"])
async def test_an_option_that_does_not_exist_is_named(option: str, tmp_path: Path):
    async with open_shop(tmp_path) as (attempts, _, _):
        with pytest.raises(FatalError, match=option):
            await attempts.call(javascript, {"source": f"await http.get('https://api.example.com/', {{ {option}: '1m' }})"})


@pytest.mark.parametrize("operation", LANGUAGES)
async def test_scr_04_a_limit_ends_the_step_for_good(operation: Operation, tmp_path: Path):
    source = write(operation, "while (true) {}", "while True: pass")
    async with open_shop(tmp_path, limits=LIMITS) as (attempts, _, _):
        with pytest.raises(FatalError) as caught:
            await attempts.call(operation, {"source": source})
    assert caught.value.code == "script_timeout"
    assert caught.value.code in {error.code for error in operation.errors}
