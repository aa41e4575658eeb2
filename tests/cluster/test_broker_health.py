"""Health pages, over HTTP as a probe asks them."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from flowforge.cluster.health import OK, CheckResult, CheckStatus, HealthCheck, HealthPages, Stage
from flowforge.cluster.health_checks import check_clock, check_engine
from flowforge.cluster.health_server import serve_pages
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import StorageError, ValidationError
from flowforge.kit.telemetry.metrics import Metrics

TOKEN = "a-token-of-twenty-four-characters"


@dataclass
class Site:
    pages: HealthPages
    address: str
    client: httpx2.AsyncClient

    async def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> httpx2.Response:
        return await self.client.request(method, f"http://{self.address}{path}", headers=headers or {})


@asynccontextmanager
async def serving(*checks: HealthCheck, token: str | None = None) -> AsyncGenerator[Site]:
    pages = HealthPages(checks, Metrics(), clock=SystemClock(), version="1.2.3", metrics_token=token)
    async with serve_pages(pages, "127.0.0.1", 0) as address, httpx2.AsyncClient(trust_env=False) as client:
        yield Site(pages, address, client)


def check(name: str, probe: Callable[[], Awaitable[CheckResult]], *, is_needed: bool = True) -> HealthCheck:
    return HealthCheck(name, probe, is_needed=is_needed)


@dataclass
class Thing:
    """Something that a process depends on. `fault`: raised by its probe."""

    fault: Exception | None = None
    result: CheckResult = OK
    looks: int = 0
    waits_s: float = 0.0
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self) -> CheckResult:
        self.looks += 1
        self.is_asked.set()
        await asyncio.sleep(self.waits_s)
        if self.fault is not None:
            raise self.fault
        return self.result


async def test_health_tells_status_version_uptime_and_each_check() -> None:
    broker = Thing(result=CheckResult(CheckStatus.UNREACHABLE, "Nobody answers."))
    async with serving(check("database", Thing().probe), check("broker", broker.probe, is_needed=False)) as site:
        answer = await site.get("/health")
    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(told) == {"status", "stage", "version", "uptime_seconds", "checks"}
    assert told["status"] == "degraded"
    assert told["version"] == "1.2.3"
    assert told["uptime_seconds"] >= 0
    assert told["checks"]["database"]["status"] == "ok"
    assert told["checks"]["database"]["latency_ms"] >= 0
    assert told["checks"]["broker"] == {
        "status": "unreachable",
        "latency_ms": told["checks"]["broker"]["latency_ms"],
        "message": "Nobody answers.",
    }


async def test_f17_ready_is_refused_until_the_process_has_opened_what_it_needs() -> None:
    async with serving() as site:
        starting = await site.get("/ready")
        alive = await site.get("/live")
        site.pages.stage = Stage.READY
        ready = await site.get("/ready")
        site.pages.stage = Stage.CLOSING
        closing = await site.get("/ready")
    assert [answer.status_code for answer in (starting, alive, ready, closing)] == [503, 200, 200, 503]
    assert starting.headers["retry-after"] == "5"
    assert "starting" in starting.json()["reasons"]["stage"]


@pytest.mark.parametrize("fault", [StorageError("It is away."), OSError(111, "Connection refused"), TimeoutError()])
async def test_what_is_needed_and_away_makes_unready(fault: Exception) -> None:
    database, broker = Thing(fault), Thing(fault)
    async with serving(check("database", database.probe), check("broker", broker.probe, is_needed=False)) as site:
        site.pages.stage = Stage.READY
        answer = await site.get("/ready")
        health = (await site.get("/health")).json()
    assert answer.status_code == 503
    assert list(answer.json()["reasons"]) == ["database"]
    assert health["status"] == "unreachable"


async def test_what_hangs_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowforge.cluster.health.PROBE_TIMEOUT_S", 0.05)
    async with serving(check("database", Thing(waits_s=60).probe)) as site:
        site.pages.stage = Stage.READY
        assert (await site.get("/ready")).status_code == 503


async def test_many_questions_at_once_ask_the_database_once() -> None:
    database = Thing(waits_s=0.05)
    async with serving(check("database", database.probe)) as site:
        site.pages.stage = Stage.READY
        answers = await asyncio.gather(*(site.get("/ready") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert database.looks == 1


async def test_metrics_are_for_this_machine() -> None:
    async with serving() as site:
        answer = await site.get("/metrics")
        handed_on = await site.get("/metrics", {"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 200
    assert "flowforge_broker_up" in answer.text
    assert handed_on.status_code == 403


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": TOKEN}, 401),
    ],
)
async def test_metrics_with_a_token_need_it_from_everywhere(given: dict[str, str], status: int) -> None:
    async with serving(token=TOKEN) as site:
        assert (await site.get("/metrics", given)).status_code == status


async def test_metrics_are_refused_to_another_machine() -> None:
    pages = HealthPages([], Metrics(), clock=SystemClock(), version="1")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "path": "/metrics", "method": "GET", "headers": [], "client": ("203.0.113.9", 4711)}
    await pages(scope, receive, send)
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["error"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/health", 405), ("HEAD", "/live", 200), ("GET", "/health/../x", 404)],
)
async def test_other_pages_and_methods_are_refused(method: str, path: str, status: int) -> None:
    async with serving() as site:
        answer = await site.get(path, method=method)
    assert answer.status_code == status
    if status >= 400:
        assert set(answer.json()["error"]) == {"code", "message", "details", "requestId"}


async def test_a_taken_port_is_told_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pages = HealthPages([], Metrics(), clock=SystemClock(), version="1")
        with pytest.raises(ValidationError, match=f"127.0.0.1:{port}.*FLOWFORGE_HEALTH_PORT"):
            async with serve_pages(pages, "127.0.0.1", port):
                pass
        with pytest.raises(ValidationError, match="FLOWFORGE_HOST"):
            async with serve_pages(pages, "no.such.host.invalid", 0):
                pass


@dataclass
class Stuck:
    stall_cause: StorageError | None = None


async def test_an_engine_whose_commits_wait_is_not_ready() -> None:
    committer = Stuck()
    async with serving(check_engine(committer)) as site:
        site.pages.stage = Stage.READY
        assert await site.pages.find_hindrances() == {}
        committer.stall_cause = StorageError("The disk is away.")
        site.pages.add()
        assert "The disk is away." in (await site.pages.find_hindrances())["engine"]


@dataclass
class FixedClock(SystemClock):
    ahead_ms: int = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.mark.parametrize(
    ("ahead_ms", "status"),
    [(0, CheckStatus.OK), (1_500, CheckStatus.OK), (3_600_000, CheckStatus.DEGRADED), (-5_000, CheckStatus.DEGRADED)],
)
async def test_f42_a_clock_that_is_wrong_is_told(ahead_ms: int, status: CheckStatus) -> None:
    result = await check_clock(FixedClock(ahead_ms), SystemClock()).probe()
    assert result.status is status
    assert ("NTP" in result.message) is (status is CheckStatus.DEGRADED)
