"""Rows of workflows, drafts and versions, always within one workspace."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ColumnExpressionArgument, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from flowforge.kit.ids import is_id
from flowforge.web.selecting import Selection
from flowforge.workflows.models import DraftRow, VersionRow, WorkflowRow, WorkflowSetMemberRow
from flowforge.workflows.types import NOT_DELETED_MS


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """What a list is about. `after_name`: the last name of the page before."""

    include_deleted: bool = False
    search: str = ""
    after_name: str = ""
    limit: int = 50


async def find_workflow(
    session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False, is_locked: bool = False
) -> WorkflowRow | None:
    """By id or name. With `include_deleted` the living one comes before the dead, the one deleted last before the others.

    `is_locked`: nobody else changes the row until the transaction ends; drafts and versions are changed under this lock alone.
    """
    column = WorkflowRow.id if is_id(subject, "wf") else WorkflowRow.name
    query = select(WorkflowRow).where(WorkflowRow.workspace_id == workspace_id, column == subject)
    if not include_deleted:
        query = query.where(WorkflowRow.deleted_at == NOT_DELETED_MS)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query.order_by(WorkflowRow.deleted_at.desc()).limit(1))).one_or_none()


async def list_workflows(session: AsyncSession, workspace_id: str, wanted: WorkflowFilter) -> Sequence[WorkflowRow]:
    """By name; one more than `limit`, where there are more."""
    query = select(WorkflowRow).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.name > wanted.after_name)
    if not wanted.include_deleted:
        query = query.where(WorkflowRow.deleted_at == NOT_DELETED_MS)
    if wanted.search:
        text = wanted.search.lower()
        query = query.where(
            func.lower(WorkflowRow.name).contains(text, autoescape=True)
            | func.lower(WorkflowRow.title).contains(text, autoescape=True)
        )
    return (await session.scalars(query.order_by(WorkflowRow.name, WorkflowRow.deleted_at.desc()).limit(wanted.limit + 1))).all()


async def select_workflows(
    session: AsyncSession,
    workspace_id: str,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnExpressionArgument[object]],
    *,
    limit: int,
) -> Sequence[WorkflowRow]:
    """At most `limit` of those that fulfil all conditions, deleted ones too."""
    query = select(WorkflowRow).where(WorkflowRow.workspace_id == workspace_id, *conditions)
    return (await session.scalars(query.order_by(*order).limit(limit))).all()


async def select_page(
    session: AsyncSession, workspace_id: str, conditions: Sequence[ColumnElement[bool]], selection: Selection
) -> Sequence[WorkflowRow]:
    """Those that fulfil all conditions, deleted ones too."""
    query = select(WorkflowRow).where(WorkflowRow.workspace_id == workspace_id, *conditions)
    return (await session.scalars(selection.narrow(query))).all()


async def list_drafted_ids(session: AsyncSession, workspace_id: str, ids: Sequence[str]) -> set[str]:
    """Those of the workflows that have a draft."""
    query = select(DraftRow.workflow_id).join(WorkflowRow, WorkflowRow.id == DraftRow.workflow_id)
    return set(await session.scalars(query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id.in_(ids))))


async def has_draft(session: AsyncSession, workspace_id: str, workflow_id: str) -> bool:
    query = select(DraftRow.workflow_id).join(WorkflowRow, WorkflowRow.id == DraftRow.workflow_id)
    query = query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    return await session.scalar(query) is not None


async def find_draft(session: AsyncSession, workspace_id: str, workflow_id: str) -> DraftRow | None:
    query = select(DraftRow).join(WorkflowRow, WorkflowRow.id == DraftRow.workflow_id)
    return (
        await session.scalars(query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id))
    ).one_or_none()


async def delete_draft(session: AsyncSession, workspace_id: str, workflow_id: str) -> None:
    own = select(WorkflowRow.id).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    await session.execute(delete(DraftRow).where(DraftRow.workflow_id.in_(own)))


async def purge_workflow(session: AsyncSession, workspace_id: str, workflow_id: str) -> None:
    """Takes the workflow away with all that hangs on it."""
    own = select(WorkflowRow.id).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    for table in (WorkflowSetMemberRow, DraftRow, VersionRow):
        await session.execute(delete(table).where(table.workflow_id.in_(own)))
    await session.execute(delete(WorkflowRow).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id))


async def find_version(session: AsyncSession, workspace_id: str, workflow_id: str, version: int) -> VersionRow | None:
    query = select(VersionRow).join(WorkflowRow, WorkflowRow.id == VersionRow.workflow_id)
    query = query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id, VersionRow.version == version)
    return (await session.scalars(query)).one_or_none()


async def list_versions(
    session: AsyncSession, workspace_id: str, workflow_id: str, selection: Selection | None
) -> Sequence[VersionRow]:
    """Without `selection` all, the newest first."""
    query = select(VersionRow).join(WorkflowRow, WorkflowRow.id == VersionRow.workflow_id)
    query = query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    query = query.options(defer(VersionRow.source))
    query = query.order_by(VersionRow.version.desc()) if selection is None else selection.narrow(query)
    return (await session.scalars(query)).all()


async def list_versions_with_source(session: AsyncSession, workspace_id: str, workflow_id: str) -> Sequence[VersionRow]:
    """All of them with their documents, the oldest first."""
    query = select(VersionRow).join(WorkflowRow, WorkflowRow.id == VersionRow.workflow_id)
    query = query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    return (await session.scalars(query.order_by(VersionRow.version))).all()


async def find_latest_number(session: AsyncSession, workspace_id: str, workflow_id: str) -> int:
    """The highest number that was ever given; 0 where nothing was published."""
    query = select(func.max(VersionRow.version)).join(WorkflowRow, WorkflowRow.id == VersionRow.workflow_id)
    return await session.scalar(query.where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)) or 0
