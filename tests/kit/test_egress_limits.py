"""How many calls a host gets at once, and how often."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import EffectServer, Received, Reply, redirect, serve_http

from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient, EgressRequest, HostLimit, HostLimits
from flowforge.kit.egress.host_limits import Gates
from flowforge.kit.errors import ValidationError
from flowforge.kit.limits import Limits


class Counting:
    """Answers when told to; knows how many wait at once, and who came in which order."""

    def __init__(self, server: EffectServer) -> None:
        self.now = self.most = 0
        self.order: list[str] = []
        self.go_on = asyncio.Event()
        server.on("/", self.answer)

    async def answer(self, request: Received) -> Reply:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(request.target)
        await self.go_on.wait()
        self.now -= 1
        return Reply()


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


def make_client(server: EffectServer, host_limits: str, limits: Limits | None = None) -> EgressClient:
    world = World(ports={80: server.port})
    for number, host in enumerate(("api.example", "a.slow.example", "b.slow.example", "other.example")):
        world.names.set(host, [PUBLIC_ADDRESS[:-1] + str(number)])
    return world.make_client(clock=SystemClock(), host_limits=host_limits, limits=limits)


async def wait_until(counting: Counting, count: int) -> None:
    async with asyncio.timeout(5):
        while counting.now < count:
            await asyncio.sleep(0.001)


async def settle() -> None:
    """Time for whoever may come in to come in."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_never_more_than_the_limit_at_once_and_in_order(server: EffectServer):
    counting = Counting(server)
    client = make_client(server, "api.example=3")
    tasks: list[asyncio.Task[object]] = []
    for number in range(12):
        tasks.append(asyncio.create_task(client.send(EgressRequest("GET", f"http://api.example/?{number}"))))
        await asyncio.sleep(0)
    await wait_until(counting, 3)
    await settle()
    assert counting.now == 3
    counting.go_on.set()
    await asyncio.gather(*tasks)
    await client.aclose()
    assert counting.most == 3
    assert len(counting.order) == 12
    # Of the three that are let in together, each may reach the server first.
    for start in range(0, 12, 3):
        assert {f"/?{number}" for number in range(start, start + 3)} & set(counting.order[start : start + 3])


async def test_hosts_do_not_share_places(server: EffectServer):
    counting = Counting(server)
    client = make_client(server, "*.slow.example=1, *=2")
    urls = [f"http://{host}/" for host in ("a.slow.example", "b.slow.example", "other.example") for _ in range(4)]
    tasks = [asyncio.create_task(client.send(EgressRequest("GET", url))) for url in urls]
    await wait_until(counting, 4)
    await settle()
    assert counting.now == 4
    counting.go_on.set()
    await asyncio.gather(*tasks)
    await client.aclose()


async def test_a_stream_holds_its_place_until_it_is_left(server: EffectServer):
    client = make_client(server, "api.example=1")
    server.on("/", Reply(body=b"x"))
    async with client.stream(EgressRequest("GET", "http://api.example/1"), max_bytes=10):
        waiting = asyncio.create_task(client.send(EgressRequest("GET", "http://api.example/2")))
        await settle()
        assert [request.target for request in server.received] == ["/1"]
    assert (await waiting).status == 200
    await client.aclose()


async def test_waiting_uses_up_no_time_and_can_be_cancelled(server: EffectServer):
    counting = Counting(server)
    client = make_client(server, "api.example=1", Limits(http_total_ms=400))
    first = asyncio.create_task(client.send(EgressRequest("GET", "http://api.example/?1")))
    await wait_until(counting, 1)
    given_up = asyncio.create_task(client.send(EgressRequest("GET", "http://api.example/?2")))
    patient = asyncio.create_task(client.send(EgressRequest("GET", "http://api.example/?3")))
    await asyncio.sleep(0.3)
    given_up.cancel()
    counting.go_on.set()
    assert (await first).status == 200
    counting.go_on.clear()
    await wait_until(counting, 1)
    await asyncio.sleep(0.25)  # 0.55 s since it asked, 0.25 s since it was let in
    counting.go_on.set()
    assert (await patient).status == 200
    await client.aclose()
    assert counting.order == ["/?1", "/?3"]


async def test_places_come_back_after_failures_and_redirects(server: EffectServer):
    server.on("/moved", redirect("http://api.example/end"))
    server.on("/denied", redirect("http://10.0.0.1/"))
    client = make_client(server, "*=1")
    async with asyncio.timeout(5):
        for path in ("moved", "denied", "moved", "denied", "end"):
            outcome = await asyncio.gather(
                client.send(EgressRequest("GET", f"http://api.example/{path}")), return_exceptions=True
            )
            assert len(outcome) == 1
    await client.aclose()
    assert len(server.received) == 7


async def test_a_rate_is_kept(server: EffectServer):
    client = make_client(server, "api.example=32@20/s")
    started_s = time.monotonic()
    await asyncio.gather(*(client.send(EgressRequest("GET", "http://api.example/")) for _ in range(30)))
    took_s = time.monotonic() - started_s
    await client.aclose()
    # 20 at once, then one each 50 ms.
    assert 0.45 <= took_s < 3


async def test_a_rate_is_a_bucket_that_fills_again():
    clock = ManualClock()
    gates = Gates(HostLimits.parse("x.example=1@2/s"), clock)

    async def enter_without_waiting() -> bool:
        try:
            async with asyncio.timeout(0.02), gates.enter("x.example"):
                return True
        except TimeoutError:
            return False

    assert [await enter_without_waiting() for _ in range(3)] == [True, True, False]
    clock.advance(500)
    assert [await enter_without_waiting() for _ in range(2)] == [True, False]
    clock.advance(60_000)
    assert [await enter_without_waiting() for _ in range(3)] == [True, True, False]


async def test_gates_that_nobody_uses_are_let_go():
    clock = ManualClock()
    gates = Gates(HostLimits.parse("*=1@100/h"), clock)
    for number in range(3_000):
        async with gates.enter(f"h{number}.example"):
            pass
        clock.advance(60_000)
    assert len(gates._gates) <= 1_024  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.example", HostLimit(4, 10.0)),
        ("x.slow.org", HostLimit(1)),
        ("very.slow.org", HostLimit(9)),
        ("a.very.slow.org", HostLimit(2, 100 / 60)),
        ("slow.org", HostLimit(5, 1 / 3.6)),
        ("10.0.0.1", HostLimit(7)),
        ("::1", HostLimit(8)),
        ("elsewhere.org", HostLimit(5, 1 / 3.6)),
    ],
)
def test_the_most_exact_entry_counts(host: str, expected: HostLimit):
    limits = HostLimits.parse(
        "API.example=4@10/s, *.slow.org=1,*.very.slow.org = 2@100/m , very.slow.org=9, *=5@1000/h, 10.0.0.1=7, [::1]=8,"
    )
    assert limits.find(host) == expected


def test_without_entries_a_host_has_32_places_and_no_rate():
    assert HostLimits.parse("").find("api.example") == HostLimit(32, None)


@pytest.mark.parametrize(
    "entry",
    [
        *("x", "x=", "=4", "x=0", "x=-1", "x=1.5", "x=4@", "x=4@10", "x=4@0/s", "x=4@10/d", "x=100000", "a b=1", "http://x=1"),
        *("*.=1", "*x=1", "x:80=1", "x=1 x=2", "*=1, *=2", "x=4/s"),
    ],
)
def test_what_is_no_limit_is_refused(entry: str):
    with pytest.raises(ValidationError) as caught:
        HostLimits.parse(f"fine.example=1, {entry}")
    assert [(detail.field, detail.code) for detail in caught.value.details] == [("EGRESS_LIMITS", "egress_limits_invalid")]
