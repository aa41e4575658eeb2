"""One action on many runs: those that are named, or all that a filter finds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.engine.store import Delivery, NewMail
from flowforge.kit.border import encode
from flowforge.kit.errors import FlowForgeError, RequestError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs import repository
from flowforge.runs.criteria import Criterion, describe_criteria, restore_criteria
from flowforge.runs.errors import (
    BulkSizeError,
    NothingToRetryError,
    RunEndedError,
    RunNotFoundError,
    RunOpenError,
)
from flowforge.runs.opening import open_run
from flowforge.runs.ports import RunGround
from flowforge.runs.searching import Mark, Search
from flowforge.runs.sight import CANCEL, DELETE, OPERATE, find_sight, get_run_for, read_run_id
from flowforge.runs.starting import Runner, RunReader
from flowforge.runs.steering import list_retryable, require_state
from flowforge.runs.types import TERMINAL_STATUSES, RunHeader
from flowforge.web.batches.rows import insert_batch
from flowforge.web.batches.types import Batch, Slice
from flowforge.web.calls import Call, Parts

BULK: Final = "runs.bulk"
BULK_MAX: Final = 1_000
PERMISSIONS: Final = {"cancel": CANCEL, "pause": OPERATE, "resume": OPERATE, "retry": OPERATE, "delete": DELETE}
_SLICE: Final = 50
_FAULTS_KEPT: Final = 100
_OPEN: Final = ("queued", "running", "waiting", "paused")


async def prepare_bulk(
    session: AsyncSession, call: Call, action: str, ids: Sequence[str] | None, criteria: tuple[Criterion, ...]
) -> JsonObject:
    """The request of a batch, once it is known that the caller may do that with each run that is named.

    Raises:
        BulkSizeError: more than 1,000 ids.
        InvalidIdError, RunNotFoundError, PermissionMissingError: one of the ids is none, unknown, or not to be touched: nothing is done.
    """
    permission = PERMISSIONS[action]
    if ids is not None:
        if len(ids) > BULK_MAX:
            raise BulkSizeError(len(ids), BULK_MAX)
        named = list(dict.fromkeys(map(read_run_id, ids)))
        await _check_all(session, call, named, permission)
        return {"action": action, "ids": [*named]}
    fits = TERMINAL_STATUSES if action == "delete" else _OPEN
    until = Criterion("started_at", "le", (call.now_ms,))
    narrowed = (*criteria, *await find_sight(session, call, permission), Criterion("status", "in", tuple(sorted(fits))), until)
    return {"action": action, "where": describe_criteria(narrowed)}


async def count_bulk(session: AsyncSession, workspace_id: str, request: JsonObject) -> int:
    """How many runs the request is about."""
    if "ids" in request:
        return len(cast("list[str]", request["ids"]))
    return await repository.count_runs(session, workspace_id, Search(workspace_id, restore_criteria(request["where"])))


async def find_doable(session: AsyncSession, workspace_id: str, request: JsonObject) -> list[RunHeader]:
    """Of the runs that are named: those that the action fits (open ones; for `delete`: ended ones)."""
    headers = await repository.find_runs(session, workspace_id, cast("list[str]", request["ids"]))
    return [header for header in headers if header.is_open is not (request["action"] == "delete")]


async def create_bulk(session: AsyncSession, call: Call, request: JsonObject, reason: str | None) -> Batch:
    """A batch that is stored, and recorded, with the session's transaction."""
    total = await count_bulk(session, call.workspace_id, request)
    noted: JsonObject = {} if reason is None else {"reason": reason}
    batch = Batch(
        id=call.make_id("bat"),
        workspace_id=call.workspace_id,
        kind=BULK,
        actor=call.actor,
        request=request | noted,
        created_at_ms=call.now_ms,
        total=total,
        result={"action": request["action"], "matched": total, "changed": 0, "failed": []},
    )
    await insert_batch(session, batch)
    await record(session, call, "run.bulk_requested", "batch", batch.id, after={**request, **noted, "matched": total})
    return batch


async def _check_all(session: AsyncSession, call: Call, run_ids: Sequence[str], permission: str) -> None:
    if call.caller.rights.allow(permission):
        known = {header.id for header in await repository.find_runs(session, call.workspace_id, run_ids)}
        missing = [run_id for run_id in run_ids if run_id not in known]
        if missing:
            raise RunNotFoundError(missing[0])
        return
    for run_id in run_ids:
        await get_run_for(session, call, run_id, permission)


class BulkKind:
    """See `batches.BatchKind`. Each message has a name by which its run takes it once, so a slice may be repeated."""

    @property
    def name(self) -> str:
        return BULK

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        async with parts.database.read() as session:
            headers, place, is_last = await _find_next(session, batch)
        faults: list[JsonValue] = []
        for header in headers:
            fault = await _do(parts, batch, header)
            if fault is not None:
                code = fault.details[0].code if fault.details else fault.code
                faults.append({"id": header.id, "code": code, "message": fault.message})
        result = _add_result(batch.result, len(headers), faults)
        return Slice(place, len(headers), len(faults), result, is_last=is_last)


def _add_result(before: JsonObject, done: int, faults: list[JsonValue]) -> JsonObject:
    kept = [*cast("list[JsonValue]", before["failed"]), *faults][:_FAULTS_KEPT]
    changed: JsonValue = cast("int", before["changed"]) + done - len(faults)
    return {**before, "changed": changed, "failed": kept}


async def _find_next(session: AsyncSession, batch: Batch) -> tuple[list[RunHeader], JsonValue, bool]:
    """The runs of the next slice, the place behind them, and whether they are the last."""
    if "ids" in batch.request:
        ids = cast("list[str]", batch.request["ids"])
        first = batch.place if isinstance(batch.place, int) else 0
        headers = await repository.find_runs(session, batch.workspace_id, ids[first : first + _SLICE])
        return headers, first + _SLICE, first + _SLICE >= len(ids)
    search = Search(batch.workspace_id, restore_criteria(batch.request["where"]))
    after = None if batch.place is None else Mark(*cast("tuple[int, int]", batch.place))
    headers = await repository.search_runs(session, batch.workspace_id, search, after=after, limit=_SLICE)
    place: JsonValue = [headers[-1].started_at_ms, headers[-1].no] if headers else batch.place
    return headers, place, len(headers) < _SLICE


async def _do(parts: Parts, batch: Batch, header: RunHeader) -> FlowForgeError | None:
    """What went wrong with one run, which does not stop the others."""
    action = str(batch.request["action"])
    try:
        if action == "delete":
            await _delete(parts, header)
        elif action == "retry":
            for key in await _list_retryable(parts, header):
                await _send(parts, batch, header, NewMail(header.no, "retry", encode({"step": key}), batch.actor, key))
        else:
            reason = batch.request.get("reason")
            body: JsonObject = {"reason": reason} if action == "cancel" and reason is not None else {}
            await _send(parts, batch, header, NewMail(header.no, action, encode(body), batch.actor, ""))
    except RequestError as fault:
        return fault
    return None


async def _send(parts: Parts, batch: Batch, header: RunHeader, mail: NewMail) -> None:
    verdict = await parts.port(Runner).deliver(replace(mail, dedup=f"batch:{batch.id}:{mail.dedup}"[:400]))
    if verdict is Delivery.FINISHED:
        raise RunEndedError(header.id, header.status)
    if verdict is Delivery.UNKNOWN:
        raise RunNotFoundError(header.id)


async def _delete(parts: Parts, header: RunHeader) -> None:
    async with parts.database.write.begin() as session:
        if not await repository.delete_run(session, header.workspace_id, header.no):
            raise RunOpenError(header.id, header.status)


async def _list_retryable(parts: Parts, header: RunHeader) -> list[str]:
    async with parts.database.read() as session:
        opened = await open_run(session, header, parts.port(RunReader), parts.port(RunGround), parts.clock.now_ms())
    if opened.run.history.finished is not None:
        raise RunEndedError(header.id, opened.status)
    found = list_retryable(opened.run, require_state(opened.run, opened.state))
    if not found:
        raise NothingToRetryError(header.id)
    return found
