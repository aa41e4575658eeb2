"""From a workflow's name to the version that a run is pinned to."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.events import PinnedVersion
from flowforge.workflows import repository
from flowforge.workflows.errors import DeprecatedError, InactiveError, NotPublishedError, VersionNotFoundError
from flowforge.workflows.reading import find_row


async def resolve_version(session: AsyncSession, workspace_id: str, subject: str, version: int | None) -> PinnedVersion:
    """The version that a new run takes: the one that was asked for, else the current one. Its definition is in the store.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError: there is no such workflow or version.
        NotPublishedError: none was asked for and nothing is published.
        DeprecatedError, InactiveError: the workflow takes no new runs.
    """
    row = await find_row(session, workspace_id, subject)
    if row.deprecated_at is not None:
        raise DeprecatedError(row.name)
    if not row.active:
        raise InactiveError(row.name)
    number = version if version is not None else row.current_version
    if number is None:
        raise NotPublishedError(row.name)
    found = await repository.find_version(session, workspace_id, row.id, number)
    if found is None:
        raise VersionNotFoundError(row.name, number)
    return PinnedVersion(id=row.id, name=row.name, version=number, digest=found.digest)
