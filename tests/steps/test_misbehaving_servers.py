"""F52-F57: every operation that speaks HTTP ends in one declared error, in time, when the server misbehaves, and leaves no half file."""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import HANG, Answer, EffectServer, Reply, drip, redirect, send_endlessly, send_raw, serve_http

from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.sandbox.pool import SandboxPool
from flowforge.kit.values import JsonObject
from flowforge.operations import AttemptError, RetryableError
from flowforge.steps import load_registry
from flowforge.steps.http.oauth import TokenCache

REGISTRY = load_registry()
URL = "http://api.example/x"
LIMITS = Limits(http_total_ms=700, http_idle_ms=700)
SMS: JsonObject = {"url": URL, "to": "+4915112345678", "text": "x", "form": {"To": "{to}", "Body": "{text}"}}
OAUTH: JsonObject = {"oauth2": {"token_url": URL, "client_id": "a", "client_secret": "b"}}
CALLS: Mapping[str, tuple[str, JsonObject]] = {
    "http.request": ("http.request", {"url": URL}),
    "http.request of a size": ("http.request", {"url": URL, "max_size": "1MiB"}),
    "http.request to a file": ("http.request", {"url": URL, "response": "file", "max_size": "1MiB"}),
    "http.request with a token": ("http.request", {"url": "http://api.example/y", "auth": OAUTH}),
    "http.download": ("http.download", {"url": URL, "path": "out/x", "max_size": "1MiB", "resumes": 0}),
    "http.upload": ("http.upload", {"url": URL, "path": "a.txt"}),
    "message.slack": ("message.slack", {"webhook_url": URL, "text": "x"}),
    "message.slack by its API": ("message.slack", {"server": URL, "token": "t", "channel": "#a", "text": "x"}),
    "message.sms": ("message.sms", SMS),
    "message.teams": ("message.teams", {"webhook_url": URL, "text": "x"}),
    "message.telegram": ("message.telegram", {"server": URL, "token": "t", "chat_id": 1, "text": "x"}),
    "message.webhook": ("message.webhook", {"url": URL, "data": 1, "secret": "s"}),
    "script.javascript": ("script.javascript", {"source": "return await http.get(input)", "input": URL}),
    "script.python": ("script.python", {"source": "http.get(input)", "input": URL}),
}
STREAMS = {"http.request to a file", "http.download"}
"""A body that is written to a file may take longer than the total time, as long as it moves; these end by their size."""
BOMB = gzip.compress(b"\0" * 2**26)
HALF = send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/json\r\n\r\nhalf!")


@asynccontextmanager
async def open_network(folder: Path) -> AsyncGenerator[tuple[Attempts, EffectServer]]:
    async with serve_http() as server:
        world = World(ports={80: server.port})
        world.names.set("api.example", [PUBLIC_ADDRESS])
        client = world.make_client(limits=LIMITS)
        pool = SandboxPool(LIMITS, size=1)
        services = make_services(folder, client)
        (folder / "work" / "a.txt").write_bytes(b"x")
        yield Attempts({**services, SandboxPool: pool, TokenCache: TokenCache(ManualClock())}, limits=LIMITS), server
        await pool.aclose()
        await client.aclose()


async def find_error(call: str, answer: Answer, folder: Path) -> AttemptError:
    """What the call ends with when all that it asks for is answered so; nothing of a file may be left then."""
    name, parameters = CALLS[call]
    operation = REGISTRY.get(name)
    async with open_network(folder) as (attempts, server):
        with suppress(AttemptError):  # to learn what it asks for
            await attempts.call(operation, parameters)
        store = attempts.services[ObjectStore]
        assert isinstance(store, ObjectStore)
        before = [len(list(store.list_objects())), *list_files(folder)]
        for path in {request.path for request in server.received}:
            server.on(path, answer)
        attempts.services[TokenCache] = TokenCache(ManualClock())
        async with asyncio.timeout(10):
            with pytest.raises(AttemptError) as caught:
                await attempts.call(operation, {**parameters, "mode": "replace"} if name == "http.download" else parameters)
        assert [len(list(store.list_objects())), *list_files(folder)] == before
    assert caught.value.code in {known.code for known in operation.errors} or caught.value.code.startswith("http_")
    return caught.value


def list_files(folder: Path) -> list[str]:
    return sorted(str(path) for path in (folder / "work").rglob("*") if path.is_file())


def is_retried(error: AttemptError) -> bool:
    return isinstance(error, RetryableError) and error.by_default


@pytest.mark.parametrize("call", CALLS)
async def test_f52_an_endless_answer_is_cut(call: str, tmp_path: Path):
    error = await find_error(call, send_endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536), tmp_path)
    assert (error.code, is_retried(error)) == ("response_too_large", False)


@pytest.mark.parametrize("call", CALLS)
async def test_f53_a_bomb_is_cut(call: str, tmp_path: Path):
    headers = (("Content-Encoding", "gzip"), ("Content-Type", "application/json"))
    error = await find_error(call, Reply(headers=headers, body=BOMB), tmp_path)
    assert (error.code, is_retried(error)) == ("response_too_large", False)


@pytest.mark.parametrize("call", CALLS)
async def test_f54_silence_ends_in_time(call: str, tmp_path: Path):
    error = await find_error(call, HANG, tmp_path)
    assert (error.code, is_retried(error)) == ("http_timeout", True)


@pytest.mark.parametrize("call", sorted(set(CALLS) - STREAMS))
async def test_f55_a_slow_answer_ends_in_time(call: str, tmp_path: Path):
    error = await find_error(call, drip(0.05), tmp_path)
    assert (error.code, is_retried(error)) == ("http_timeout", True)


@pytest.mark.parametrize("call", CALLS)
async def test_f56_half_an_answer_is_none(call: str, tmp_path: Path):
    error = await find_error(call, HALF, tmp_path)
    assert (error.code, is_retried(error)) == ("connection_failed", True)


@pytest.mark.parametrize("call", [call for call, (name, _) in CALLS.items() if not name.startswith("script.")])
async def test_f57_an_odd_retry_after_is_no_loop(call: str, tmp_path: Path):
    for written, at_most_ms in (("86400", 3_600_000), ("-1", 0), ("soon", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("7", 7_000)):
        folder = tmp_path / str(at_most_ms) / str(len(written))
        folder.mkdir(parents=True)
        error = await find_error(call, Reply(503, (("Retry-After", written),)), folder)
        assert is_retried(error)
        assert isinstance(error, RetryableError)
        assert (error.after_ms or 0) <= at_most_ms, written


@pytest.mark.parametrize("call", CALLS)
async def test_net_08_a_redirect_inwards_is_not_followed(call: str, tmp_path: Path):
    error = await find_error(call, redirect("http://169.254.169.254/latest", 307), tmp_path)
    follows = not call.startswith("message.") or call == "message.sms"
    refused = "oauth2_refused" if "token" in call else "http_307"  # where a redirect is an answer, and no success
    assert (error.code, is_retried(error)) == ("egress_denied" if follows and "token" not in call else refused, False)


def test_f52_each_operation_that_speaks_http_is_held_to_it():
    speaking = {operation.name for operation in REGISTRY if "response_too_large" in {error.code for error in operation.errors}}
    assert {name for name, _ in CALLS.values()} == speaking
