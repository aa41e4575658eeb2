"""Triggers beside a document: made, changed and deleted by the API. Nothing here commits."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import encode
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers import event_rows, repository
from flowforge.triggers.errors import HookPathTakenError, OwnedByDocumentError
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.publishing import find_hook_path
from flowforge.triggers.reading import get_row, read_trigger
from flowforge.triggers.registry import get_kind
from flowforge.triggers.types import Paused, Source, Trigger
from flowforge.workflows.types import WorkflowSummary


@dataclass(frozen=True, slots=True)
class Wish:
    """A trigger as somebody wants it; checked already (`checking.check_trigger`)."""

    kind: str
    config: JsonObject
    has_input: bool
    input: JsonValue


async def attach(session: AsyncSession, actor: str, workflow: WorkflowSummary, wish: Wish, *, at_ms: int) -> Trigger:
    """A new trigger of the workflow; it is live while the workflow has a published version.

    Raises:
        HookPathTakenError: its path belongs to another webhook.
    """
    trigger_id = make_id("trg")
    row = TriggerRow(
        id=trigger_id,
        workspace_id=workflow.workspace_id,
        workflow_id=workflow.id,
        workflow=workflow.name,
        key=trigger_id,
        source=Source.ATTACHED.value,
        is_live=workflow.current_version is not None and workflow.deprecated_at_ms is None,
        paused="",
        created_at=at_ms,
        created_by=actor,
        total=0,
        successful=0,
        failed=0,
    )
    await _fill(session, row, actor, wish, at_ms)
    session.add(row)
    return await _store(session, row, at_ms)


async def change(session: AsyncSession, actor: str, workspace_id: str, trigger_id: str, wish: Wish, *, at_ms: int) -> Trigger:
    """Gives an attached trigger other parameters.

    Raises:
        TriggerNotFoundError: there is none.
        OwnedByDocumentError: it is written in a document.
        HookPathTakenError: its path belongs to another webhook.
    """
    row = await get_row(session, workspace_id, trigger_id, is_locked=True)
    require_attached(row)
    await _fill(session, row, actor, wish, at_ms)
    return await _store(session, row, at_ms)


async def detach(session: AsyncSession, workspace_id: str, trigger_id: str) -> Trigger:
    """Deletes an attached trigger, with what it holds.

    Raises:
        TriggerNotFoundError, OwnedByDocumentError: as `change`.
    """
    row = await get_row(session, workspace_id, trigger_id, is_locked=True)
    require_attached(row)
    return await _remove(session, row)


async def remove_triggers(session: AsyncSession, workspace_id: str, workflow_id: str) -> None:
    """All triggers of a workflow that is deleted for good, of either source, with what they hold.

    Implements `workflows.ports.OnPurged`.
    """
    for row in await repository.list_of_workflow(session, workspace_id, workflow_id):
        await _remove(session, row)


async def _remove(session: AsyncSession, row: TriggerRow) -> Trigger:
    trigger = read_trigger(row)
    await get_kind(trigger.kind).on_gone(session, trigger)
    await event_rows.delete_all(session, trigger.workspace_id, trigger.id)
    await repository.delete_trigger(session, trigger.workspace_id, trigger.id)
    return trigger


async def pause(
    session: AsyncSession, actor: str, workspace_id: str, trigger_id: str, paused: Paused, *, at_ms: int
) -> tuple[Trigger, Trigger]:
    """Pauses or resumes (`Paused.NO`) a trigger of either source; gives it as it was and as it is.

    Raises:
        TriggerNotFoundError: there is none.
    """
    row = await get_row(session, workspace_id, trigger_id, is_locked=True)
    before = read_trigger(row)
    if before.paused is not paused:
        row.paused, row.etag = paused.value, make_id("et")
        row.updated_at, row.updated_by = at_ms, actor
        await session.flush()
        await get_kind(row.kind).on_change(session, read_trigger(row), at_ms)
    return before, read_trigger(row)


def require_attached(row: TriggerRow) -> None:
    """Raises OwnedByDocumentError where the trigger is written in a document."""
    if row.source != Source.ATTACHED:
        raise OwnedByDocumentError(row.key, row.workflow)


async def _fill(session: AsyncSession, row: TriggerRow, actor: str, wish: Wish, at_ms: int) -> None:
    path = find_hook_path(wish.kind, wish.config)
    if path is not None:
        owner = await repository.find_path_owner(session, row.workspace_id, path, [row.id])
        if owner is not None:
            raise HookPathTakenError(path, "with.path", owner.workflow)
    row.kind, row.config, row.path = wish.kind, encode(wish.config).decode(), path
    row.input = encode(wish.input).decode() if wish.has_input else None
    row.etag = make_id("et")
    row.updated_at, row.updated_by = at_ms, actor


async def _store(session: AsyncSession, row: TriggerRow, at_ms: int) -> Trigger:
    try:
        await session.flush()
    except IntegrityError as fault:
        if row.path is None:
            raise
        # Somebody else took the path at the same moment.
        raise HookPathTakenError(row.path, "with.path") from fault
    trigger = read_trigger(row)
    await get_kind(trigger.kind).on_change(session, trigger, at_ms)
    return trigger
