"""Rows of `batches`. A batch is found within its workspace; who carries batches on passes through all workspaces."""

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import CursorResult, Update, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import outbox
from flowforge.kit.border import decode, encode
from flowforge.kit.ids import make_uuid
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.batches.models import BatchRow
from flowforge.web.batches.types import Batch, BatchStatus

KEPT_MS: Final = 30 * 86_400_000


def _encode(value: JsonValue) -> str:
    return encode(value).decode()


async def insert_batch(session: AsyncSession, batch: Batch) -> None:
    session.add(
        BatchRow(
            id=batch.id,
            workspace_id=batch.workspace_id,
            kind=batch.kind,
            status=batch.status,
            actor=batch.actor,
            request=_encode(batch.request),
            place=_encode(batch.place),
            total=batch.total,
            done=batch.done,
            failed=batch.failed,
            result=_encode(batch.result),
            error=None,
            is_stopping=0,
            holder=None,
            held_until=0,
            created_at=batch.created_at_ms,
            updated_at=batch.created_at_ms,
            finished_at=None,
        )
    )
    await session.flush()


async def find_batch(session: AsyncSession, workspace_id: str, batch_id: str) -> Batch | None:
    query = select(BatchRow).where(BatchRow.id == batch_id, BatchRow.workspace_id == workspace_id)
    row = (await session.scalars(query)).one_or_none()
    return None if row is None else _read(row)


async def list_takable(session: AsyncSession, now_ms: int, limit: int) -> list[tuple[str, str]]:
    """Workspace and id of open batches that nobody works on, those that waited longest first."""
    query = select(BatchRow.workspace_id, BatchRow.id).where(BatchRow.finished_at.is_(None), BatchRow.held_until <= now_ms)
    rows = await session.execute(query.order_by(BatchRow.updated_at, BatchRow.id).limit(limit))
    return [(row[0], row[1]) for row in rows]


async def take_batch(session: AsyncSession, batch_id: str, holder: str, now_ms: int, until_ms: int) -> bool:
    """Whether the batch is the holder's now. It was nobody's, or the holder's."""
    is_free = or_(BatchRow.held_until <= now_ms, BatchRow.holder == holder)
    statement = update(BatchRow).where(BatchRow.id == batch_id, BatchRow.finished_at.is_(None), is_free)
    values = {"holder": holder, "held_until": until_ms, "status": BatchStatus.RUNNING}
    return await _change(session, statement.values(**values)) > 0


async def let_go(session: AsyncSession, batch_id: str, holder: str) -> None:
    """Somebody else may go on."""
    statement = update(BatchRow).where(BatchRow.id == batch_id, BatchRow.holder == holder)
    await _change(session, statement.values(holder=None, held_until=0))


async def save_progress(session: AsyncSession, batch: Batch, holder: str, now_ms: int, until_ms: int) -> bool:
    """Writes how far the batch is, and tells the outside. False, and nothing is written, where it is somebody else's by now."""
    is_over = batch.finished_at_ms is not None
    statement = update(BatchRow).where(
        BatchRow.id == batch.id, BatchRow.holder == holder, BatchRow.finished_at.is_(None), BatchRow.held_until > now_ms
    )
    statement = statement.values(
        status=batch.status,
        place=_encode(batch.place),
        total=batch.total,
        done=batch.done,
        failed=batch.failed,
        result=_encode(batch.result),
        error=None if batch.error is None else _encode(batch.error),
        held_until=0 if is_over else until_ms,
        updated_at=now_ms,
        finished_at=batch.finished_at_ms,
    )
    if is_over:
        # Nobody asks for it any more, and it may be large.
        statement = statement.values(request="{}")
    if await _change(session, statement) == 0:
        return False
    await _tell(session, batch, now_ms)
    return True


async def ask_to_stop(session: AsyncSession, workspace_id: str, batch_id: str) -> bool:
    """False where the batch has ended."""
    statement = update(BatchRow).where(
        BatchRow.id == batch_id, BatchRow.workspace_id == workspace_id, BatchRow.finished_at.is_(None)
    )
    return await _change(session, statement.values(is_stopping=1)) > 0


async def drop_old(session: AsyncSession, now_ms: int, limit: int) -> int:
    """Batches that ended 30 days ago; how many there were."""
    old = select(BatchRow.id).where(BatchRow.finished_at < now_ms - KEPT_MS).order_by(BatchRow.finished_at).limit(limit)
    ids: Sequence[str] = (await session.scalars(old)).all()
    if ids:
        await session.execute(delete(BatchRow).where(BatchRow.id.in_(ids)))
    return len(ids)


async def _tell(session: AsyncSession, batch: Batch, now_ms: int) -> None:
    data: JsonObject = {
        "batch_id": batch.id,
        "kind": batch.kind,
        "status": batch.status,
        "total": batch.total,
        "done": batch.done,
        "failed": batch.failed,
    }
    # The number makes the event's id; under its topic it has that of the row.
    payload = _encode({"seq": make_uuid() >> 65, "actor": batch.actor, "data": data})
    await session.execute(
        insert(outbox).values(
            workspace_id=batch.workspace_id,
            aggregate_type="batch",
            aggregate_id=batch.id,
            event_type="batch.progressed",
            payload=payload,
            created_at=now_ms,
            due_at=now_ms,
        )
    )


async def _change(session: AsyncSession, statement: Update) -> int:
    # Counted by the driver: MySQL has no RETURNING.
    executed = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", executed).rowcount


def _read(row: BatchRow) -> Batch:
    return Batch(
        id=row.id,
        workspace_id=row.workspace_id,
        kind=row.kind,
        status=BatchStatus(row.status),
        actor=row.actor,
        request=cast("JsonObject", decode(row.request)),
        place=decode(row.place),
        total=row.total,
        done=row.done,
        failed=row.failed,
        result=cast("JsonObject", decode(row.result)),
        error=None if row.error is None else cast("JsonObject", decode(row.error)),
        is_stopping=bool(row.is_stopping),
        created_at_ms=row.created_at,
        finished_at_ms=row.finished_at,
    )
