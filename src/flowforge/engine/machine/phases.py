"""The life of a run beyond its main graph: failure, cancelling, compensation, `on_failure`, `finally`, the end."""

from flowforge.engine.events import ErrorValue, RunFinished, RunPhase
from flowforge.engine.machine.contexts import context_of
from flowforge.engine.machine.sheet import TurnSheet, error_of
from flowforge.engine.machine.state import FINALLY, Blob, RunState, Scope
from flowforge.kit.values import JsonValue
from flowforge.language.expressions import ExpressionError


def heed_cancel(sheet: TurnSheet) -> None:
    """A person ends the run: by cancelling it, or by discarding a dead letter, which fails it."""
    state = sheet.state
    by, state.cancel_by = state.cancel_by, None
    if state.discarded:
        state.discarded = False
        if state.phase == "":
            _enter_cancelling(sheet, "failed", {"code": "poison", "message": "The run was discarded as a dead letter."})
        return
    if state.phase not in {"cancelling", "finally"}:
        _enter_cancelling(sheet, "cancelled", {"code": "cancelled", "message": f"The run was cancelled by {by}."})


def _enter_cancelling(sheet: TurnSheet, status: str, error: ErrorValue) -> None:
    sheet.write({"type": "run.phase", "phase": "cancelling", "status": status, "error": error})


def close_graph(sheet: TurnSheet, scope: Scope) -> None:
    """A whole graph is done: the main one gives the run's output, the others lead to the next phase."""
    state = sheet.state
    if scope is not state.root:
        del state.closing[scope.path]
        _after(sheet, state.phase)
        return
    output: JsonValue = None
    template = state.program.workflow.output
    if template is not None:
        try:
            output = template.evaluate(context_of(state, scope, "~output", sheet.at))
        except ExpressionError as fault:
            del state.closing[scope.path]
            _enter_cancelling(sheet, "failed", {**error_of(fault), "step": "output"})
            return
    # Not before: what the output reads may have to be loaded first.
    del state.closing[scope.path]
    if state.program.workflow.finally_ is not None:
        sheet.write({"type": "run.phase", "phase": "finally", "status": "completed", "output": output})
    else:
        sheet.write({"type": "run.finished", "status": "completed", "output": output})


def fail_graph(sheet: TurnSheet, scope: Scope, key: str, error: ErrorValue) -> None:
    """A step failed and nothing took it: the run fails; in `on_failure` that is recorded only; `finally` fails a completed run."""
    state = sheet.state
    if scope is state.root:
        _enter_cancelling(sheet, "failed", {**error, "step": key})
        return
    state.failing.pop(key, None)
    if scope.path == FINALLY and state.status == "completed":
        state.status = "failed"
        state.error = {**error, "step": key}
    _after(sheet, state.phase)


def advance_phase(sheet: TurnSheet) -> None:
    state = sheet.state
    if state.phase == "cancelling" and (state.settled or not state.aborting):
        _after(sheet, "cancelling")
    elif state.phase == "undoing" and state.undo_scope is None:
        _after(sheet, "undoing")


def _after(sheet: TurnSheet, phase: str) -> None:
    """The next phase that has something to do; each is entered at most once, in this order."""
    state, workflow = sheet.state, sheet.state.program.workflow
    has_failed = state.status in {"failed", "timed_out"}
    if phase == "cancelling" and has_failed and state.undo:
        _enter(sheet, "undoing")
    elif phase in {"cancelling", "undoing"} and has_failed and workflow.on_failure is not None:
        _enter(sheet, "on_failure")
    elif phase != "finally" and workflow.finally_ is not None:
        _enter(sheet, "finally")
    else:
        _finish(sheet)


def _enter(sheet: TurnSheet, phase: str) -> None:
    state = sheet.state
    event: RunPhase = {"type": "run.phase", "phase": phase, "status": state.status}
    _add_result(state, event)
    sheet.write(event)


def _finish(sheet: TurnSheet) -> None:
    state = sheet.state
    event: RunFinished = {"type": "run.finished", "status": state.status}
    _add_result(state, event)
    if state.uncompensated:
        event["uncompensated"] = list(state.uncompensated)
    sheet.write(event)


def _add_result(state: RunState, event: RunPhase | RunFinished) -> None:
    if state.error is not None:
        event["error"] = state.error
    if state.status != "completed":
        return
    if isinstance(state.output, Blob):
        event["blob"] = state.output.ref
    else:
        event["output"] = state.output
