"""Outcomes that the shell brings back, as events. What no longer fits (another attempt, a closed scope) is dropped."""

from typing import assert_never

from flowforge.engine.events import ErrorValue, StepCompleted, StepFailed
from flowforge.engine.machine.actions import add_undo
from flowforge.engine.machine.retry import RETRY_AFTER_MAX_MS, retry_delay_ms, with_jitter
from flowforge.engine.machine.sheet import TurnSheet
from flowforge.engine.machine.state import OpenAttempt, RunState, locate, mark_ready
from flowforge.engine.machine.work import Aborted, Condemned, Failed, MailRead, Outcome, Settled, SlotGranted, Succeeded


def record(sheet: TurnSheet, outcome: Outcome) -> None:
    """Writes the events that an outcome makes.

    Raises:
        BlobNeeded: a compensation reads a value that is not in memory; nothing is written yet, record it again when it is.
    """
    if sheet.state.is_finished:
        return
    match outcome:
        case Succeeded():
            _record_success(sheet, outcome)
        case Failed():
            _record_failure(sheet, outcome)
        case Aborted():
            _record_abort(sheet, outcome)
        case Settled():
            sheet.state.settled = True
        case MailRead():
            mail = outcome
            sheet.write({"type": "run.mail", "no": mail.no, "kind": mail.kind, "body": mail.body, "by": mail.by})
        case SlotGranted():
            _record_grant(sheet.state, outcome.key)
        case Condemned():
            if sheet.state.phase == "":
                sheet.write({"type": "run.phase", "phase": "cancelling", "status": "failed", "error": outcome.error})
        case _:
            assert_never(outcome)


def _find_attempt(state: RunState, key: str, attempt: int) -> OpenAttempt | None:
    found = state.open.get(key) or state.aborting.get(key)
    return found if found is not None and found.attempt == attempt else None


def _record_success(sheet: TurnSheet, outcome: Succeeded) -> None:
    state, key = sheet.state, outcome.key
    if outcome.attempt == 0 and key not in state.busy:
        return
    found = None if outcome.attempt == 0 else _find_attempt(state, key, outcome.attempt)
    if outcome.attempt and found is None:
        return
    event: StepCompleted = {"type": "step.completed", "step": key, "port": outcome.port}
    if outcome.attempt:
        event["attempt"] = outcome.attempt
    if outcome.blob is None:
        event["output"] = outcome.output
    else:
        event["blob"] = outcome.blob
    if found is None or found.scope.graph.steps[found.index].compensate is not None:
        add_undo(state, key, event)
    # Not before: what a compensation reads may have to be loaded first.
    state.busy.discard(key)
    sheet.write(event)


def _record_failure(sheet: TurnSheet, outcome: Failed) -> None:
    state, key = sheet.state, outcome.key
    if outcome.attempt == 0:
        if key in state.busy:
            state.busy.discard(key)
            sheet.write({"type": "step.failed", "step": key, "error": {**outcome.error, "attempt": 1}, "retry_at": None})
        return
    found = _find_attempt(state, key, outcome.attempt)
    if found is None:
        return
    error: ErrorValue = {**outcome.error, "attempt": outcome.attempt}
    retry_at = None if key in state.aborting else _find_retry(sheet, found, outcome)
    event: StepFailed = {"type": "step.failed", "step": key, "attempt": outcome.attempt, "error": error, "retry_at": retry_at}
    if outcome.postpones and retry_at is not None:
        event["postponed"] = True
    sheet.write(event)


def _find_retry(sheet: TurnSheet, found: OpenAttempt, outcome: Failed) -> int | None:
    """When the next attempt begins. A server's wish (`after_ms`, at most 1 h) beats the policy's `max`."""
    if outcome.postpones:
        # Spread, so that all that wait for one host do not come in the same moment.
        wait_ms = min(outcome.after_ms or 1_000, RETRY_AFTER_MAX_MS)
        return sheet.at + wait_ms + with_jitter(wait_ms // 4, f"{sheet.state.run_id}\0{outcome.key}\0{outcome.attempt}")
    step = found.scope.graph.steps[found.index]
    failures = found.scope.failures.get(found.index, 0) + 1
    code = outcome.error["code"]
    delay_ms = retry_delay_ms(step.retry, failures, code, is_fatal=outcome.is_fatal, is_retryable=outcome.is_retryable)
    if delay_ms is None:
        return None
    if step.retry.jitter:
        delay_ms = with_jitter(delay_ms, f"{sheet.state.run_id}\0{outcome.key}\0{outcome.attempt}")
    if outcome.after_ms is not None:
        delay_ms = max(delay_ms, min(outcome.after_ms, RETRY_AFTER_MAX_MS))
    return sheet.at + delay_ms


def _record_abort(sheet: TurnSheet, outcome: Aborted) -> None:
    """No event: the journal has the plan, and that nothing followed is what `unknown` means."""
    found = sheet.state.aborting.get(outcome.key)
    if found is not None and found.attempt == outcome.attempt:
        del sheet.state.aborting[outcome.key]


def _record_grant(state: RunState, key: str) -> None:
    if key not in state.slot_waits:
        return
    del state.slot_waits[key]
    state.requested.discard(key)
    state.granted.add(key)
    scope, index = locate(state, key)
    mark_ready(state, scope, index)
