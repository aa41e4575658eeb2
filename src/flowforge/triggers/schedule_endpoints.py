"""`/schedules` and `/calendars`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from fastapi import Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms, parse_timestamp_ms
from flowforge.runs.times import format_optional_time
from flowforge.triggers import calendars, schedule_repository
from flowforge.triggers.backfill import choose_slots, make_backfill
from flowforge.triggers.calendars import Author, Calendar, CalendarRules, describe_rules, make_rules, read_calendar
from flowforge.triggers.errors import TriggerOffError
from flowforge.triggers.lists import CALENDARS, SCHEDULES
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.reading import get_row, read_trigger
from flowforge.triggers.rights import list_visible_workflows, require_for
from flowforge.triggers.schedule import find_open_days, follow_calendar, list_warnings, read_stored
from flowforge.triggers.schedule_errors import (
    CalendarExistsError,
    CalendarInUseError,
    CalendarInvalidError,
    CalendarNotFoundError,
    ScheduleError,
    ScheduleNotFoundError,
    WindowError,
)
from flowforge.triggers.schedule_models import CalendarRow, ScheduleRow
from flowforge.triggers.schedule_reading import check_times, explain_schedule, read_schedule
from flowforge.triggers.schedule_schemas import (
    NEXT_DEFAULT,
    NEXT_MAX,
    BackfillAnswer,
    BackfillBody,
    CalendarAnswer,
    CalendarPatch,
    NewCalendar,
    NextAnswer,
    PreviewAnswer,
    PreviewBody,
    ScheduleAnswer,
    SlotAnswer,
    read_parameters,
)
from flowforge.triggers.schedule_times import Schedule, Slot, list_slots
from flowforge.triggers.types import Trigger
from flowforge.web.batches.answering import GOES_ON, WAIT_DEFAULT, WaitIn, answer_batch
from flowforge.web.batches.rows import insert_batch
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait

schedules_router: Final = Router("schedules", "/schedules")
calendars_router: Final = Router("calendars", "/calendars")
ROUTERS: Final[Sequence[Router]] = (schedules_router, calendars_router)

ScheduleIn = Annotated[str, Path(max_length=64, description="The trigger's id.", examples=["trg_01jz5c2q8hm7k3v9x4e6t0w1yb"])]
CalendarIn = Annotated[str, Path(max_length=64, description="Its id or name.", examples=["berlin-office"])]
NextIn = Annotated[int, Query(ge=1, le=NEXT_MAX, description="How many slots.")]
_SHOWN: Final = 3


@schedules_router.get("", "trigger:read", summary="Live schedules with their next times")
async def list_schedules(call: CallIn, asked: Annotated[Asked, make_asked(SCHEDULES)]) -> Page[ScheduleAnswer]:
    """In the order in which they were made."""
    selection = SCHEDULES.read(asked, call.workspace_id)
    async with call.read() as session:
        visible = await list_visible_workflows(session, call, "trigger:read")
        found = await schedule_repository.list_schedules(session, call.workspace_id, selection, workflow_ids=visible)
        kept, following = selection.cut(found)
        shown = [await _show_schedule(session, call, row, read_trigger(trigger_row)) for row, trigger_row in kept]
    return Page(data=shown, next_cursor=following)


@schedules_router.post(
    "/preview", "trigger:read", errors=[ScheduleError, CalendarNotFoundError], summary="What a schedule would mean"
)
async def preview_schedule(call: CallIn, body: PreviewBody) -> PreviewAnswer:
    """In words, and its next slots, from now on. Nothing is stored."""
    parameters = read_parameters(body)
    schedule = read_schedule(parameters, call.limits)
    async with call.read() as session:
        is_open = await find_open_days(session, call.workspace_id, schedule)
    check_times(schedule, call.limits, call.now_ms, is_open)
    slots = list_slots(schedule, call.now_ms, call.now_ms + call.limits.cron_horizon_ms, body.limit, is_open)
    return PreviewAnswer(
        explanation=explain_schedule(schedule),
        timezone=schedule.zone.key,
        cron=None if schedule.cron is None else schedule.cron.text,
        next=[_show_slot(schedule, slot) for slot in slots],
        warnings=[*list_warnings(parameters)],
    )


@schedules_router.get("/{schedule_id}/next", "trigger:read", errors=[ScheduleNotFoundError], summary="The next slots")
async def list_next(call: CallIn, schedule_id: ScheduleIn, limit: NextIn = NEXT_DEFAULT) -> NextAnswer:
    async with call.read() as session:
        trigger = await _get_schedule(session, call, schedule_id, "trigger:read")
        schedule = read_stored(trigger)
        slots = await _list_next(session, call, schedule, limit)
    return NextAnswer(
        timezone=schedule.zone.key,
        explanation=explain_schedule(schedule),
        data=[_show_slot(schedule, slot) for slot in slots],
    )


@schedules_router.post(
    "/{schedule_id}/backfill",
    "trigger:operate",
    errors=[ScheduleNotFoundError, WindowError, TriggerOffError],
    response_model=BackfillAnswer,
    answers=GOES_ON,
    summary="Run the slots of a window in the past",
)
async def backfill_schedule(call: CallIn, schedule_id: ScheduleIn, body: BackfillBody, wait: WaitIn = WAIT_DEFAULT) -> Response:
    """At most 1,000 slots. A slot whose run is there already is not run again, so that the request may be repeated."""
    wait_ms = read_wait(wait)
    async with call.read() as session:
        trigger = await _get_schedule(session, call, schedule_id, "trigger:operate")
        schedule = read_stored(trigger)
        is_open = await find_open_days(session, call.workspace_id, schedule)
    slots = choose_slots(schedule, parse_timestamp_ms(body.from_), parse_timestamp_ms(body.to), call.now_ms, is_open)
    batch = make_backfill(call, trigger, slots)
    async with call.change() as session:
        await insert_batch(session, batch)
        window: JsonObject = {"from": body.from_, "to": body.to, "slots": len(slots), "batch": batch.id}
        await record(session, call, "schedule.backfilled", "trigger", trigger.id, after=window)
    return await answer_batch(call, batch, wait_ms)


async def _get_schedule(session: AsyncSession, call: Call, schedule_id: str, permission: str) -> Trigger:
    row: TriggerRow = await get_row(session, call.workspace_id, schedule_id)
    await require_for(session, call, permission, row.workflow_id)
    if await schedule_repository.find_schedule(session, row.id) is None:
        raise ScheduleNotFoundError(schedule_id)
    return read_trigger(row)


async def _show_schedule(session: AsyncSession, call: Call, row: ScheduleRow, trigger: Trigger) -> ScheduleAnswer:
    schedule = read_stored(trigger)
    slots = await _list_next(session, call, schedule, _SHOWN)
    return ScheduleAnswer(
        id=trigger.id,
        key=trigger.key,
        workflow_id=trigger.workflow_id,
        workflow=trigger.workflow,
        status=trigger.status,
        with_=trigger.config,
        explanation=explain_schedule(schedule),
        timezone=schedule.zone.key,
        calendar=schedule.calendar,
        next_at=format_optional_time(row.next_at),
        next=[_show_slot(schedule, slot) for slot in slots],
        last_run_id=row.last_run_id,
    )


async def _list_next(session: AsyncSession, call: Call, schedule: Schedule, limit: int) -> list[Slot]:
    is_open = await find_open_days(session, call.workspace_id, schedule)
    return list_slots(schedule, call.now_ms, call.now_ms + call.limits.cron_horizon_ms, limit, is_open)


def _show_slot(schedule: Schedule, slot: Slot) -> SlotAnswer:
    local = datetime.fromtimestamp(slot.at_ms / 1_000, schedule.zone).isoformat(timespec="seconds")
    return SlotAnswer(at=format_timestamp_ms(slot.at_ms), local=local, nominal=slot.nominal, is_moved=slot.is_moved)


# --- calendars ---------------------------------------------------------------------------------------------------------------------


@calendars_router.get("", "settings:read", summary="Calendars")
async def list_calendars(call: CallIn, asked: Annotated[Asked, make_asked(CALENDARS)]) -> Page[CalendarAnswer]:
    """By name."""
    selection = CALENDARS.read(asked, call.workspace_id)
    async with call.report() as session:
        rows = await schedule_repository.list_calendars(session, call.workspace_id, selection)
    kept, following = selection.cut(rows)
    return Page(data=[_show_calendar(read_calendar(row)) for row in kept], next_cursor=following)


@calendars_router.post(
    "", "settings:manage", status=201, errors=[CalendarExistsError, CalendarInvalidError], summary="Make a calendar"
)
async def create_calendar(call: CallIn, response: Response, body: NewCalendar) -> CalendarAnswer:
    """Schedules name it in `calendar`: they fire on the days that count."""
    rules = make_rules(body.working_days, body.countries, body.closed, body.open)
    async with call.change() as session:
        made = await calendars.create_calendar(session, call.workspace_id, call.make_id("cal"), body.name, rules, _author(call))
        await record(session, call, "calendar.created", "calendar", made.id, after=_note(made.name, rules))
    response.headers["location"] = f"/api/v1/calendars/{made.id}"
    return _show_calendar(made)


@calendars_router.get("/{calendar}", "settings:read", errors=[CalendarNotFoundError], summary="A calendar")
async def get_calendar(call: CallIn, calendar: CalendarIn) -> CalendarAnswer:
    async with call.read() as session:
        return _show_calendar(read_calendar(await calendars.get_calendar(session, call.workspace_id, calendar)))


@calendars_router.patch(
    "/{calendar}",
    "settings:manage",
    errors=[CalendarNotFoundError, CalendarInUseError, CalendarInvalidError],
    summary="Change a calendar",
)
async def change_calendar(call: CallIn, calendar: CalendarIn, body: CalendarPatch) -> CalendarAnswer:
    """The next slots of the schedules that use it are computed anew."""
    async with call.change() as session:
        row = await calendars.get_calendar(session, call.workspace_id, calendar, is_locked=True)
        before = read_calendar(row)
        rules = _merge(before.rules, body)
        after = await calendars.change_calendar(session, row, body.name or row.name, rules, _author(call))
        await follow_calendar(session, call.workspace_id, after.name, rules.is_open, call.now_ms)
        noted = _note(before.name, before.rules)
        await record(session, call, "calendar.updated", "calendar", row.id, before=noted, after=_note(after.name, rules))
    return _show_calendar(after)


@calendars_router.delete(
    "/{calendar}",
    "settings:manage",
    status=204,
    errors=[CalendarNotFoundError, CalendarInUseError],
    summary="Delete a calendar",
)
async def delete_calendar(call: CallIn, calendar: CalendarIn) -> None:
    """Only one that no live schedule uses."""
    async with call.change() as session:
        row: CalendarRow = await calendars.get_calendar(session, call.workspace_id, calendar, is_locked=True)
        gone = read_calendar(row)
        await calendars.delete_calendar(session, row)
        await record(session, call, "calendar.deleted", "calendar", gone.id, before=_note(gone.name, gone.rules))


def _merge(rules: CalendarRules, body: CalendarPatch) -> CalendarRules:
    closed = [day.isoformat() for day in rules.closed] if body.closed is None else body.closed
    opened = [day.isoformat() for day in rules.open] if body.open is None else body.open
    working_days = rules.working_days if body.working_days is None else body.working_days
    return make_rules(working_days, rules.countries if body.countries is None else body.countries, closed, opened)


def _author(call: Call) -> Author:
    return Author(call.actor, call.now_ms, call.make_id("etag"))


def _note(name: str, rules: CalendarRules) -> JsonObject:
    return {"name": name, **describe_rules(rules)}


def _show_calendar(calendar: Calendar) -> CalendarAnswer:
    rules = calendar.rules
    return CalendarAnswer(
        id=calendar.id,
        name=calendar.name,
        working_days=list(rules.working_days),
        countries=list(rules.countries),
        closed=[day.isoformat() for day in sorted(rules.closed)],
        open=[day.isoformat() for day in sorted(rules.open)],
        created_at=format_timestamp_ms(calendar.created_at_ms),
        created_by=calendar.created_by,
        updated_at=format_timestamp_ms(calendar.updated_at_ms),
        updated_by=calendar.updated_by,
    )
