"""Deprecating, deleting, restoring. Versions and runs stay: what ran can always be looked at."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.workflows import repository
from flowforge.workflows.errors import NameTakenError, NotPublishedError, OpenRunsError, WorkflowNotFoundError
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.ports import OnPurged
from flowforge.workflows.reading import lock_row, summarise, touch
from flowforge.workflows.switching import TriggerSwitch
from flowforge.workflows.types import NOT_DELETED_MS, WorkflowSummary


async def deprecate_workflow(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int, switch: TriggerSwitch | None = None
) -> WorkflowSummary:
    """The workflow takes no new run; open runs go on. Publishing brings it back. `switch` turns its triggers off.

    Raises:
        WorkflowNotFoundError: there is none.
        NotPublishedError: nothing was published that could be deprecated.
    """
    row = await lock_row(session, workspace_id, subject)
    if row.current_version is None:
        raise NotPublishedError(row.name)
    if row.deprecated_at is None:
        row.deprecated_at = at_ms
        touch(row, actor, at_ms)
        await session.flush()
        if switch is not None:
            await switch.turn_off(session, actor, row, at_ms=at_ms)
    return await summarise(session, row)


async def delete_workflow(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    subject: str,
    *,
    open_runs: int,
    at_ms: int,
    is_forced: bool = False,
    switch: TriggerSwitch | None = None,
) -> WorkflowSummary:
    """Deletes so that it can be restored; its name is free at once. `open_runs`: how many runs of it are open; who forces cancels them.

    `switch` turns its triggers off.

    Raises:
        WorkflowNotFoundError: there is none.
        OpenRunsError: it has open runs and is not forced.
    """
    row = await lock_row(session, workspace_id, subject)
    if open_runs and not is_forced:
        raise OpenRunsError(row.name, open_runs)
    row.deleted_at = at_ms
    touch(row, actor, at_ms)
    await session.flush()
    if switch is not None:
        await switch.turn_off(session, actor, row, at_ms=at_ms)
    return await summarise(session, row)


async def restore_workflow(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, at_ms: int, switch: TriggerSwitch | None = None
) -> WorkflowSummary:
    """Brings back a deleted workflow, by id, or the one of that name that was deleted last. A living one stays as it is.

    `switch` turns the triggers of the current version on again, unless the workflow is deprecated.

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
        row.deleted_at = NOT_DELETED_MS
        touch(row, actor, at_ms)
        try:
            await session.flush()
        except IntegrityError as fault:
            raise NameTakenError(subject) from fault
        if switch is not None:
            await _turn_on_again(session, actor, row, switch, at_ms)
    return await summarise(session, row)


async def _turn_on_again(session: AsyncSession, actor: str, row: WorkflowRow, switch: TriggerSwitch, at_ms: int) -> None:
    if row.current_version is None or row.deprecated_at is not None:
        return
    version = await repository.find_version(session, row.workspace_id, row.id, row.current_version)
    if version is not None:
        await switch.turn_on(session, actor, row, version, at_ms=at_ms)


async def purge_workflow(
    session: AsyncSession,
    workspace_id: str,
    subject: str,
    *,
    open_runs: int,
    on_purged: OnPurged,
    is_forced: bool = False,
) -> None:
    """Deletes for good: the workflow, living or deleted, its draft, its versions and its triggers. What ran stays to be looked at.

    Raises:
        WorkflowNotFoundError: there is none.
        OpenRunsError: it has open runs and is not forced.
    """
    row = await repository.find_workflow(session, workspace_id, subject, include_deleted=True, is_locked=True)
    if row is None:
        raise WorkflowNotFoundError(subject)
    if open_runs and not is_forced:
        raise OpenRunsError(row.name, open_runs)
    await on_purged(session, workspace_id, row.id)
    await repository.purge_workflow(session, workspace_id, row.id)
