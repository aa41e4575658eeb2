"""Jobs: attempts of runs that live elsewhere. Taken from their queues as far as there is room, made here, reported to their runs."""

import asyncio
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from flowforge.engine.errors import JournalError
from flowforge.engine.events import BlobRef
from flowforge.engine.executor.host import Host
from flowforge.engine.executor.live import Flight
from flowforge.engine.executor.making import AttemptMaker, halt
from flowforge.engine.jobs import Ending, JobOrder, read_job, report_job
from flowforge.engine.machine.work import Failed, Succeeded
from flowforge.engine.ports import HEAVY_QUEUE
from flowforge.engine.store import LogLine, TakenJob
from flowforge.kit.border import encode
from flowforge.kit.errors import InvariantError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.origins import NOWHERE, Origin
from flowforge.operations.definition import Nature

_RETRY_S: Final = 1.0

logger = get_logger("engine.jobs")


@dataclass(slots=True, eq=False)
class JobRun:
    """A job in the making. `worker`: the number under which it was taken."""

    taken: TakenJob
    worker: int
    flight: Flight
    depth: int
    is_heavy: bool
    origin: Origin = NOWHERE
    is_dropped: bool = False
    logs: list[LogLine] = field(default_factory=list[LogLine])
    run_id: str = field(init=False)
    workspace_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.run_id = self.taken.run_id
        self.workspace_id = self.taken.workspace_id


class JobTaker:
    """Looks at least every `poll_ms`, at once when poked and when there is room again. Heavy jobs: one a core; others: `effects_max`."""

    def __init__(self, engine: Host, maker: AttemptMaker) -> None:
        self._engine = engine
        self._maker = maker
        self._loop = asyncio.get_running_loop()
        self._heavy_queues = {HEAVY_QUEUE}
        """Queues of which heavy jobs are known to come: so many of theirs are taken as there are cores."""
        self._light_queues: set[str] = set()
        """Queues of which light jobs are known to come. Of one that is not known, no more are taken than if they were heavy."""
        self._jobs: dict[tuple[int, str, int], JobRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._poked = asyncio.Event()
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to take jobs, if this process serves any queue."""
        if self._engine.settings.job_queues:
            self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """Takes no further jobs."""
        self._is_stopped = True
        self._poked.set()
        if self._task is not None:
            await self._task

    def poke(self) -> None:
        """There may be jobs to take, or to drop."""
        self._poked.set()

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    def count_room(self, queue: str) -> int:
        """How many jobs of the queue would be taken here now."""
        if self._is_stopped or queue not in self._engine.settings.job_queues:
            return 0
        return self._light_room if self._is_light(queue) else self._heavy_room

    def _is_light(self, queue: str) -> bool:
        return queue in self._light_queues and queue not in self._heavy_queues

    @property
    def _heavy_room(self) -> int:
        room = (os.cpu_count() or 1) - sum(job.is_heavy for job in self._jobs.values())
        return min(room, self._light_room)

    @property
    def _light_room(self) -> int:
        return self._engine.settings.effects_max - sum(not job.is_heavy for job in self._jobs.values())

    async def quiet(self) -> None:
        """Returns when no job is in the making."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def drop_all(self) -> None:
        """Stops everything: the jobs are not ours any more, or are given back. Nobody hears of them from here."""
        for job in list(self._jobs.values()):
            job.is_dropped = True
            halt(job.flight)
        self._jobs.clear()

    async def _run(self) -> None:
        """Supervisor: whatever becomes of one look, another one follows."""
        while not self._is_stopped:
            self._poked.clear()
            try:
                await self.look()
            except StorageError as fault:
                logger.warning("The database could not be looked at for jobs.", cause=fault.message)
            except Exception:
                logger.exception("A look for jobs failed: a fault of ours. It is tried again.")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._engine.settings.poll_ms / 1_000):
                    await self._poked.wait()

    async def look(self) -> None:
        """Stops what is not wanted any more, then takes what there is room for.

        Raises:
            StorageError: the database cannot be used now.
        """
        if self._engine.committer.is_stalled:
            return
        if self._jobs:
            await self._stop_dropped()
        queues = self._engine.settings.job_queues
        await self._take([queue for queue in queues if not self._is_light(queue)], self._heavy_room)
        await self._take([queue for queue in queues if self._is_light(queue)], self._light_room)

    async def _stop_dropped(self) -> None:
        engine = self._engine
        for place in await engine.committer.call(engine.store.dropped_jobs, engine.worker):
            job = self._jobs.get(place)
            if job is not None and not job.flight.is_aborted:
                job.flight.is_aborted = True
                halt(job.flight)

    async def _take(self, queues: Collection[str], room: int) -> None:
        engine = self._engine
        if not queues or room <= 0:
            return
        worker = engine.worker
        for taken in await engine.committer.call(engine.store.take_jobs, worker, queues, room):
            engine.parts.metrics.jobs_taken.inc()
            if worker == engine.worker:
                self._begin(taken, worker)

    def _begin(self, taken: TakenJob, worker: int) -> None:
        try:
            order = read_job(taken)
        except JournalError as fault:
            logger.exception("A job cannot be read.", run=taken.run_id, step=taken.key)
            self._keep(self._loop.create_task(self._tell(taken, worker, _fail(taken, fault.message))))
            return
        job = self._jobs[taken.run_no, taken.key, taken.attempt] = self._make_run(taken, worker, order)
        job.flight.task = self._loop.create_task(self._make(job))
        self._keep(job.flight.task)
        self._maker.clock.start(job.flight)

    def _make_run(self, taken: TakenJob, worker: int, order: JobOrder) -> JobRun:
        operation = self._maker.find_operation(order.effect.name)
        is_heavy = operation is not None and operation.nature_of(order.effect.parameters) is Nature.HEAVY
        (self._heavy_queues if is_heavy else self._light_queues).add(taken.queue)
        return JobRun(taken, worker, Flight(order.effect), order.depth, is_heavy, order.origin)

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, job: JobRun) -> None:
        taken = job.taken
        try:
            outcome = await self._maker.make(job, job.flight)
            self._maker.count(job.flight.work, outcome)
            await self._tell(taken, job.worker, outcome, job)
        finally:
            if self._jobs.get((taken.run_no, taken.key, taken.attempt)) is job:
                del self._jobs[taken.run_no, taken.key, taken.attempt]
            self.poke()

    async def _tell(self, taken: TakenJob, worker: int, outcome: Ending, job: JobRun | None = None) -> None:
        """Reports the outcome, as soon as the database and the object store can be used.

        What the database refuses is reported with less: without the lines that the step wrote, then as a failure.
        """
        logs = () if job is None else job.logs
        is_last = False
        while job is None or not job.is_dropped:
            try:
                is_ended = await self._end(taken, worker, outcome, logs)
            except StorageError as fault:
                logger.warning("The outcome of a job cannot be stored; it waits.", run=taken.run_id, cause=fault.message)
                await asyncio.sleep(_RETRY_S)
            except InvariantError:
                logger.exception("The outcome of a job was refused: a fault of ours.", run=taken.run_id, step=taken.key)
                if is_last:
                    return
                is_last = not logs
                outcome = _fail(taken, "The outcome could not be stored; the log of the worker says how.") if is_last else outcome
                logs = ()
            else:
                if not is_ended:
                    logger.warning("A job that ended here is not ours any more.", run=taken.run_id, step=taken.key)
                return

    async def _end(self, taken: TakenJob, worker: int, outcome: Ending, logs: Sequence[LogLine]) -> bool:
        engine = self._engine
        blob = await self._store_large(outcome)
        mail = report_job(taken, outcome, blob, logs)
        is_ended = await engine.committer.call(engine.store.end_job, worker, taken, mail, [] if blob is None else [blob["id"]])
        if is_ended:
            engine.parts.metrics.jobs_ended.inc()
            engine.bells.tell_runs([taken.run_no])
        return is_ended

    async def _store_large(self, outcome: Ending) -> BlobRef | None:
        """An output above the inline limit goes to the object store first."""
        if not isinstance(outcome, Succeeded) or not isinstance(outcome.output, str | list | dict):
            return None
        encoded = encode(outcome.output)
        if len(encoded) <= self._engine.settings.limits.step_out_inline_bytes:
            return None
        stored = await asyncio.to_thread(self._engine.parts.objects.put_value, encoded)
        return {"id": stored.id, "size": stored.size_bytes, "sha256": stored.sha256}


def _fail(taken: TakenJob, message: str) -> Failed:
    return Failed(taken.key, taken.attempt, {"code": "engine_fault", "message": message}, is_fatal=True)
