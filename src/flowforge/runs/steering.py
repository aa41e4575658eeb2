"""What a person may tell a run: checked against where the run stands, then handed to the engine as mail."""

from typing import Final

from flowforge.engine.machine import RunState
from flowforge.engine.machine.state import COMPLETED, PARKED, READY, RETRYING, STATUS_NAMES, WAITING, locate
from flowforge.engine.store import Delivery, NewMail, Store
from flowforge.kit.border import encode
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.inputs import validate_input
from flowforge.runs.errors import (
    DefinitionMissingError,
    NothingToRetryError,
    RunEndedError,
    RunNotFoundError,
    StepNotFoundError,
    StepStateError,
)
from flowforge.runs.service import LoadedRun
from flowforge.runs.types import RunHeader

ACTIONS: Final = {
    "cancel": "run.cancelled",
    "pause": "run.paused",
    "resume": "run.resumed",
    "signal": "run.signalled",
    "edit": "run.corrected",
    "retry": "step.retried",
    "skip": "step.skipped",
    "resolve": "step.resolved",
}
"""What the audit log calls a word to a run, by its kind."""


def send_mail(store: Store, header: RunHeader, kind: str, body: JsonObject, *, by: str) -> None:
    """Hands a message to the run. Its worker reads it within a second; without one it is read when the run goes on.

    Raises:
        RunEndedError: the run has ended.
        RunNotFoundError: it is gone.
    """
    (delivery,) = store.deliver([NewMail(header.no, kind, encode(body), by)])
    if delivery is Delivery.FINISHED:
        raise RunEndedError(header.id, header.status)
    if delivery is Delivery.UNKNOWN:
        raise RunNotFoundError(header.id)


def refuse_ended(run: LoadedRun) -> None:
    """Raises RunEndedError where the run has ended."""
    if run.history.finished is not None:
        raise RunEndedError(run.header.id, run.history.finished["status"])


def check_retry(run: LoadedRun, state: RunState, key: str) -> None:
    """Raises StepNotFoundError or StepStateError unless the step waits for a person, or for its next attempt."""
    _check_status(run, state, key, (PARKED, RETRYING), "waits for a person or for its next attempt")


def check_skip(run: LoadedRun, state: RunState, key: str) -> None:
    """Raises StepNotFoundError or StepStateError unless the step waits for something."""
    _check_status(run, state, key, (PARKED, RETRYING, WAITING, READY), "waits")


def check_resolve(run: LoadedRun, state: RunState, key: str) -> None:
    """Raises StepNotFoundError or StepStateError unless the step waits for a person."""
    _check_status(run, state, key, (PARKED,), "waits for a person")


def check_correction(run: LoadedRun, value: JsonValue) -> JsonValue:
    """The corrected input with defaults filled in.

    Raises:
        ValidationError: it does not fit the workflow's schema; the details name each field.
    """
    if run.workflow is None:
        return value
    checked, faults = validate_input(run.workflow, value)
    if faults:
        details = [Detail(fault.field, fault.message, fault.code) for fault in faults]
        raise ValidationError(f"The input does not fit the workflow {run.header.workflow}: {faults[0].message}", details)
    return checked


def list_retryable(run: LoadedRun, state: RunState) -> list[str]:
    """The steps that wait for a person, or for their next attempt, and can be tried now.

    Raises:
        NothingToRetryError: there is none.
    """
    keys = [wait.step for wait in run.history.list_waits() if wait.kind in {"attention", "retry"}]
    found = [key for key in keys if _find_step_status(state, key) in {PARKED, RETRYING}]
    if not found:
        raise NothingToRetryError(run.header.id)
    return found


def merge_patch(value: JsonValue, patch: JsonValue) -> JsonValue:
    """The value with a JSON Merge Patch applied to it (RFC 7396): null takes a field away, everything but objects is replaced."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, item in patch.items():
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), item)
    return merged


def require_state(run: LoadedRun, state: RunState | None) -> RunState:
    """Raises DefinitionMissingError where the definition does not compile here, which steering a step needs."""
    if state is None:
        raise DefinitionMissingError(run.header.id)
    return state


def _find_step_status(state: RunState, key: str) -> int | None:
    try:
        scope, index = locate(state, key)
    except KeyError:
        return None
    return scope.status[index]


def _check_status(run: LoadedRun, state: RunState, key: str, allowed: tuple[int, ...], wanted: str) -> None:
    try:
        scope, index = locate(state, key)
    except KeyError:
        over = {step.key: step.status for step in run.history.list_steps()}.get(key)
        if over is None:
            raise StepNotFoundError(run.header.id, key) from None
        raise StepStateError(run.header.id, key, over, wanted) from None
    status = scope.status[index]
    if status not in allowed or status >= COMPLETED:
        raise StepStateError(run.header.id, key, STATUS_NAMES[status], wanted)
