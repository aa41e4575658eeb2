"""The events of a run as the outside sees them, derived from its journal.

`seq` = journal row * 65,536 + place in the row: it grows, has gaps, and is the same however often it is derived.

Steps that are skipped or cancelled write nothing: that follows from the graph. Where the definition is at hand, the engine's own state is
folded beside the history and says which they are, in the turn that decides it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from flowforge.engine.errors import UnknownEventError
from flowforge.engine.events import Event, StepCompleted, StepFailed
from flowforge.engine.machine import Program, RunState, fold
from flowforge.engine.machine.state import Side
from flowforge.engine.outbox_events import END_PLACE, PLACES_PER_ROW, STEERING, WAITS_TOLD_MAX, describe_end, describe_start
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Workflow
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.history import History
from flowforge.runs.times import format_optional_time
from flowforge.runs.types import JournalTurn, StepRecord, WaitingFor, error_as_json

SUMMARY_MAX_BYTES: Final = 1_020
"""With the mark that something is left out, a summary stays below 1 KiB."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One event: what happened, when, to which run, because of whom."""

    seq: int
    type: str
    at_ms: int
    run_id: str
    workspace_id: str
    actor: str
    data: JsonObject

    def as_json(self) -> JsonObject:
        return {
            "id": f"{self.run_id}.{self.seq}",
            "seq": self.seq,
            "type": self.type,
            "time": format_timestamp_ms(self.at_ms),
            "workspace_id": self.workspace_id,
            "subject": self.run_id,
            "actor": self.actor,
            "trace_id": None,
            "data": self.data,
        }


_Told = tuple[str, JsonObject, str | None]
"""Type, data and actor; None: who started the run."""


class EventStream:
    """Derives events turn by turn, from the first one on; `history` is what was read so far."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self._is_waiting = False
        self._state: RunState | None = None

    def read(self, turn: JournalTurn) -> list[RunEvent]:
        """The events of the next journal row."""
        self.history.apply(turn)
        derived = [made for event in turn.events for made in self._derive(event, turn.at_ms)]
        derived.extend(self._derive_waiting())
        end = derived.pop() if derived and derived[-1][0] == "run.finished" else None
        # Behind all others, so that nobody's place depends on whether the definition is at hand.
        derived.extend(islice(self._derive_over(turn), max(END_PLACE - len(derived), 0)))
        placed = [*enumerate(derived), *([] if end is None else [(END_PLACE, end)])]
        started = self.history.get_started()
        base: JsonObject = {"run_id": started["run"], "workflow_id": started["workflow"]["id"]}
        return [
            RunEvent(
                seq=turn.seq * PLACES_PER_ROW + place,
                type=kind,
                at_ms=turn.at_ms,
                run_id=started["run"],
                workspace_id=started["workspace"],
                actor=by or started["actor"],
                data=base | data,
            )
            for place, (kind, data, by) in placed
        ]

    def _derive(self, event: Event, at_ms: int) -> Iterator[_Told]:
        if event["type"] == "run.started":
            yield "run.started", describe_start(event), None
        elif event["type"] == "run.mail" and event["kind"] in STEERING:
            yield STEERING[event["kind"]], {}, event["by"]
        elif event["type"] == "run.finished":
            yield "run.finished", describe_end(event, at_ms - self.history.started_at_ms), None
        elif event["type"] == "step.planned":
            yield "step.started", describe_step(event["step"], {"attempt": event["attempt"]}), None
        elif event["type"] == "step.completed":
            yield "step.completed", self._describe_completed(event, at_ms), None
        elif event["type"] == "step.failed":
            yield "step.failed", self._describe_failed(event, at_ms), None
        elif event["type"] == "step.bypassed":
            data: JsonObject = {"attempt": 0, "bypassed": True, "output_summary": summarise(event.get("output"))}
            yield "step.completed", describe_step(event["step"], data), event.get("by")
        elif event["type"] == "step.waiting":
            until = format_optional_time(event.get("until"))
            waited: JsonObject = {"kind": event["kind"], "until": until, "ref": event.get("ref", {})}
            yield "step.waiting", describe_step(event["step"], waited), None
        elif event["type"] == "step.parked":
            parked: JsonObject = {"kind": "attention", "reason": event["reason"]}
            yield "step.waiting", describe_step(event["step"], parked), None

    def _derive_over(self, turn: JournalTurn) -> Iterator[_Told]:
        """The steps that the turn skips, and those in progress that it cancels. One that is aborted may still tell how it ended."""
        for key, had_begun in self._fold(turn):
            if had_begun:
                attempt, duration_ms = self._measure(key, turn.at_ms)
                yield "step.cancelled", describe_step(key, {"attempt": attempt, "duration_ms": duration_ms}), None
            else:
                yield "step.skipped", describe_step(key, {"attempt": 0}), None

    def _fold(self, turn: JournalTurn) -> list[tuple[str, bool]]:
        if turn.seq == 1 and self.history.workflow is not None:
            self._state = RunState(Program(self.history.workflow), self.history.get_started(), turn.at_ms)
        state = self._state
        if state is None:
            return []
        state.over, state.side = [], Side()
        try:
            for event in turn.events:
                fold(state, event, turn.at_ms)
        except UnknownEventError:
            # Of a newer version: what follows from it is known there.
            self._state = None
        return state.over

    def _derive_waiting(self) -> Iterator[_Told]:
        """A run begins to wait with the turn after which nothing is under way and something is waited for."""
        if self.history.finished is not None:
            return
        waits = [] if self.history.has_open_attempts() else self.history.list_waits()
        if waits and not self._is_waiting:
            yield "run.waiting", {"waiting_for": [describe_wait(wait) for wait in waits[:WAITS_TOLD_MAX]]}, None
        self._is_waiting = bool(waits)

    def _describe_completed(self, event: StepCompleted, at_ms: int) -> JsonObject:
        attempt, duration_ms = self._measure(event["step"], at_ms)
        blob = event.get("blob")
        summary = summarise(event.get("output")) if blob is None else f"({blob['size']} bytes)"
        data: JsonObject = {"attempt": attempt, "duration_ms": duration_ms, "output_summary": summary, "port": event["port"]}
        return describe_step(event["step"], data)

    def _describe_failed(self, event: StepFailed, at_ms: int) -> JsonObject:
        attempt, duration_ms = self._measure(event["step"], at_ms)
        retry_at_ms = event["retry_at"]
        data: JsonObject = {
            "attempt": attempt,
            "duration_ms": duration_ms,
            "error": error_as_json(event["error"]),
            "will_retry": retry_at_ms is not None,
            "next_attempt_at": format_optional_time(retry_at_ms),
        }
        return describe_step(event["step"], data)

    def _measure(self, key: str, at_ms: int) -> tuple[int, int]:
        """The number of the attempt that has just ended, and how long it took; a wait or a loop is one attempt."""
        number, start_ms = self.history.find_last_attempt(key) or (1, self.history.find_start(key))
        return number, 0 if start_ms is None else at_ms - start_ms


def derive_events(turns: Iterable[JournalTurn], after_seq: int = 0, workflow: Workflow | None = None) -> list[RunEvent]:
    """The events of a whole journal that come after `after_seq` (0: all). `workflow` tells where a failure waits for a person."""
    stream = EventStream(History(workflow))
    return [event for turn in turns for event in stream.read(turn) if event.seq > after_seq]


def describe_step(key: str, more: JsonObject) -> JsonObject:
    """Where a step stands, as every step event says it, and what else the event says."""
    iteration, _, step = key.rpartition("/")
    return {"step": step, "iteration": iteration, **more}


def describe_wait(wait: WaitingFor) -> JsonObject:
    return {"kind": wait.kind, "ref": {"step": wait.step, **wait.ref}, "until": format_optional_time(wait.until_ms)}


def summarise(value: JsonValue) -> str | None:
    """The beginning of a value's JSON, of at most 1 KiB; None for null."""
    if value is None:
        return None
    data = encode(value)
    if len(data) <= SUMMARY_MAX_BYTES:
        return data.decode()
    return data[:SUMMARY_MAX_BYTES].decode(errors="ignore") + "…"


def summarise_step(step: StepRecord) -> str | None:
    if step.output.blob is not None:
        return f"({step.output.blob['size']} bytes)"
    return summarise(step.output.value)
