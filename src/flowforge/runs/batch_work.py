"""Carrying batches on: taken by one process at a time, slice by slice."""

from dataclasses import replace
from typing import Final

from flowforge.kit.errors import RequestError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.runs import batch_rows
from flowforge.runs.batches import HELD_MS, Batch, BatchKind, BatchKinds, BatchStatus, add_slice
from flowforge.runs.errors import BatchEndedError, BatchNotFoundError
from flowforge.web.calls import Call, Parts

_TAKEN_MAX: Final = 20
_TURN_S: Final = 1.0
"""For so long a duty works on one batch before it looks at the next."""
_DROPPED_MAX: Final = 500

logger = get_logger("runs.batches")


async def get_batch(call: Call, batch_id: str) -> Batch:
    """Raises BatchNotFoundError where the workspace has none of that id."""
    async with call.read() as session:
        batch = await batch_rows.find_batch(session, call.workspace_id, batch_id)
    if batch is None:
        raise BatchNotFoundError(batch_id)
    return batch


async def stop_batch(call: Call, batch_id: str) -> Batch:
    """Nothing further of it is begun; what is done stays done.

    Raises:
        BatchNotFoundError: there is none of that id.
        BatchEndedError: it has ended.
    """
    batch = await get_batch(call, batch_id)
    async with call.change() as session:
        if not await batch_rows.ask_to_stop(session, call.workspace_id, batch_id):
            raise BatchEndedError(batch_id, batch.status)
    await work_on(call.parts, call.workspace_id, batch_id, 0)
    return await get_batch(call, batch_id)


async def work_on(parts: Parts, workspace_id: str, batch_id: str, seconds: float) -> None:
    """Goes on with a batch until it has ended or the time is over; does nothing while somebody else works on it."""
    holder = parts.ids.make_id("hold")
    if not await _take(parts, batch_id, holder):
        return
    until_s = parts.clock.monotonic_s() + seconds
    try:
        while await _make_slice(parts, workspace_id, batch_id, holder):
            if parts.clock.monotonic_s() >= until_s:
                return
    finally:
        async with parts.database.write.begin() as session:
            await batch_rows.let_go(session, batch_id, holder)


async def _take(parts: Parts, batch_id: str, holder: str) -> bool:
    now_ms = parts.clock.now_ms()
    async with parts.database.write.begin() as session:
        return await batch_rows.take_batch(session, batch_id, holder, now_ms, now_ms + HELD_MS)


async def _make_slice(parts: Parts, workspace_id: str, batch_id: str, holder: str) -> bool:
    """Whether there is more to do, and it is still ours."""
    async with parts.database.read() as session:
        batch = await batch_rows.find_batch(session, workspace_id, batch_id)
    kind = None if batch is None else parts.port(BatchKinds).find(batch.kind)
    if batch is None or kind is None or batch.finished_at_ms is not None:
        return False
    after = await _advance(parts, kind, batch)
    now_ms = parts.clock.now_ms()
    async with parts.database.write.begin() as session:
        is_ours = await batch_rows.save_progress(session, after, holder, now_ms, now_ms + HELD_MS)
    return is_ours and after.finished_at_ms is None


async def _advance(parts: Parts, kind: BatchKind, batch: Batch) -> Batch:
    if batch.is_stopping:
        return replace(batch, status=BatchStatus.STOPPED, finished_at_ms=parts.clock.now_ms())
    try:
        made = await kind.advance(parts, batch)
    except RequestError as fault:
        error = {"code": fault.details[0].code if fault.details else fault.code, "message": fault.message}
        return replace(batch, status=BatchStatus.FAILED, error={**error}, finished_at_ms=parts.clock.now_ms())
    return add_slice(batch, made, parts.clock.now_ms())


class BatchDuty:
    """Goes on with the batches that nobody works on, a second each in turn, and drops old ones."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run_once(self) -> None:
        parts = self._parts
        async with parts.database.read() as session:
            takable = await batch_rows.list_takable(session, parts.clock.now_ms(), _TAKEN_MAX)
        for workspace_id, batch_id in takable:
            await work_on(parts, workspace_id, batch_id, _TURN_S)
        async with parts.database.write.begin() as session:
            await batch_rows.drop_old(session, parts.clock.now_ms(), _DROPPED_MAX)
