"""Jobs: attempts that other workers make. What stands in their rows, and what they report to their run.

A row's `params` is JSON: `{"operation", "key", "timeout_ms", "depth", "origin"?, "parameters", "secrets"?}`. Parameters are packed as in
the journal: secrets stand in them by name. The worker that makes the attempt resolves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from flowforge.engine.errors import JournalError
from flowforge.engine.events import BlobRef
from flowforge.engine.machine.packing import pack_parameters, unpack_parameters
from flowforge.engine.machine.state import RunState
from flowforge.engine.machine.work import Aborted, Effect, Failed, StartJob, Succeeded
from flowforge.engine.queueing import SYSTEM_ACTOR, Lost, report_lost
from flowforge.engine.store import LogLine, NewJob, NewMail, TakenJob
from flowforge.kit.border import encode
from flowforge.kit.telemetry.origins import NOWHERE, Origin, read_origin
from flowforge.kit.values import JsonObject, JsonValue

JOB_MAIL: Final = "job"
LOGS: Final = "logs"
"""The field of a job's message with the lines that its step wrote: they go to the run's log, not to its journal."""

Ending = Succeeded | Failed | Aborted


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a row asks for. `depth`: how many runs stand above the job's run. `origin`: what that run goes back to."""

    effect: Effect
    depth: int
    origin: Origin = NOWHERE


def depth_of(state: RunState) -> int:
    """How many runs stand above the run."""
    return 0 if state.parent is None else state.parent["depth"]


def make_job(run_no: int, state: RunState, priority: int, work: StartJob, at: int) -> NewJob:
    """The row of a planned attempt."""
    effect = work.effect
    order: JsonObject = {
        "operation": effect.name,
        "key": effect.idempotency_key,
        "timeout_ms": effect.timeout_ms,
        "depth": depth_of(state),
        **pack_parameters(effect.parameters),
    }
    if "origin" in state.started:
        order["origin"] = cast("JsonObject", state.started["origin"])
    return NewJob(
        run_no=run_no,
        key=effect.key,
        attempt=effect.attempt,
        workspace_id=state.workspace_id,
        queue=work.queue,
        priority=priority,
        at=at,
        params=orjson.dumps(order),
    )


def read_job(job: TakenJob) -> JobOrder:
    """The inverse of `make_job`.

    Raises:
        JournalError: the row is not one that this version can read.
    """
    try:
        order = cast("JsonObject", orjson.loads(job.params))
        effect = Effect(
            key=job.key,
            attempt=job.attempt,
            name=str(order["operation"]),
            parameters=unpack_parameters(order),
            idempotency_key=str(order["key"]),
            timeout_ms=cast("int | None", order["timeout_ms"]),
        )
        return JobOrder(effect, cast("int", order["depth"]), read_origin(order.get("origin")))
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise JournalError(f"The job of the step {job.key} in the run {job.run_id} cannot be read: {fault!r}.") from fault


def report_job(job: TakenJob, outcome: Ending, blob: BlobRef | None, logs: Sequence[LogLine]) -> NewMail:
    """The message to the run of a job that ended. A large output lies in the object store, as `blob`."""
    if isinstance(outcome, Aborted):
        return report_lost(job.run_no, job.key, job.attempt, Lost.ABORTED)
    body: JsonObject = {"step": job.key, "attempt": job.attempt}
    if isinstance(outcome, Failed):
        body["error"] = cast("JsonObject", outcome.error)
        body |= {"is_fatal": outcome.is_fatal, "is_retryable": outcome.is_retryable}
        body |= {"after_ms": outcome.after_ms, "postpones": outcome.postpones}
    else:
        body["port"] = outcome.port
        body |= {"output": outcome.output} if blob is None else {"blob": cast("JsonObject", blob)}
    if logs:
        body[LOGS] = [[line.at, line.level, line.message, line.fields.decode()] for line in logs]
    return NewMail(job.run_no, JOB_MAIL, encode(body), SYSTEM_ACTOR)


def take_logs(body: JsonObject) -> list[LogLine]:
    """Takes the step's lines out of a job's message."""
    lines = cast("list[list[JsonValue]]", body.pop(LOGS, []))
    step, attempt = str(body["step"]), cast("int", body["attempt"])
    return [
        LogLine(cast("int", at), str(level), step, attempt, str(message), str(fields).encode())
        for at, level, message, fields in lines
    ]
