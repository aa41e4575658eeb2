"""Rows of projects, sets and their members, always within one workspace."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import is_id
from flowforge.web.selecting import Selection
from flowforge.workflows.models import ProjectRow, WorkflowRow, WorkflowSetMemberRow, WorkflowSetRow
from flowforge.workflows.types import NOT_DELETED_MS

RowT = TypeVar("RowT", ProjectRow, WorkflowSetRow)


async def find_one(
    session: AsyncSession,
    table: type[RowT],
    prefix: str,
    workspace_id: str,
    subject: str,
    *,
    include_deleted: bool = False,
    is_locked: bool = False,
) -> RowT | None:
    """By id or name; of a name the living one first, then the one that was deleted last."""
    column = table.id if is_id(subject, prefix) else table.name
    query = select(table).where(table.workspace_id == workspace_id, column == subject)
    if not include_deleted:
        query = query.where(table.deleted_at == NOT_DELETED_MS)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query.order_by(table.deleted_at.desc()).limit(1))).one_or_none()


async def list_projects(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    ids: frozenset[str] | None,
    include_deleted: bool,
) -> Sequence[ProjectRow]:
    """Of those with these ids, or of all."""
    query = select(ProjectRow).where(ProjectRow.workspace_id == workspace_id)
    if ids is not None:
        query = query.where(ProjectRow.id.in_(sorted(ids)))
    if not include_deleted:
        query = query.where(ProjectRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(selection.narrow(query))).all()


async def list_sets(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    project_ids: frozenset[str] | None,
    include_deleted: bool,
) -> Sequence[WorkflowSetRow]:
    """Those of these projects, or all."""
    query = select(WorkflowSetRow).where(WorkflowSetRow.workspace_id == workspace_id)
    if project_ids is not None:
        query = query.where(WorkflowSetRow.project_id.in_(sorted(project_ids)))
    if not include_deleted:
        query = query.where(WorkflowSetRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(selection.narrow(query))).all()


async def count_workflows(session: AsyncSession, workspace_id: str, project_ids: Sequence[str]) -> Mapping[str, int]:
    """Living workflows by project."""
    query = select(WorkflowRow.project_id, func.count()).where(
        WorkflowRow.workspace_id == workspace_id,
        WorkflowRow.project_id.in_(project_ids),
        WorkflowRow.deleted_at == NOT_DELETED_MS,
    )
    rows = await session.execute(query.group_by(WorkflowRow.project_id))
    return {str(row[0]): row[1] for row in rows}


async def count_sets(session: AsyncSession, workspace_id: str, project_id: str) -> int:
    query = select(func.count()).where(
        WorkflowSetRow.workspace_id == workspace_id,
        WorkflowSetRow.project_id == project_id,
        WorkflowSetRow.deleted_at == NOT_DELETED_MS,
    )
    return await session.scalar(query) or 0


async def purge_project(session: AsyncSession, workspace_id: str, project_id: str) -> None:
    """Takes it away; what was deleted in it is of no project any more."""
    for table in (WorkflowRow, WorkflowSetRow):
        statement = update(table).where(table.workspace_id == workspace_id, table.project_id == project_id)
        await session.execute(statement.values(project_id=None))
    await session.execute(delete(ProjectRow).where(ProjectRow.workspace_id == workspace_id, ProjectRow.id == project_id))


async def purge_set(session: AsyncSession, workspace_id: str, set_id: str) -> None:
    await replace_members(session, workspace_id, set_id, [])
    await session.execute(delete(WorkflowSetRow).where(WorkflowSetRow.workspace_id == workspace_id, WorkflowSetRow.id == set_id))


async def list_members(session: AsyncSession, workspace_id: str, set_ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Ids of living workflows by set, in order."""
    query = (
        select(WorkflowSetMemberRow.set_id, WorkflowSetMemberRow.workflow_id)
        .join(WorkflowRow, WorkflowRow.id == WorkflowSetMemberRow.workflow_id)
        .where(
            WorkflowRow.workspace_id == workspace_id,
            WorkflowRow.deleted_at == NOT_DELETED_MS,
            WorkflowSetMemberRow.set_id.in_(set_ids),
        )
        .order_by(WorkflowSetMemberRow.set_id, WorkflowSetMemberRow.position)
    )
    members: dict[str, list[str]] = {}
    for set_id, workflow_id in (await session.execute(query)).all():
        members.setdefault(set_id, []).append(workflow_id)
    return members


async def replace_members(session: AsyncSession, workspace_id: str, set_id: str, workflow_ids: Sequence[str]) -> None:
    own = select(WorkflowSetRow.id).where(WorkflowSetRow.workspace_id == workspace_id, WorkflowSetRow.id == set_id)
    await session.execute(delete(WorkflowSetMemberRow).where(WorkflowSetMemberRow.set_id.in_(own)))
    session.add_all(
        WorkflowSetMemberRow(set_id=set_id, workflow_id=workflow_id, position=position)
        for position, workflow_id in enumerate(workflow_ids)
    )
    await session.flush()
