"""What a whole server tells of itself: a trace from the request to the step's own request, log lines by request id, figures."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.clock import ManualClock
from tests.support.collectors import open_collector
from tests.support.server_lab import NOTE, open_server_lab

from flowforge.cluster.health_checks import check_redis
from flowforge.engine.births import StartRequest, make_root
from flowforge.engine.jobs import make_job, read_job
from flowforge.engine.machine import RunState
from flowforge.engine.machine.work import Effect, StartJob
from flowforge.engine.outbox_events import list_birth_events
from flowforge.engine.store import TakenJob
from flowforge.entrypoints.server.figures import AuditFigures
from flowforge.entrypoints.server.redis import ping_redis
from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.bus.redis_urls import parse_redis_url
from flowforge.kit.errors import DependencyError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.signing import open_signing
from flowforge.kit.telemetry import start_logging
from flowforge.kit.telemetry.origins import Origin, Working

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
ID = "req-from-the-shop-17"


class Kept:
    """A log that can be read back."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None: ...

    def list_lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.data.splitlines()]


async def test_trace_goes_from_the_request_to_the_last_step_and_beyond(tmp_path: Path):
    with open_collector() as collector, open_collector() as partner:
        document: dict[str, Any] = {
            "flowforge": 1,
            "name": "call-out",
            "steps": [
                {"id": "post", "uses": "http.request", "with": {"method": "POST", "url": f"{partner.url}/orders", "json": {}}}
            ],
        }
        allowed = partner.url.removeprefix("http://")
        async with open_server_lab(tmp_path, otlp_endpoint=collector.url, egress_allow=allowed) as lab:
            await lab.publish(document)
            answer = await lab.start({"workflow": "call-out"}, "?wait=10s", traceparent=TRACEPARENT, x_request_id=ID)
            assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text
        spans = [span for span in collector.list_spans() if span.trace_id == TRACE]
        (served,) = (span for span in spans if span.name == "POST /api/v1/runs")
        (made,) = (span for span in spans if span.name == "step.attempt")
        assert (served.parent, served.kind) == (CALLER, 2)
        assert served.attributes["http.response.status_code"] == 200
        assert served.attributes["request_id"] == ID
        assert made.parent == served.span_id
        assert (made.attributes["step"], made.attributes["operation"]) == ("post", "http.request")
        assert answer.headers["traceparent"] == f"00-{TRACE}-{served.span_id}-01"
        assert [headers["traceparent"] for headers in partner.headers] == [f"00-{TRACE}-{made.span_id}-01"]
        assert collector.list_resources()[0]["service.name"] == "flowforge"


async def test_log_lines_of_steps_have_the_id_of_the_request_that_started_the_run(tmp_path: Path):
    kept = Kept()
    with start_logging(kept, level="info", masker=Masker(), is_console=False):
        async with open_server_lab(tmp_path) as lab:
            await lab.publish(NOTE)
            answers = await asyncio.gather(
                lab.start({"workflow": "note"}, "?wait=10s", traceparent=TRACEPARENT, x_request_id=ID),
                lab.start({"workflow": "note"}, "?wait=10s", x_request_id="another"),
            )
    by_run = {answer.json()["id"]: answer.headers["x-request-id"] for answer in answers}
    lines = [line for line in kept.list_lines() if line.get("run") in by_run]
    assert len(lines) >= 2
    assert {line["run"]: line["request_id"] for line in lines} == by_run
    assert {line["request_id"]: line.get("trace_id") for line in lines} == {ID: TRACE, "another": None}


async def test_figures_name_routes_and_never_paths(tmp_path: Path):
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        run = (await lab.start({"workflow": "note"}, "?wait=10s")).json()["id"]
        await lab.client.get(f"/api/v1/runs/{run}")
        await lab.client.get("/api/v1/made/up")
        await lab.client.post("/hooks/made/up")
        await lab.client.post("/api/v1/auth/login", json={"email": "nobody@example.com", "password": "not the right one"})
        page = (await lab.client.get("/metrics")).text
        ready = await lab.client.get("/ready")
        health = (await lab.client.get("/health")).json()
    assert 'flowforge_http_requests_total{method="POST",route="/api/v1/runs",status="200"} 1.0' in page
    assert 'flowforge_http_requests_total{method="GET",route="/api/v1/runs/{run_id}",status="200"} 1.0' in page
    assert 'flowforge_http_requests_total{method="GET",route="other",status="404"} 1.0' in page
    assert 'flowforge_http_requests_total{method="POST",route="/hooks/{path}",status="404"} 1.0' in page
    assert 'flowforge_webhook_deliveries_total{outcome="refused"} 1.0' in page
    assert "flowforge_sign_in_failures_total 1.0" in page
    assert "flowforge_open_connections 1.0" in page
    assert "made/up" not in page
    assert run not in page
    assert ready.status_code == 200
    assert {"database", "engine", "objects"} <= set(health["checks"])
    assert all("latency_ms" in check for check in health["checks"].values())


async def test_redis_that_is_away_is_told_by_its_place_and_makes_nobody_unready():
    clients = RedisClients(parse_redis_url("redis://:hidden@127.0.0.1:9", "REDIS_URL"))
    check = check_redis(partial(ping_redis, clients))
    with pytest.raises(DependencyError, match="does not answer") as raised:
        await check.probe()
    await clients.close()
    assert not check.is_needed
    assert "hidden" not in raised.value.message


async def test_audit_log_that_was_changed_shows_in_the_figures(tmp_path: Path):
    clock = ManualClock()
    async with open_server_lab(tmp_path) as lab:
        installation, metrics = lab.installation, lab.installation.metrics.server
        figures = AuditFigures(installation, open_signing(installation.settings, installation.folder), clock)
        await figures.run_once()
        assert metrics.audit_rows._value.get() > 0  # pyright: ignore[reportPrivateUsage] - nothing public reads a gauge
        clock.advance(300_000)
        await figures.run_once()
        assert metrics.audit_broken._value.get() == 0  # pyright: ignore[reportPrivateUsage] - as above
        async with installation.database.write.begin() as session:
            for (name,) in (await session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))).all():
                await session.execute(text(f"DROP TRIGGER {name}"))
            await session.execute(text("UPDATE audit_rows SET actor = 'nobody' WHERE no = 1"))
        clock.advance(86_400_000)
        await figures.run_once()
        assert metrics.audit_broken._value.get() == 1  # pyright: ignore[reportPrivateUsage] - as above


async def test_origin_goes_with_a_run_to_its_jobs_and_to_its_events(tmp_path: Path):
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        pinned = await lab.engine.parts.versions.resolve(DEFAULT_WORKSPACE_ID, "note", None)
        program = await lab.engine.programs.get(pinned["digest"])
    request = StartRequest(workspace_id=DEFAULT_WORKSPACE_ID, workflow=pinned, input={}, actor="user:usr_1")
    with Working(Origin(ID, TRACEPARENT)):
        birth = make_root(request, program.workflow, {}, no=1, run_id="run_1", at=0)
    (event,) = list_birth_events(birth.started, 0)
    assert event.traceparent == TRACEPARENT
    work = StartJob("heavy", Effect("say", 1, "log.write", {}, "key", None))
    job = make_job(1, RunState(program, birth.started, 0), 5, work, 0)
    taken = TakenJob(1, "run_1", job.key, job.attempt, job.workspace_id, job.queue, 1, job.params)
    assert read_job(taken).origin == Origin(ID, TRACEPARENT)
    assert "origin" not in make_root(request, program.workflow, {}, no=1, run_id="run_1", at=0).started
