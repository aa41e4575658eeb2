"""The use cases of projects. Nothing here commits: that is done at the edge."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import make_id, parse_id
from flowforge.kit.values import JsonObject
from flowforge.web.selecting import Selection
from flowforge.workflows.models import ProjectRow
from flowforge.workflows.projects import repository
from flowforge.workflows.projects.errors import ProjectNameTakenError, ProjectNotEmptyError, ProjectNotFoundError
from flowforge.workflows.projects.types import Naming, Project
from flowforge.workflows.types import NOT_DELETED_MS


async def create_project(session: AsyncSession, actor: str, workspace_id: str, naming: Naming, *, at_ms: int) -> Project:
    """Raises ProjectNameTakenError."""
    if await _find(session, workspace_id, naming.name) is not None:
        raise ProjectNameTakenError(naming.name)
    row = ProjectRow(
        id=make_id("prj"),
        workspace_id=workspace_id,
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
    return summarise_project(row, 0)


async def get_project(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> Project:
    """By id or name.

    Raises:
        ProjectNotFoundError: there is none.
    """
    row = await _find(session, workspace_id, subject, include_deleted=include_deleted)
    if row is None:
        raise ProjectNotFoundError(subject)
    return await _summarise(session, row)


async def require_project(session: AsyncSession, workspace_id: str, project_id: str | None) -> None:
    """Raises ProjectNotFoundError unless it is None or the id of a living project, InvalidIdError where it is no id."""
    if project_id is not None and await _find(session, workspace_id, parse_id(project_id, "prj")) is None:
        raise ProjectNotFoundError(project_id)


async def list_projects(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    ids: frozenset[str] | None,
    include_deleted: bool = False,
) -> list[Project]:
    """Of those with these ids, or (None) of all."""
    rows = await repository.list_projects(session, workspace_id, selection, ids=ids, include_deleted=include_deleted)
    counts = await repository.count_workflows(session, workspace_id, [row.id for row in rows])
    return [summarise_project(row, counts.get(row.id, 0)) for row in rows]


async def change_project(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, changes: JsonObject, *, at_ms: int
) -> Project:
    """`changes`: those of name, title and description that change; texts all.

    Raises:
        ProjectNotFoundError, ProjectNameTakenError
    """
    row = await _lock(session, workspace_id, subject)
    name = changes.get("name")
    if isinstance(name, str) and name != row.name and await _find(session, workspace_id, name) is not None:
        raise ProjectNameTakenError(name)
    for field, value in changes.items():
        setattr(row, field, value)
    row.updated_at, row.updated_by = at_ms, actor
    await _flush(session, row.name)
    return await _summarise(session, row)


async def delete_project(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int, is_permanent: bool = False
) -> Project:
    """Deletes an empty project so that it can be restored, or for good.

    Raises:
        ProjectNotFoundError: there is none.
        ProjectNotEmptyError: it holds living workflows or sets.
    """
    row = await _lock(session, workspace_id, subject, include_deleted=is_permanent)
    before = await _summarise(session, row)
    members = before.workflows + await repository.count_sets(session, workspace_id, row.id)
    if members:
        raise ProjectNotEmptyError(row.name, members)
    if is_permanent:
        await repository.purge_project(session, workspace_id, row.id)
        return before
    row.deleted_at = row.updated_at = at_ms
    row.updated_by = actor
    await session.flush()
    return before


async def restore_project(session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int) -> Project:
    """Brings back a deleted project; a living one stays as it is.

    Raises:
        ProjectNotFoundError: there is none.
        ProjectNameTakenError: another one has its name now.
    """
    row = await _lock(session, workspace_id, subject, include_deleted=True)
    if row.deleted_at != NOT_DELETED_MS:
        if await _find(session, workspace_id, row.name) is not None:
            raise ProjectNameTakenError(row.name)
        row.deleted_at, row.updated_at, row.updated_by = NOT_DELETED_MS, at_ms, actor
        await _flush(session, row.name)
    return await _summarise(session, row)


def summarise_project(row: ProjectRow, workflows: int) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        title=row.title,
        description=row.description,
        workflows=workflows,
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
        updated_by=row.updated_by,
        deleted_at_ms=None if row.deleted_at == NOT_DELETED_MS else row.deleted_at,
    )


async def _summarise(session: AsyncSession, row: ProjectRow) -> Project:
    counts = await repository.count_workflows(session, row.workspace_id, [row.id])
    return summarise_project(row, counts.get(row.id, 0))


async def _find(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> ProjectRow | None:
    return await repository.find_one(session, ProjectRow, "prj", workspace_id, subject, include_deleted=include_deleted)


async def _lock(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> ProjectRow:
    row = await repository.find_one(
        session, ProjectRow, "prj", workspace_id, subject, include_deleted=include_deleted, is_locked=True
    )
    if row is None:
        raise ProjectNotFoundError(subject)
    return row


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise ProjectNameTakenError(name) from fault
