"""The scheduler: as many processes as one likes, of which one is elected and does what must be done once for a whole cluster.

Each of its duties may be done twice, or at the same time by two, without harm: the election saves work, it does not make anything safe.
Whoever is frozen and wakes up finds itself no longer elected and stands by.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from flowforge.cluster.leases import Candidate
from flowforge.engine.store import Store, WorkerFacts
from flowforge.kit.clock import Clock
from flowforge.kit.errors import StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

logger = get_logger("scheduler")


@dataclass(slots=True)
class Duty:
    """Something that the elected one does each `every_ms`, at once when it is elected. Short: it ends before the lease does.

    Whether there is more of it at once, it says by True.
    """

    name: str
    every_ms: int
    run: Callable[[], Awaitable[bool]]
    next_s: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    name: str
    facts: WorkerFacts
    beat_ms: int
    expiry_ms: int
    sweep_ms: int


class Scheduler:
    """Registers as a worker, for people to see it and to have a number for its lease; beats; asks for the lease; does the duties."""

    def __init__(
        self,
        store: Store,
        candidate: Candidate,
        duties: Sequence[Duty],
        settings: SchedulerSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._candidate = candidate
        self._duties = list(duties)
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.worker = 0
        self.is_leader = False
        self.looked_s = clock.monotonic_s()
        """When it last asked for the lease and had done its duties, by the monotonic clock."""

    async def open(self) -> None:
        """Raises StorageError where the database cannot be used."""
        await self._register()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._beat()), loop.create_task(self._run())]

    async def close(self) -> None:
        """Gives the lease back first, so that another one takes over at once."""
        self._stopped.set()
        for task in self._tasks:
            await task
        try:
            await self._candidate.release()
            await asyncio.to_thread(self._store.retire, self.worker)
        except StorageError as fault:
            logger.warning("The scheduler could not sign off; its lease runs out by itself.", cause=fault.message)
        self.is_leader = False
        self._metrics.is_leader.set(0)

    async def _register(self) -> None:
        settings = self._settings
        self.worker = await asyncio.to_thread(self._store.register, settings.name, settings.expiry_ms, settings.facts)

    async def _beat(self) -> None:
        while not await self._wait(self._settings.beat_ms):
            try:
                if not await asyncio.to_thread(self._store.beat, self.worker, self._settings.expiry_ms):
                    logger.warning("The scheduler was declared dead; it goes on under another number.", worker=self.worker)
                    await self._register()
            except StorageError as fault:
                logger.warning("A beat did not succeed.", cause=fault.message)

    async def _run(self) -> None:
        """Supervisor: whatever becomes of one question for the lease, another one follows."""
        while not self._stopped.is_set():
            has_more = False
            try:
                self._show(is_leader=await self._candidate.ask(self.worker))
            except Exception as fault:
                if isinstance(fault, StorageError):
                    logger.warning("The lease could not be asked for.", cause=fault.message)
                else:
                    logger.exception("The lease could not be asked for: a fault of ours.")
                self._show(is_leader=self._candidate.epoch is not None)
            if self.is_leader:
                has_more = await self.do_duties()
            self.looked_s = self._clock.monotonic_s()
            await self._wait(0 if has_more else self._settings.sweep_ms)

    async def do_duties(self) -> bool:
        """Those that are due, one after the other, as long as the lease is ours. Whether there is more to be done at once."""
        has_more = False
        for duty in self._duties:
            if self._candidate.epoch is None or self._stopped.is_set():
                return False
            if self._clock.monotonic_s() < duty.next_s:
                continue
            has_more_of_it = await self._do(duty)
            duty.next_s = self._clock.monotonic_s() + (0 if has_more_of_it else duty.every_ms / 1_000)
            has_more = has_more or has_more_of_it
        return has_more

    async def _do(self, duty: Duty) -> bool:
        """Supervisor: a duty that fails is told of, and the others are done."""
        try:
            return await duty.run()
        except StorageError as fault:
            logger.warning(
                "A duty of the scheduler waits for the database or the object store.", duty=duty.name, cause=fault.message
            )
        except Exception:
            logger.exception("A duty of the scheduler failed: a fault of ours. It is tried again.", duty=duty.name)
        self._metrics.duty_failures.labels(duty.name).inc()
        return False

    def _show(self, *, is_leader: bool) -> None:
        if is_leader != self.is_leader:
            said = "The scheduler is elected." if is_leader else "The scheduler stands by: another one has the lease."
            logger.info(said, worker=self.worker, epoch=self._candidate.epoch)
        self.is_leader = is_leader
        self._metrics.is_leader.set(int(is_leader))

    async def _wait(self, wait_ms: int) -> bool:
        """Whether it is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1_000):
                await self._stopped.wait()
        return self._stopped.is_set()
