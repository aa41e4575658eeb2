"""Rows of requests and of held events, within one workspace."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import encode
from flowforge.triggers.models import TriggerEventRow, TriggerRequestRow
from flowforge.triggers.types import HeldEvent, RequestRecord
from flowforge.web.selecting import Selection

_TEXT_MAX = 200


async def add_requests(session: AsyncSession, records: Sequence[RequestRecord]) -> None:
    """Writes down requests; each record names its workspace."""
    if records:
        await session.execute(insert(TriggerRequestRow), [_describe(record) for record in records])


def _describe(record: RequestRecord) -> dict[str, object]:
    return {
        "trigger_id": record.trigger_id,
        "workspace_id": record.workspace_id,
        "at": record.at_ms,
        "status": record.status,
        "run_id": record.run_id,
        "event_id": record.event_id,
        "error": record.error,
        "remote_address": record.remote_address,
        "user_agent": None if record.user_agent is None else record.user_agent[:_TEXT_MAX],
    }


async def drop_old_requests(session: AsyncSession, workspace_id: str, trigger_id: str, keep: int) -> None:
    """Leaves the last `keep` requests of a trigger."""
    own = (TriggerRequestRow.workspace_id == workspace_id, TriggerRequestRow.trigger_id == trigger_id)
    last_kept = select(TriggerRequestRow.no).where(*own).order_by(TriggerRequestRow.no.desc()).offset(keep - 1).limit(1)
    no = await session.scalar(last_kept)
    if no is not None:
        await session.execute(delete(TriggerRequestRow).where(*own, TriggerRequestRow.no < no))


async def list_requests(
    session: AsyncSession, workspace_id: str, trigger_id: str, selection: Selection
) -> Sequence[TriggerRequestRow]:
    query = select(TriggerRequestRow).where(
        TriggerRequestRow.workspace_id == workspace_id, TriggerRequestRow.trigger_id == trigger_id
    )
    return (await session.scalars(selection.narrow(query))).all()


async def find_held(session: AsyncSession, workspace_id: str, trigger_id: str, dedup: str) -> TriggerEventRow | None:
    """The held event of a delivery."""
    query = select(TriggerEventRow).where(
        TriggerEventRow.workspace_id == workspace_id, TriggerEventRow.trigger_id == trigger_id, TriggerEventRow.dedup == dedup
    )
    return (await session.scalars(query)).one_or_none()


async def count_held(session: AsyncSession, workspace_id: str, trigger_id: str) -> int:
    query = select(func.count()).where(TriggerEventRow.workspace_id == workspace_id, TriggerEventRow.trigger_id == trigger_id)
    return await session.scalar(query) or 0


async def add_held(session: AsyncSession, workspace_id: str, event: HeldEvent) -> None:
    row = TriggerEventRow(
        id=event.id,
        trigger_id=event.trigger_id,
        workspace_id=workspace_id,
        at=event.at_ms,
        dedup=event.dedup,
        digest=event.digest,
        data=encode(event.data).decode(),
    )
    session.add(row)
    await session.flush()


async def list_held(
    session: AsyncSession,
    workspace_id: str,
    trigger_id: str,
    *,
    ids: Sequence[str] | None = None,
    after_id: str = "",
    limit: int,
) -> Sequence[TriggerEventRow]:
    """The oldest first; all, or those of `ids`; one more than `limit`, where there are more."""
    query = select(TriggerEventRow).where(
        TriggerEventRow.workspace_id == workspace_id,
        TriggerEventRow.trigger_id == trigger_id,
        TriggerEventRow.id > after_id,
    )
    if ids is not None:
        query = query.where(TriggerEventRow.id.in_(ids))
    return (await session.scalars(query.order_by(TriggerEventRow.id).limit(limit + 1))).all()


async def list_held_ids(
    session: AsyncSession, workspace_id: str, trigger_id: str, ids: Sequence[str] | None = None
) -> Sequence[str]:
    """The oldest first; all, or those of `ids`."""
    query = select(TriggerEventRow.id).where(
        TriggerEventRow.workspace_id == workspace_id, TriggerEventRow.trigger_id == trigger_id
    )
    if ids is not None:
        query = query.where(TriggerEventRow.id.in_(ids))
    return (await session.scalars(query.order_by(TriggerEventRow.id))).all()


async def delete_held(session: AsyncSession, workspace_id: str, trigger_id: str, ids: Sequence[str] | None = None) -> int:
    """How many went: all of the trigger, or those of `ids`."""
    own = (TriggerEventRow.workspace_id == workspace_id, TriggerEventRow.trigger_id == trigger_id)
    chosen = own if ids is None else (*own, TriggerEventRow.id.in_(ids))
    count = await session.scalar(select(func.count()).where(*chosen)) or 0
    await session.execute(delete(TriggerEventRow).where(*chosen))
    return count


async def delete_all(session: AsyncSession, workspace_id: str, trigger_id: str) -> None:
    """Everything that is known of a trigger that goes."""
    for table in (TriggerEventRow, TriggerRequestRow):
        await session.execute(delete(table).where(table.workspace_id == workspace_id, table.trigger_id == trigger_id))
