"""The use cases of sets of workflows. Nothing here commits: that is done at the edge."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject
from flowforge.web.selecting import Selection
from flowforge.workflows.models import WorkflowSetRow
from flowforge.workflows.projects import repository
from flowforge.workflows.projects.errors import SetNameTakenError, SetNotFoundError
from flowforge.workflows.projects.types import Naming, WorkflowSet
from flowforge.workflows.types import NOT_DELETED_MS


async def create_set(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    naming: Naming,
    *,
    project_id: str | None,
    workflow_ids: Sequence[str],
    at_ms: int,
) -> WorkflowSet:
    """`workflow_ids`: of living workflows, each once.

    Raises:
        SetNameTakenError: there is one of that name.
    """
    if await _find(session, workspace_id, naming.name) is not None:
        raise SetNameTakenError(naming.name)
    row = WorkflowSetRow(
        id=make_id("set"),
        workspace_id=workspace_id,
        project_id=project_id,
        name=naming.name,
        title=naming.title or naming.name,
        description=naming.description,
        created_at=at_ms,
        created_by=actor,
        updated_at=at_ms,
        updated_by=actor,
    )
    session.add(row)
    await _flush(session, naming.name)
    await repository.replace_members(session, workspace_id, row.id, workflow_ids)
    return _summarise(row, workflow_ids)


async def get_set(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> WorkflowSet:
    """By id or name.

    Raises:
        SetNotFoundError: there is none.
    """
    row = await _find(session, workspace_id, subject, include_deleted=include_deleted)
    if row is None:
        raise SetNotFoundError(subject)
    return await _load(session, row)


async def list_sets(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    project_ids: frozenset[str] | None,
    include_deleted: bool = False,
) -> list[WorkflowSet]:
    """Those of these projects, or (None) all."""
    rows = await repository.list_sets(session, workspace_id, selection, project_ids=project_ids, include_deleted=include_deleted)
    members = await repository.list_members(session, workspace_id, [row.id for row in rows])
    return [_summarise(row, members.get(row.id, [])) for row in rows]


async def change_set(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, changes: JsonObject, *, at_ms: int
) -> WorkflowSet:
    """`changes`: those of name, title, description, project_id and workflow_ids that change; their types are checked.

    Raises:
        SetNotFoundError, SetNameTakenError
    """
    row = await _lock(session, workspace_id, subject)
    name = changes.get("name")
    if isinstance(name, str) and name != row.name and await _find(session, workspace_id, name) is not None:
        raise SetNameTakenError(name)
    members = cast("list[str] | None", changes.get("workflow_ids"))
    for field, value in changes.items():
        if field != "workflow_ids":
            setattr(row, field, value)
    row.updated_at, row.updated_by = at_ms, actor
    await _flush(session, row.name)
    if members is not None:
        await repository.replace_members(session, workspace_id, row.id, members)
    return await _load(session, row)


async def delete_set(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int, is_permanent: bool = False
) -> WorkflowSet:
    """Deletes so that it can be restored, or for good. The workflows stay.

    Raises:
        SetNotFoundError: there is none.
    """
    row = await _lock(session, workspace_id, subject, include_deleted=is_permanent)
    before = await _load(session, row)
    if is_permanent:
        await repository.purge_set(session, workspace_id, row.id)
        return before
    row.deleted_at = row.updated_at = at_ms
    row.updated_by = actor
    await session.flush()
    return before


async def restore_set(session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int) -> WorkflowSet:
    """Brings back a deleted set; a living one stays as it is.

    Raises:
        SetNotFoundError: there is none.
        SetNameTakenError: another one has its name now.
    """
    row = await _lock(session, workspace_id, subject, include_deleted=True)
    if row.deleted_at != NOT_DELETED_MS:
        if await _find(session, workspace_id, row.name) is not None:
            raise SetNameTakenError(row.name)
        row.deleted_at, row.updated_at, row.updated_by = NOT_DELETED_MS, at_ms, actor
        await _flush(session, row.name)
    return await _load(session, row)


def _summarise(row: WorkflowSetRow, workflow_ids: Sequence[str]) -> WorkflowSet:
    return WorkflowSet(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        title=row.title,
        description=row.description,
        workflow_ids=workflow_ids,
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
        updated_by=row.updated_by,
        deleted_at_ms=None if row.deleted_at == NOT_DELETED_MS else row.deleted_at,
    )


async def _load(session: AsyncSession, row: WorkflowSetRow) -> WorkflowSet:
    members = await repository.list_members(session, row.workspace_id, [row.id])
    return _summarise(row, members.get(row.id, []))


async def _find(
    session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False
) -> WorkflowSetRow | None:
    return await repository.find_one(session, WorkflowSetRow, "set", workspace_id, subject, include_deleted=include_deleted)


async def _lock(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> WorkflowSetRow:
    row = await repository.find_one(
        session, WorkflowSetRow, "set", workspace_id, subject, include_deleted=include_deleted, is_locked=True
    )
    if row is None:
        raise SetNotFoundError(subject)
    return row


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise SetNameTakenError(name) from fault
