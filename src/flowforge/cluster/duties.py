"""What the elected scheduler does, each as a duty. Schedules and other triggers add theirs to the list."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from sqlalchemy import delete, exists, func, select

from flowforge.cluster.outbox import prune_outbox
from flowforge.cluster.oversight import FindProgram, adopt_orphan, list_orphans, list_still_runs, may_be_still
from flowforge.cluster.scheduler import Duty
from flowforge.engine.executor.liveness import WorkerLocks
from flowforge.engine.executor.retention import Retention
from flowforge.engine.ports import RUN_QUEUE, Doorbell
from flowforge.engine.store import Store
from flowforge.engine.tables import jobs, queue, refused_messages, runs, workers
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

P = ParamSpec("P")
R = TypeVar("R")

REFUSED_KEPT: Final = 1_000
_MATCH_EVERY_MS: Final = 10_000
_TIDY_EVERY_MS: Final = 60_000
_BURY_EVERY_MS: Final = 3_600_000
_DEAD_KEPT_MS: Final = 7 * 86_400_000
_PRUNE_MAX: Final = 500
_RINGS_MAX: Final = 8
_QUEUED: Final = "queued"

logger = get_logger("scheduler.duties")


@dataclass(frozen=True, slots=True)
class DutyParts:
    """What the duties work with. `locks`: the lock files of workers, where all of them share a data folder."""

    store: Store
    database: Database
    clock: Clock
    doorbell: Doorbell
    objects: ObjectStore
    find_program: FindProgram
    metrics: Metrics
    locks: WorkerLocks | None = None


@dataclass(frozen=True, slots=True)
class DutySettings:
    """As the settings of the same names; `keep_…_ms` None: for ever. `step_timeout_ms`: of steps that set none."""

    sweep_ms: int
    stuck_after_ms: int
    keep_outbox_ms: int
    keep_runs_ms: int | None
    step_timeout_ms: int
    keep_logs_ms: int | None = None


def list_duties(parts: DutyParts, settings: DutySettings) -> list[Duty]:
    """All duties, in the order in which they are done."""
    deeds = _Deeds(parts, settings)
    return [
        Duty("expire", settings.sweep_ms, deeds.expire),
        Duty("ring", settings.sweep_ms, deeds.ring_due),
        Duty("match", _MATCH_EVERY_MS, deeds.match),
        Duty("stuck", min(settings.stuck_after_ms // 2, _TIDY_EVERY_MS), deeds.tell_stuck),
        Duty("orphans", min(settings.stuck_after_ms // 2, _TIDY_EVERY_MS), deeds.adopt_orphans),
        Duty("retention", _TIDY_EVERY_MS, deeds.prune_runs),
        Duty("outbox", _TIDY_EVERY_MS, deeds.prune_outbox),
        Duty("refused_messages", _TIDY_EVERY_MS, deeds.prune_refused),
        Duty("dead_workers", _BURY_EVERY_MS, deeds.prune_workers),
    ]


class _Calls:
    """The store's calls, in threads that the loop keeps."""

    is_stalled = False

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(function, *args, **kwargs)


class _Keeper:
    """Keeps house in place of an engine."""

    def __init__(self, parts: DutyParts, settings: DutySettings) -> None:
        self.store, self.parts, self.settings, self.committer = parts.store, parts, settings, _Calls()


class _Deeds:
    def __init__(self, parts: DutyParts, settings: DutySettings) -> None:
        self._parts = parts
        self._settings = settings
        self._retention = Retention(_Keeper(parts, settings))
        self._told_stuck: set[int] = set()
        self._suspected: set[int] = set()

    async def expire(self) -> bool:
        """What dead workers had goes on elsewhere."""
        store, locks = self._parts.store, self._parts.locks
        dead = [] if locks is None else await asyncio.to_thread(lambda: locks.find_dead(list(store.alive())))
        expired = await asyncio.to_thread(store.expire, dead)
        if locks is not None:
            await asyncio.to_thread(locks.remove, list(expired.workers))
        if expired.runs or expired.jobs:
            self._parts.metrics.crashes.inc(expired.runs)
            told = {"workers": list[object](expired.workers), "runs": expired.runs, "jobs": expired.jobs}
            logger.warning("Workers were found dead; what they had goes on elsewhere.", **told)  # type: ignore[arg-type]
            self._parts.doorbell.ring(RUN_QUEUE, 0, 0)
        return False

    async def ring_due(self) -> bool:
        """Workers are told of due runs and waiting jobs: timers that nobody has in memory, and what a lost message did not tell."""
        now_ms = self._parts.clock.now_ms()
        due = select(queue.c.run_no).where(queue.c.due_at <= now_ms).order_by(queue.c.due_at).limit(_RINGS_MAX)
        waiting = select(jobs.c.queue, func.min(jobs.c.run_no)).where(jobs.c.status == _QUEUED).group_by(jobs.c.queue)
        async with self._parts.database.read() as session:
            run_nos: Sequence[int] = (await session.execute(due)).scalars().all()
            job_queues = (await session.execute(waiting)).all()
        for run_no in run_nos:
            self._parts.doorbell.ring(RUN_QUEUE, run_no, 0)
        for name, run_no in job_queues:
            self._parts.doorbell.ring(name, run_no, 0)
        return False

    async def match(self) -> bool:
        """Named events whose sender died before it had delivered them."""
        if await asyncio.to_thread(self._parts.store.match):
            self._parts.doorbell.ring(RUN_QUEUE, 0, 0)
        return False

    async def tell_stuck(self) -> bool:
        """One warning for each run that stands still though a living worker has it; the metric says how many there are now."""
        now_ms = self._parts.clock.now_ms()
        async with self._parts.database.read() as session:
            still = await list_still_runs(session, now_ms - self._settings.stuck_after_ms)
        stuck: set[int] = set()
        for run in still:
            rows = await asyncio.to_thread(self._parts.store.load, run.no)
            timeout_ms, find = self._settings.step_timeout_ms, self._parts.find_program
            if not rows or await asyncio.to_thread(may_be_still, rows, find, timeout_ms, now_ms):
                continue
            stuck.add(run.no)
            if run.no not in self._told_stuck:
                for_ms = now_ms - run.moved_at
                logger.warning(
                    "A run is stuck: its worker lives and does not move it.", run=run.id, worker=run.owner, for_ms=for_ms
                )
        self._told_stuck = stuck
        self._parts.metrics.stuck_runs.set(len(stuck))
        return False

    async def adopt_orphans(self) -> bool:
        """Open runs that nobody has are queued again. Seen twice, lest a claim on its way be taken for one."""
        async with self._parts.database.read() as session:
            found = set(await list_orphans(session))
        for run_no in sorted(found & self._suspected):
            async with self._parts.database.write.begin() as session:
                run_id = await adopt_orphan(session, run_no, self._parts.clock.now_ms())
            if run_id is not None:
                self._parts.metrics.orphans.inc()
                logger.error("An open run had neither worker nor queue row: a fault of ours. It is queued again.", run=run_id)
                self._parts.doorbell.ring(RUN_QUEUE, run_no, 0)
        is_news = bool(found - self._suspected)
        self._suspected = found
        return is_news

    async def prune_runs(self) -> bool:
        """Finished runs after KEEP_RUNS, log lines after KEEP_LOGS, and values that nobody names. It has times of its own."""
        await self._retention.look(self._parts.clock.now_ms())
        return False

    async def prune_outbox(self) -> bool:
        before_ms = self._parts.clock.now_ms() - self._settings.keep_outbox_ms
        async with self._parts.database.write.begin() as session:
            return await prune_outbox(session, before_ms, _PRUNE_MAX) == _PRUNE_MAX

    async def prune_refused(self) -> bool:
        """The last thousand refused messages are kept for people."""
        newest = select(func.max(refused_messages.c.no))
        async with self._parts.database.read() as session:
            last = (await session.execute(newest)).scalar()
        if last is None:
            return False
        async with self._parts.database.write.begin() as session:
            await session.execute(delete(refused_messages).where(refused_messages.c.no <= last - REFUSED_KEPT))
        return False

    async def prune_workers(self) -> bool:
        """Rows of workers that are dead for a week and have nothing any more."""
        before_ms = self._parts.clock.now_ms() - _DEAD_KEPT_MS
        has_nothing = ~exists().where(runs.c.owner == workers.c.no) & ~exists().where(jobs.c.owner == workers.c.no)
        old = select(workers.c.no).where(workers.c.dead == 1, workers.c.expires_at < before_ms, has_nothing).limit(_PRUNE_MAX)
        async with self._parts.database.write.begin() as session:
            nos = list((await session.execute(old)).scalars())
            if nos:
                await session.execute(delete(workers).where(workers.c.no.in_(nos)))
        return len(nos) == _PRUNE_MAX
