"""Messages from outside: how each kind changes the state of a run.

Bodies: `signal {name, key?, payload}`, `cancel {}`, `pause {}`, `resume {}`, `retry {step}`, `skip {step, output?}`,
`resolve {step, happened, output?}`, `edit {input}`, `child {step, attempt, status, run, output? | blob?, error?}`, `discard {}`,
`job {step, attempt, port, output? | blob?}`, `job {step, attempt, error, is_fatal, is_retryable, after_ms, postpones}`,
`job {step, attempt, lost: expired | released | aborted}`.
A message that no longer fits (the step is over) changes nothing: the journal has it all the same.
"""

from collections.abc import Callable
from typing import cast

from flowforge.engine.events import RunMail
from flowforge.engine.machine.state import (
    COMPLETED,
    PARKED,
    READY,
    RETRYING,
    UNKNOWN,
    WAITING,
    RunState,
    Scope,
    Signal,
    locate,
    mark_ready,
)
from flowforge.kit.values import JsonObject


def fold_mail(state: RunState, event: RunMail) -> None:
    state.mail_seen += 1
    handler = _HANDLERS.get(event["kind"])
    if handler is not None:
        handler(state, event)


def _signal(state: RunState, event: RunMail) -> None:
    body = event["body"]
    state.signals.append(Signal(event["no"], str(body["name"]), cast("str | None", body.get("key")), body.get("payload")))


def _cancel(state: RunState, event: RunMail) -> None:
    if state.phase not in {"cancelling", "finally"}:
        state.cancel_by = event["by"]
        state.is_paused = False


def _discard(state: RunState, _event: RunMail) -> None:
    state.discarded = bool(state.parked)


def _pause(state: RunState, _event: RunMail) -> None:
    state.is_paused = True


def _resume(state: RunState, _event: RunMail) -> None:
    state.is_paused = False


def find_step(state: RunState, body: JsonObject) -> tuple[Scope, int, str] | None:
    """The step that a message names, if it is still in progress."""
    key = str(body.get("step", ""))
    try:
        scope, index = locate(state, key)
    except KeyError:
        return None
    return (scope, index, key) if scope.status[index] < COMPLETED else None


def _retry(state: RunState, event: RunMail) -> None:
    """A parked step begins anew, with its whole budget of attempts and fresh parameters; a waiting retry comes now."""
    found = find_step(state, event["body"])
    if found is None:
        return
    scope, index, key = found
    if scope.status[index] in {PARKED, RETRYING}:
        scope.failures.pop(index, None)
        _restart(state, scope, index, key)


def _restart(state: RunState, scope: Scope, index: int, key: str) -> None:
    state.waits.pop(key, None)
    state.parked.pop(key, None)
    state.timers.pop(f"retry:{key}", None)
    state.parameters.pop(key, None)
    state.started_steps.pop(key, None)
    state.is_poison = False
    scope.losses.pop(index, None)
    mark_ready(state, scope, index)


def _skip(state: RunState, event: RunMail) -> None:
    found = find_step(state, event["body"])
    if found is not None and found[0].status[found[1]] in {PARKED, RETRYING, WAITING, READY}:
        state.skips[found[2]] = (event["body"].get("output"), event["by"])


def _resolve(state: RunState, event: RunMail) -> None:
    """A person says whether the effect of an unknown attempt took place."""
    found = find_step(state, event["body"])
    if found is None:
        return
    scope, index, key = found
    if scope.status[index] != PARKED:
        return
    if event["body"].get("happened") is True:
        state.resolved_as_done[key] = event["body"].get("output")
    else:
        started = state.started_steps.get(key)
        parameters = state.parameters.get(key)
        _restart(state, scope, index, key)
        if started is not None:
            state.started_steps[key] = started
        if parameters is not None:
            state.parameters[key] = parameters


def _edit(state: RunState, event: RunMail) -> None:
    """A corrected input: what is evaluated from now on sees it."""
    state.input = event["body"].get("input")
    state.parameters.clear()
    for scope in state.scopes.values():
        scope.roots = None


def _child(state: RunState, event: RunMail) -> None:
    body = event["body"]
    attempt = state.open.get(str(body["step"]))
    if attempt is not None and attempt.attempt == body["attempt"]:
        state.child_results[str(body["step"])] = body


def _job(state: RunState, event: RunMail) -> None:
    """A job ended, or was lost: then nobody knows its outcome, as after the death of the run's own worker."""
    body = event["body"]
    key = str(body.get("step", ""))
    attempt = state.open.get(key) or state.aborting.get(key)
    if attempt is None or attempt.job is None or attempt.attempt != body.get("attempt"):
        return
    if "lost" not in body:
        state.job_results[key] = body
    elif key in state.aborting:
        del state.aborting[key]
    else:
        _lose(state, key, is_death=body["lost"] == "expired")


def _lose(state: RunState, key: str, *, is_death: bool) -> None:
    attempt = state.unknown[key] = state.open.pop(key)
    state.waits.pop(key, None)
    attempt.scope.status[attempt.index] = UNKNOWN
    if is_death:
        attempt.scope.losses[attempt.index] = attempt.scope.losses.get(attempt.index, 0) + 1


_HANDLERS: dict[str, Callable[[RunState, RunMail], None]] = {
    "signal": _signal,
    "cancel": _cancel,
    "discard": _discard,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "skip": _skip,
    "resolve": _resolve,
    "edit": _edit,
    "child": _child,
    "job": _job,
}
