"""Carrying batches on: taken by one process at a time, slice by slice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from flowforge.kit.errors import DependencyError, RequestError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.web.batches import rows
from flowforge.web.batches.errors import BatchEndedError, BatchNotFoundError
from flowforge.web.batches.types import HELD_MS, Batch, BatchKind, BatchKinds, BatchStatus, add_slice
from flowforge.web.calls import Call, Parts

_TAKEN_MAX: Final = 20
_TURN_S: Final = 1.0
"""For so long a duty works on one batch before it looks at the next."""
_DROPPED_MAX: Final = 500
_SLICE_MAX_S: Final = 1.0

_left: Final = set["asyncio.Task[RequestError | None]"]()
"""Work under way; the event loop keeps no task alive by itself."""

logger = get_logger("web.batches")


async def get_batch(call: Call, batch_id: str) -> Batch:
    """Raises BatchNotFoundError where the workspace has none of that id."""
    async with call.read() as session:
        batch = await rows.find_batch(session, call.workspace_id, batch_id)
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
        if not await rows.ask_to_stop(session, call.workspace_id, batch_id):
            raise BatchEndedError(batch_id, batch.status)
    await work_on(call.parts, call.workspace_id, batch_id, 0)
    return await get_batch(call, batch_id)


async def work_while_asked(parts: Parts, workspace_id: str, batch_id: str, seconds: float) -> RequestError | None:
    """As `work_on`; a slice that takes longer than it should is not waited for, but made all the same."""
    work = asyncio.get_running_loop().create_task(work_on(parts, workspace_id, batch_id, seconds))
    _left.add(work)
    work.add_done_callback(_leave)
    done, _ = await asyncio.wait({work}, timeout=seconds + _SLICE_MAX_S)
    return work.result() if done else None


async def work_on(parts: Parts, workspace_id: str, batch_id: str, seconds: float) -> RequestError | None:
    """Goes on with a batch until it has ended or the time is over; does nothing while somebody else works on it.

    Gives why the batch has failed, if it has.
    """
    holder = parts.ids.make_id("hold")
    if not await _take(parts, batch_id, holder):
        return None
    until_s = parts.clock.monotonic_s() + seconds
    try:
        while True:
            step = await _make_slice(parts, workspace_id, batch_id, holder)
            if not step.goes_on or parts.clock.monotonic_s() >= until_s:
                return step.fault
    finally:
        async with parts.database.write.begin() as session:
            await rows.let_go(session, batch_id, holder)


async def _take(parts: Parts, batch_id: str, holder: str) -> bool:
    now_ms = parts.clock.now_ms()
    async with parts.database.write.begin() as session:
        return await rows.take_batch(session, batch_id, holder, now_ms, now_ms + HELD_MS)


@dataclass(frozen=True, slots=True)
class _Step:
    """`goes_on`: there is more to do, and it is still ours."""

    goes_on: bool
    fault: RequestError | None = None


async def _make_slice(parts: Parts, workspace_id: str, batch_id: str, holder: str) -> _Step:
    async with parts.database.read() as session:
        batch = await rows.find_batch(session, workspace_id, batch_id)
    kind = None if batch is None else parts.port(BatchKinds).find(batch.kind)
    if batch is None or kind is None or batch.finished_at_ms is not None:
        return _Step(goes_on=False)
    fault = None
    try:
        async with _holding(parts, batch_id, holder):
            after = await _advance(parts, kind, batch)
    except RequestError as refused:
        after, fault = _give_up(batch, refused, parts.clock.now_ms()), refused
    now_ms = parts.clock.now_ms()
    async with parts.database.write.begin() as session:
        is_ours = await rows.save_progress(session, after, holder, now_ms, now_ms + HELD_MS)
    return _Step(is_ours and after.finished_at_ms is None, fault)


async def _advance(parts: Parts, kind: BatchKind, batch: Batch) -> Batch:
    if batch.is_stopping:
        return replace(batch, status=BatchStatus.STOPPED, finished_at_ms=parts.clock.now_ms())
    made = await kind.advance(parts, batch)
    return add_slice(batch, made, parts.clock.now_ms())


def _give_up(batch: Batch, fault: RequestError, now_ms: int) -> Batch:
    error: JsonObject = {"code": fault.details[0].code if fault.details else fault.code, "message": fault.message}
    return replace(batch, status=BatchStatus.FAILED, error=error, finished_at_ms=now_ms)


@asynccontextmanager
async def _holding(parts: Parts, batch_id: str, holder: str) -> AsyncGenerator[None]:
    """Nobody else takes the batch, however long the slice takes."""

    async def hold() -> None:
        while True:
            await asyncio.sleep(HELD_MS / 3_000)
            # Where the database is away, the slice finds out itself.
            with suppress(DependencyError):
                await _take(parts, batch_id, holder)

    holding = asyncio.get_running_loop().create_task(hold())
    try:
        yield
    finally:
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding


def _leave(work: "asyncio.Task[RequestError | None]") -> None:
    _left.discard(work)
    fault = None if work.cancelled() else work.exception()
    if fault is not None:
        logger.warning("A batch could not go on; it is tried again.", cause=str(fault))


class BatchDuty:
    """Goes on with the batches that nobody works on, a second each in turn, and drops old ones."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run_once(self) -> None:
        parts = self._parts
        async with parts.database.read() as session:
            takable = await rows.list_takable(session, parts.clock.now_ms(), _TAKEN_MAX)
        for workspace_id, batch_id in takable:
            await work_on(parts, workspace_id, batch_id, _TURN_S)
        async with parts.database.write.begin() as session:
            await rows.drop_old(session, parts.clock.now_ms(), _DROPPED_MAX)
