"""What waits and who works: queues, workers and the scheduler's lease, as people look at them.

Plans: the queue is counted over its index (workspace_id, suspect, priority, due_at), jobs over
(queue, status, workspace_id, priority, at), what a worker holds over the indexes on `owner`; 100,000 rows take some tens of milliseconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, Table, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.tables import jobs, leases, queue, runs, slots, workers

SCHEDULER_LEASE: Final = "scheduler"
SCHEDULER_ROLE: Final = "scheduler"
ALIVE: Final = "alive"
LATE: Final = "late"
DEAD: Final = "dead"
_QUEUED: Final = "queued"
_FAMILY_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One priority of one queue. `due`: could be taken now; `waiting`: for a time or a message; `running`: jobs that a worker has.

    `oldest_ms`: since when the oldest due one could have been taken (ms since 1970).
    """

    queue: str
    priority: int
    due: int
    waiting: int
    running: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker as it registered itself, and what it has. `beat_ms`: when it last said that it lives (ms since 1970)."""

    no: int
    name: str
    role: str
    host: str
    pid: int
    version: str
    queues: Sequence[str]
    address: str | None
    state: str
    beat_ms: int
    started_ms: int
    runs: int
    jobs: int
    is_leader: bool


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job of one run. `owner` None: nobody has taken it."""

    step: str
    attempt: int
    queue: str
    at_ms: int
    owner: int | None


async def list_queues(session: AsyncSession, now_ms: int) -> list[QueueLine]:
    """Each queue and priority that holds anything: runs first, then jobs by the name of their queue."""
    return [*await _count_runs(session, now_ms), *await _count_jobs(session)]


async def _count_runs(session: AsyncSession, now_ms: int) -> list[QueueLine]:
    is_due = queue.c.due_at <= now_ms
    query = select(
        queue.c.priority,
        func.count().label("rows"),
        func.sum(case((is_due, 1), else_=0)).label("due"),
        func.min(case((is_due, queue.c.due_at))).label("oldest"),
    )
    rows = (await session.execute(query.group_by(queue.c.priority).order_by(queue.c.priority))).mappings().all()
    return [
        QueueLine(RUN_QUEUE, row["priority"], int(row["due"]), row["rows"] - int(row["due"]), 0, row["oldest"]) for row in rows
    ]


async def _count_jobs(session: AsyncSession) -> list[QueueLine]:
    is_due = jobs.c.status == _QUEUED
    query = select(
        jobs.c.queue,
        jobs.c.priority,
        func.count().label("rows"),
        func.sum(case((is_due, 1), else_=0)).label("due"),
        func.min(case((is_due, jobs.c.at))).label("oldest"),
    ).group_by(jobs.c.queue, jobs.c.priority)
    rows = (await session.execute(query.order_by(jobs.c.queue, jobs.c.priority))).mappings().all()
    return [
        QueueLine(row["queue"], row["priority"], int(row["due"]), 0, row["rows"] - int(row["due"]), row["oldest"]) for row in rows
    ]


async def list_workers(
    session: AsyncSession, now_ms: int, *, expiry_ms: int, known_dead: Collection[int] = (), dead_limit: int = 0
) -> list[WorkerLine]:
    """All that nobody has declared dead, by number, and at most `dead_limit` of the dead, the youngest first.

    `expiry_ms`: for how long a beat keeps a worker alive. `known_dead`: workers whose lock file says that their process has ended.
    """
    rows = list((await session.execute(select(workers).where(workers.c.dead == 0).order_by(workers.c.no))).mappings())
    if dead_limit:
        query = select(workers).where(workers.c.dead == 1).order_by(workers.c.no.desc()).limit(dead_limit)
        rows.extend((await session.execute(query)).mappings())
    leader = await find_leader(session, now_ms)
    held, made = await _count_held(session, runs), await _count_held(session, jobs)
    lines: list[WorkerLine] = []
    for row in rows:
        state = DEAD if row["no"] in known_dead else _state_of(row, now_ms)
        no = row["no"]
        lines.append(_read_worker(row, state, expiry_ms, (held.get(no, 0), made.get(no, 0)), is_leader=no == leader))
    return lines


def _read_worker(row: RowMapping, state: str, expiry_ms: int, held: tuple[int, int], *, is_leader: bool) -> WorkerLine:
    return WorkerLine(
        no=row["no"],
        name=row["name"],
        role=row["role"],
        host=row["host"],
        pid=row["pid"],
        version=row["version"],
        queues=split_queues(row["queues"]),
        address=row["address"],
        state=state,
        beat_ms=row["expires_at"] - expiry_ms,
        started_ms=row["started_at"],
        runs=held[0],
        jobs=held[1],
        is_leader=is_leader,
    )


async def find_leader(session: AsyncSession, now_ms: int) -> int | None:
    """The number of the scheduler that leads; None where the lease is free."""
    query = select(leases.c.holder).where(leases.c.name == SCHEDULER_LEASE, leases.c.expires_at > now_ms)
    return await session.scalar(query)


async def list_jobs_of(session: AsyncSession, run_no: int) -> list[JobLine]:
    """The jobs of one run that it still wants."""
    query = select(jobs.c.key, jobs.c.attempt, jobs.c.queue, jobs.c.at, jobs.c.owner)
    query = query.where(jobs.c.run_no == run_no, jobs.c.status != "dropped").order_by(jobs.c.at, jobs.c.key)
    rows = (await session.execute(query)).mappings()
    return [JobLine(row["key"], row["attempt"], row["queue"], row["at"], row["owner"]) for row in rows]


async def find_open_family(session: AsyncSession, run_no: int) -> list[int]:
    """The run, and the open ones that it called, and those that they called: the first thousand."""
    family = generation = [run_no]
    while generation and len(family) < _FAMILY_MAX:
        query = select(runs.c.no).where(runs.c.parent_no.in_(generation), runs.c.finished_at.is_(None)).limit(_FAMILY_MAX)
        generation = list((await session.scalars(query)).all())
        family = [*family, *generation]
    return family


async def list_holders(session: AsyncSession, scope: str, limit: int) -> list[str]:
    """Ids of the runs that hold the places of a limit, the longest first, at most `limit`."""
    query = select(runs.c.id).select_from(slots.join(runs, runs.c.no == slots.c.run_no)).where(slots.c.scope == scope)
    return list((await session.scalars(query.order_by(slots.c.since, slots.c.n).limit(limit))).all())


def find_unserved(lines: Sequence[QueueLine], working: Sequence[WorkerLine]) -> list[str]:
    """Queues in which something is due and which no living worker serves, by name."""
    served = list_served(working)
    return sorted({line.queue for line in lines if line.due} - served)


def list_served(working: Sequence[WorkerLine]) -> set[str]:
    """The queues that living workers serve."""
    return {name for worker in working if worker.state == ALIVE for name in worker.queues}


def split_queues(text: str) -> tuple[str, ...]:
    """The queues of a worker's row."""
    return tuple(name for name in text.split(",") if name)


def _state_of(row: RowMapping, now_ms: int) -> str:
    if row["dead"]:
        return DEAD
    return ALIVE if row["expires_at"] > now_ms else LATE


async def _count_held(session: AsyncSession, table: Table) -> dict[int, int]:
    query = select(table.c.owner, func.count().label("rows")).where(_is_held(table)).group_by(table.c.owner)
    return {row["owner"]: row["rows"] for row in (await session.execute(query)).mappings()}


def _is_held(table: Table) -> ColumnElement[bool]:
    # Numbers begin at 1. A range, unlike IS NOT NULL, is read from the index on all three databases.
    return and_(table.c.owner.is_not(None), table.c.owner > 0)
