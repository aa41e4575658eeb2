"""Lists, single workflows, versions and exports."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.web.selecting import Selection
from flowforge.workflows import repository
from flowforge.workflows.errors import DraftNotFoundError, NotPublishedError, VersionNotFoundError, WorkflowNotFoundError
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.repository import WorkflowFilter
from flowforge.workflows.types import Source, VersionSummary, WorkflowSummary
from flowforge.workflows.views import read_source, summarise_version, summarise_workflow

DRAFT = "draft"
"""In the place of a version's number: the draft."""


async def find_row(session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False) -> WorkflowRow:
    """The row by id or name, to be read.

    Raises:
        WorkflowNotFoundError: there is none.
    """
    row = await repository.find_workflow(session, workspace_id, subject, include_deleted=include_deleted)
    if row is None:
        raise WorkflowNotFoundError(subject)
    return row


async def lock_row(session: AsyncSession, workspace_id: str, subject: str) -> WorkflowRow:
    """The row of a living workflow by id or name, to be changed.

    Raises:
        WorkflowNotFoundError: there is none.
    """
    row = await repository.find_workflow(session, workspace_id, subject, is_locked=True)
    if row is None:
        raise WorkflowNotFoundError(subject)
    return row


def touch(row: WorkflowRow, actor: str, at_ms: int) -> None:
    """Notes that somebody has changed the workflow itself, not only its draft."""
    row.revision += 1
    row.updated_at, row.updated_by = at_ms, actor


async def summarise(session: AsyncSession, row: WorkflowRow) -> WorkflowSummary:
    return summarise_workflow(row, has_draft=await repository.has_draft(session, row.workspace_id, row.id))


async def list_workflows(
    session: AsyncSession, workspace_id: str, wanted: WorkflowFilter
) -> tuple[list[WorkflowSummary], str | None]:
    """A page by name, and the name to go on after; None: there is no more."""
    rows = await repository.list_workflows(session, workspace_id, wanted)
    drafted = await repository.list_drafted_ids(session, workspace_id, [row.id for row in rows])
    page = [summarise_workflow(row, has_draft=row.id in drafted) for row in rows[: wanted.limit]]
    return page, page[-1].name if len(rows) > wanted.limit else None


async def get_workflow(
    session: AsyncSession, workspace_id: str, subject: str, *, include_deleted: bool = False
) -> WorkflowSummary:
    """By id or name.

    Raises:
        WorkflowNotFoundError: there is none.
    """
    return await summarise(session, await find_row(session, workspace_id, subject, include_deleted=include_deleted))


async def list_versions(
    session: AsyncSession, workspace_id: str, subject: str, selection: Selection | None = None
) -> list[VersionSummary]:
    """Without `selection` all, the newest first.

    Raises:
        WorkflowNotFoundError: there is no such workflow.
    """
    row = await find_row(session, workspace_id, subject)
    found = await repository.list_versions(session, workspace_id, row.id, selection)
    return [summarise_version(version, row) for version in found]


async def get_version(session: AsyncSession, workspace_id: str, subject: str, version: int) -> tuple[VersionSummary, Source]:
    """A version and its document as it was published.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError: there is no such workflow or version.
    """
    row = await find_row(session, workspace_id, subject)
    found = await repository.find_version(session, workspace_id, row.id, version)
    if found is None:
        raise VersionNotFoundError(row.name, version)
    return summarise_version(found, row), read_source(found)


async def get_version_source(session: AsyncSession, workspace_id: str, subject: str, version: int) -> Source:
    """The document of a version as it was published.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError: there is no such workflow or version.
    """
    return (await get_version(session, workspace_id, subject, version))[1]


async def export_workflow(session: AsyncSession, workspace_id: str, subject: str, *, version: int | str | None = None) -> Source:
    """The document, byte for byte as it was given: a version's, the draft's (`version` is "draft"), or for None the current version's.

    A document holds secrets by name only, so an export holds none.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError, DraftNotFoundError: there is no such thing.
        NotPublishedError: the current version was asked for and there is none.
    """
    row = await find_row(session, workspace_id, subject)
    if isinstance(version, int):
        return await get_version_source(session, workspace_id, row.id, version)
    if version == DRAFT:
        draft = await repository.find_draft(session, workspace_id, row.id)
        if draft is None:
            raise DraftNotFoundError(row.name)
        return read_source(draft)
    if row.current_version is None:
        raise NotPublishedError(row.name)
    return await get_version_source(session, workspace_id, row.id, row.current_version)
