"""Drives the pure core without a shell: an oracle plays the world, a number plays the clock, a list plays the journal."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from tests.support.effect_oracle import Fails, Oracle, Succeeds, output_of

from flowforge.engine.events import Event, RunClaimed, RunFinished, RunStarted
from flowforge.engine.machine import Program, RunState, TurnSheet, decide, fold, record
from flowforge.engine.machine.contexts import StepView
from flowforge.engine.machine.state import CANCELLED, COMPLETED, PENDING, Scope, next_timer
from flowforge.engine.machine.work import (
    Abort,
    Aborted,
    DropJob,
    Effect,
    Failed,
    MailRead,
    Outcome,
    Pure,
    Settled,
    StartJob,
    Succeeded,
    Work,
)
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Step, Workflow

STARTED_AT_MS = 1_700_000_000_000
TURNS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A journal row, and what was brought to the turn that wrote it."""

    at: int
    outcomes: tuple[Outcome, ...]
    events: tuple[Event, ...]
    work: tuple[Work, ...] = ()


@dataclass(slots=True)
class Driver:
    """One run. `rows` is its journal; `flying` the attempts whose outcome is still to come."""

    workflow: Workflow
    oracle: Oracle
    state: RunState
    rows: list[TurnRow]
    at: int = STARTED_AT_MS
    flying: dict[str, int] = field(default_factory=dict[str, int])
    parameters: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    aborted: dict[str, int] = field(default_factory=dict[str, int])
    jobs: set[str] = field(default_factory=set[str])
    """Those in flight that are jobs: their runs hear of them by mail."""
    landed: int = 0
    is_cut_short: bool = False

    @property
    def events(self) -> list[Event]:
        return [event for row in self.rows for event in row.events]

    @property
    def end(self) -> RunFinished:
        """The journal's last event, of a run that has ended."""
        last = self.rows[-1].events[-1]
        assert last["type"] == "run.finished"
        return last

    def play(self) -> "Driver":
        """Until the run has ended."""
        while not self.state.is_finished:
            self.step()
            assert len(self.rows) < TURNS_MAX, "the run does not end"
        return self

    def play_plainly(self) -> None:
        """As `play`, for runs without aborts and timers: outcomes arrive in the order of the plans, at a constant cost each."""
        self.turn([])
        while self.flying:
            self.turn([self.land(next(iter(self.flying)))])
        assert self.state.is_finished

    def view(self, step: str) -> JsonObject:
        """What an expression reads of a step of the main graph."""
        state = self.state
        return cast("JsonObject", StepView(state, state.root, state.root.graph.index[step]).plain())

    def step(self) -> None:
        """One turn: the first one, or the next thing that happens in the world."""
        if len(self.rows) == 1 or self.is_cut_short:
            self.turn([])
        elif self.aborted:
            self.turn(self.take_aborted())
        elif self.oracle.cancel_after == self.landed and self.state.phase == "" and self.state.cancel_by is None:
            self.turn([MailRead(1, "cancel", {}, "somebody")])
        elif self.flying:
            self.turn([self.land(self.next_in_flight())])
        else:
            timer = next_timer(self.state)
            assert timer is not None, "nothing is in flight, no timer stands, and the run has not ended"
            self.at = max(self.at, timer[0])
            self.turn([])

    def next_in_flight(self) -> str:
        return min(self.flying, key=lambda key: self.oracle.rank(key, self.flying[key]))

    def land(self, key: str) -> Outcome:
        self.landed += 1
        return self.bring(self.answer(key, self.flying.pop(key)))

    def bring(self, outcome: Succeeded | Failed | Aborted) -> Outcome:
        """The outcome as it arrives: that of a job in a message."""
        if outcome.key not in self.jobs:
            return outcome
        self.jobs.discard(outcome.key)
        return tell_job(outcome)

    def answer(self, key: str, attempt: int) -> Succeeded | Failed:
        match self.oracle.outcome(key, max(attempt, 1)):
            case Succeeds(port):
                port = "done" if key.startswith("~undo/") else port
                return Succeeded(key, attempt, port, output_of(key, self.parameters[key]))
            case Fails(code, is_retryable):
                return Failed(key, attempt, {"code": code, "message": "It failed."}, is_retryable=is_retryable)

    def take_aborted(self) -> list[Outcome]:
        """What became of aborted attempts: most are lost, late ones end well."""
        aborted = sorted(self.aborted.items(), key=lambda item: self.oracle.rank(*item))
        self.aborted.clear()
        return [self.bring(self.answer(*item) if self.oracle.is_late(*item) else Aborted(*item)) for item in aborted]

    def turn(self, outcomes: Sequence[Outcome]) -> TurnRow:
        """Records, decides, computes pure operations in the turn, and takes over the work that is left."""
        sheet = take_turn(self.state, self.at, outcomes, self.compute)
        row = TurnRow(self.at, tuple(outcomes), tuple(sheet.events), tuple(sheet.work))
        self.rows.append(row)
        self.is_cut_short = sheet.is_full
        for work in sheet.work:
            match work:
                case Effect():
                    self.take_off(work)
                case StartJob():
                    self.take_off(work.effect)
                    self.jobs.add(work.effect.key)
                case DropJob():
                    self.aborted[work.key] = self.flying.pop(work.key)
                case Abort() if work.key in self.flying:
                    self.aborted[work.key] = self.flying.pop(work.key)
                case Abort():
                    pass  # of an attempt that another worker began
                case _:
                    raise AssertionError(f"the driver cannot do {work}")
        return row

    def take_off(self, work: Effect) -> None:
        self.flying[work.key] = work.attempt
        self.parameters[work.key] = cast("JsonValue", work.parameters)

    def compute(self, work: Pure) -> Outcome:
        self.parameters[work.key] = cast("JsonValue", work.parameters)
        return self.answer(work.key, 0)

    def crash(self) -> "Driver":
        """Another worker finds the journal alone: what was in flight is unknown to it, but for jobs, which go on elsewhere."""
        again = begin(self.workflow, cast("RunStarted", self.rows[0].events[0])["input"], self.oracle)
        again.rows = list(self.rows)
        again.at, again.landed = self.at, self.landed
        again.jobs = {key for key in self.jobs if key in self.flying}
        again.flying = {key: self.flying[key] for key in self.flying if key in again.jobs}
        again.parameters = dict(self.parameters)
        for row in self.rows[1:]:
            for event in row.events:
                fold(again.state, event, row.at)
        claimed: RunClaimed = {"type": "run.claimed", "epoch": self.state.epoch + 1, "worker": 2, "why": "expired"}
        fold(again.state, claimed, self.at)
        again.rows.append(TurnRow(self.at, (), (claimed,)))
        again.turn([])
        return again


def begin(workflow: Workflow, input_: JsonValue, oracle: Oracle) -> Driver:
    """A run that has been started and not yet decided."""
    started: RunStarted = {
        "type": "run.started",
        "run": "run_00000000000000000000000001",
        "workspace": "ws_00000000000000000000000001",
        "workflow": {"id": "wf_1", "name": workflow.name, "version": 1, "digest": workflow.digest},
        "input": input_,
        "vars": {},
        "trigger": {"kind": "manual"},
        "actor": "somebody",
    }

    def choose_queue(step: Step, _name: str, _parameters: JsonObject) -> str | None:
        return "heavy" if step.id in oracle.jobs else None

    state = RunState(Program(workflow, choose_queue=choose_queue), started, STARTED_AT_MS)
    return Driver(workflow, oracle, state, [TurnRow(STARTED_AT_MS, (), (started,))])


def tell_job(outcome: Succeeded | Failed | Aborted, lost: str = "aborted") -> MailRead:
    """The message of a job's worker, or about its loss."""
    body: JsonObject = {"step": outcome.key, "attempt": outcome.attempt}
    match outcome:
        case Succeeded():
            body |= {"port": outcome.port, "output": outcome.output}
        case Failed():
            body |= {"error": cast("JsonObject", outcome.error), "is_fatal": outcome.is_fatal}
            body |= {"is_retryable": outcome.is_retryable, "after_ms": outcome.after_ms, "postpones": outcome.postpones}
        case Aborted():
            body["lost"] = lost
    return MailRead(1, "job", body, "system")


def take_turn(state: RunState, at: int, outcomes: Iterable[Outcome], compute: Callable[[Pure], Outcome]) -> TurnSheet:
    """One turn of the core. What is left in `work` is for after the commit."""
    sheet = TurnSheet(state, at, lambda: 1)
    for outcome in outcomes:
        record(sheet, outcome)
    decide(sheet)
    while pure := [work for work in sheet.work if isinstance(work, Pure)]:
        sheet.work = [work for work in sheet.work if not isinstance(work, Pure)]
        for work in pure:
            record(sheet, compute(work))
        decide(sheet)
    return sheet


def rebuild(driver: Driver, rows: Sequence[TurnRow]) -> RunState:
    """The state that these rows of the driver's journal give, with the outcomes that leave no event."""
    state = begin(driver.workflow, cast("RunStarted", driver.rows[0].events[0])["input"], driver.oracle).state
    for row in rows[1:]:
        for outcome in row.outcomes:
            if isinstance(outcome, Aborted | Settled):
                record(TurnSheet(state, row.at, lambda: 1), outcome)
        for event in row.events:
            fold(state, event, row.at)
    return state


def steps_of(state: RunState) -> Iterator[tuple[str, Scope, int]]:
    """Every step of every scope that is in memory."""
    for scope in state.scopes.values():
        for index in range(scope.plan.size):
            yield scope.key(index), scope, index


def settled_steps(state: RunState) -> dict[str, tuple[int, str | None, JsonValue]]:
    """Steps that are over, with port and output: what may never change again."""
    return {
        key: (scope.status[index], scope.ports.get(index), cast("JsonValue", scope.outputs.get(index)))
        for key, scope, index in steps_of(state)
        if COMPLETED <= scope.status[index] < CANCELLED
    }


def picture(state: RunState) -> JsonObject:
    """What the journal says about a run, as one comparable value; caches and in-flight notes of the shell are left out."""
    return cast(
        "JsonObject",
        {
            "phase": state.phase,
            "status": state.status,
            "output": state.output,
            "error": state.error,
            "input": state.input,
            "mail_seen": state.mail_seen,
            "is_paused": state.is_paused,
            "uncompensated": state.uncompensated,
            "undo": [(undo.key, undo.parameters, undo.error) for undo in state.undo],
            "timers": dict(sorted(state.timers.items())),
            "open": {key: (state.open[key].attempt, state.open[key].planned_at) for key in sorted(state.open)},
            "unknown": sorted(state.unknown),
            "jobs": {key: state.open[key].job for key in sorted(state.open)},
            "job_results": dict(sorted(state.job_results.items())),
            "waits": {
                key: (state.waits[key].kind, state.waits[key].since, state.waits[key].until) for key in sorted(state.waits)
            },
            "started": dict(sorted(state.started_steps.items())),
            "ready": sorted(scope.key(index) for scope, index in state.ready.values()),
            "scopes": {path: scope_picture(state.scopes[path]) for path in sorted(state.scopes)},
            "loops": {
                key: (loop.next, loop.running, loop.window, loop.count, sorted(loop.values.items()), loop.failures, loop.is_over)
                for key, loop in sorted(state.loops.items())
            },
        },
    )


def scope_picture(scope: Scope) -> JsonObject:
    return cast(
        "JsonObject",
        {
            "status": list(scope.status),
            "undecided": [
                [left, taken] if status == PENDING else None
                for status, left, taken in zip(scope.status, scope.left, scope.taken, strict=True)
            ],
            "open": scope.open,
            "ports": dict(sorted(scope.ports.items())),
            "outputs": dict(sorted(scope.outputs.items())),
            "errors": dict(sorted(scope.errors.items())),
            "attempts": dict(sorted(scope.attempts.items())),
            "failures": dict(sorted(scope.failures.items())),
            "losses": dict(sorted(scope.losses.items())),
        },
    )
