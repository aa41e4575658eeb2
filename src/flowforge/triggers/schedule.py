"""The kind `schedule`, and its row: when it has its next slot. Changed in the transactions that change the trigger or its calendar."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import digest_value
from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers import schedule_repository as repository
from flowforge.triggers.calendars import find_rules
from flowforge.triggers.kinds import Kind
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.schedule_errors import CalendarNotFoundError, ScheduleError, SchedulesFullError
from flowforge.triggers.schedule_models import ScheduleRow
from flowforge.triggers.schedule_reading import check_times, read_schedule
from flowforge.triggers.schedule_times import OpenDays, Schedule, find_next, make_due_ms
from flowforge.triggers.types import Trigger

SCHEDULES_MAX: Final = 1_000
"""Live schedules of one workspace."""
_STORED: Final = Limits(cron_min_ms=1_000)
"""What was checked when it was published is read with the widest limits: a limit that was lowered since stops no schedule."""


async def check_schedule(
    session: AsyncSession, workspace_id: str, parameters: JsonObject, limits: Limits, now_ms: int
) -> Sequence[Detail]:
    """What the language cannot see: the cron expression, the zone, the calendar, whether there is a slot to come."""
    try:
        schedule = read_schedule(parameters, limits)
        check_times(schedule, limits, now_ms, await find_open_days(session, workspace_id, schedule))
    except (ScheduleError, CalendarNotFoundError) as fault:
        return fault.details
    return ()


async def find_open_days(session: AsyncSession, workspace_id: str, schedule: Schedule) -> OpenDays | None:
    """Which days count for the schedule, where it has a calendar.

    Raises:
        CalendarNotFoundError: there is none of that name.
    """
    rules = await find_rules(session, workspace_id, schedule.calendar)
    return None if rules is None else rules.is_open


def read_stored(trigger: Trigger) -> Schedule:
    """The schedule of a trigger that was checked before.

    Raises:
        ScheduleError: this version cannot read it.
    """
    return read_schedule(trigger.config, _STORED)


async def follow_trigger(session: AsyncSession, trigger: Trigger, at_ms: int) -> None:
    """Keeps the schedule's row in step with its trigger.

    A slot that was due before the change and not taken yet is the new version's, if that has it; never both fire.

    Raises:
        SchedulesFullError: the workspace has too many.
        ScheduleError, CalendarNotFoundError: the schedule cannot be read.
    """
    if not trigger.is_live:
        await repository.delete_schedule(session, trigger.id)
        return
    digest = digest_value(trigger.config)
    row = await repository.find_schedule(session, trigger.id, is_locked=True)
    if row is not None and row.digest == digest:
        return
    schedule = read_stored(trigger)
    if row is None:
        if await repository.count_schedules(session, trigger.workspace_id) >= SCHEDULES_MAX:
            raise SchedulesFullError(SCHEDULES_MAX)
        row = ScheduleRow(trigger_id=trigger.id, workspace_id=trigger.workspace_id, last_slot=at_ms)
        session.add(row)
    else:
        is_pending = row.next_slot is not None and row.next_slot <= at_ms
        row.last_slot = row.next_slot - 1 if is_pending and row.next_slot is not None else max(row.last_slot, at_ms)
    row.digest, row.calendar = digest, schedule.calendar
    plan_next(row, schedule, await find_open_days(session, trigger.workspace_id, schedule))
    await session.flush()


async def forget_trigger(session: AsyncSession, trigger: Trigger) -> None:
    """Removes the schedule with what it had still to fire."""
    await repository.delete_schedule(session, trigger.id)


async def follow_calendar(session: AsyncSession, workspace_id: str, calendar: str, open_days: OpenDays, at_ms: int) -> int:
    """Computes the next slots of the schedules that use a calendar anew, after it was changed. How many there are."""
    users = await repository.list_calendar_users(session, workspace_id, calendar)
    triggers = await repository.list_triggers_of(session, [row.trigger_id for row in users])
    for row in users:
        # A slot that has come already came by the calendar as it was; from now on it is another.
        if row.next_slot is None or row.next_slot > at_ms:
            row.last_slot = max(row.last_slot, at_ms)
            plan_next(row, read_stored(read_trigger(triggers[row.trigger_id])), open_days)
    await session.flush()
    return len(users)


def plan_next(row: ScheduleRow, schedule: Schedule, is_open: OpenDays | None) -> None:
    """Writes into the row when it fires next, after the slots that are settled."""
    slot = find_next(schedule, row.last_slot, row.last_slot + 2 * _STORED.cron_horizon_ms, is_open)
    row.next_slot = None if slot is None else slot.at_ms
    row.next_at = None if slot is None else make_due_ms(schedule, slot, row.trigger_id)


def list_warnings(parameters: JsonObject) -> Sequence[str]:
    """What may be meant otherwise: both day fields of a cron expression mean either of them."""
    try:
        schedule = read_schedule(parameters, _STORED)
    except ScheduleError:
        return ()
    if schedule.cron is not None and schedule.cron.is_either_day:
        return ["The cron expression names days of the month and days of the week: it fires on either, not only on both."]
    return ()


SCHEDULE: Final = replace(
    Kind(TRIGGER_KINDS["schedule"], lambda _trigger: {}),
    examples=(
        {"cron": "0 7 * * 1-5", "timezone": "Europe/Berlin", "missed": "latest"},
        {"every": "15m", "jitter": "1m", "overlap": "skip"},
        {"at": "2030-01-31T07:00:00Z"},
    ),
    check=check_schedule,
    warn=list_warnings,
    on_change=follow_trigger,
    on_gone=forget_trigger,
)
