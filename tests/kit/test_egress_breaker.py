"""F58: a host that fails is left alone, and comes back by itself."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, StreamingClient, World
from tests.support.servers import HANG, EffectServer, Received, Reply, send_raw, serve_http

from flowforge.kit.egress import BreakerRules, CircuitOpenError, EgressClient, EgressError, EgressFault, EgressRequest
from flowforge.kit.egress.breaker import Breakers
from flowforge.kit.egress.urls import Target
from flowforge.kit.limits import Limits
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.outbound import OUTBOUND_ERRORS, explain_egress

RULES = BreakerRules(failed_share=0.5, calls_min=10)
"""Fewer calls than in earnest."""

REQUEST = EgressRequest("GET", "http://public.example/")
TARGET = Target("https", "api.example", 443, b"/", None)


@pytest.fixture(params=[EgressClient, StreamingClient], ids=["send", "stream"])
def client_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "client_class", request.param)


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make_client(server: EffectServer, clock: ManualClock, limits: Limits | None = None) -> EgressClient:
    world = World(ports={80: server.port, 8080: server.port})
    world.names.set("public.example", [PUBLIC_ADDRESS])
    world.names.set("other.example", ["93.184.216.35"])
    return world.make_client(clock=clock, limits=limits, breaker_rules=RULES)


async def call(client: EgressClient, request: EgressRequest = REQUEST) -> str:
    """The status, or the fault."""
    try:
        return str((await client.send(request)).status)
    except EgressError as error:
        return error.fault.value


@pytest.mark.usefixtures("client_class")
async def test_f58_a_failing_host_is_left_alone_and_tried_again_after_30_s(server: EffectServer, clock: ManualClock):
    server.on("/", Reply(503))
    client = make_client(server, clock)
    assert [await call(client) for _ in range(12)] == ["503"] * 10 + ["circuit_open"] * 2
    clock.advance(29_999)
    assert await call(client) == "circuit_open"
    assert len(server.received) == 10
    clock.advance(1)
    assert await call(client) == "503"
    assert await call(client) == "circuit_open"
    clock.advance(30_000)
    server.on("/", Reply(200))
    assert [await call(client) for _ in range(20)] == ["200"] * 20
    await client.aclose()


async def test_f58_other_hosts_and_ports_are_called_as_before(server: EffectServer, clock: ManualClock):
    server.on("/", Reply(500))
    client = make_client(server, clock)
    for _ in range(11):
        await call(client)
    server.on("/", Reply(200))
    for url in ("http://other.example/", "http://public.example:8080/"):
        assert await call(client, EgressRequest("GET", url)) == "200"
    assert await call(client) == "circuit_open"
    await client.aclose()


async def test_f58_a_name_that_is_not_found_opens_the_circuit(server: EffectServer, clock: ManualClock):
    world = World(ports={80: server.port})
    client = world.make_client(clock=clock, breaker_rules=RULES)
    request = EgressRequest("GET", "http://flaps.example/")
    assert [await call(client, request) for _ in range(11)] == ["connection_failed"] * 10 + ["circuit_open"]
    assert len(world.names.asked) == 10
    world.names.set("flaps.example", [PUBLIC_ADDRESS])
    clock.advance(30_000)
    assert await call(client, request) == "200"
    await client.aclose()


@pytest.mark.usefixtures("client_class")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_these_statuses_are_failures(status: int, server: EffectServer, clock: ManualClock):
    server.on("/", Reply(status))
    client = make_client(server, clock)
    assert [await call(client) for _ in range(11)] == [str(status)] * 10 + ["circuit_open"]
    await client.aclose()


@pytest.mark.usefixtures("client_class")
@pytest.mark.parametrize(
    "reply", [Reply(200), Reply(404), Reply(429), Reply(501), Reply(200, (("Content-Encoding", "br"),), b"x")]
)
async def test_other_answers_are_none(reply: Reply, server: EffectServer, clock: ManualClock):
    server.on("/", reply)
    client = make_client(server, clock)
    assert "circuit_open" not in [await call(client) for _ in range(15)]
    await client.aclose()


@pytest.mark.usefixtures("client_class")
async def test_silence_and_breaks_are_failures(server: EffectServer, clock: ManualClock):
    client = make_client(server, clock, Limits(http_total_ms=20, http_idle_ms=20))
    server.on("/", HANG)
    assert [await call(client) for _ in range(5)] == ["http_timeout"] * 5
    server.on("/", send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!"))
    assert [await call(client) for _ in range(5)] == ["connection_failed"] * 5
    assert await call(client) == "circuit_open"
    await client.aclose()


async def test_what_never_left_the_house_counts_neither_way(server: EffectServer, clock: ManualClock):
    client = make_client(server, clock)
    for _ in range(15):
        assert await call(client, EgressRequest("GET", "http://10.0.0.1/")) == "egress_denied"
        assert await call(client, EgressRequest("GET", "http://public.example:22/")) == "port_denied"
    await client.aclose()


async def test_a_cancelled_call_counts_neither_way_and_frees_the_probe(server: EffectServer, clock: ManualClock):
    client = make_client(server, clock)
    server.on("/", HANG)
    for _ in range(15):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.send(REQUEST), 0.01)
    server.on("/", Reply(503))
    assert [await call(client) for _ in range(11)][-1] == "circuit_open"
    clock.advance(30_000)
    server.on("/", HANG)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.send(REQUEST), 0.01)
    server.on("/", Reply(200))
    assert await call(client) == "200"
    await client.aclose()


async def test_only_one_probe_is_under_way(server: EffectServer, clock: ManualClock):
    server.on("/", Reply(503))
    client = make_client(server, clock)
    for _ in range(10):
        await call(client)
    clock.advance(30_000)
    go_on = asyncio.Event()

    async def answer_late(request: Received) -> Reply:
        del request
        await go_on.wait()
        return Reply(200)

    server.on("/", answer_late)
    probe = asyncio.create_task(call(client))
    while len(server.received) < 11:
        await asyncio.sleep(0)
    with pytest.raises(CircuitOpenError) as caught:
        await client.send(REQUEST)
    assert caught.value.after_ms == 5_000
    go_on.set()
    assert await probe == "200"
    assert await call(client) == "200"
    await client.aclose()


async def test_the_error_says_where_and_when_and_postpones(server: EffectServer):
    clock = ManualClock(1_750_000_000_000)
    server.on("/", Reply(503))
    client = make_client(server, clock)
    for _ in range(10):
        await call(client)
    clock.advance(10_000)
    with pytest.raises(EgressError) as caught:
        await client.send(REQUEST)
    await client.aclose()
    assert caught.value.message == (
        "public.example failed too often in the last minute and is left alone; the next call is tried in 20 s."
    )
    step_error = explain_egress(caught.value)
    assert isinstance(step_error, RetryableError)
    assert (step_error.code, step_error.after_ms, step_error.postpones) == ("circuit_open", 20_000, True)
    assert step_error.details == {"host": "public.example", "until": "2025-06-15T15:07:10Z"}


@pytest.mark.parametrize("fault", list(EgressFault))
def test_every_fault_is_explained_and_declared(fault: EgressFault):
    error = CircuitOpenError("x", 1, 1) if fault is EgressFault.CIRCUIT_OPEN else EgressError(fault, "Why.")
    explained = explain_egress(error)
    assert isinstance(explained, FatalError | RetryableError)
    assert explained.code == fault.value
    declared = {code.code: code.retryable for code in OUTBOUND_ERRORS}
    assert declared[fault.value] == error.is_retryable


def run(breakers: Breakers, clock: ManualClock, outcomes: str) -> str:
    """Each letter a call and a second: `f`ails, `s`ucceeds. What was let through is given back, the rest as `-`."""
    seen = ""
    for outcome in outcomes:
        try:
            breakers.begin(TARGET).end(503 if outcome == "f" else 200, None)
            seen += outcome
        except CircuitOpenError:
            seen += "-"
        clock.advance(1_000)
    return seen


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("fffffffff" + "s", "fffffffffs"),
        ("fffffffff" + "f", "ffffffffff"),
        ("ffffffffff" + "s", "ffffffffff-"),
        ("sfsfsfsfsf" + "s", "sfsfsfsfsf-"),
        ("ssfsfsfsfsf" + "s", "ssfsfsfsfsfs"),
        ("f" * 45, "f" * 10 + "-" * 29 + "f" + "-" * 5),
    ],
)
def test_half_of_ten_outcomes_open_it(outcomes: str, expected: str):
    clock = ManualClock()
    assert run(Breakers(RULES, clock), clock, outcomes) == expected


def test_failures_are_forgotten_after_a_minute():
    clock = ManualClock()
    breakers = Breakers(RULES, clock)
    run(breakers, clock, "fffffffff")
    clock.advance(60_000)
    assert run(breakers, clock, "fffffffffs") == "fffffffffs"


def test_a_call_from_before_says_nothing_about_now():
    clock = ManualClock()
    breakers = Breakers(RULES, clock)
    late = [breakers.begin(TARGET) for _ in range(3)]
    run(breakers, clock, "ffffffffff")
    late[0].end(200, None)
    assert run(breakers, clock, "s") == "-"
    clock.advance(30_000)
    probe = breakers.begin(TARGET)
    late[1].end(None, asyncio.CancelledError())
    with pytest.raises(CircuitOpenError):
        breakers.begin(TARGET)
    probe.end(200, None)
    late[2].end(503, None)
    assert run(breakers, clock, "fffffffff") == "fffffffff"


def test_the_circuits_that_are_kept_are_bounded():
    clock = ManualClock()
    breakers = Breakers(BreakerRules(failed_share=0.5, calls_min=10, circuits_max=100), clock)
    for number in range(1_000):
        breakers.begin(Target("https", f"h{number}.example", 443, b"/", None)).end(503, None)
    assert len(breakers._circuits) <= 100  # pyright: ignore[reportPrivateUsage]


@given(st.lists(st.tuples(st.sampled_from("fsc"), st.integers(0, 20_000)), max_size=120))
def test_it_always_comes_back_when_the_host_does(steps: list[tuple[str, int]]):
    clock = ManualClock()
    breakers = Breakers(RULES, clock)
    for outcome, pause_ms in steps:
        with contextlib.suppress(CircuitOpenError):  # whether it opens is for the other tests
            error = asyncio.CancelledError() if outcome == "c" else None
            breakers.begin(TARGET).end(503 if outcome == "f" else 200, error)
        clock.advance(pause_ms)
    clock.advance(30_000)
    breakers.begin(TARGET).end(200, None)
    assert breakers.check(TARGET) is None


@pytest.mark.parametrize(
    ("outcomes", "last"), [("s" * 6 + "f" * 14, "f"), ("s" * 5 + "f" * 15, "-"), ("f" * 19, "f"), ("f" * 20, "-")]
)
def test_in_earnest_three_of_four_of_twenty_calls_must_fail(outcomes: str, last: str):
    clock = ManualClock()
    assert run(Breakers(BreakerRules(), clock), clock, outcomes + "f")[-1] == last
