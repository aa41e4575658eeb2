"""How a run moves through its graph: edges are decided, joins hold or fall, scopes close. Each edge is decided once."""

from typing import cast

from flowforge.engine.events import ErrorValue
from flowforge.engine.machine.state import (
    CANCELLED,
    COMPLETED,
    LOOPING,
    PENDING,
    READY,
    SKIPPED,
    Loop,
    OpenAttempt,
    RunState,
    Scope,
    Stored,
    mark_ready,
    next_undo,
    open_scope,
    unmark_ready,
)
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Foreach, Join, Repeat


def leave(state: RunState, scope: Scope, index: int, port: str | None) -> None:
    """A step is over and left by `port` (None: it was skipped, no edge is taken). Its edges are decided, and what follows from that."""
    steps, status = scope.graph.steps, scope.status
    stack: list[tuple[int, str | None]] = [(index, port)]
    while stack:
        source, left_by = stack.pop()
        scope.open -= 1
        for edge_port, target in steps[source].edges:
            if status[target] != PENDING:
                continue
            scope.left[target] -= 1
            if _decide_join(scope, target, steps[target].join, is_hit=edge_port == left_by):
                mark_ready(state, scope, target)
            elif status[target] == SKIPPED:
                _note_skip(state, scope, target)
                stack.append((target, None))
    if scope.open == 0:
        close(state, scope)


def _decide_join(scope: Scope, target: int, join: Join, *, is_hit: bool) -> bool:
    """Whether the target may start now. Marks it skipped where its join can no longer hold."""
    if is_hit:
        scope.taken[target] = 1
        if join is Join.FIRST:
            return True
    elif join is Join.ALL:
        scope.status[target] = SKIPPED
        return False
    if scope.left[target]:
        return False
    if scope.taken[target]:
        return True
    scope.status[target] = SKIPPED
    return False


def _note_skip(state: RunState, scope: Scope, index: int) -> None:
    if state.over is not None:
        state.over.append((scope.key(index), False))


def close(state: RunState, scope: Scope) -> None:
    """All steps of a scope are over."""
    loop = scope.loop
    if scope is state.undo_scope:
        end_undo(state, scope)
    elif loop is None or _needs_evaluation(loop):
        state.closing[scope.path] = scope
    else:
        finish_iteration(state, loop, scope, last_output(scope))


def end_undo(state: RunState, scope: Scope) -> None:
    """A compensation is over, well or not; the next one begins."""
    state.scopes.pop(scope.path, None)
    state.undo_now = None
    next_undo(state)


def _needs_evaluation(loop: Loop) -> bool:
    action = loop.step.action
    assert isinstance(action, Foreach | Repeat)
    return isinstance(action, Repeat) or action.output is not None or action.break_ is not None


def last_output(scope: Scope) -> Stored:
    """The output of the last step of the list, None if it was skipped."""
    return scope.outputs.get(scope.plan.size - 1)


def finish_iteration(state: RunState, loop: Loop, scope: Scope, value: Stored) -> None:
    """An iteration gave its value: its scope is freed, the next one opens."""
    if loop.count is None:
        loop.values.clear()
    loop.values[scope.item_index] = value
    loop.previous = value
    _free_iteration(state, loop, scope)
    advance_loop(state, loop)


def fail_iteration(state: RunState, loop: Loop, scope: Scope, error: ErrorValue) -> None:
    """An iteration failed: the loop goes on without it, or fails with its error."""
    action = loop.step.action
    cancel_scope(state, scope)
    _free_iteration(state, loop, scope)
    if isinstance(action, Foreach) and action.continue_on_item_error:
        loop.values[scope.item_index] = None
        loop.previous = None
        loop.failures.append({"index": scope.item_index, "error": cast("JsonObject", error)})
        advance_loop(state, loop)
        return
    details: dict[str, JsonValue] = {"index": scope.item_index}
    if error.get("details") is not None:
        details["cause"] = error.get("details")
    loop.error = {"code": error["code"], "message": error["message"], "details": details}
    end_loop(state, loop)


def end_loop(state: RunState, loop: Loop) -> None:
    """No further iteration begins, and those in progress are cancelled."""
    loop.is_over = True
    for scope in list(loop.scopes.values()):
        cancel_scope(state, scope)
        _free_iteration(state, loop, scope)
    state.closing_loops[loop.key] = loop


def _free_iteration(state: RunState, loop: Loop, scope: Scope) -> None:
    if loop.scopes.pop(scope.item_index, None) is not None:
        loop.running -= 1
    state.scopes.pop(scope.path, None)
    state.closing.pop(scope.path, None)


def advance_loop(state: RunState, loop: Loop) -> None:
    """Opens the iterations that may begin now; an exhausted loop closes."""
    if loop.count is None:
        return
    while loop.running < loop.window and loop.next < loop.count and not loop.is_over:
        open_iteration(state, loop)
    if loop.running == 0 and (loop.is_over or loop.next >= loop.count):
        state.closing_loops[loop.key] = loop


def open_iteration(state: RunState, loop: Loop) -> None:
    index = loop.next
    loop.next += 1
    loop.running += 1
    scope = open_scope(state, loop.plan, f"{loop.key}.{index}/", loop.scope)
    scope.loop = loop
    scope.item_index = index
    loop.scopes[index] = scope


def cancel_scope(state: RunState, scope: Scope) -> None:
    """Whatever is in progress in a scope, and in the iterations below it, is no longer wanted."""
    over = state.over
    if over is not None and scope.loop is not None and max(scope.status) <= READY:
        # An iteration of which nothing has begun never was, for whoever hears of it.
        over = None
    for index, status in enumerate(scope.status):
        if status < COMPLETED:
            if over is not None:
                over.append((scope.key(index), status > READY))
            if status != PENDING:
                cancel_step(state, scope, index)
            scope.status[index] = SKIPPED if status <= READY else CANCELLED
    scope.open = 0
    state.closing.pop(scope.path, None)
    if state.failing:
        for key in [key for key, (place, _) in state.failing.items() if place is scope]:
            del state.failing[key]


def cancel_step(state: RunState, scope: Scope, index: int) -> None:
    key = scope.key(index)
    if scope.status[index] == LOOPING:
        drop_loop(state, key)
    unmark_ready(state, scope, index)
    attempt = state.open.pop(key, None)
    if attempt is not None:
        _abort(state, key, attempt)
    forget(state, scope, index, key)
    scope.status[index] = CANCELLED


def _abort(state: RunState, key: str, attempt: OpenAttempt) -> None:
    if attempt.child is not None:
        state.side.children_cancelled.append(attempt.child)
        return
    state.aborting[key] = attempt
    if attempt.job is None:
        state.side.aborts.append(key)
    else:
        state.side.jobs_dropped.append((key, attempt.attempt, attempt.job))


def drop_loop(state: RunState, key: str) -> None:
    loop = state.loops.pop(key)
    state.closing_loops.pop(key, None)
    state.timers.pop(f"every:{key}", None)
    for scope in list(loop.scopes.values()):
        cancel_scope(state, scope)
        state.scopes.pop(scope.path, None)


def forget(state: RunState, scope: Scope, index: int, key: str) -> None:
    """Takes a step that is over out of every index of things in progress."""
    state.unknown.pop(key, None)
    state.fired.pop(key, None)
    state.started_steps.pop(key, None)
    state.parameters.pop(key, None)
    state.busy.discard(key)
    if state.skips:
        state.skips.pop(key, None)
    wait = state.waits.pop(key, None)
    if wait is not None:
        state.resolved_as_done.pop(key, None)
        state.slot_waits.pop(key, None)
        state.requested.discard(key)
        state.parked.pop(key, None)
        state.child_results.pop(key, None)
        if state.signal_waits.pop(key, None) is not None:
            state.side.waits_removed.append(key)
            state.looked_back.discard(key)
    if state.timers:
        for kind in ("retry:", "wait:", "timeout:"):
            state.timers.pop(kind + key, None)
    if scope.graph.steps[index].limit is not None:
        state.granted.discard(key)
        state.side.slots_freed.append(key)
