"""Rows of triggers, within one workspace but where a process works for all of them."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.triggers.models import TriggerRow
from flowforge.web.selecting import Selection


async def find_trigger(
    session: AsyncSession, workspace_id: str, trigger_id: str, *, is_locked: bool = False
) -> TriggerRow | None:
    query = select(TriggerRow).where(TriggerRow.workspace_id == workspace_id, TriggerRow.id == trigger_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def find_hook(session: AsyncSession, workspace_id: str, path: str) -> TriggerRow | None:
    """The webhook of a path."""
    query = select(TriggerRow).where(TriggerRow.path == path, TriggerRow.workspace_id == workspace_id)
    return (await session.scalars(query)).one_or_none()


async def list_triggers(
    session: AsyncSession, workspace_id: str, selection: Selection, *, workflow_ids: Sequence[str] | None = None
) -> Sequence[TriggerRow]:
    """Those of these workflows, or (None) all."""
    query = select(TriggerRow).where(TriggerRow.workspace_id == workspace_id)
    if workflow_ids is not None:
        query = query.where(TriggerRow.workflow_id.in_(workflow_ids))
    return (await session.scalars(selection.narrow(query))).all()


async def list_of_workflow(session: AsyncSession, workspace_id: str, workflow_id: str) -> Sequence[TriggerRow]:
    """Every trigger that the workflow has or had; nobody else changes them until the transaction ends."""
    query = select(TriggerRow).where(TriggerRow.workspace_id == workspace_id, TriggerRow.workflow_id == workflow_id)
    return (await session.scalars(query.order_by(TriggerRow.id).with_for_update())).all()


async def find_path_owner(session: AsyncSession, workspace_id: str, path: str, own_ids: Sequence[str]) -> TriggerRow | None:
    """The webhook that has the path, unless it is one of `own_ids`."""
    found = await find_hook(session, workspace_id, path)
    return None if found is None or found.id in own_ids else found


async def delete_trigger(session: AsyncSession, workspace_id: str, trigger_id: str) -> None:
    await session.execute(delete(TriggerRow).where(TriggerRow.workspace_id == workspace_id, TriggerRow.id == trigger_id))


async def list_live_triggers(session: AsyncSession, kind: str) -> Sequence[TriggerRow]:
    """The live triggers of a kind in all workspaces: for the duties that fire them."""
    return (
        await session.scalars(select(TriggerRow).where(TriggerRow.kind == kind, TriggerRow.is_live).order_by(TriggerRow.id))
    ).all()


async def find_any_trigger(session: AsyncSession, trigger_id: str) -> TriggerRow | None:
    """A trigger of any workspace: for the duties that fire them."""
    return await session.get(TriggerRow, trigger_id)


async def add_to_figures(
    session: AsyncSession, workspace_id: str, trigger_id: str, *, successful: int, failed: int, last_fired_at: int | None
) -> None:
    """Counts requests."""
    values: dict[str, object] = {
        "total": TriggerRow.total + successful + failed,
        "successful": TriggerRow.successful + successful,
        "failed": TriggerRow.failed + failed,
    }
    if last_fired_at is not None:
        values["last_fired_at"] = last_fired_at
    statement = update(TriggerRow).where(TriggerRow.workspace_id == workspace_id, TriggerRow.id == trigger_id).values(values)
    await session.execute(statement.execution_options(synchronize_session=False))
