"""Rows of schedules, their slots, and calendars."""

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import CursorResult, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import is_id
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.schedule_models import CalendarRow, ScheduleRow, ScheduleSlotRow
from flowforge.triggers.types import Paused
from flowforge.web.selecting import Selection

TAKE_MAX: Final = 100


async def find_schedule(session: AsyncSession, trigger_id: str, *, is_locked: bool = False) -> ScheduleRow | None:
    query = select(ScheduleRow).where(ScheduleRow.trigger_id == trigger_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def count_schedules(session: AsyncSession, workspace_id: str) -> int:
    return await session.scalar(select(func.count()).where(ScheduleRow.workspace_id == workspace_id)) or 0


async def list_schedules(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    workflow_ids: Sequence[str] | None = None,
) -> Sequence[tuple[ScheduleRow, TriggerRow]]:
    """Those of these workflows, or (None) all; with their triggers."""
    query = select(ScheduleRow, TriggerRow).join(TriggerRow, TriggerRow.id == ScheduleRow.trigger_id)
    query = query.where(ScheduleRow.workspace_id == workspace_id)
    if workflow_ids is not None:
        query = query.where(TriggerRow.workflow_id.in_(workflow_ids))
    return [(row[0], row[1]) for row in (await session.execute(selection.narrow(query))).all()]


async def list_triggers_of(session: AsyncSession, trigger_ids: Sequence[str]) -> dict[str, TriggerRow]:
    """The triggers of schedules, by their ids."""
    return {row.id: row for row in await session.scalars(select(TriggerRow).where(TriggerRow.id.in_(trigger_ids)))}


async def list_upcoming(
    session: AsyncSession, workspace_id: str, *, workflow_ids: Sequence[str] | None, limit: int
) -> Sequence[tuple[ScheduleRow, TriggerRow]]:
    """Schedules that will fire by themselves, the next one first, with their triggers."""
    query = select(ScheduleRow, TriggerRow).join(TriggerRow, TriggerRow.id == ScheduleRow.trigger_id)
    query = query.where(
        ScheduleRow.workspace_id == workspace_id, ScheduleRow.next_at.is_not(None), TriggerRow.paused == Paused.NO.value
    )
    if workflow_ids is not None:
        query = query.where(TriggerRow.workflow_id.in_(workflow_ids))
    rows = (await session.execute(query.order_by(ScheduleRow.next_at, ScheduleRow.trigger_id).limit(limit))).all()
    return [(row[0], row[1]) for row in rows]


async def delete_schedule(session: AsyncSession, trigger_id: str) -> None:
    """With the slots that were not fired yet."""
    await session.execute(delete(ScheduleSlotRow).where(ScheduleSlotRow.trigger_id == trigger_id))
    await session.execute(delete(ScheduleRow).where(ScheduleRow.trigger_id == trigger_id))


async def list_calendar_users(session: AsyncSession, workspace_id: str, calendar: str) -> Sequence[ScheduleRow]:
    """The live schedules that name the calendar; nobody else changes them until the transaction ends."""
    query = select(ScheduleRow).where(ScheduleRow.workspace_id == workspace_id, ScheduleRow.calendar == calendar)
    return (await session.scalars(query.order_by(ScheduleRow.trigger_id).with_for_update())).all()


# --- for the duty that fires, in all workspaces ------------------------------------------------------------------------------------


async def find_next_at(session: AsyncSession) -> int | None:
    """When something of any schedule is due next: a slot, or one that waits to be fired."""
    moments = [await session.scalar(select(func.min(column))) for column in (ScheduleRow.next_at, ScheduleSlotRow.due_at)]
    return min((moment for moment in moments if moment is not None), default=None)


async def take_due(session: AsyncSession, now_ms: int) -> list[tuple[ScheduleRow, TriggerRow]]:
    """The schedules that are due, the earliest first, with their triggers; the caller's alone until its transaction ends."""
    query = select(ScheduleRow).where(ScheduleRow.next_at <= now_ms).order_by(ScheduleRow.next_at).limit(TAKE_MAX)
    return await _join_triggers(session, query.with_for_update(skip_locked=True))


async def list_after(session: AsyncSession, after_id: str, limit: int) -> list[tuple[ScheduleRow, TriggerRow]]:
    """Schedules of all workspaces by id, with their triggers; locked."""
    query = select(ScheduleRow).where(ScheduleRow.trigger_id > after_id).order_by(ScheduleRow.trigger_id).limit(limit)
    return await _join_triggers(session, query.with_for_update())


async def _join_triggers(session: AsyncSession, query: Select[ScheduleRow]) -> list[tuple[ScheduleRow, TriggerRow]]:
    # A join would lock the triggers too.
    rows = (await session.scalars(query.execution_options(populate_existing=True))).all()
    triggers = await list_triggers_of(session, [row.trigger_id for row in rows])
    return [(row, triggers[row.trigger_id]) for row in rows if row.trigger_id in triggers]


async def list_waiting(session: AsyncSession, trigger_ids: Sequence[str]) -> set[tuple[str, int]]:
    """The slots of these schedules that wait to be fired."""
    query = select(ScheduleSlotRow.trigger_id, ScheduleSlotRow.slot).where(ScheduleSlotRow.trigger_id.in_(trigger_ids))
    return {(row[0], row[1]) for row in (await session.execute(query)).all()}


async def list_due_slots(session: AsyncSession, now_ms: int, limit: int) -> Sequence[ScheduleSlotRow]:
    """Slots that are to be fired now: the oldest first."""
    query = select(ScheduleSlotRow).where(ScheduleSlotRow.due_at <= now_ms)
    return (await session.scalars(query.order_by(ScheduleSlotRow.slot, ScheduleSlotRow.trigger_id).limit(limit))).all()


async def settle_slot(session: AsyncSession, trigger_id: str, slot_ms: int, run_id: str | None) -> None:
    """The slot is done with: by this run, or by none."""
    if run_id is not None:
        await session.execute(update(ScheduleRow).where(ScheduleRow.trigger_id == trigger_id).values(last_run_id=run_id))
    await session.execute(
        delete(ScheduleSlotRow).where(ScheduleSlotRow.trigger_id == trigger_id, ScheduleSlotRow.slot == slot_ms)
    )


async def put_off_slots(session: AsyncSession, trigger_id: str, slots_ms: Sequence[int], due_at: int, *, attempts: int) -> int:
    """Tries them again at `due_at`. How many there were still."""
    statement = update(ScheduleSlotRow).where(ScheduleSlotRow.trigger_id == trigger_id, ScheduleSlotRow.slot.in_(slots_ms))
    answer = await session.execute(statement.values(due_at=due_at, attempts=attempts))
    # Counted by the driver: MySQL has no RETURNING.
    return cast("CursorResult[Any]", answer).rowcount


# --- calendars ---------------------------------------------------------------------------------------------------------------------


async def find_calendar(session: AsyncSession, workspace_id: str, subject: str, *, is_locked: bool = False) -> CalendarRow | None:
    """By id or name."""
    column = CalendarRow.id if is_id(subject, "cal") else CalendarRow.name
    query = select(CalendarRow).where(CalendarRow.workspace_id == workspace_id, column == subject)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def list_calendars(session: AsyncSession, workspace_id: str, selection: Selection) -> Sequence[CalendarRow]:
    query = select(CalendarRow).where(CalendarRow.workspace_id == workspace_id)
    return (await session.scalars(selection.narrow(query))).all()
