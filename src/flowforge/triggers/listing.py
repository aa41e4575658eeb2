"""Triggers, their requests and held events, for who is no endpoint."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.triggers import event_rows, repository
from flowforge.triggers.lists import REQUESTS, TRIGGERS
from flowforge.triggers.models import TriggerRequestRow
from flowforge.triggers.reading import get_row, read_figures, read_held, read_trigger
from flowforge.triggers.recording import REQUESTS_KEPT
from flowforge.triggers.types import Figures, HeldEvent, Trigger
from flowforge.web.lists import Asked
from flowforge.web.selecting import read_all


async def list_all(session: AsyncSession, workspace_id: str) -> list[tuple[Trigger, Figures]]:
    """Every trigger of the workspace, in the order in which they were made."""
    rows = await read_all(TRIGGERS, partial(repository.list_triggers, session, workspace_id))
    return [(read_trigger(row), read_figures(row)) for row in rows]


async def get_trigger(session: AsyncSession, workspace_id: str, trigger_id: str) -> tuple[Trigger, Figures]:
    """Raises InvalidIdError, TriggerNotFoundError."""
    row = await get_row(session, workspace_id, trigger_id)
    return read_trigger(row), read_figures(row)


async def list_last_requests(session: AsyncSession, workspace_id: str, trigger_id: str) -> Sequence[TriggerRequestRow]:
    """The last 100, the newest first. Raises as `get_trigger`."""
    await get_row(session, workspace_id, trigger_id)
    selection = REQUESTS.read(Asked(REQUESTS_KEPT))
    return selection.cut(await event_rows.list_requests(session, workspace_id, trigger_id, selection))[0]


async def list_held_events(session: AsyncSession, workspace_id: str, trigger_id: str, limit: int) -> list[HeldEvent]:
    """The oldest first. Raises as `get_trigger`."""
    await get_row(session, workspace_id, trigger_id)
    rows = await event_rows.list_held(session, workspace_id, trigger_id, limit=limit)
    return [read_held(row) for row in rows[:limit]]


async def discard_held_events(session: AsyncSession, workspace_id: str, trigger_id: str) -> int:
    """Throws all of them away; gives how many. Raises as `get_trigger`."""
    await get_row(session, workspace_id, trigger_id)
    return await event_rows.delete_held(session, workspace_id, trigger_id)
