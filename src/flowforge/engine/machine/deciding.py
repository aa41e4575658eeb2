"""`decide`: what happens next, from the state alone. Writes events, folds them at once, and asks the shell for work."""

from typing import Final, cast

from flowforge.engine.events import BlobRef, ErrorValue, LoopItem, StepCompleted
from flowforge.engine.machine.actions import (
    add_undo,
    ask_slot,
    complete_step,
    evaluate_condition,
    fail_step,
    plan_effect,
    start_step,
)
from flowforge.engine.machine.contexts import context_of, read_value
from flowforge.engine.machine.phases import advance_phase, close_graph, fail_graph, heed_cancel
from flowforge.engine.machine.propagation import last_output
from flowforge.engine.machine.recording import record
from flowforge.engine.machine.sheet import TurnSheet, error_of
from flowforge.engine.machine.state import Loop, RunState, Scope, Signal, next_timer
from flowforge.engine.machine.work import Failed, LookBack, Succeeded
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, ExpressionError
from flowforge.language.graph import Call, Foreach, OnInterrupt, Repeat

_UNKNOWN_MESSAGE: Final = "The worker ended while this attempt ran, and nobody knows whether its effect took place."


def decide(sheet: TurnSheet) -> None:
    """Writes all that follows from the state at `sheet.at`, until nothing more follows or the sheet is full.

    Raises:
        BlobNeeded, WorkflowNeeded: something is not in memory. What was written so far stands; decide again when it is.
    """
    state = sheet.state
    while not state.is_finished and not sheet.is_full:
        written, asked = len(sheet.events), len(sheet.work)
        if state.job_results:
            # Before anybody's wish: what is known to have happened can then be undone.
            _end_jobs(sheet)
        if state.cancel_by is not None or state.discarded or state.skips or state.resolved_as_done:
            _heed_people(sheet)
        if not state.is_paused:
            _take_stages(sheet)
        if len(sheet.events) == written and len(sheet.work) == asked:
            break
    sheet.take_side()


def _take_stages(sheet: TurnSheet) -> None:
    state = sheet.state
    if state.timer_heap:
        _fire_timers(sheet)
    if state.fired:
        _end_fired(sheet)
    if state.signals and state.signal_waits:
        _match_signals(sheet)
    if state.child_results:
        _end_children(sheet)
    if state.failing:
        _handle_failures(sheet)
    if state.closing or state.closing_loops:
        _close(sheet)
    if state.unknown and not state.parked:
        _face_unknown(sheet)
    if state.ready and not state.parked:
        _start_ready(sheet)
    if len(state.slot_waits) > len(state.requested):
        _ask_slots(sheet)
    if len(state.signal_waits) > len(state.looked_back):
        _look_back(sheet)
    if state.phase:
        advance_phase(sheet)


def _heed_people(sheet: TurnSheet) -> None:
    state = sheet.state
    if state.cancel_by is not None or state.discarded:
        heed_cancel(sheet)
    for key, (output, by) in list(state.skips.items()):
        sheet.write({"type": "step.bypassed", "step": key, "output": output, "by": by})
    for key, output in list(state.resolved_as_done.items()):
        scope = state.parked[key][0]
        exit_port = scope.graph.steps[state.parked[key][1]].exit or "done"
        complete_step(sheet, key, exit_port, output)


def _face_unknown(sheet: TurnSheet) -> None:
    """After a crash: repeat under the same key, fail, or ask, as the step says."""
    state = sheet.state
    for key, attempt in list(state.unknown.items()):
        step = attempt.scope.graph.steps[attempt.index]
        error: ErrorValue = {"code": "outcome_unknown", "message": _UNKNOWN_MESSAGE, "attempt": attempt.attempt}
        if state.is_poison or attempt.scope.losses.get(attempt.index, 0) >= state.program.poison_limit:
            sheet.write({"type": "step.parked", "step": key, "reason": "poison", "error": error})
        elif step.on_interrupt is OnInterrupt.ASK:
            sheet.write({"type": "step.parked", "step": key, "reason": "outcome_unknown", "error": error})
        elif step.on_interrupt is OnInterrupt.FAIL:
            sheet.write({"type": "step.failed", "step": key, "attempt": attempt.attempt, "error": error, "retry_at": None})
        else:
            _repeat(sheet, key, attempt.scope, attempt.index)


def _repeat(sheet: TurnSheet, key: str, scope: Scope, index: int) -> None:
    step = scope.graph.steps[index]
    context = context_of(sheet.state, scope, key, sheet.state.started_steps.get(key, sheet.at))
    assert isinstance(step.action, Call)
    try:
        plan_effect(sheet, scope, step, key, context)
    except ExpressionError as fault:
        fail_step(sheet, key, error_of(fault))


def _fire_timers(sheet: TurnSheet) -> None:
    timer = next_timer(sheet.state)
    while timer is not None and timer[0] <= sheet.at:
        sheet.has_fired = True
        sheet.write({"type": "timer.fired", "which": timer[1], "due": timer[0]})
        timer = next_timer(sheet.state)


def _end_fired(sheet: TurnSheet) -> None:
    """Timers that end something: a wait, a step with a time-out, the run."""
    state = sheet.state
    for key, kind in list(state.fired.items()):
        if kind == "run":
            error: ErrorValue = {"code": "run_timeout", "message": "The run did not end within its `timeout`."}
            sheet.write({"type": "run.phase", "phase": "cancelling", "status": "timed_out", "error": error})
            return
        if key not in state.fired:
            continue
        if kind == "timeout":
            fail_step(sheet, key, {"code": "timeout", "message": "The step did not end within its `timeout`."})
        elif state.waits[key].kind == "signal":
            complete_step(sheet, key, "expired", None)
        else:
            complete_step(sheet, key, "done", None)


def _match_signals(sheet: TurnSheet) -> None:
    """Each signal, oldest first, ends the oldest wait that takes it."""
    state = sheet.state
    for signal in list(state.signals):
        key = _find_wait(state, signal)
        if key is not None:
            event: StepCompleted = {
                "type": "step.completed",
                "step": key,
                "port": "received",
                "output": signal.payload,
                "mail": signal.no,
            }
            add_undo(state, key, event)
            sheet.write(event)


def _find_wait(state: RunState, signal: Signal) -> str | None:
    for key in state.signal_waits:
        ref = state.waits[key].ref
        if ref["name"] == signal.name and ("key" not in ref or ref["key"] == signal.key):
            return key
    return None


def _end_children(sheet: TurnSheet) -> None:
    """A called run ended: its output is the step's, its failure the step's error."""
    state = sheet.state
    for key, body in list(state.child_results.items()):
        attempt = state.open.get(key)
        if attempt is None:
            del state.child_results[key]
            continue
        if body["status"] == "completed":
            event: StepCompleted = {"type": "step.completed", "step": key, "attempt": attempt.attempt, "port": "done"}
            if "blob" in body:
                event["blob"] = body["blob"]  # type: ignore[typeddict-item]
            else:
                event["output"] = body.get("output")
            add_undo(state, key, event)
            sheet.write(event)
        else:
            record(sheet, Failed(key, attempt.attempt, _child_error(body)))
        # Not before: what a compensation reads may have to be loaded first.
        state.child_results.pop(key, None)


def _end_jobs(sheet: TurnSheet) -> None:
    """Attempts that other workers made: their outcomes are recorded as if they had been made here."""
    for key, body in list(sheet.state.job_results.items()):
        attempt = cast("int", body["attempt"])
        if "error" in body:
            record(sheet, _read_failure(key, attempt, body))
        else:
            blob = cast("BlobRef | None", body.get("blob"))
            record(sheet, Succeeded(key, attempt, str(body["port"]), body.get("output"), blob))


def _read_failure(key: str, attempt: int, body: JsonObject) -> Failed:
    return Failed(
        key,
        attempt,
        cast("ErrorValue", body["error"]),
        is_fatal=body.get("is_fatal") is True,
        is_retryable=body.get("is_retryable") is not False,
        after_ms=cast("int | None", body.get("after_ms")),
        postpones=body.get("postpones") is True,
    )


def _child_error(body: JsonObject) -> ErrorValue:
    details: JsonObject = {"run": body["run"], "status": body["status"]}
    if body["status"] == "cancelled":
        return {"code": "child_cancelled", "message": f"The called run {body['run']} was cancelled.", "details": details}
    error = cast("JsonObject", body.get("error") or {})
    details["step"] = error.get("step")
    return {"code": str(error.get("code", "failed")), "message": str(error.get("message", "")), "details": details}


def _handle_failures(sheet: TurnSheet) -> None:
    """Failures that no edge and no `on_error` took: of an iteration, or of the whole graph."""
    state = sheet.state
    for key, (scope, error) in list(state.failing.items()):
        if key not in state.failing:
            continue
        loop = scope.loop
        if loop is None:
            fail_graph(sheet, scope, key, error)
        else:
            sheet.write({"type": "loop.item", "step": loop.key, "index": scope.item_index, "error": {**error, "step": key}})


def _close(sheet: TurnSheet) -> None:
    state = sheet.state
    for path, scope in list(state.closing.items()):
        if path not in state.closing:
            continue
        if scope.loop is None:
            close_graph(sheet, scope)
        else:
            _close_iteration(sheet, scope.loop, scope)
    for key, loop in list(state.closing_loops.items()):
        if key in state.closing_loops:
            _close_loop(sheet, loop)


def _close_iteration(sheet: TurnSheet, loop: Loop, scope: Scope) -> None:
    event: LoopItem = {"type": "loop.item", "step": loop.key, "index": scope.item_index}
    context = context_of(sheet.state, scope, f"{scope.path}output", sheet.at)
    try:
        _add_value(sheet.state, loop, scope, context, event)
    except ExpressionError as fault:
        event = {"type": "loop.item", "step": loop.key, "index": scope.item_index, "error": {**error_of(fault), "step": loop.key}}
    sheet.write(event)


def _add_value(state: RunState, loop: Loop, scope: Scope, context: Context, event: LoopItem) -> None:
    """The iteration's value, and whether it is the last one."""
    action = loop.step.action
    assert isinstance(action, Foreach | Repeat)
    if action.output is not None:
        value: JsonValue = action.output.evaluate(context)
        event["value"] = value
    is_last = False
    if isinstance(action, Repeat) or action.break_ is not None:
        if action.output is None:
            value = read_value(state, last_output(scope))
        context = Context({**context.roots, "output": value}, context.now_ms, context.seed)  # type: ignore[possibly-undefined]
    if action.break_ is not None:
        is_last = evaluate_condition(action.break_, context, "break")
    if isinstance(action, Repeat) and not is_last:
        is_last = evaluate_condition(action.until, context, "until")
        if not is_last and scope.item_index + 1 >= action.limit:
            is_last = event["limit"] = True
        if not is_last and action.every_ms is not None:
            event["next_at"] = state.at + action.every_ms
    if is_last:
        event["last"] = True


def _close_loop(sheet: TurnSheet, loop: Loop) -> None:
    if loop.error is not None:
        fail_step(sheet, loop.key, loop.error)
        return
    event: StepCompleted = {"type": "step.completed", "step": loop.key, "port": "done"}
    if loop.failures:
        count = len(loop.failures)
        event["error"] = {"code": "item_errors", "message": f"{count} of the iterations failed.", "details": list(loop.failures)}
    add_undo(sheet.state, loop.key, event)
    sheet.write(event)


def _start_ready(sheet: TurnSheet) -> None:
    """Of several steps ready at once the one earlier in the list starts first."""
    state = sheet.state
    for place in sorted(state.ready):
        found = state.ready.get(place)
        if found is None or (state.busy and found[0].key(found[1]) in state.busy):
            continue
        start_step(sheet, *found)
        if state.parked or state.phase == "finished" or (state.failing and _ends_something(state)):
            return


def _ends_something(state: RunState) -> bool:
    """A failure that ends its graph or its loop is dealt with before anything else begins."""
    return any(scope.loop is None or not _goes_on(scope.loop) for scope, _ in state.failing.values())


def _goes_on(loop: Loop) -> bool:
    action = loop.step.action
    return isinstance(action, Foreach) and action.continue_on_item_error


def _ask_slots(sheet: TurnSheet) -> None:
    for key in sheet.state.slot_waits:
        if key not in sheet.state.requested:
            ask_slot(sheet, key)


def _look_back(sheet: TurnSheet) -> None:
    state = sheet.state
    for key in state.signal_waits:
        if key not in state.looked_back:
            state.looked_back.add(key)
            ref = state.waits[key].ref
            sheet.ask(LookBack(key, str(ref["name"]), cast("str | None", ref.get("key")), state.started_at))
