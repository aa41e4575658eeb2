"""Who is told to look, after a commit: this process where it will do the work at once, others by the doorbell."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from flowforge.engine.executor.host import Host
from flowforge.engine.executor.intake import Intake
from flowforge.engine.executor.jobs import JobTaker
from flowforge.engine.machine.work import DropJob, Work
from flowforge.engine.ports import RUN_QUEUE, Doorbell
from flowforge.engine.store import NewJob, Turn, TurnResult, Verdict


class BellHost(Host, Protocol):
    """What ringing needs of the engine."""

    intake: Intake
    jobs: JobTaker


class Bells:
    """Pokes and rings. Whoever is told nothing finds everything by looking, later."""

    def __init__(self, engine: BellHost, doorbell: Doorbell, on_outbox: Callable[[], None]) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._on_outbox = on_outbox
        self._loop = asyncio.get_running_loop()
        self._has_outbox = False

    def tell_commit(self, turn: Turn, result: TurnResult, later: Sequence[Work]) -> None:
        """A turn is durable: what it put into queues, and whom it wrote to."""
        engine = self._engine
        if turn.children:
            engine.intake.adopt(*[child.no for child in turn.children])
            born = [child.no for child, verdict in zip(turn.children, result.children, strict=False) if verdict is Verdict.DONE]
            self.tell_due(born)
        if turn.mails:
            self.tell_runs([mail.run_no for mail in turn.mails])
        if turn.jobs:
            self._tell_jobs(turn.jobs)
        if turn.jobs_dropped:
            engine.intake.poke(mail=True)
            engine.jobs.poke()
            for queue in {work.queue for work in later if isinstance(work, DropJob)}:
                self._doorbell.ring(queue, turn.run_no, turn.epoch)
        if turn.release is not None and turn.release.due_at <= engine.parts.clock.now_ms():
            self.tell_due([turn.run_no], turn.epoch)

    def tell_runs(self, run_nos: Iterable[int]) -> None:
        """Messages to these runs are durable."""
        self._engine.intake.poke(mail=True)
        for run_no in dict.fromkeys(run_nos):
            if run_no not in self._engine.lives:
                self._doorbell.ring(RUN_QUEUE, run_no, 0)

    def tell_due(self, run_nos: Sequence[int], epoch: int = 0) -> None:
        """These runs are queued and due."""
        self._engine.intake.poke()
        if not self._engine.intake.has_room(len(run_nos)):
            for run_no in run_nos:
                self._doorbell.ring(RUN_QUEUE, run_no, epoch)

    def tell_all(self) -> None:
        """There are runs again that nobody has."""
        self._engine.intake.poke(mail=True)
        self._doorbell.ring(RUN_QUEUE, 0, 0)

    def tell_outbox(self, turn: Turn) -> None:
        """Events for the outside are durable: that is told once for all turns of a commit."""
        has_any = turn.outbox or (turn.start is not None and turn.start.outbox) or any(child.outbox for child in turn.children)
        if has_any and not self._has_outbox:
            self._has_outbox = True
            self._loop.call_soon(self._ring_outbox)

    def _ring_outbox(self) -> None:
        self._has_outbox = False
        self._on_outbox()

    def _tell_jobs(self, jobs: Sequence[NewJob]) -> None:
        taker = self._engine.jobs
        taker.poke()
        room = Counter({queue: taker.count_room(queue) for queue in {job.queue for job in jobs}})
        for job in jobs:
            room[job.queue] -= 1
            if room[job.queue] < 0:
                self._doorbell.ring(job.queue, job.run_no, 0)
