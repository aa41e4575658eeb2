"""Runs that something is wrong with: stuck ones, which their living owner does not move, and orphans, which nobody has.

Plans: owned runs by the index on `owner`, their last row by the journal's key; open runs by the index on `finished_at`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.executor.claims import fold_rows
from flowforge.engine.machine import Program
from flowforge.engine.queueing import Cause
from flowforge.engine.store import JournalRow
from flowforge.engine.tables import journal, queue, runs, workers
from flowforge.kit.errors import FlowForgeError

_STUCK_MAX: Final = 100
_ORPHANS_MAX: Final = 500
_GRACE_MS: Final = 60_000
"""How much longer than its step's time-out an attempt may take to be told of."""

FindProgram = Callable[[str], Program]
"""The compiled definition of a digest. Raises FlowForgeError where it cannot be had here."""


@dataclass(frozen=True, slots=True)
class StillRun:
    """A run that a living worker has, and the time of its last journal row (ms since 1970)."""

    no: int
    id: str
    digest: str
    owner: int
    moved_at: int


async def list_still_runs(session: AsyncSession, before_ms: int) -> list[StillRun]:
    """Those that have not moved since before that time, the longest first, 100 at most."""
    moved = select(journal.c.at).where(journal.c.run_no == runs.c.no).order_by(journal.c.seq.desc()).limit(1).scalar_subquery()
    owned = (
        select(runs.c.no, runs.c.id, runs.c.digest, runs.c.owner, moved.label("moved_at"))
        .join(workers, workers.c.no == runs.c.owner)
        .where(runs.c.owner.is_not(None), workers.c.dead == 0)
        .subquery()
    )
    still = select(owned).where(owned.c.moved_at < before_ms).order_by(owned.c.moved_at).limit(_STUCK_MAX)
    return [StillRun(**row) for row in (await session.execute(still)).mappings()]


def may_be_still(rows: Sequence[JournalRow], find_program: FindProgram, step_timeout_ms: int, now_ms: int) -> bool:
    """Whether an attempt of the run is under way that may take until now. `step_timeout_ms`: of steps that set none."""
    first = orjson.loads(rows[0].body)[0]
    try:
        state = fold_rows(find_program(cast("str", first["workflow"]["digest"])), list(rows))
    except FlowForgeError:
        # A journal of a newer version, or an operation that is not installed here: whoever has the run knows better.
        return True
    return any(
        attempt.planned_at + (attempt.scope.graph.steps[attempt.index].timeout_ms or step_timeout_ms) + _GRACE_MS > now_ms
        for attempt in state.open.values()
        if attempt.child is None
    )


async def list_orphans(session: AsyncSession) -> list[int]:
    """Open runs with neither owner nor queue row, 500 at most. Both change in one transaction, so none is on its way."""
    query = (
        select(runs.c.no)
        .outerjoin(queue, queue.c.run_no == runs.c.no)
        .where(runs.c.finished_at.is_(None), runs.c.owner.is_(None), queue.c.run_no.is_(None))
    )
    return list((await session.execute(query.limit(_ORPHANS_MAX))).scalars())


async def adopt_orphan(session: AsyncSession, run_no: int, now_ms: int) -> str | None:
    """Queues the run again, due now; its id. None if it is no orphan (any more)."""
    open_run = select(runs).where(runs.c.no == run_no, runs.c.finished_at.is_(None), runs.c.owner.is_(None))
    run = (await session.execute(open_run.with_for_update())).mappings().first()
    if run is None:
        return None
    waiting = await session.execute(select(func.count()).select_from(queue).where(queue.c.run_no == run_no))
    if waiting.scalar_one():
        return None
    row = {"run_no": run_no, "workspace_id": run["workspace_id"], "suspect": int(run["crashes"] > 0), "priority": run["priority"]}
    row |= {"due_at": now_ms, "cause": Cause.EXPIRED, "since": now_ms}
    await session.execute(insert(queue).values(row))
    return cast("str", run["id"])
