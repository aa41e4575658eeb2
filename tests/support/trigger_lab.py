"""Triggers on a real database without an engine: runs are rows that a test ends by hand."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import cast

import orjson
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from tests.support.clock import ManualClock
from tests.support.databases import Kind
from tests.support.language_catalog import catalog
from tests.support.sessions import open_database_sessions

from flowforge.engine.births import StartRequest
from flowforge.engine.events import PinnedVersion
from flowforge.engine.executor.engine import Started
from flowforge.engine.store import Delivery, NewMail, Verdict
from flowforge.engine.tables import journal, runs
from flowforge.kit.border import encode
from flowforge.kit.database.session import Database
from flowforge.kit.errors import ConflictError, FlowForgeError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, IdSource, make_id
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.starting import Runner
from flowforge.triggers.firing import Firing
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.recording import Recorder
from flowforge.triggers.registry import get_kind
from flowforge.triggers.types import Trigger

WORKFLOW_ID = "wf_" + "1" * 26
_NUMBERS = count(1)


@dataclass
class RowRunner:
    """A runner whose runs are rows: unique by their name, as the engine's."""

    database: Database
    clock: ManualClock
    faults: list[FlowForgeError] = field(default_factory=list[FlowForgeError])
    """What the next starts fail with."""
    is_open_for_runs: bool = True

    async def start(self, request: StartRequest) -> Started:
        if self.faults:
            raise self.faults.pop(0)
        no, run_id = next(_NUMBERS), make_id("run")
        try:
            async with self.database.write.begin() as session:
                await session.execute(insert(runs).values(**self._describe(request, no, run_id)))
                body = encode(
                    [{"type": "run.started", "run": run_id, "trigger": request.trigger, "input": request.input}]
                ).decode()
                row = {"run_no": no, "seq": 1, "epoch": 0, "at": self.clock.now_ms(), "events": 1, "body": body}
                await session.execute(insert(journal).values(**row))
        except IntegrityError:
            async with self.database.read() as session:
                found = (await session.execute(select(runs.c.id, runs.c.no).where(runs.c.dedup == request.dedup))).one()
            return Started(found[0], found[1], Verdict.DUPLICATE)
        return Started(run_id, no, Verdict.DONE)

    def _describe(self, request: StartRequest, no: int, run_id: str) -> dict[str, object]:
        return {
            "no": no,
            "id": run_id,
            "workspace_id": request.workspace_id,
            "workflow_id": request.workflow["id"],
            "workflow_name": request.workflow["name"],
            "version": request.workflow["version"],
            "digest": request.workflow["digest"],
            "status": "running",
            "priority": 5,
            "actor": request.actor,
            "epoch": 0,
            "mail": 0,
            "crashes": 0,
            "dedup": request.dedup,
            "started_at": self.clock.now_ms(),
            "events": 1,
            "bytes": 1,
            "counted_seq": 1,
        }

    async def deliver(self, mail: NewMail) -> Delivery:
        raise NotImplementedError

    async def wait(self, run_no: int, timeout_s: float) -> None:
        raise NotImplementedError

    async def define(self, digest: str, definition: bytes) -> None:
        raise NotImplementedError

    async def pin(self, workspace_id: str, workflow: str, version: int | None = None) -> PinnedVersion:
        if not self.is_open_for_runs:
            raise ConflictError("It takes no runs.")
        return {"id": WORKFLOW_ID, "name": "nightly", "version": 1, "digest": "d"}


@dataclass(frozen=True)
class StartedRun:
    """A run as the tests look at it."""

    id: str
    dedup: str | None
    trigger: JsonObject
    input: JsonValue


@dataclass
class TriggerLab:
    """Triggers, their firing, and the runs that came of it."""

    database: Database
    clock: ManualClock
    runner: RowRunner
    firing: Firing

    async def add(self, kind: str, config: JsonObject, *, key: str = "t", trigger_id: str | None = None) -> Trigger:
        """A live trigger, made as publishing makes it. With the id of one that exists: that one, changed."""
        now_ms = self.clock.now_ms()
        async with self.database.write.begin() as session:
            row = None if trigger_id is None else await session.get(TriggerRow, trigger_id)
            if row is None:
                row = TriggerRow(
                    id=trigger_id or make_id("trg"),
                    workspace_id=DEFAULT_WORKSPACE_ID,
                    workflow_id=make_id("wf"),
                    workflow="nightly",
                    key=key,
                    kind=kind,
                    source="document",
                    is_live=True,
                    paused="",
                    created_at=now_ms,
                    created_by="user:x",
                    updated_by="user:x",
                )
                session.add(row)
            row.config, row.etag, row.updated_at = encode(config).decode(), make_id("etag"), now_ms
            await session.flush()
            trigger = read_trigger(row)
            await get_kind(kind).on_change(session, trigger, now_ms)
        return trigger

    async def set(self, trigger: Trigger, *, is_live: bool = True, paused: str = "") -> None:
        """Switches a trigger on or off, or pauses it."""
        async with self.database.write.begin() as session:
            row = await session.get_one(TriggerRow, trigger.id)
            row.is_live, row.paused = is_live, paused
            await session.flush()
            await get_kind(trigger.kind).on_change(session, read_trigger(row), self.clock.now_ms())

    async def remove(self, trigger: Trigger) -> None:
        """Deletes a trigger."""
        async with self.database.write.begin() as session:
            await get_kind(trigger.kind).on_gone(session, trigger)
            await session.delete(await session.get_one(TriggerRow, trigger.id))

    async def list_runs(self) -> list[StartedRun]:
        """All runs, in the order of their starts."""
        query = select(runs.c.id, runs.c.dedup, journal.c.body).join(journal, journal.c.run_no == runs.c.no).order_by(runs.c.no)
        async with self.database.read() as session:
            rows = (await session.execute(query)).all()
        found: list[StartedRun] = []
        for run_id, dedup, body in rows:
            started = cast("list[dict[str, JsonValue]]", orjson.loads(body))[0]
            found.append(StartedRun(run_id, dedup, cast("JsonObject", started["trigger"]), started["input"]))
        return found

    async def end_runs(self, run_ids: Sequence[str] = ()) -> None:
        """All runs have ended, or those named."""
        statement = update(runs).values(status="completed", finished_at=self.clock.now_ms())
        async with self.database.write.begin() as session:
            await session.execute(statement.where(runs.c.id.in_(run_ids)) if run_ids else statement)


def make_firing(database: Database, runner: Runner, clock: ManualClock) -> Firing:
    return Firing(database, runner, catalog(), Limits(), clock, IdSource(clock), Recorder(database.write))


@asynccontextmanager
async def open_trigger_lab(folder: Path, now_ms: int, *, kind: Kind = "sqlite") -> AsyncGenerator[TriggerLab]:
    """`now_ms`: what the clock shows."""
    clock = ManualClock(now_ms)
    async with open_database_sessions(kind, folder) as database:
        runner = RowRunner(database, clock)
        yield TriggerLab(database, clock, runner, make_firing(database, runner, clock))
