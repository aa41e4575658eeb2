"""Deprecating, deleting, restoring. Versions and runs stay: what ran can always be looked at."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.workflows import repository
from flowforge.workflows.errors import NameTakenError, NotPublishedError, OpenRunsError, WorkflowNotFoundError
from flowforge.workflows.reading import lock_row, summarise
from flowforge.workflows.types import NOT_DELETED_MS, WorkflowSummary


async def deprecate_workflow(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int
) -> WorkflowSummary:
    """The workflow takes no new run; open runs go on. Publishing brings it back.

    Raises:
        WorkflowNotFoundError: there is none.
        NotPublishedError: nothing was published that could be deprecated.
    """
    row = await lock_row(session, workspace_id, subject)
    if row.current_version is None:
        raise NotPublishedError(row.name)
    if row.deprecated_at is None:
        row.deprecated_at = row.updated_at = at_ms
        row.updated_by = actor
        await session.flush()
    return await summarise(session, row)


async def delete_workflow(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, open_runs: int, at_ms: int, is_forced: bool = False
) -> WorkflowSummary:
    """Deletes so that it can be restored; its name is free at once. `open_runs`: how many runs of it are open; who forces cancels them.

    Raises:
        WorkflowNotFoundError: there is none.
        OpenRunsError: it has open runs and is not forced.
    """
    row = await lock_row(session, workspace_id, subject)
    if open_runs and not is_forced:
        raise OpenRunsError(row.name, open_runs)
    row.deleted_at = row.updated_at = at_ms
    row.updated_by = actor
    await session.flush()
    return await summarise(session, row)


async def restore_workflow(session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int) -> WorkflowSummary:
    """Brings back a deleted workflow, by id, or the one of that name that was deleted last. A living one stays as it is.

    Raises:
        WorkflowNotFoundError: there is none, deleted or not.
        NameTakenError: another workflow has taken the name meanwhile.
    """
    row = await repository.find_workflow(session, workspace_id, subject, include_deleted=True, is_locked=True)
    if row is None:
        raise WorkflowNotFoundError(subject)
    if row.deleted_at != NOT_DELETED_MS:
        if await repository.find_workflow(session, workspace_id, row.name) is not None:
            raise NameTakenError(row.name)
        row.deleted_at, row.updated_at, row.updated_by = NOT_DELETED_MS, at_ms, actor
        try:
            await session.flush()
        except IntegrityError as fault:
            raise NameTakenError(subject) from fault
    return await summarise(session, row)
