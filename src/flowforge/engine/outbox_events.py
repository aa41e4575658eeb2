"""What a turn tells the outside: the `run.*` events of docs/events.md, as rows for the outbox, in the commit of the turn itself.

`runs/events.py` derives the same events, and those of steps, from the journal afterwards: id, seq and data are the same either way, so
that who hears an event pushed and then reads on in the journal meets none twice. `seq` = journal row * 65,536 + place in the row: events
have the place in which the row tells them, and those of steps that end without one stand behind them, but before the run's end.

`step.*` is derived from the journal alone: it would write a row for each step, and nobody subscribes to steps of all runs. The one who
first does adds the types to `_describe`.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final, TypedDict, cast

from flowforge.engine.events import ErrorValue, Event, RunFinished, RunStarted
from flowforge.engine.machine.state import RunState, Wait, is_waiting, locate
from flowforge.engine.store import NewOutboxEvent
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms

PLACES_PER_ROW: Final = 65_536
END_PLACE: Final = PLACES_PER_ROW - 1
"""That of `run.finished`, which is the last event however many steps the run's end skips and cancels."""
WAITS_TOLD_MAX: Final = 20
"""`run.waiting` names this many waits at most, the oldest; a run may have a hundred thousand."""

_STEPS_TOLD: Final = frozenset({"step.planned", "step.completed", "step.failed", "step.bypassed", "step.waiting", "step.parked"})
"""The journal's events of steps that the derived stream tells, each by one event: they take places."""


class OutboxPayload(TypedDict):
    """An outbox row's `payload`: what the row's own columns do not say of the event. `data` as docs/events.md has it."""

    seq: int
    actor: str
    data: JsonObject


def list_outbox_events(state: RunState, events: Sequence[Event], at: int, *, row: int, was_waiting: bool) -> list[NewOutboxEvent]:
    """What the journal row `row`, whose `events` are folded into `state`, tells the outside. Costs next to nothing where that is nothing.

    `was_waiting`: whether the run waited before them (`TurnSheet.was_waiting`).
    """
    told: list[NewOutboxEvent] = []
    place = 0
    for event in events:
        kind = event["type"]
        if kind in _STEPS_TOLD:
            place += 1
        elif kind in _DESCRIBED and (described := _describe(event, state, at)) is not None:
            name, data, actor = described
            own_place = END_PLACE if kind == "run.finished" else place
            told.append(_make(state.started, name, data, actor, at, row * PLACES_PER_ROW + own_place))
            place += 1
    if not was_waiting and not state.is_finished and is_waiting(state):
        data: JsonObject = {"waiting_for": [_describe_wait(state, key, wait) for key, wait in _first_waits(state)]}
        told.append(_make(state.started, "run.waiting", data, state.started["actor"], at, row * PLACES_PER_ROW + place))
    return told


def list_birth_events(started: RunStarted, at: int) -> list[NewOutboxEvent]:
    """What a birth tells: `started` is alone in the run's first journal row, which no turn writes."""
    return [_make(started, "run.started", describe_start(started), started["actor"], at, PLACES_PER_ROW)]


_DESCRIBED: Final = frozenset({"run.started", "run.mail", "run.finished"})


def _describe(event: Event, state: RunState, at: int) -> tuple[str, JsonObject, str] | None:
    """Type, data and actor of an event of the run; None where it is not told (mail of other kinds)."""
    actor = state.started["actor"]
    if event["type"] == "run.finished":
        return "run.finished", describe_end(event, at - state.started_at), actor
    if event["type"] == "run.started":
        return "run.started", describe_start(event), actor
    if event["type"] == "run.mail" and event["kind"] in STEERING:
        return STEERING[event["kind"]], {}, event["by"]
    return None


STEERING: Final = {"pause": "run.paused", "resume": "run.resumed"}
"""The kinds of mail that are events for the outside."""


def describe_start(event: RunStarted) -> JsonObject:
    return {"version": event["workflow"]["version"], "triggered_by": event["actor"]}


def describe_end(event: RunFinished, duration_ms: int) -> JsonObject:
    error = event.get("error")
    return {
        "status": event["status"],
        "duration_ms": duration_ms,
        "error": cast("JsonObject | None", error),
        "failed_step": None if error is None else error.get("step"),
    }


def _first_waits(state: RunState) -> list[tuple[str, Wait]]:
    return list(islice(state.waits.items(), WAITS_TOLD_MAX))


def _describe_wait(state: RunState, key: str, wait: Wait) -> JsonValue:
    kind = "attention" if wait.kind == "person" else wait.kind
    ref: JsonObject = {"step": key}
    if kind == "child":
        ref["run"] = wait.ref["run"]
    elif kind in ("retry", "attention"):
        if "reason" in wait.ref:
            ref["reason"] = wait.ref["reason"]
        error = _find_error(state, key)
        if error is not None:
            ref["error"] = cast("JsonObject", error)
    else:
        ref |= wait.ref
    return {"kind": kind, "ref": ref, "until": None if wait.until is None else format_timestamp_ms(wait.until)}


def _find_error(state: RunState, key: str) -> ErrorValue | None:
    scope, index = locate(state, key)
    return scope.errors.get(index)


def _make(started: RunStarted, name: str, data: JsonObject, actor: str, at: int, seq: int) -> NewOutboxEvent:
    base: JsonObject = {"run_id": started["run"], "workflow_id": started["workflow"]["id"]}
    payload: OutboxPayload = {"seq": seq, "actor": actor, "data": base | data}
    trace = started["origin"].get("trace") if "origin" in started else None
    return NewOutboxEvent(started["workspace"], "run", started["run"], name, encode(cast("JsonObject", payload)), at, trace)
