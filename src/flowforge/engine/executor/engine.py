"""The engine: owns runs on a store and carries them to their end. One per process and event loop."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from flowforge.engine.births import StartRequest, check_start, make_root
from flowforge.engine.errors import StartRejectedError
from flowforge.engine.executor.attempts import AttemptPorts, Attempts
from flowforge.engine.executor.claims import put_mail
from flowforge.engine.executor.commits import Committer, Item
from flowforge.engine.executor.heavy import HeavyPool, HeavyServices
from flowforge.engine.executor.intake import Intake
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.liveness import Pulse, PulseCalls, WorkerLocks
from flowforge.engine.executor.loading import Loader
from flowforge.engine.executor.programs import Programs
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.executor.slots import SlotQueue
from flowforge.engine.executor.turns import TurnMaker, encode_events, large_values
from flowforge.engine.executor.watching import Listener, Watch
from flowforge.engine.machine import RunState, TurnSheet, fold
from flowforge.engine.machine.actions import WorkflowNeeded
from flowforge.engine.machine.contexts import BlobNeeded
from flowforge.engine.machine.state import let_go
from flowforge.engine.machine.work import Abort, Acquire, Effect, LookBack, Work
from flowforge.engine.ports import Vault, Versions
from flowforge.engine.store import FAR_FUTURE_MS, NewMail, Release, Store, Turn, TurnResult, Verdict
from flowforge.engine.why import run_status
from flowforge.kit.border import encode
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.errors import InvariantError, StorageError
from flowforge.kit.ids import make_id
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


@dataclass(frozen=True, slots=True)
class Started:
    """A start that is durable. `verdict`: done, queued (its limit is full) or duplicate (the run was there)."""

    run_id: str
    run_no: int
    verdict: Verdict


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
        self._loop = asyncio.get_running_loop()
        self.store = parts.store
        self.committer = Committer(self.store, parts.clock, parts.metrics)
        heavy = HeavyPool(parts.heavy_loader, settings.limits, parts.heavy_services)
        ports = AttemptPorts(
            parts.registry, parts.vault, parts.masker, parts.services, parts.clock, heavy, parts.metrics, parts.tracing
        )
        self.attempts = Attempts(ports, settings, self.wake)
        self.programs = Programs(self.store, self.committer, parts.registry, settings.limits)
        self._turns = TurnMaker(parts.registry, parts.clock, settings, self.wake)
        self._slots = SlotQueue(self.store, self.committer, parts.clock, self.wake)
        self._loader = Loader(self)
        self.pulse = Pulse(parts.store, parts.locks, parts.clock, settings, self._pulse_calls(), parts.metrics)
        self._begin_as(await asyncio.to_thread(self.pulse.register))
        self.pulse.start()
        self.intake = Intake(self)
        self.intake.start()

    def _pulse_calls(self) -> PulseCalls:
        def tell(what: Callable[[], None]) -> Callable[[], None]:
            def call() -> None:
                self._loop.call_soon_threadsafe(what)

            return call

        return PulseCalls(tell(self._on_declared_dead), tell(self._on_lost_touch), tell(self.poke))

    def _begin_as(self, worker: int) -> None:
        self.worker = worker
        self._counter = count(1)

    def allocate_no(self) -> int:
        """The number of a run born here."""
        return (self.worker << 32) | next(self._counter)

    def poke(self) -> None:
        """There may be runs to claim, or slots to take."""
        self.intake.poke()
        self._slots.ask()

    async def close(self, grace_ms: int) -> None:
        """Stops claiming, lets attempts in flight end within the grace, and gives the rest back to the queue, due now."""
        self._is_closing = True
        await self.intake.stop()
        self._turns.is_closing = True
        try:
            await asyncio.wait_for(self._end_attempts(), grace_ms / 1_000)
        except TimeoutError:
            logger.warning("Attempts in flight did not end in time and are aborted.", attempts=self.attempts.in_flight)
        if not self.committer.is_stalled:
            await self.committer.drain()
        for live in list(self.lives.values()):
            self._drop(live)
        await self.attempts.quiet()
        await self.attempts.close()
        await self._loader.stop()
        await self._retire()
        self.pulse.stop()
        self.committer.close()

    async def _end_attempts(self) -> None:
        await self.attempts.quiet()
        # The last outcomes are in the loop's next pass; large ones are then on their way to the object store.
        await asyncio.sleep(0)
        await self._loader.quiet()

    async def _retire(self) -> None:
        """Gives everything back. Where the database cannot be used, the free file lock tells the same."""
        if self.committer.is_stalled:
            return
        await self.committer.drain()
        try:
            await self.committer.call(self.store.retire, self.worker)
        except StorageError as fault:
            logger.warning("The worker could not sign off; its runs go on when its death is noticed.", cause=fault.message)

    def _on_declared_dead(self) -> None:
        """Another worker took this one for dead: its runs are gone, it begins anew under another number."""
        logger.warning("This worker was declared dead; it drops its runs and registers anew.", worker=self.worker)
        self._on_lost_touch()
        for live in list(self.lives.values()):
            self._drop(live)
        try:
            self._begin_as(self.pulse.register())
        except StorageError as fault:
            logger.warning("The worker could not register anew; the next beat tries again.", cause=fault.message)
            return
        self.poke()

    def _on_lost_touch(self) -> None:
        """No beat for too long: someone else may be working on our runs, so effects stop."""
        for live in list(self.lives.values()):
            if live.flights:
                self._drop(live)

    # --- starting ------------------------------------------------------------------------------------------------------------

    async def start(self, request: StartRequest) -> Started:
        """Starts a run; when it returns, the run exists whatever dies next.

        Raises:
            ValidationError: the input does not fit.
            NotInstalledError: an operation is missing here.
            StartRejectedError: the workflow's limit is reached and says `reject`.
        """
        program = await self.programs.get(request.workflow["digest"])
        workflow = program.workflow
        value = check_start(workflow, request.input, self.parts.registry)
        variables = {}
        if workflow.variables:
            variables = await self.parts.vault.read_variables(request.workspace_id, workflow.variables)
        at = self.parts.clock.now_ms()
        no, run_id = self.allocate_no(), make_id("run")
        birth = make_root(replace(request, input=value), workflow, variables, no=no, run_id=run_id, at=at)
        has_room = not self._is_closing and len(self.lives) < self.settings.runs_max
        new_run = replace(birth.new_run, owner=self.worker if has_room else None)
        self.intake.adopt(no)
        future: asyncio.Future[TurnResult] = self._loop.create_future()
        if has_room:
            live = LiveRun(no, RunState(program, birth.started, at), 1, 1)
            fold(live.state, birth.started, at)
            live.priority = request.priority
            self._take_in(live)
            sheet = TurnSheet(live.state, at, self.allocate_no)
            self._turn(live, sheet, lambda turn: setattr(turn, "start", new_run), future.set_result)
        else:
            turn = Turn(run_no=no, epoch=0, at=at, seq=2, body=b"", events=0, start=new_run)
            self.committer.submit(Item(turn, future.set_result))
        result = await future
        return self._tell_start(result, run_id, no, workflow.name, 0 if new_run.slot is None else new_run.slot.limit)

    def _tell_start(self, result: TurnResult, run_id: str, no: int, name: str, limit: int) -> Started:
        if result.verdict is Verdict.REJECTED:
            raise StartRejectedError(name, limit)
        self.parts.metrics.runs_started.inc()
        if result.verdict is Verdict.UNSTORABLE:
            raise InvariantError(f"The start could not be stored: {result.problem}")
        if result.run_no is not None:
            self.adopt(result.run_no)
        elif result.verdict is Verdict.DONE and no not in self.lives:
            self.poke()
        return Started(result.run_id or run_id, result.run_no or no, result.verdict)

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
            self._loop.call_soon(self._pass)

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
            self.set_aside(live.no, live.epoch, live.state.mail_seen, "The engine failed on this run; the log says how.")

    def set_aside(self, run_no: int, epoch: int, mail_seen: int, reason: str, due_at: int = FAR_FUTURE_MS) -> None:
        """Puts a run that cannot go on now back into the queue, where `due_at` or a person's message wakes it."""
        why = encode({"causes": [{"kind": "fault", "step": "", "since": self.parts.clock.now_ms(), "ref": {"reason": reason}}]})
        at = self.parts.clock.now_ms()
        release = Release("waiting", due_at, why.decode())
        turn = Turn(run_no=run_no, epoch=epoch, at=at, seq=0, body=b"", events=0, mail_seen=mail_seen, release=release)
        self.committer.submit(Item(turn, lambda _: self.watch.wake(run_no)))

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
        self.committer.submit(Item(turn, lambda result: self._on_committed(live, sheet, turn, later, result, told)))

    def _on_committed(
        self,
        live: LiveRun,
        sheet: TurnSheet,
        turn: Turn,
        later: list[Work],
        result: TurnResult,
        told: Callable[[TurnResult], None] | None,
    ) -> None:
        crashpoint("CP11")
        live.pending -= 1
        if told is not None:
            told(result)
        if result.verdict is Verdict.DONE:
            self._on_durable(live, sheet, turn, later)
        elif result.verdict is Verdict.MAIL and not live.is_dropped:
            live.logs[:0] = turn.logs
            self._loader.reload(live, sheet)
        else:
            if result.verdict is Verdict.STALE:
                self.parts.metrics.stale_epoch.inc()
                logger.warning("Another worker has taken the run over; stale_epoch.", run=live.state.run_id, epoch=live.epoch)
            self._drop(live)
            if result.verdict is Verdict.UNSTORABLE and turn.start is None:
                reason = f"A turn could not be stored: {result.problem}"
                logger.error(
                    "A turn could not be stored: a fault of ours. The run is set aside.", run=live.state.run_id, cause=reason
                )
                self.set_aside(live.no, live.epoch, live.state.mail_seen, reason)

    def _on_durable(self, live: LiveRun, sheet: TurnSheet, turn: Turn, later: list[Work]) -> None:
        if sheet.events and self.watch.is_watched(live.no):
            self.watch.tell(live.no, turn.seq, turn.at, sheet.events)
        if turn.finish is not None or turn.release is not None:
            self._leave(live, turn)
        if live.is_suspect and turn.progressed:
            live.is_suspect = False
            self.poke()
        if turn.children or turn.mails:
            self.intake.adopt(*[child.no for child in turn.children])
            self.intake.poke(mail=bool(turn.mails))
        if turn.slots_freed:
            self._slots.ask()
        if live.state.is_poison and any(event["type"] == "step.parked" for event in sheet.events):
            self.parts.metrics.dead_letters.inc()
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
        if timer is not None and not timer.cancelled() and timer.when() <= self._loop.time() + alarm_s:
            return
        if timer is not None:
            timer.cancel()
        live.wake_timer = self._loop.call_later(alarm_s, self._on_alarm, live)

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

    # --- people --------------------------------------------------------------------------------------------------------------

    async def deliver(self, mail: NewMail) -> str:
        """Sends a message to a run, wherever it lives; returns what became of it (`Delivery`)."""
        (delivery,) = await self.committer.call(self.store.deliver, [mail])
        self.intake.poke(mail=True)
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
