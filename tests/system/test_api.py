"""What operators look at, over HTTP."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.support.databases import Kind
from tests.support.filled import make_place, make_run
from tests.support.sessions import KINDS
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.audit.models import AuditRow
from flowforge.cluster.health import HealthPages
from flowforge.cluster.queues import ALIVE, WorkerLine
from flowforge.configuration.ports import PresentSettings
from flowforge.engine.tables import outbox, queue, refused_messages, runs
from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.values import JsonObject
from flowforge.system.endpoints import ROUTERS
from flowforge.system.figures import HOUR_MS as HOUR
from flowforge.system.ports import MailFolder, NextTimes, ReadWorkers, RunLetters
from flowforge.web.calls import Call


@dataclass
class Letter:
    run_id: str = "run_" + "1" * 26
    workflow: str = "orders"
    step: str = "charge"
    tries: int = 3
    since_ms: int | None = 1_700_000_000_000


@dataclass
class Letters:
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def list(self, workspace_id: str) -> Sequence[Letter]:
        return [Letter()]

    async def tell(self, workspace_id: str, run_id: str, kind: str, actor: str) -> None:
        self.told.append((run_id, kind))


LETTERS = Letters()


async def read_workers(*, dead_limit: int) -> list[WorkerLine]:
    return [
        WorkerLine(7, "up", "worker", "here", 12, "0.1.0", ("default",), None, ALIVE, 1_700_000_000_000, 0, 1, 0, is_leader=True)
    ]


NEXT: JsonObject = {
    "trigger_id": "trg_" + "1" * 26,
    "workflow_id": "wf_" + "1" * 26,
    "workflow": "orders",
    "at": "2026-03-01T08:00:00Z",
}


async def list_next_times(_call: Call, _limit: int) -> Sequence[JsonObject]:
    return [NEXT]


def make_ports(folder: Path) -> dict[type, object]:
    return {
        HealthPages: HealthPages([], Metrics(), clock=SystemClock(), version="0"),
        ReadWorkers: read_workers,
        RunLetters: LETTERS,
        NextTimes: list_next_times,
        MailFolder: lambda: folder / "mail",
    }


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    ports = make_ports(tmp_path)
    async with open_web_lab(tmp_path, ROUTERS, ports=ports) as lab:
        ports[PresentSettings] = PresentSettings(lab.parts.database, lab.parts.clock)
        yield lab


async def test_whoever_is_signed_in_learns_what_is_on(lab: WebLab):
    lab.gate.caller = make_caller("nothing:at_all")
    told = (await lab.client.get("/api/v1/info")).json()
    assert told["database"] == "sqlite"
    assert told["features"] == []
    assert (await lab.client.get("/api/v1/system/queues")).status_code == 403


async def test_health_workers_and_queues_are_shown(lab: WebLab):
    health = (await lab.client.get("/api/v1/system/health")).json()
    assert health["status"] == "unreachable"  # it still starts
    workers = (await lab.client.get("/api/v1/system/workers")).json()["data"]
    assert [(worker["no"], worker["state"]) for worker in workers] == [(7, "alive")]
    async with lab.parts.database.write.begin() as session:
        await session.execute(insert(runs).values(**make_run(1)))
        await session.execute(insert(queue).values(**make_place(1)))
    queues = (await lab.client.get("/api/v1/system/queues")).json()["data"]
    assert queues[0]["queue"] == "default"


async def list_one_by_one(lab: WebLab, path: str) -> list[JsonObject]:
    """Page by page, one row each."""
    rows: list[JsonObject] = []
    query = {"limit": "1"}
    while True:
        page = (await lab.client.get(path, params=query)).json()
        rows += page["data"]
        if page["next_cursor"] is None:
            return rows
        query["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("kind", KINDS)
async def test_dead_letters_are_shown_tried_again_and_given_up(kind: Kind, tmp_path: Path):
    event: dict[str, Any] = {
        "workspace_id": DEFAULT_WORKSPACE_ID,
        "aggregate_type": "run",
        "aggregate_id": "run_1",
        "event_type": "run.finished",
        "payload": "{}",
        "created_at": 1,
        "attempts": 9,
        "last_error": "nobody answered",
        "dead_at": 2,
    }
    LETTERS.told.clear()
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports=make_ports(tmp_path)) as lab:
        async with lab.parts.database.write.begin() as session:
            await session.execute(insert(outbox).values(**event))
            await session.execute(insert(outbox).values(**event | {"aggregate_id": "run_2"}))
            await session.execute(insert(refused_messages).values(at=1, queue="default", reason="no JSON", excerpt="x"))
        listed = (await lab.client.get("/api/v1/system/dead-letters")).json()["data"]
        assert [letter["kind"] for letter in listed] == ["run", "event", "event", "message"]
        assert await list_one_by_one(lab, "/api/v1/system/dead-letters") == listed
        run, dead, _, message = (f"/api/v1/system/dead-letters/{letter['id']}" for letter in listed)
        assert (await lab.client.post(f"{dead}/redrive")).status_code == 204
        assert (await lab.client.post(f"{dead}/redrive")).status_code == 404
        assert (await lab.client.post(f"{message}/redrive")).status_code == 409
        assert (await lab.client.post(f"{message}/discard")).status_code == 204
        assert (await lab.client.post(f"{run}/discard")).status_code == 204
        assert (await lab.client.post("/api/v1/system/dead-letters/event_x/discard")).status_code == 404
        assert LETTERS.told == [(Letter().run_id, "discard")]
        async with lab.parts.database.read() as session:
            actions = list(await session.scalars(select(AuditRow.action).order_by(AuditRow.no)))
        assert actions == ["dead_letter.redriven", "dead_letter.discarded", "dead_letter.discarded"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_dashboard_counts_the_last_day(kind: Kind, tmp_path: Path):
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports=make_ports(tmp_path)) as lab:
        now_ms = lab.parts.clock.now_ms()
        rows = [
            make_run(1, status="completed", started_at=now_ms - 10, finished_at=now_ms),
            make_run(2, status="failed", started_at=now_ms - 2 * HOUR, finished_at=now_ms, error_code="timeout"),
            make_run(3, status="completed", started_at=now_ms - 2 * HOUR, finished_at=now_ms),
            make_run(4, status="completed", started_at=now_ms - 30 * HOUR, finished_at=now_ms),
            make_run(5, status="running", started_at=now_ms - 10, finished_at=None, owner=1),
            make_run(6, status="running", started_at=now_ms - 10, finished_at=None, owner=None),
            make_run(7, status="completed", workspace_id="ws_" + "2" * 26, started_at=now_ms, finished_at=now_ms),
        ]
        async with lab.parts.database.write.begin() as session:
            for row in rows:
                await session.execute(insert(runs).values(**row))
            await session.execute(insert(queue).values(**make_place(6, cause="released", workspace_id=DEFAULT_WORKSPACE_ID)))
        told = (await lab.client.get("/api/v1/stats/dashboard")).json()
        assert (told["running"], told["waiting"], told["queued"]) == (1, 1, 0)
        assert told["by_status"] == {"completed": 2, "failed": 1, "running": 2}
        assert told["completion_rate"] == pytest.approx(2 / 3, abs=0.001)
        assert len(told["by_hour"]) == 24
        assert sum(sum(hour["by_status"].values()) for hour in told["by_hour"]) == 5
        assert [run["error_code"] for run in told["failed"]] == ["timeout"]
        assert told["next"] == [NEXT]


async def test_mails_of_the_outbox_are_shown_as_text(lab: WebLab, tmp_path: Path):
    folder = tmp_path / "mail"
    folder.mkdir()
    name = "20260101T101112123Z-0123456789ab"
    (folder / f"{name}.eml").write_bytes(
        b"From: a@example.com\r\nTo: b@example.com\r\nSubject: <b>Hello</b>\r\nContent-Type: text/plain\r\n\r\nThe text."
    )
    (folder / "notes.txt").write_text("not a mail")
    listed = await list_one_by_one(lab, "/api/v1/system/mail")
    assert [(mail["id"], mail["at"], mail["from"]) for mail in listed] == [(name, "2026-01-01T10:11:12.123Z", "a@example.com")]
    shown = (await lab.client.get(f"/api/v1/system/mail/{name}")).json()
    assert shown["text"] == "The text."
    for wrong in ("..%2f..%2fnotes", "notes", "20260101T101112123Z-ffffffffffff"):
        assert (await lab.client.get(f"/api/v1/system/mail/{wrong}")).status_code == 404
