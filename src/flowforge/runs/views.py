"""Runs as JSON, in the form of api.md."""

from collections.abc import Callable, Mapping, Sequence

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.events import describe_wait, summarise, summarise_step
from flowforge.runs.history import DONE_STATUSES, History
from flowforge.runs.outline import PHASES, split_phase
from flowforge.runs.times import format_optional_time
from flowforge.runs.types import Attempt, Effect, LoadBlob, RunHeader, RunLog, StepRecord, StoredValue, WaitingFor, error_as_json

DescribeWait = Callable[[WaitingFor], JsonObject]


def describe_row(header: RunHeader) -> JsonObject:
    """A run as a row of a list: without progress, waiting_for, input and output."""
    return {
        "id": header.id,
        "workflow_id": header.workflow_id,
        "workflow": header.workflow,
        "version": header.version,
        "status": header.status,
        "error_code": header.error_code,
        "labels": dict(header.labels),
        "subject": header.subject,
        "priority": header.priority,
        "triggered_by": header.actor,
        "started_at": format_timestamp_ms(header.started_at_ms),
        "finished_at": format_optional_time(header.finished_at_ms),
        "duration_ms": header.duration_ms,
    }


def describe_run(
    header: RunHeader,
    history: History,
    steps: Sequence[StepRecord],
    load_blob: LoadBlob,
    *,
    status: str,
    estimated_end_ms: int | None = None,
    describe_wait: DescribeWait = describe_wait,
) -> JsonObject:
    """A whole run. `status`: what its journal says, which may be newer than its row. `estimated_end_ms`: ms since 1970."""
    row = describe_row(header)
    row["status"] = status
    row["waiting_for"] = [] if history.finished else [describe_wait(wait) for wait in history.list_waits()]
    row["progress"] = describe_progress(steps) | {"estimated_end_at": format_optional_time(estimated_end_ms)}
    row["input"] = history.input
    row["output"] = output_of(history, load_blob)
    row["error"] = error_of(history)
    row["last_seq"] = history.last_seq
    if history.finished is not None and history.finished.get("uncompensated"):
        row["uncompensated"] = list(history.finished.get("uncompensated", []))
    return row


def output_of(history: History, load_blob: LoadBlob) -> JsonValue:
    if history.finished is None:
        return None
    return StoredValue(history.finished.get("output"), history.finished.get("blob")).load(load_blob)


def error_of(history: History) -> JsonObject | None:
    error = None if history.finished is None else history.finished.get("error")
    return None if error is None else {"code": error["code"], "message": error["message"], "step": error.get("step")}


def describe_progress(steps: Sequence[StepRecord]) -> JsonObject:
    """Counts the steps of the main graph, a container as one."""
    own = [step for step in steps if "/" not in step.key]
    completed = sum(step.status in DONE_STATUSES for step in own)
    return {
        "completed": completed,
        "total": len(own),
        "percentage": 100 if not own else completed * 100 // len(own),
        "current": [step.key for step in steps if step.status in ("running", "waiting")],
        "failed": [step.key for step in steps if step.status == "failed"],
    }


def describe_step(step: StepRecord) -> JsonObject:
    """A step as a row of a list: values as summaries."""
    prefix, _ = split_phase(step.key)
    return {
        "id": step.step,
        "iteration": step.iteration,
        "phase": PHASES.get(prefix, ""),
        "kind": step.uses,
        "status": step.status,
        "port": step.port,
        "started_at": format_optional_time(step.started_at_ms),
        "finished_at": format_optional_time(step.finished_at_ms),
        "duration_ms": step.duration_ms,
        "waiting_for": None if step.waits_for is None else describe_wait(step.waits_for),
        "output_summary": summarise_step(step),
        "error": None if step.error is None else error_as_json(step.error),
        "attempts": [_describe_attempt(attempt) for attempt in step.attempts],
    }


def describe_whole_step(step: StepRecord, inputs: Mapping[int, JsonValue], load_blob: LoadBlob) -> JsonObject:
    """A step with its values as they are. `inputs`: what each attempt was given, by its number."""
    row = describe_step(step)
    del row["output_summary"]
    row["output"] = step.output.load(load_blob)
    row["run"] = step.child_run_id
    row["attempts"] = [_describe_whole_attempt(attempt, inputs.get(attempt.number), load_blob) for attempt in step.attempts]
    return row


def _describe_whole_attempt(attempt: Attempt, given: JsonValue, load_blob: LoadBlob) -> JsonObject:
    row = _describe_attempt(attempt)
    del row["output_summary"]
    return row | {"input": given, "output": attempt.output.load(load_blob)}


def _describe_attempt(attempt: Attempt) -> JsonObject:
    return {
        "number": attempt.number,
        "status": attempt.status,
        "started_at": format_timestamp_ms(attempt.started_at_ms),
        "duration_ms": attempt.duration_ms,
        "output_summary": summarise(attempt.output.value)
        if attempt.output.blob is None
        else f"({attempt.output.blob['size']} bytes)",
        "error": None if attempt.error is None else error_as_json(attempt.error),
    }


def describe_effect(effect: Effect) -> JsonObject:
    iteration, _, step = effect.step_key.rpartition("/")
    return {
        "step": step,
        "iteration": iteration,
        "attempt": effect.attempt,
        "operation": effect.operation,
        "target": effect.target,
        "key": effect.key,
        "state": effect.state.value,
        "planned_at": format_timestamp_ms(effect.planned_at_ms),
        "settled_at": format_optional_time(effect.settled_at_ms),
    }


def describe_log(line: RunLog) -> JsonObject:
    iteration, _, step = line.step_key.rpartition("/")
    return {
        "time": format_timestamp_ms(line.at_ms),
        "level": line.level,
        "step": step,
        "iteration": iteration,
        "attempt": line.attempt,
        "message": line.message,
        "fields": line.fields,
    }
