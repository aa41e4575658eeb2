"""Steering a run and its steps."""

from typing import Annotated, Any, Final, cast

from fastapi import Body as BodyOf
from fastapi import Response

from flowforge.audit.service import record
from flowforge.files.service import check_files
from flowforge.kit.values import JsonObject
from flowforge.runs.changing import change_run, describe_changeable, make_etag
from flowforge.runs.endpoints.steps import IterationIn
from flowforge.runs.errors import (
    DefinitionMissingError,
    NothingToRetryError,
    RunEndedError,
    RunNotFoundError,
    RunOpenError,
    StepNotFoundError,
    StepStateError,
)
from flowforge.runs.opened import OpenedRun
from flowforge.runs.opening import open_run
from flowforge.runs.ports import RunGround
from flowforge.runs.repository import delete_run as drop_run
from flowforge.runs.schemas import CancelBody, ChangeRunBody, OutputBody, ResolveBody, RunRow, SentAnswer
from flowforge.runs.sight import CANCEL, DELETE, OPERATE, get_run_for
from flowforge.runs.starting import RunReader
from flowforge.runs.steering import (
    check_correction,
    check_resolve,
    check_retry,
    check_skip,
    list_retryable,
    merge_patch,
    refuse_ended,
    require_state,
)
from flowforge.runs.telling import Word, tell_run
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row
from flowforge.web.calls import Call, CallIn
from flowforge.web.conditions import quote_etag
from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError
from flowforge.web.headers import IfMatchIn
from flowforge.web.routing import Router

router = Router("runs", "/runs")

_RUN_ERRORS: Final = [RunNotFoundError, RunEndedError]
_STEP_ERRORS: Final = [*_RUN_ERRORS, StepNotFoundError, StepStateError, DefinitionMissingError]


@router.post("/{run_id}/cancel", CANCEL, status=202, errors=_RUN_ERRORS, response_model=SentAnswer)
async def cancel_run(call: CallIn, run_id: str, body: CancelBody | None = None) -> JsonObject:
    """End a run: nothing new begins, steps in flight get 10 s, `finally` runs."""
    noted: JsonObject = {} if body is None or body.reason is None else {"reason": body.reason}
    return await _tell(call, run_id, CANCEL, Word("cancel", noted, noted))


@router.post("/{run_id}/pause", OPERATE, status=202, errors=_RUN_ERRORS, response_model=SentAnswer)
async def pause_run(call: CallIn, run_id: str) -> JsonObject:
    """Begin no further step until the run is resumed. Steps in flight end, timers go on."""
    return await _tell(call, run_id, OPERATE, Word("pause", {}))


@router.post("/{run_id}/resume", OPERATE, status=202, errors=_RUN_ERRORS, response_model=SentAnswer)
async def resume_run(call: CallIn, run_id: str) -> JsonObject:
    """Let a paused run go on."""
    return await _tell(call, run_id, OPERATE, Word("resume", {}))


@router.post("/{run_id}/retry", OPERATE, status=202, errors=[*_STEP_ERRORS, NothingToRetryError], response_model=SentAnswer)
async def retry_run(call: CallIn, run_id: str) -> JsonObject:
    """Try every step again that waits for a person or for its next attempt."""
    opened = await _open(call, run_id)
    keys = list_retryable(opened.run, require_state(opened.run, opened.state))
    words = [Word("retry", {"step": key}, {"steps": [*keys]}) for key in keys]
    await tell_run(call, opened.header, words)
    return _confirm(opened.header, "retry", keys)


@router.patch("/{run_id}/input", OPERATE, status=202, errors=_RUN_ERRORS, response_model=SentAnswer)
async def correct_input(
    call: CallIn,
    run_id: str,
    patch: Annotated[dict[str, Any], BodyOf(description="A JSON Merge Patch of the input.", examples=[{"amount": 12}])],
) -> JsonObject:
    """Correct the input of an open run. What is evaluated later sees it; the journal keeps both."""
    opened = await _open(call, run_id)
    async with call.read() as session:
        await check_files(session, call.workspace_id, patch)
    corrected = check_correction(opened.run, merge_patch(opened.run.history.input, patch))
    await tell_run(call, opened.header, [Word("edit", {"input": corrected}, {"fields": [*sorted(patch)]})])
    return _confirm(opened.header, "edit")


@router.patch(
    "/{run_id}",
    OPERATE,
    errors=[*_RUN_ERRORS, PreconditionFailedError, HeaderInvalidError],
    response_model=RunRow,
)
async def change(call: CallIn, run_id: str, body: ChangeRunBody, response: Response, *, if_match: IfMatchIn = None) -> JsonObject:
    """Change labels, subject or priority of a run (JSON Merge Patch).

    Lists find it by them at once. Of a run that has ended labels and subject can still be changed. What it has begun keeps its priority.
    """
    patch = cast("JsonObject", body.model_dump(exclude_unset=True))
    async with call.change() as session:
        found = await get_run_for(session, call, run_id, OPERATE)
        before, after = await change_run(session, found, patch, if_match=if_match)
        if before != after:
            noted = describe_changeable(before), describe_changeable(after)
            await record(session, call, "run.updated", "run", after.id, before=noted[0], after=noted[1])
    response.headers["etag"] = quote_etag(make_etag(after))
    return describe_row(after)


@router.delete("/{run_id}", DELETE, status=204, errors=[RunNotFoundError, RunOpenError])
async def delete_run(call: CallIn, run_id: str) -> Response:
    """Take away a run that has ended, with its journal and logs."""
    async with call.change() as session:
        header = await get_run_for(session, call, run_id, DELETE)
        if not await drop_run(session, call.workspace_id, header.no):
            raise RunOpenError(header.id, header.status)
        before: JsonObject = {"workflow": header.workflow, "version": header.version, "status": header.status}
        await record(session, call, "run.deleted", "run", header.id, before=before)
    return Response(status_code=204)


@router.post("/{run_id}/steps/{step}/retry", OPERATE, status=202, errors=_STEP_ERRORS, response_model=SentAnswer)
async def retry_step(call: CallIn, run_id: str, step: str, iteration: IterationIn = "") -> JsonObject:
    """Try a step again that waits for a person, or for its next attempt."""
    opened, key = await _open(call, run_id), _name(step, iteration)
    check_retry(opened.run, require_state(opened.run, opened.state), key)
    return await _tell_step(call, opened, "retry", key, {})


@router.post("/{run_id}/steps/{step}/skip", OPERATE, status=202, errors=_STEP_ERRORS, response_model=SentAnswer)
async def skip_step(
    call: CallIn, run_id: str, step: str, body: OutputBody | None = None, iteration: IterationIn = ""
) -> JsonObject:
    """Pass over a step that waits, with an output of your own (else null)."""
    opened, key = await _open(call, run_id), _name(step, iteration)
    check_skip(opened.run, require_state(opened.run, opened.state), key)
    return await _tell_step(call, opened, "skip", key, {"output": None if body is None else body.output})


@router.post("/{run_id}/steps/{step}/resolve", OPERATE, status=202, errors=_STEP_ERRORS, response_model=SentAnswer)
async def resolve_step(call: CallIn, run_id: str, step: str, body: ResolveBody, iteration: IterationIn = "") -> JsonObject:
    """Say whether the effect of a step took place of which nobody knows.

    It did: the step is completed with `output`. It did not: the step is done again under the same key.
    """
    opened, key = await _open(call, run_id), _name(step, iteration)
    check_resolve(opened.run, require_state(opened.run, opened.state), key)
    told: JsonObject = {"happened": body.happened} | ({"output": body.output} if body.happened else {})
    return await _tell_step(call, opened, "resolve", key, told)


async def _open(call: Call, run_id: str) -> OpenedRun:
    """The run as it stands, for a caller who may operate it. Raises RunEndedError where it has ended."""
    async with call.read() as session:
        header = await get_run_for(session, call, run_id, OPERATE)
        opened = await open_run(session, header, call.port(RunReader), call.port(RunGround), call.now_ms)
    refuse_ended(opened.run)
    return opened


async def _tell(call: Call, run_id: str, permission: str, word: Word) -> JsonObject:
    async with call.read() as session:
        header = await get_run_for(session, call, run_id, permission)
    await tell_run(call, header, [word])
    return _confirm(header, word.kind)


async def _tell_step(call: Call, opened: OpenedRun, kind: str, key: str, told: JsonObject) -> JsonObject:
    noted: JsonObject = {"step": key} | {name: value for name, value in told.items() if name == "happened"}
    await tell_run(call, opened.header, [Word(kind, {"step": key, **told}, noted)])
    return _confirm(opened.header, kind, [key])


def _name(step: str, iteration: str) -> str:
    return (f"{iteration}/{step}" if iteration else step)[:400]


def _confirm(header: RunHeader, kind: str, steps: list[str] | None = None) -> JsonObject:
    return {"run_id": header.id, "sent": kind, "steps": [*(steps or [])], "duplicate": False}
