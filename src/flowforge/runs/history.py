"""From a journal to what people look at: steps with their attempts and times. Pure: no clock, no database."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from flowforge.engine.events import ErrorValue, Event, RunFinished, RunStarted
from flowforge.kit.border import decode
from flowforge.kit.errors import InvariantError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import OnError, Workflow
from flowforge.runs.outline import UNDO, Outline
from flowforge.runs.types import NOTHING, Attempt, JournalTurn, StepRecord, StoredValue, WaitingFor, error_as_json

DONE_STATUSES = frozenset({"completed", "failed", "skipped", "bypassed", "cancelled"})


@dataclass(slots=True)
class _Attempt:
    number: int
    started_at_ms: int
    status: str = "running"
    finished_at_ms: int | None = None
    output: StoredValue = NOTHING
    error: ErrorValue | None = None


@dataclass(slots=True)
class _Step:
    key: str
    started_at_ms: int
    status: str = "running"
    port: str | None = None
    finished_at_ms: int | None = None
    attempts: list[_Attempt] = field(default_factory=list[_Attempt])
    output: StoredValue = NOTHING
    error: ErrorValue | None = None
    waits_for: WaitingFor | None = None
    child_run_id: str | None = None

    @property
    def open_attempt(self) -> _Attempt | None:
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.finished_at_ms is None else None


class History:
    """Reads a journal turn by turn. `workflow` gives order and kinds of the steps; without it they stand in the order of the journal."""

    def __init__(self, workflow: Workflow | None = None) -> None:
        self.workflow = workflow
        self.outline = None if workflow is None else Outline(workflow)
        self.started: RunStarted | None = None
        self.finished: RunFinished | None = None
        self.started_at_ms = 0
        self.finished_at_ms: int | None = None
        self.last_seq = 0
        self.phase = ""
        self.is_paused = False
        self.input: JsonValue = None
        self.corrections: list[JsonValue] = []
        self._steps: dict[str, _Step] = {}
        # The steps that are not over: what is asked at every turn must not walk through a long run.
        self._open: dict[str, _Step] = {}
        self._loops: set[str] = set()

    def apply(self, turn: JournalTurn) -> None:
        self.last_seq = turn.seq
        for event in turn.events:
            if event["type"].startswith("run."):
                self._apply_run_event(event, turn.at_ms)
            else:
                self._apply_step_event(event, turn.at_ms)

    def _apply_run_event(self, event: Event, at_ms: int) -> None:
        if event["type"] == "run.started":
            self.started, self.started_at_ms, self.input = event, at_ms, event["input"]
        elif event["type"] == "run.mail":
            self._apply_mail(event["kind"], event["body"])
        elif event["type"] == "run.phase":
            self.phase = event["phase"]
            self._cancel(at_ms, lambda step: step.open_attempt is None)
        elif event["type"] == "run.finished":
            self.finished, self.finished_at_ms = event, at_ms
            self._cancel(at_ms, lambda _: True)

    def _apply_mail(self, kind: str, body: JsonObject) -> None:
        if kind in ("pause", "resume"):
            self.is_paused = kind == "pause"
        elif kind == "edit":
            self.corrections.append(body.get("input"))
            self.input = body.get("input")

    def _apply_step_event(self, event: Event, at_ms: int) -> None:
        if event["type"] == "step.planned":
            step = self._begin(event["step"], at_ms)
            step.attempts.append(_Attempt(event["attempt"], at_ms))
            child = event.get("child")
            step.child_run_id = None if child is None else cast("str", child["run"])
        elif event["type"] == "step.completed":
            value = StoredValue(event.get("output"), event.get("blob"))
            step = self._steps.get(event["step"]) or self._begin(event["step"], at_ms)
            _settle(step, event.get("attempt"), "completed", at_ms, output=value, error=event.get("error"))
            self._end(step, event["port"], at_ms)
        elif event["type"] == "step.bypassed":
            step = self._steps.get(event["step"]) or self._begin(event["step"], at_ms)
            step.status, step.output, step.error = "bypassed", StoredValue(event.get("output")), None
            self._end(step, None, at_ms)
        elif event["type"] == "step.failed":
            step = self._steps.get(event["step"]) or self._begin(event["step"], at_ms)
            _settle(step, event.get("attempt"), "failed", at_ms, output=NOTHING, error=event["error"])
            self._fail(step, event["error"], event["retry_at"], at_ms)
        elif event["type"] == "step.waiting":
            wait = WaitingFor(event["step"], event["kind"], event.get("until"), event.get("ref", {}))
            self._wait(self._begin(event["step"], at_ms), wait)
        elif event["type"] == "step.parked":
            self._park(event["step"], event["reason"], event.get("error"), at_ms)
        elif event["type"] == "loop.opened":
            self._begin(event["step"], at_ms)
            self._loops.add(event["step"])

    def _begin(self, key: str, at_ms: int) -> _Step:
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = _Step(key, at_ms)
        self._open.setdefault(key, step)
        step.status, step.port, step.finished_at_ms, step.waits_for = "running", None, None, None
        return step

    def _wait(self, step: _Step, wait: WaitingFor) -> None:
        step.status, step.waits_for = "waiting", wait

    def _park(self, key: str, reason: str, error: ErrorValue | None, at_ms: int) -> None:
        step = self._begin(key, at_ms)
        attempt = step.open_attempt
        if attempt is not None:
            attempt.status, attempt.finished_at_ms, attempt.error = "unknown", at_ms, error
        ref: JsonObject = {"reason": reason}
        if error is not None:
            ref["error"] = error_as_json(error)
        self._wait(step, WaitingFor(key, "attention", None, ref))

    def _end(self, step: _Step, port: str | None, at_ms: int) -> None:
        step.port, step.finished_at_ms, step.waits_for = port, at_ms, None
        self._open.pop(step.key, None)
        if step.key in self._loops:
            self._loops.discard(step.key)
            self._cancel(at_ms, lambda inner: inner.key.startswith(step.key + "."))

    def _fail(self, step: _Step, error: ErrorValue, retry_at_ms: int | None, at_ms: int) -> None:
        if retry_at_ms is None and self._asks_a_person(step.key):
            self._wait(step, WaitingFor(step.key, "attention", None, {"reason": "error", "error": error_as_json(error)}))
        elif retry_at_ms is None:
            self._end(step, "error", at_ms)
        else:
            self._wait(step, WaitingFor(step.key, "retry", retry_at_ms, {"error": error_as_json(error)}))

    def _asks_a_person(self, key: str) -> bool:
        """Whether a failure of the step parks the run: `on_error: ask` writes no event of its own."""
        found = None if self.outline is None or key.startswith(UNDO) else self.outline.find(key)
        return found is not None and found.on_error is OnError.ASK and not found.handles_error

    def _cancel(self, at_ms: int, is_meant: Callable[[_Step], bool]) -> None:
        for step in [step for step in self._open.values() if is_meant(step)]:
            del self._open[step.key]
            _cancel(step, at_ms)

    def list_steps(self, statuses: Mapping[str, str] | None = None) -> list[StepRecord]:
        """All steps of the main graph and every other step that was reached.

        `statuses`: what the engine's state says of steps by key; without it a step that was not reached is pending while the run is
        open. In an ended run it is skipped.
        """
        known = dict(statuses or {})
        unreached = "skipped" if self.finished is not None else "pending"
        records = [_freeze(step, self._operation_of(step.key), known.get(step.key)) for step in self._steps.values()]
        if self.outline is None:
            return records
        missing = [step for step in self.outline.list_steps() if step.id not in self._steps]
        records.extend(_unreached(step.id, step.uses, known.get(step.id, unreached)) for step in missing)
        position = self.outline.position
        return sorted(records, key=lambda record: position(record.key))

    def find_poisoned(self) -> str | None:
        """The step that waits for a person because it ended its worker again and again."""
        poisoned = (wait.step for wait in self.list_waits() if wait.kind == "attention" and wait.ref.get("reason") == "poison")
        return next(poisoned, None)

    def list_waits(self) -> list[WaitingFor]:
        """What the run waits for, oldest first."""
        waits: list[WaitingFor] = []
        for step in self._open.values():
            if step.waits_for is not None:
                waits.append(step.waits_for)
            elif step.child_run_id is not None:
                waits.append(WaitingFor(step.key, "child", None, {"run": step.child_run_id}))
        return waits

    def find_last_attempt(self, key: str) -> tuple[int, int] | None:
        """Number and start (in milliseconds since 1970) of the last attempt of a step."""
        step = self._steps.get(key)
        if step is None or not step.attempts:
            return None
        return step.attempts[-1].number, step.attempts[-1].started_at_ms

    def find_start(self, key: str) -> int | None:
        """When a step began (in milliseconds since 1970); a wait or a loop begins without an attempt."""
        step = self._steps.get(key)
        return None if step is None else step.started_at_ms

    def has_open_attempts(self) -> bool:
        """Whether any attempt is under way, a called run's aside."""
        return any(step.open_attempt is not None and step.child_run_id is None for step in self._open.values())

    def get_started(self) -> RunStarted:
        """The first event. Raises InvariantError if the journal does not begin with it."""
        if self.started is None:
            raise InvariantError("The journal of this run does not begin with run.started.")
        return self.started

    def _operation_of(self, key: str) -> str:
        return "" if self.outline is None else self.outline.operation_of(key)


def _settle(step: _Step, number: int | None, status: str, at_ms: int, *, output: StoredValue, error: ErrorValue | None) -> None:
    """Writes the outcome of an attempt into it; what has no plan (a pure step, a branch, a wait) gets its attempt now."""
    attempt = step.open_attempt or next((made for made in step.attempts if made.number == number), None)
    if attempt is None:
        attempt = _Attempt(number or 1, step.started_at_ms)
        step.attempts.append(attempt)
    attempt.status, attempt.finished_at_ms, attempt.output, attempt.error = status, at_ms, output, error
    step.status, step.output, step.error = status, output, error


def _cancel(step: _Step, at_ms: int) -> None:
    attempt = step.open_attempt
    if attempt is not None:
        attempt.status, attempt.finished_at_ms = "unknown", at_ms
    step.status, step.finished_at_ms, step.waits_for = "cancelled", at_ms, None


def _freeze(step: _Step, uses: str, status: str | None) -> StepRecord:
    attempts = [
        Attempt(attempt.number, attempt.status, attempt.started_at_ms, attempt.finished_at_ms, attempt.output, attempt.error)
        for attempt in step.attempts
    ]
    return StepRecord(
        key=step.key,
        uses=uses,
        status=status or step.status,
        port=step.port,
        attempts=attempts,
        output=step.output,
        error=step.error,
        started_at_ms=step.started_at_ms,
        finished_at_ms=step.finished_at_ms,
        waits_for=step.waits_for,
        child_run_id=step.child_run_id,
    )


def _unreached(key: str, uses: str, status: str) -> StepRecord:
    return StepRecord(key, uses, status, None, [], NOTHING, None, None, None, None, None)


def decode_turn(seq: int, at_ms: int, body: bytes | str) -> JournalTurn:
    """A journal row as it was written.

    Raises:
        InvariantError: the row is no list of events.
    """
    events = decode(body)
    if not isinstance(events, list):
        raise InvariantError("A journal row does not hold a list of events.")
    return JournalTurn(seq, at_ms, cast("list[Event]", events))


def read_history(turns: Iterable[JournalTurn], workflow: Workflow | None = None) -> History:
    """The history of a whole journal, or of its beginning."""
    history = History(workflow)
    for turn in turns:
        history.apply(turn)
    return history
