"""`fold`: one event of the journal into the state. Uses the graph's edges; never evaluates an expression, never guesses."""

from collections.abc import Callable
from typing import Any, cast

from flowforge.engine.errors import UnknownEventError
from flowforge.engine.events import (
    Event,
    LoopItem,
    LoopOpened,
    RunClaimed,
    RunFinished,
    RunPhase,
    StepBypassed,
    StepCompleted,
    StepFailed,
    StepParked,
    StepPlanned,
    StepWaiting,
    TimerFired,
)
from flowforge.engine.machine.mail import fold_mail
from flowforge.engine.machine.packing import unpack_parameters
from flowforge.engine.machine.propagation import (
    advance_loop,
    cancel_scope,
    cancel_step,
    drop_loop,
    end_loop,
    end_undo,
    fail_iteration,
    finish_iteration,
    forget,
    last_output,
    leave,
    open_iteration,
)
from flowforge.engine.machine.state import (
    BYPASSED,
    COMPLETED,
    FAILED,
    FINALLY,
    LOOPING,
    ON_FAILURE,
    PARKED,
    RETRYING,
    RUNNING,
    UNDO,
    UNKNOWN,
    WAITING,
    Blob,
    Loop,
    OpenAttempt,
    Parts,
    RunState,
    Scope,
    Stored,
    Undo,
    Wait,
    locate,
    mark_ready,
    next_undo,
    open_scope,
    set_timer,
    unmark_ready,
)
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Foreach, OnError, Repeat


def fold(state: RunState, event: Event, at: int) -> None:
    """Applies one event. `at` is the time of its journal row.

    Raises:
        UnknownEventError: the journal was written by a newer version.
    """
    state.at = at
    handler = _HANDLERS.get(event["type"])
    if handler is None:
        raise UnknownEventError(event["type"])
    handler(state, event)


def value_of(event: StepCompleted | RunPhase | RunFinished) -> JsonValue | Blob:
    blob = event.get("blob")
    return event.get("output") if blob is None else Blob(blob)


def _fold_started(_state: RunState, _event: Event) -> None:
    """The state was made from it."""


def _fold_claimed(state: RunState, event: RunClaimed) -> None:
    """Another worker begins: of attempts without outcome nobody knows; called runs and jobs report themselves."""
    state.epoch = event["epoch"]
    state.is_poison = event.get("poison", False)
    for key, attempt in list(state.open.items()):
        if attempt.is_local:
            del state.open[key]
            state.unknown[key] = attempt
            attempt.scope.status[attempt.index] = UNKNOWN
    for key in state.aborting:
        state.job_results.pop(key, None)
    state.aborting.clear()


def _fold_phase(state: RunState, event: RunPhase) -> None:
    state.phase = event["phase"]
    was_undoing = bool(state.undo_now)
    state.status = event["status"]
    state.error = event.get("error")
    if event["phase"] == "cancelling":
        state.output = value_of(event)
        state.settled = False
        _cancel_all(state)
        if was_undoing:
            _give_up_undo(state)
    elif event["phase"] == "undoing":
        next_undo(state)
    elif event["phase"] == "on_failure":
        graph = state.program.workflow.on_failure
        assert graph is not None
        open_scope(state, state.program.plan(graph), ON_FAILURE, state.root)
    elif event["phase"] == "finally":
        graph = state.program.workflow.finally_
        assert graph is not None
        state.output = value_of(event)
        _cancel_all(state)
        open_scope(state, state.program.plan(graph), FINALLY, state.root)


def _give_up_undo(state: RunState) -> None:
    """A run cancelled while it compensates lists what stays as it is."""
    error: JsonValue = {"code": "cancelled", "message": "The run was cancelled before this step was compensated."}
    state.uncompensated.extend({"step": undo.key, "error": error} for undo in reversed(state.undo))
    state.undo.clear()


def _cancel_all(state: RunState) -> None:
    """Everything in progress stops; the main graph's results stay readable."""
    for scope in list(state.scopes.values()):
        if scope.parent is None or scope.loop is None:
            cancel_scope(state, scope)
            if scope is not state.root:
                del state.scopes[scope.path]
    state.failing.clear()
    state.closing.clear()
    state.fired.clear()
    state.timers.clear()
    state.signals.clear()
    state.undo_scope = None
    if state.undo_now is not None:
        state.undo.append(state.undo_now)
        state.undo_now = None


def _fold_finished(state: RunState, event: RunFinished) -> None:
    _cancel_all(state)
    state.phase = "finished"
    state.status = event["status"]
    state.output = value_of(event)
    state.error = event.get("error")
    state.uncompensated = event.get("uncompensated", [])


def _fold_planned(state: RunState, event: StepPlanned) -> None:
    key = event["step"]
    scope, index = locate(state, key)
    unmark_ready(state, scope, index)
    state.unknown.pop(key, None)
    attempt = OpenAttempt(scope, index, event["attempt"], state.at)
    state.open[key] = attempt
    scope.attempts[index] = event["attempt"]
    scope.status[index] = RUNNING
    state.started_steps.setdefault(key, state.at)
    if "parameters" in event:
        state.parameters[key] = unpack_parameters(event["parameters"])
    wait = state.waits.pop(key, None)
    if wait is not None:
        state.slot_waits.pop(key, None)
        state.parked.pop(key, None)
        state.requested.discard(key)
    child = event.get("child")
    if child is not None:
        _fold_child(state, event, attempt, child)
    elif "job" in event:
        attempt.job = event["job"]
        state.waits[key] = Wait("job", state.at, ref={"queue": event["job"], "attempt": event["attempt"]})


def _fold_child(state: RunState, event: StepPlanned, attempt: OpenAttempt, child: dict[str, JsonValue]) -> None:
    key = event["step"]
    attempt.child = cast("int", child["no"])
    if child["wait"]:
        attempt.scope.status[attempt.index] = WAITING
        state.waits[key] = Wait("child", state.at, ref=dict(child))
        timeout_ms = attempt.scope.graph.steps[attempt.index].timeout_ms
        if timeout_ms is not None and event["attempt"] == 1:
            set_timer(state, f"timeout:{key}", state.at + timeout_ms)


def _fold_completed(state: RunState, event: StepCompleted) -> None:
    key = event["step"]
    if state.job_results:
        state.job_results.pop(key, None)
    late = state.aborting.pop(key, None)
    if late is not None:
        _fold_late(state, late.scope, late.index, event)
        return
    scope, index = locate(state, key)
    state.open.pop(key, None)
    mail = event.get("mail")
    if mail is not None:
        state.signals = [signal for signal in state.signals if signal.no != mail]
    if scope.status[index] == LOOPING:
        _finish_loop(state, scope, index, event)
    else:
        scope.outputs[index] = value_of(event)
    scope.attempts.setdefault(index, 1)
    _note_undo(state, scope, index, event)
    _end_step(state, scope, index, key, COMPLETED)
    scope.ports[index] = event["port"]
    leave(state, scope, index, event["port"])


def _end_step(state: RunState, scope: Scope, index: int, key: str, status: int) -> None:
    unmark_ready(state, scope, index)
    forget(state, scope, index, key)
    scope.status[index] = status


def _finish_loop(state: RunState, scope: Scope, index: int, event: StepCompleted) -> None:
    """A container's value is that of its iterations, unless it is a repeat: then the last one's."""
    key = event["step"]
    loop = state.loops[key]
    if "blob" in event or "output" in event:
        scope.outputs[index] = value_of(event)
    else:
        scope.outputs[index] = loop_value(loop)
    error = event.get("error")
    if error is not None:
        scope.errors[index] = error
    drop_loop(state, key)


def loop_value(loop: Loop) -> Stored:
    """The iterations' values in the order of the items; after `break` those that there are."""
    if loop.count is None:
        return loop.previous
    values = [loop.values[index] for index in sorted(loop.values)]
    if any(isinstance(value, Blob | Parts) for value in values):
        return Parts(values)
    return cast("JsonValue", values)


def _fold_late(state: RunState, scope: Scope, index: int, event: StepCompleted) -> None:
    """An aborted attempt completed all the same: its result stands and can be undone, but leads nowhere."""
    scope.outputs[index] = value_of(event)
    scope.ports[index] = event["port"]
    scope.status[index] = COMPLETED
    _note_undo(state, scope, index, event)


def _note_undo(state: RunState, scope: Scope, index: int, event: StepCompleted) -> None:
    undo = event.get("undo")
    if undo is not None:
        step = scope.graph.steps[index]
        parameters = unpack_parameters(undo) if "parameters" in undo else None
        error = cast("dict[str, JsonValue] | None", undo.get("error"))
        state.undo.append(Undo(event["step"], step, parameters, error))


def _fold_failed(state: RunState, event: StepFailed) -> None:
    key = event["step"]
    if state.job_results:
        state.job_results.pop(key, None)
    late = state.aborting.pop(key, None)
    if late is not None:
        late.scope.errors[late.index] = event["error"]
        late.scope.status[late.index] = FAILED
        return
    scope, index = locate(state, key)
    attempt = state.open.pop(key, None)
    if attempt is not None and attempt.child is not None:
        state.child_results.pop(key, None)
        if state.fired.get(key) == "timeout":
            state.side.children_cancelled.append(attempt.child)
    scope.errors[index] = event["error"]
    if not event.get("postponed"):
        scope.failures[index] = scope.failures.get(index, 0) + 1
    if scope.status[index] == LOOPING:
        cancel_step(state, scope, index)
    if event["retry_at"] is not None:
        _await_retry(state, scope, index, event)
        return
    _fail_for_good(state, scope, index, event)


def _await_retry(state: RunState, scope: Scope, index: int, event: StepFailed) -> None:
    key, due = event["step"], cast("int", event["retry_at"])
    scope.status[index] = RETRYING
    state.unknown.pop(key, None)
    ref: JsonObject = {"code": event["error"]["code"], "attempt": event["error"].get("attempt", 1)}
    details = event["error"].get("details")
    if event.get("postponed") and isinstance(details, dict):
        ref["host"] = details.get("host")
    state.waits[key] = Wait("retry", state.at, due, ref)
    set_timer(state, f"retry:{key}", due)
    if scope.graph.steps[index].limit is not None:
        state.granted.discard(key)
        state.side.slots_freed.append(key)


def _fail_for_good(state: RunState, scope: Scope, index: int, event: StepFailed) -> None:
    key, step = event["step"], scope.graph.steps[index]
    if not step.handles_error and step.on_error is OnError.ASK:
        _end_step(state, scope, index, key, PARKED)
        park(state, scope, index, key, "error")
        return
    _end_step(state, scope, index, key, FAILED)
    if scope is state.undo_scope:
        undone = key.removeprefix(UNDO)
        state.uncompensated.append({"step": undone, "error": cast("JsonValue", event["error"])})
        end_undo(state, scope)
    elif step.handles_error:
        scope.ports[index] = "error"
        leave(state, scope, index, "error")
    elif step.on_error is OnError.CONTINUE:
        scope.outputs[index] = None
        scope.ports[index] = "done"
        leave(state, scope, index, "done")
    else:
        state.failing[key] = (scope, event["error"])


def park(state: RunState, scope: Scope, index: int, key: str, reason: str) -> None:
    """The step waits for a person."""
    scope.status[index] = PARKED
    state.parked[key] = (scope, index)
    state.waits[key] = Wait("person", state.at, ref={"reason": reason})


def _fold_parked(state: RunState, event: StepParked) -> None:
    key = event["step"]
    scope, index = locate(state, key)
    state.unknown.pop(key, None)
    state.open.pop(key, None)
    unmark_ready(state, scope, index)
    if "error" in event:
        scope.errors[index] = event["error"]
    park(state, scope, index, key, event["reason"])


def _fold_bypassed(state: RunState, event: StepBypassed) -> None:
    key = event["step"]
    scope, index = locate(state, key)
    if scope.status[index] == LOOPING:
        cancel_step(state, scope, index)
    attempt = state.open.pop(key, None)
    if attempt is not None and attempt.child is not None:
        state.side.children_cancelled.append(attempt.child)
    state.skips.pop(key, None)
    _end_step(state, scope, index, key, BYPASSED)
    exit_port = scope.graph.steps[index].exit or "default"
    scope.outputs[index] = event.get("output")
    scope.ports[index] = exit_port
    leave(state, scope, index, exit_port)


def _fold_waiting(state: RunState, event: StepWaiting) -> None:
    key = event["step"]
    scope, index = locate(state, key)
    unmark_ready(state, scope, index)
    scope.status[index] = WAITING
    until = event.get("until")
    state.waits[key] = Wait(event["kind"], state.at, until, event.get("ref", {}))
    state.started_steps.setdefault(key, state.at)
    if event["kind"] == "slot":
        state.slot_waits[key] = (scope, index)
        return
    if event["kind"] == "signal":
        state.signal_waits[key] = (scope, index)
    if until is not None:
        set_timer(state, f"wait:{key}", until)
    timeout_ms = scope.graph.steps[index].timeout_ms
    if timeout_ms is not None:
        set_timer(state, f"timeout:{key}", state.at + timeout_ms)


def _fold_loop_opened(state: RunState, event: LoopOpened) -> None:
    key = event["step"]
    scope, index = locate(state, key)
    unmark_ready(state, scope, index)
    step = scope.graph.steps[index]
    action = step.action
    assert isinstance(action, Foreach | Repeat)
    scope.status[index] = LOOPING
    loop = Loop(scope, index, state.program.plan(action.body), event["window"])
    state.loops[key] = loop
    state.started_steps[key] = state.at
    if step.timeout_ms is not None:
        set_timer(state, f"timeout:{key}", state.at + step.timeout_ms)
    if isinstance(action, Repeat):
        open_iteration(state, loop)
        return
    blob = event.get("blob")
    loop.items = event.get("items", []) if blob is None else Blob(blob)
    loop.count = event.get("count", 0)
    advance_loop(state, loop)


def _fold_loop_item(state: RunState, event: LoopItem) -> None:
    loop = state.loops[event["step"]]
    scope = loop.scopes[event["index"]]
    error = event.get("error")
    if error is not None:
        fail_iteration(state, loop, scope, error)
        return
    state.closing.pop(scope.path, None)
    value = event["value"] if "value" in event else last_output(scope)
    finish_iteration(state, loop, scope, value)
    if event.get("limit", False):
        loop.error = {"code": "repeat_limit", "message": f"`until` was still false after {event['index'] + 1} iterations."}
    if event.get("last", False):
        end_loop(state, loop)
    elif loop.count is None:
        next_at = event.get("next_at")
        if next_at is None:
            open_iteration(state, loop)
        else:
            set_timer(state, f"every:{loop.key}", next_at)


def _fold_fired(state: RunState, event: TimerFired) -> None:
    which = event["which"]
    state.timers.pop(which, None)
    kind, _, key = which.partition(":")
    if kind == "retry":
        scope, index = locate(state, key)
        state.waits.pop(key, None)
        mark_ready(state, scope, index)
    elif kind == "every":
        open_iteration(state, state.loops[key])
    else:
        state.fired[key] = kind


_HANDLERS: dict[str, Callable[[RunState, Any], None]] = {
    "run.started": _fold_started,
    "run.claimed": _fold_claimed,
    "run.mail": fold_mail,
    "run.phase": _fold_phase,
    "run.finished": _fold_finished,
    "step.planned": _fold_planned,
    "step.completed": _fold_completed,
    "step.failed": _fold_failed,
    "step.bypassed": _fold_bypassed,
    "step.waiting": _fold_waiting,
    "step.parked": _fold_parked,
    "loop.opened": _fold_loop_opened,
    "loop.item": _fold_loop_item,
    "timer.fired": _fold_fired,
}
