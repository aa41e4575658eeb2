"""Turns: what has arrived for a run is recorded, decided, sealed into a journal row, and handed to the group commit."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

import orjson

from flowforge.engine.births import make_child
from flowforge.engine.events import BlobRef, Event, RunFinished, RunStarted
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.jobs import make_job
from flowforge.engine.machine import TurnSheet, decide, record
from flowforge.engine.machine.actions import WorkflowNeeded, hash_text
from flowforge.engine.machine.contexts import BlobNeeded
from flowforge.engine.machine.snapshot import SNAPSHOT_FORMAT, can_dump, dump_state
from flowforge.engine.machine.state import next_timer
from flowforge.engine.machine.work import (
    Acquire,
    CancelChild,
    Condemned,
    DropJob,
    Effect,
    Failed,
    LookBack,
    MailRead,
    Outcome,
    Pure,
    StartChild,
    StartJob,
    Succeeded,
    Work,
)
from flowforge.engine.outbox_events import list_birth_events, list_outbox_events
from flowforge.engine.ports import LinkRun
from flowforge.engine.store import FAR_FUTURE_MS, Finish, LogLine, NewJob, NewMail, NewRun, Release, Turn, WaitRow
from flowforge.engine.why import explain_state, run_status
from flowforge.kit.border import encode
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.operations.calling import run_pure, validate_parameters
from flowforge.operations.definition import AttemptError
from flowforge.operations.registry import Registry

_SLOW_PURE_S: Final = 0.0002
_CODE_MAX: Final = 200
_STEP_MAX: Final = 199
"""With the code behind it, it fits the column by which runs that failed alike are found."""

logger = get_logger("engine.turns")


class TurnMaker:
    """Makes the turns of runs. Computes light pure steps inside the turn; slow ones go to a thread.

    One that has middlewares is made as an attempt (`attempt`), which the journal does not plan.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        settings: EngineSettings,
        wake: Callable[[LiveRun], None],
        attempt: Callable[[LiveRun, Effect], None],
        link: LinkRun | None = None,
    ) -> None:
        self._registry = registry
        self._attempt = attempt
        self._clock = clock
        self._settings = settings
        self._wake = wake
        self._link = link
        self._pure_cost_s: dict[str, float] = {}
        self.is_closing = False
        """Outcomes are still recorded, but nothing new is planned."""

    def fill(self, live: LiveRun, sheet: TurnSheet) -> None:
        """Records what has arrived and decides what follows.

        Raises:
            BlobNeeded, WorkflowNeeded: something must be loaded; fill the same sheet again afterwards.
        """
        while True:
            self._record(live, sheet)
            if self.is_closing:
                sheet.take_side()
                return
            need = _decide(sheet)
            if any(isinstance(work, Pure) for work in sheet.work):
                self._compute(live, sheet)
            elif need is not None:
                raise need
            elif not live.outcomes:
                break
        if sheet.is_full:
            self._wake(live)

    def _record(self, live: LiveRun, sheet: TurnSheet) -> None:
        while live.outcomes:
            outcome = live.outcomes[0]
            record(sheet, outcome)
            sheet.recorded.append(outcome)
            if isinstance(outcome, MailRead) and outcome.kind == "cancel":
                crashpoint("CP20")
            if isinstance(outcome, MailRead):
                live.mail_read.append(outcome.no)
            live.outcomes.popleft()

    def _compute(self, live: LiveRun, sheet: TurnSheet) -> None:
        """Results go the way of all outcomes: recording one may need something that must be loaded first."""
        work, sheet.work = sheet.work, []
        for item in work:
            if not isinstance(item, Pure):
                sheet.work.append(item)
            elif self._registry.find_middlewares(item.name):
                self._attempt(live, _make_effect(live, item))
            elif self._pure_cost_s.get(item.name, 0.0) > _SLOW_PURE_S:
                live.computing += 1
                asyncio.get_running_loop().run_in_executor(None, self._call, item).add_done_callback(
                    lambda done: self._bring(live, done)
                )
            else:
                live.outcomes.append(self._call(item))

    def _bring(self, live: LiveRun, done: "asyncio.Future[Outcome]") -> None:
        live.computing -= 1
        if not live.is_dropped and not done.cancelled():
            live.outcomes.append(done.result())
            self._wake(live)

    def _call(self, work: Pure) -> Outcome:
        operation = self._registry.find(work.name)
        if operation is None:
            return Failed(work.key, 0, {"code": "not_installed", "message": f"The operation {work.name} is not installed here."})
        began_s = self._clock.monotonic_s()
        try:
            port, output = run_pure(operation, validate_parameters(operation, work.parameters), self._settings.limits)
        except AttemptError as fault:
            failed = Failed(work.key, 0, {"code": fault.code, "message": fault.message})
            if fault.details is not None:
                failed.error["details"] = fault.details
            return failed
        took_s = self._clock.monotonic_s() - began_s
        self._pure_cost_s[work.name] = 0.9 * self._pure_cost_s.get(work.name, took_s) + 0.1 * took_s
        return Succeeded(work.key, 0, port, output)

    def seal(self, live: LiveRun, sheet: TurnSheet, body: bytes) -> tuple[Turn, list[Work]]:
        """The store's part of a turn, and the work that begins when it is durable."""
        state = live.state
        turn = Turn(
            run_no=live.no,
            epoch=live.epoch,
            at=sheet.at,
            seq=live.seq + 1,
            body=body,
            events=len(sheet.events),
            mail_seen=state.mail_seen,
            mail_read=live.mail_read,
            logs=live.logs if not live.mail_logs else _add_mail_logs(live),
            waits_removed=sheet.waits_removed,
            slots_freed=sheet.slots_freed,
        )
        turn.blobs = [(live.no, event["blob"]["id"]) for event in sheet.events if "blob" in event]
        if body:
            live.seq += 1
        live.mail_read, live.logs = [], []
        live.history_events += len(sheet.events)
        live.history_bytes += len(body)
        later = self._split_work(live, sheet, turn)
        turn.progressed = live.is_suspect and any(event["type"] in {"step.completed", "step.failed"} for event in sheet.events)
        if state.is_finished:
            self._finish(live, sheet, turn)
        elif not self.is_closing and not sheet.is_full and self.is_idle(live, later):
            # Only a turn that decided to the end can tell that nothing follows.
            turn.release = self._release(live)
        if self._settings.writes_outbox and sheet.events:
            was_waiting = sheet.was_waiting
            turn.outbox = list_outbox_events(state, sheet.events, sheet.at, row=turn.seq, was_waiting=was_waiting)
        self._watch_history(live)
        return turn, later

    def _split_work(self, live: LiveRun, sheet: TurnSheet, turn: Turn) -> list[Work]:
        """What the commit itself does (births, messages, waits) against what begins after it."""
        later: list[Work] = []
        children: list[NewRun] = []
        mails: list[NewMail] = []
        waits: list[WaitRow] = []
        jobs: list[NewJob] = []
        dropped: list[tuple[str, int]] = []
        for work in sheet.work:
            if isinstance(work, Effect):
                later.append(work)
            elif isinstance(work, StartJob):
                live.linger = True
                jobs.append(make_job(live.no, live.state, live.priority, work, sheet.at))
            elif isinstance(work, StartChild):
                live.linger = True
                children.append(self._bear(live, work, sheet.at))
            elif isinstance(work, CancelChild):
                mails.append(NewMail(work.run_no, "cancel", b"{}", f"run:{live.state.run_id}", f"parent:{live.no}"))
            else:
                if isinstance(work, DropJob):
                    dropped.append((work.key, work.attempt))
                elif isinstance(work, LookBack):
                    waits.append(WaitRow(work.key, work.name, work.correlation, work.since))
                    # From here on, not from the commit: a turn behind this one must not let the run go meanwhile.
                    live.looking += 1
                later.append(work)
        turn.children, turn.mails, turn.waits_added = children, mails, waits
        turn.jobs, turn.jobs_dropped = jobs, dropped
        return later

    def _bear(self, live: LiveRun, work: StartChild, at: int) -> NewRun:
        child = make_child(live.no, live.state, live.priority, work, at, self._link)
        if not self._settings.writes_outbox:
            return child
        (started,) = cast("list[RunStarted]", orjson.loads(child.body))
        return replace(child, outbox=list_birth_events(started, at))

    def _finish(self, live: LiveRun, sheet: TurnSheet, turn: Turn) -> None:
        state = live.state
        finished = cast("RunFinished", sheet.events[-1])
        error = finished.get("error")
        # A step may fail with any text for a code; the journal has it whole.
        code = None if error is None else error["code"][:_CODE_MAX]
        turn.finish = Finish(finished["status"], code, None if error is None else f"{error.get('step', '')[:_STEP_MAX]}:{code}")
        if state.parent is not None:
            body: JsonObject = {
                "step": state.parent["step"],
                "attempt": state.parent["attempt"],
                "run": state.run_id,
                "status": finished["status"],
            }
            results = cast("JsonObject", finished)
            body |= {name: results[name] for name in ("output", "blob", "error") if name in results}
            mail = NewMail(state.parent["no"], "child", encode(body), f"run:{state.run_id}", f"child:{live.no}")
            turn.mails = [*turn.mails, mail]
            if "blob" in finished:
                turn.blobs = [*turn.blobs, (state.parent["no"], finished["blob"]["id"])]

    def is_idle(self, live: LiveRun, later: list[Work]) -> bool:
        """Whether the run may leave memory: nothing is in flight, nothing ready, no timer near."""
        state = live.state
        if live.flights or live.computing or live.looking or live.outcomes or live.is_blocked or state.aborting:
            return False
        for work in later:
            if isinstance(work, Effect | Acquire):
                return False
        stands_still = state.is_paused or bool(state.parked)
        if (state.ready or state.unknown or state.slot_waits) and not stands_still:
            return False
        if any(attempt.is_local for attempt in state.open.values()):
            return False
        if state.is_paused:
            return True
        timer = next_timer(state)
        if timer is not None and timer[0] - self._clock.now_ms() < self._settings.linger_ms:
            return False
        return not live.linger or not state.open

    def next_alarm_s(self, live: LiveRun) -> float | None:
        """When a run in memory must be looked at again though nothing has arrived, in seconds from now."""
        alarms_ms: list[int] = [self._settings.linger_ms] if live.linger else []
        timer = None if live.state.is_paused else next_timer(live.state)
        if timer is not None:
            alarms_ms.append(max(timer[0] - self._clock.now_ms(), 0))
        return min(alarms_ms) / 1_000 if alarms_ms else None

    def _release(self, live: LiveRun) -> Release:
        timer = None if live.state.is_paused else next_timer(live.state)
        due_at = FAR_FUTURE_MS if timer is None else timer[0]
        why = encode(explain_state(live.state)).decode()
        return Release(run_status(live.state), due_at, why, self._take_snapshot(live), SNAPSHOT_FORMAT)

    def _take_snapshot(self, live: LiveRun) -> bytes | None:
        if live.history_events - live.snapshot_events <= self._settings.snapshot_events or not can_dump(live.state):
            return None
        return dump_state(live.state, events=live.history_events, size_bytes=live.history_bytes)

    def _watch_history(self, live: LiveRun) -> None:
        settings = self._settings
        if live.history_events >= settings.history_events_warn and not live.is_warned:
            live.is_warned = True
            logger.warning("The history of a run is long.", run=live.state.run_id, events=live.history_events)
        is_full = live.history_events >= settings.history_events_max or live.history_bytes >= settings.limits.history_bytes
        if is_full and live.state.phase == "":
            message = f"The history of the run is full ({live.history_events} events, {live.history_bytes} bytes)."
            live.outcomes.append(Condemned({"code": "history_limit", "message": message}))
            self._wake(live)


def _make_effect(live: LiveRun, work: Pure) -> Effect:
    """A pure step as an attempt. Its number is 0: the journal has no plan of it."""
    path = work.key.removesuffix(work.step.id)
    return Effect(
        work.key, 0, work.name, work.parameters, hash_text(f"{live.run_id}\0{path}\0{work.step.id}"), work.step.timeout_ms
    )


def _add_mail_logs(live: LiveRun) -> list[LogLine]:
    """What was logged here, and the lines that came with the messages which the turn consumes."""
    return [*live.logs, *(line for no in live.mail_read for line in live.mail_logs.pop(no, ()))]


def _decide(sheet: TurnSheet) -> BlobNeeded | WorkflowNeeded | None:
    """Decides; what must be loaded for more is given back, so that what was asked for before it is not forgotten."""
    try:
        decide(sheet)
    except (BlobNeeded, WorkflowNeeded) as need:
        return need
    return None


def encode_events(events: list[Event]) -> bytes:
    return orjson.dumps(events) if events else b""


def large_values(events: list[Event], above_bytes: int) -> list[tuple[Event, str, bytes]]:
    """The values inside events that belong into the object store: (event, field, encoded value)."""
    return [
        (event, field, encoded)
        for event in events
        for field in ("output", "items")
        if isinstance(value := cast("JsonObject", event).get(field), str | list | dict)
        and len(encoded := encode(value)) > above_bytes
    ]


def move_to_blob(event: Event, field: str, blob: BlobRef) -> None:
    fields = cast("dict[str, object]", event)
    del fields[field]
    fields["blob"] = blob
