"""The engine: owns runs on a store and carries them to their end. One per process and event loop."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from flowforge.engine.births import StartRequest
from flowforge.engine.executor.attempts import Attempts
from flowforge.engine.executor.claims import put_mail
from flowforge.engine.executor.commits import Committer, Item
from flowforge.engine.executor.giving_back import set_aside
from flowforge.engine.executor.heavy import HeavyPool, HeavyServices
from flowforge.engine.executor.intake import Intake
from flowforge.engine.executor.jobs import JobTaker
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.liveness import Pulse, PulseCalls, WorkerLocks
from flowforge.engine.executor.loading import Loader
from flowforge.engine.executor.making import AttemptMaker, AttemptPorts
from flowforge.engine.executor.programs import Programs
from flowforge.engine.executor.ringing import Bells
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.executor.slots import SlotQueue
from flowforge.engine.executor.starting import Starter
from flowforge.engine.executor.turns import TurnMaker, encode_events, large_values
from flowforge.engine.executor.watching import Listener, Watch
from flowforge.engine.machine import TurnSheet
from flowforge.engine.machine.actions import WorkflowNeeded
from flowforge.engine.machine.contexts import BlobNeeded
from flowforge.engine.machine.state import let_go
from flowforge.engine.machine.work import Abort, Acquire, DropJob, Effect, LookBack, Work
from flowforge.engine.ports import Doorbell, LinkRun, Silence, Vault, Versions
from flowforge.engine.store import Delivery, LogLine, NewMail, NewRun, Store, Turn, TurnResult, Verdict
from flowforge.engine.why import run_status
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.errors import StorageError
from flowforge.kit.masking import Masker
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.telemetry.tracing import Tracing
from flowforge.operations.registry import Registry

logger = get_logger("engine")


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is made of; wired in entrypoints, which also closes the store."""

    store: Store
    registry: Registry
    versions: Versions
    vault: Vault
    objects: ObjectStore
    clock: Clock
    metrics: Metrics
    masker: Masker
    services: Mapping[type, object]
    locks: WorkerLocks | None = None
    tracing: Tracing = field(default_factory=Tracing)
    heavy_loader: str | None = None
    """`module:function` that gives the registry in a process of heavy operations; None: such operations cannot run here."""
    heavy_services: HeavyServices | None = None
    doorbell: Doorbell = field(default_factory=Silence)
    link: LinkRun | None = None
    """None: runs have no `resume_url`."""
    on_outbox: Callable[[], None] = lambda: None
    """Called in the loop when events for the outside are durable."""
    may_commit_inline: Callable[[], bool] = lambda: True
    """Asked before a commit in the loop itself: not while a session of that loop writes to the same SQLite, both would wait for ever."""


@dataclass(frozen=True, slots=True)
class Started:
    """A start that is durable. `verdict`: done, queued (its limit is full) or duplicate (the run was there).

    `born`: the run as it began; None where it was there before.
    """

    run_id: str
    run_no: int
    verdict: Verdict
    born: NewRun | None = None


class Engine:
    """Open it inside a running loop; close it in order, or kill it: what it owned goes on in the next one."""

    def __init__(self, parts: EngineParts, settings: EngineSettings) -> None:
        self.parts = parts
        self.settings = settings
        self.watch = Watch()
        self.lives: dict[int, LiveRun] = {}
        self._due: list[LiveRun] = []
        self._is_closing = False

    # --- life ----------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Registers as a worker, takes over from dead ones, and begins to claim.

        Raises:
            StorageError: the database cannot be used.
        """
        parts, settings = self.parts, self.settings
        self.loop = asyncio.get_running_loop()
        self.store = parts.store
        self.committer = Committer(self.store, parts.clock, parts.metrics, commits_inline=settings.commits_inline)
        self.committer.may_be_inline = parts.may_commit_inline
        heavy = HeavyPool(parts.heavy_loader, settings.limits, parts.heavy_services)
        ports = AttemptPorts(
            parts.registry, parts.vault, parts.masker, parts.services, parts.clock, heavy, parts.metrics, parts.tracing
        )
        maker = AttemptMaker(ports, settings.limits)
        self.attempts = Attempts(maker, settings, self.wake)
        self.jobs = JobTaker(self, maker)
        self.bells = Bells(self, parts.doorbell, parts.on_outbox)
        self._starter = Starter(self)
        hands_out = settings.hands_out_jobs
        self.programs = Programs(self.store, self.committer, parts.registry, settings.limits, hands_out_jobs=hands_out)
        self._turns = TurnMaker(parts.registry, parts.clock, settings, self.wake, self.attempts.start, parts.link)
        self._slots = SlotQueue(self.store, self.committer, parts.clock, self.wake)
        self._loader = Loader(self)
        self.pulse = Pulse(parts.store, parts.locks, parts.clock, settings, self._pulse_calls(), parts.metrics)
        self._begin_as(await asyncio.to_thread(self.pulse.register))
        self.pulse.start()
        self.intake = Intake(self)
        self.intake.start()
        self.jobs.start()

    def _pulse_calls(self) -> PulseCalls:
        def tell(what: Callable[[], None]) -> Callable[[], None]:
            def call() -> None:
                self.loop.call_soon_threadsafe(what)

            return call

        def tell_dead(worker: int) -> None:
            self.loop.call_soon_threadsafe(self._on_declared_dead, worker)

        return PulseCalls(tell_dead, tell(self._on_lost_touch), tell(self._on_found_runs))

    def _begin_as(self, worker: int) -> None:
        self.worker = worker
        self._counter = count(1)

    def allocate_no(self) -> int:
        """The number of a run born here."""
        return (self.worker << 32) | next(self._counter)

    def poke(self) -> None:
        """There may be runs to claim, jobs or slots to take."""
        self.intake.poke()
        self.jobs.poke()
        self._slots.ask()

    async def close(self, grace_ms: int) -> None:
        """Stops claiming, lets attempts in flight end within the grace, and gives the rest back to the queue, due now."""
        self._is_closing = True
        await self.intake.stop()
        await self.jobs.stop()
        self._turns.is_closing = True
        try:
            await asyncio.wait_for(self._end_attempts(), grace_ms / 1_000)
        except TimeoutError:
            logger.warning(
                "Attempts in flight did not end in time and are aborted.", attempts=self.attempts.in_flight + self.jobs.in_flight
            )
        if not self.committer.is_stalled:
            await self.committer.drain()
        for live in list(self.lives.values()):
            self._drop(live)
        self.jobs.drop_all()
        await self.attempts.quiet()
        await self.jobs.quiet()
        await self.attempts.close()
        await self._loader.stop()
        await self._retire()
        self.pulse.stop()
        self.committer.close()

    async def _end_attempts(self) -> None:
        await self.attempts.quiet()
        await self.jobs.quiet()
        # The last outcomes are in the loop's next pass; large ones are then on their way to the object store.
        await asyncio.sleep(0)
        await self._loader.quiet()

    async def _retire(self) -> None:
        """Gives everything back. Where the database cannot be used, the free file lock tells the same."""
        if self.committer.is_stalled:
            return
        await self.committer.drain()
        try:
            if await self.committer.call(self.store.retire, self.worker) or self.settings.job_queues:
                self.bells.tell_all()
        except StorageError as fault:
            logger.warning("The worker could not sign off; its runs go on when its death is noticed.", cause=fault.message)

    def _on_declared_dead(self, worker: int) -> None:
        """Another worker took this one for dead: its runs are gone, it begins anew under another number."""
        if worker != self.worker:
            return  # a beat under the old number came back after the new one was there
        logger.warning("This worker was declared dead; it drops its runs and registers anew.", worker=self.worker)
        self._on_lost_touch()
        for live in list(self.lives.values()):
            self._drop(live)
        if self._is_closing:
            return  # it has signed off, or has nothing more to do
        try:
            self._begin_as(self.pulse.register_anew())
        except StorageError as fault:
            logger.warning("The worker could not register anew; the next beat tries again.", cause=fault.message)
            return
        self.poke()

    def _on_found_runs(self) -> None:
        """Dead workers left something to do."""
        self.poke()
        self.bells.tell_all()

    def _on_lost_touch(self) -> None:
        """No beat for too long: someone else may be working on our runs and jobs, so effects stop."""
        self.jobs.drop_all()
        for live in list(self.lives.values()):
            if live.flights:
                self._drop(live)

    # --- starting ------------------------------------------------------------------------------------------------------------

    async def start(self, request: StartRequest, on_turn: Listener | None = None) -> Started:
        """Starts a run; when it returns, the run exists whatever dies next. `on_turn` hears its turns here from the first one on.

        Raises:
            ValidationError: the input does not fit.
            NotInstalledError: an operation is missing here.
            StartRejectedError: the workflow's limit is reached and says `reject`.
            OverloadedError: more turns wait for the database than it may be behind.
        """
        result, new_run = await self._starter.start(request, on_turn)
        born = None if result.verdict is Verdict.DUPLICATE else new_run
        return Started(result.run_id or new_run.id, result.run_no or new_run.no, result.verdict, born)

    def be_born(self, live: LiveRun, sheet: TurnSheet, dress: Callable[[Turn], None], told: Callable[[TurnResult], None]) -> None:
        """A run that starts here begins with its first turn."""
        self._take_in(live)
        self._turn(live, sheet, dress, told)

    # --- turns ---------------------------------------------------------------------------------------------------------------

    def _take_in(self, live: LiveRun) -> None:
        self.lives[live.no] = live
        self.parts.metrics.active_runs.set(len(self.lives))

    def admit(self, live: LiveRun) -> None:
        """A claimed run begins its turns here."""
        self._take_in(live)
        self.wake(live)

    def wake(self, live: LiveRun) -> None:
        """Something has arrived for a run: it turns in the next loop pass, together with all others that are due."""
        if live.is_due or live.is_dropped:
            return
        live.is_due = True
        self._due.append(live)
        if len(self._due) == 1:
            self.loop.call_soon(self._pass)

    def _pass(self) -> None:
        due, self._due = self._due, []
        for live in due:
            live.is_due = False
            if not live.is_dropped and not live.is_blocked:
                self._turn_safely(live)
        self.committer.flush()

    def _turn_safely(self, live: LiveRun) -> None:
        """Supervisor: a run on which our own code fails is set aside, and the others go on."""
        sheet, live.sheet = live.sheet or TurnSheet(live.state, self.parts.clock.now_ms(), self.allocate_no), None
        try:
            self._turn(live, sheet)
        except Exception:
            logger.exception("A turn failed: a fault of ours. The run is set aside.", run=live.state.run_id)
            self._drop(live)
            set_aside(self, live.no, live.epoch, live.state.mail_seen, "The engine failed on this run; the log says how.")

    def replace(self, old: LiveRun, fresh: LiveRun) -> None:
        """A run that was read anew takes the place of what this process held of it."""
        self._drop(old)
        self.admit(fresh)

    def poke_slots(self) -> None:
        self._slots.ask()

    def raise_if_stalled(self) -> None:
        """Raises the StorageError for which commits have waited longer than the storage patience."""
        since_s, cause = self.committer.stalled_since_s, self.committer.stall_cause
        if since_s is None or cause is None:
            return
        if (self.parts.clock.monotonic_s() - since_s) * 1_000 > self.settings.storage_patience_ms:
            raise cause

    def _turn(
        self,
        live: LiveRun,
        sheet: TurnSheet,
        dress: Callable[[Turn], None] | None = None,
        told: Callable[[TurnResult], None] | None = None,
    ) -> None:
        """One turn; if something must be loaded first, it goes on when that is there."""
        try:
            self._turns.fill(live, sheet)
        except (BlobNeeded, WorkflowNeeded) as need:
            if dress is None:
                self._loader.load(live, sheet, need)
                return
            # A birth is committed at once; the rest of its first turn follows when what it needs is there.
            self.wake(live)
        body = encode_events(sheet.events)
        limit = self.settings.limits.step_out_inline_bytes
        if len(body) > limit and dress is None and large_values(sheet.events, limit):
            self._loader.store_large(live, sheet)
            return
        self.hand_in(live, sheet, body, dress, told)

    def hand_in(
        self,
        live: LiveRun,
        sheet: TurnSheet,
        body: bytes,
        dress: Callable[[Turn], None] | None = None,
        told: Callable[[TurnResult], None] | None = None,
    ) -> None:
        """Seals a turn and submits it; one that changes nothing is not written."""
        live.state.blobs.clear()
        own_logs = live.logs
        turn, later = self._turns.seal(live, sheet, body)
        if dress is not None:
            dress(turn)
        elif not body and turn.release is None and not turn.mail_read and not turn.logs and not turn.slots_freed:
            self._begin_work(live, later)
            self._set_alarm(live)
            return
        # Until it is known whether the run has left, nothing may follow: a refused turn leaves no gap in the journal.
        live.is_blocked = turn.finish is not None or turn.release is not None
        live.pending += 1
        self.committer.submit(Item(turn, lambda result: self._on_committed(live, sheet, turn, later, result, told, own_logs)))

    def _on_committed(
        self,
        live: LiveRun,
        sheet: TurnSheet,
        turn: Turn,
        later: list[Work],
        result: TurnResult,
        told: Callable[[TurnResult], None] | None,
        own_logs: list[LogLine],
    ) -> None:
        crashpoint("CP11")
        live.pending -= 1
        if told is not None:
            told(result)
        if result.verdict is Verdict.DONE:
            self._on_durable(live, sheet, turn, later, result)
        elif result.verdict is Verdict.MAIL and not live.is_dropped:
            live.logs[:0] = own_logs
            self._loader.reload(live, sheet)
        else:
            if result.verdict is Verdict.STALE:
                self.parts.metrics.stale_epoch.inc()
                logger.warning("Another worker has taken the run over; stale_epoch.", run=live.state.run_id, epoch=live.epoch)
            was_dropped = live.is_dropped
            self._drop(live)
            if result.verdict is Verdict.UNSTORABLE and turn.start is None and not was_dropped:
                reason = f"A turn could not be stored: {result.problem}"
                logger.error(
                    "A turn could not be stored: a fault of ours. The run is set aside.", run=live.state.run_id, cause=reason
                )
                set_aside(self, live.no, live.epoch, live.state.mail_seen, reason)

    def _on_durable(self, live: LiveRun, sheet: TurnSheet, turn: Turn, later: list[Work], result: TurnResult) -> None:
        if sheet.events and self.watch.is_watched(live.no):
            self.watch.tell(live.no, turn.seq, turn.at, sheet.events)
        if turn.finish is not None or turn.release is not None:
            self._leave(live, turn)
        if live.is_suspect and turn.progressed:
            live.is_suspect = False
            self.poke()
        if turn.children or turn.mails or turn.jobs or turn.jobs_dropped or turn.release is not None:
            self.bells.tell_commit(turn, result, later)
        if self.settings.writes_outbox:
            self.bells.tell_outbox(turn)
        if turn.slots_freed:
            self._slots.ask()
        if live.state.parked:
            # One dead letter, however many of its steps are parked.
            is_dead = any(event["type"] == "step.parked" and event["reason"] == "poison" for event in sheet.events)
            self.parts.metrics.dead_letters.inc(is_dead)
        if sheet.has_fired:
            crashpoint("CP14")
        if not live.is_dropped:
            self._begin_work(live, later)
            self._set_alarm(live)

    def _begin_work(self, live: LiveRun, later: list[Work]) -> None:
        for work in later:
            if isinstance(work, Effect):
                self.attempts.start(live, work)
            elif isinstance(work, Abort):
                self.attempts.abort(live, work)
            elif isinstance(work, DropJob):
                self.attempts.settle_later(live)
            elif isinstance(work, Acquire):
                self._slots.add(live, work)
            elif isinstance(work, LookBack):
                self._loader.look_back(live, work)

    def _set_alarm(self, live: LiveRun) -> None:
        """Timers of runs in memory: wake at the earliest; a run that lingers is looked at again when that is over."""
        if not live.state.timers and not live.linger:
            return
        alarm_s = self._turns.next_alarm_s(live)
        if alarm_s is None:
            return
        timer = live.wake_timer
        if timer is not None and not timer.cancelled() and timer.when() <= self.loop.time() + alarm_s:
            return
        if timer is not None:
            timer.cancel()
        live.wake_timer = self.loop.call_later(alarm_s, self._on_alarm, live)

    def _on_alarm(self, live: LiveRun) -> None:
        live.linger = False
        live.wake_timer = None
        self.wake(live)

    def _leave(self, live: LiveRun, turn: Turn) -> None:
        """The run has left memory: it has ended, or its queue row holds it."""
        crashpoint("CP12")
        if turn.finish is not None:
            self.watch.end(live.no, turn.finish.status)
            self.parts.metrics.count_run_finished(turn.finish.status)
            self.intake.forget(live.no)
        else:
            assert turn.release is not None
            self.watch.wake(live.no)
            self.intake.expect(turn.release.due_at)
        self._drop(live)

    def _drop(self, live: LiveRun) -> None:
        if live.wake_timer is not None:
            live.wake_timer.cancel()
        self.attempts.drop(live)
        let_go(live.state)
        if self.lives.get(live.no) is live:
            del self.lives[live.no]
            self.parts.metrics.active_runs.set(len(self.lives))
            if live.is_suspect or len(self.lives) + 1 == self.settings.runs_max:
                # There is room again for one that could not be claimed.
                self.intake.poke()

    # --- people --------------------------------------------------------------------------------------------------------------

    async def deliver(self, mail: NewMail) -> str:
        """Sends a message to a run, wherever it lives; returns what became of it (`Delivery`)."""
        (delivery,) = await self.committer.call(self.store.deliver, [mail])
        self.bells.tell_runs([mail.run_no] if delivery is Delivery.DELIVERED else [])
        return delivery.value

    async def read_mail(self) -> None:
        """Fetches messages for the runs in memory."""
        for mail in await self.committer.call(self.store.mail, self.worker):
            live = self.lives.get(mail.run_no)
            if live is not None and put_mail(live, mail):
                self.wake(live)

    def adopt(self, run_no: int) -> None:
        """Takes a run among those that this engine claims (where it does not take all)."""
        self.intake.adopt(run_no)
        self.intake.poke()

    def listen(self, run_no: int, listener: Listener) -> None:
        self.watch.listen(run_no, listener)

    def find_status(self, run_no: int) -> str | None:
        """The present status of a run that lives, ended or stands still here."""
        if run_no in self.watch.ended:
            return self.watch.ended[run_no]
        live = self.lives.get(run_no)
        return None if live is None else run_status(live.state)
