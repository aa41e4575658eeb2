"""What a worker does with what its consumer hears: it pokes its engine, keeps what was refused, and counts rings for no open run."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from flowforge.cluster.consumer import Hearing, RingConsumer
from flowforge.cluster.messages import Refusal
from flowforge.engine.executor import Engine
from flowforge.engine.tables import refused_messages
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

logger = get_logger("cluster.hearing")

REFUSED_KEPT: Final = 1_000
"""Rows of refused_messages; the oldest go."""
_REFUSED_WAITING: Final = 100
_RUNS_LOOKED_AT: Final = 64
_LOOK_EVERY_S: Final = 1.0
_REASON_LENGTH: Final = 400


@dataclass(frozen=True, slots=True)
class _Refused:
    at_ms: int
    queue: str
    refusal: Refusal


class WorkerEars:
    """Made and closed in the engine's loop; `hearing` is for the consumer's thread.

    Of each second's rings the last 64 are looked at, and the last 100 refused messages kept: a flood of either is counted, not stored.
    """

    def __init__(self, engine: Engine, database: Database, clock: Clock, metrics: Metrics) -> None:
        self._engine = engine
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._is_poked = False
        self._runs: deque[int] = deque(maxlen=_RUNS_LOOKED_AT)
        self._refused: deque[_Refused] = deque(maxlen=_REFUSED_WAITING)
        self._news = asyncio.Event()
        self._task = self._loop.create_task(self._run())

    @property
    def hearing(self) -> Hearing:
        return Hearing(self._on_ring, self._on_refused)

    def _on_ring(self, _queue: str, run_no: int) -> None:
        if run_no:
            self._runs.append(run_no)
        if not self._is_poked:
            self._is_poked = True
            self._call(self._poke)

    def _on_refused(self, queue: str, refusal: Refusal) -> None:
        self._refused.append(_Refused(self._clock.now_ms(), queue, refusal))
        self._call(self._news.set)

    def _call(self, what: Callable[[], object]) -> None:
        # A loop that is closed has no engine left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    def _poke(self) -> None:
        self._is_poked = False
        self._engine.poke()
        self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._look_at_runs()
                await self._store_refused()
            except (StorageError, SQLAlchemyError, OSError) as fault:
                logger.warning("What was heard from the broker could not be looked at.", cause=str(fault))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look_at_runs(self) -> None:
        """Counts rings for runs that are not there, or have ended elsewhere."""
        engine = self._engine
        numbers = {self._runs.popleft() for _ in range(len(self._runs))}
        for run_no in numbers:
            if engine.find_status(run_no) is not None:
                continue
            glance = await engine.committer.call(engine.store.glance, run_no)
            if glance is None:
                self._metrics.count_unknown_run("unknown")
            elif glance.is_finished:
                self._metrics.count_unknown_run("finished")

    async def _store_refused(self) -> None:
        refused = [self._refused.popleft() for _ in range(len(self._refused))]
        if not refused:
            return
        for one in refused:
            logger.warning("A message on the broker was refused.", queue=one.queue, reason=one.refusal.reason)
        rows = [
            {"at": one.at_ms, "queue": one.queue, "reason": one.refusal.reason[:_REASON_LENGTH], "excerpt": one.refusal.excerpt}
            for one in refused
        ]
        async with self._database.write.begin() as session:
            await session.execute(insert(refused_messages), rows)
            newest = await session.scalar(select(func.max(refused_messages.c.no)))
            if newest is not None:
                await session.execute(delete(refused_messages).where(refused_messages.c.no <= newest - REFUSED_KEPT))

    async def close(self) -> None:
        """Stores what was refused last, and ends. The consumer has been stopped before."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        try:
            await self._store_refused()
        except (StorageError, SQLAlchemyError, OSError) as fault:
            logger.warning("The last refused messages could not be kept.", cause=str(fault))


@asynccontextmanager
async def hearing_rings(
    engine: Engine, broker_url: str, queues: Sequence[str], *, database: Database, clock: Clock, metrics: Metrics
) -> AsyncGenerator[RingConsumer]:
    """Rings of these queues poke the engine while the `with` lasts, whatever becomes of the broker meanwhile.

    Raises:
        ValidationError: the URL names no broker, or Celery is not installed.
    """
    ears = WorkerEars(engine, database, clock, metrics)
    try:
        consumer = RingConsumer(broker_url, queues, ears.hearing, metrics)
        consumer.start()
        try:
            yield consumer
        finally:
            await asyncio.to_thread(consumer.stop)
    finally:
        await ears.close()
