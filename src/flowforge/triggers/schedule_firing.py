"""The duty that fires schedules: in `up` it runs by itself, in a cluster the elected scheduler runs it. Two at once do no harm.

Two steps, each of which may be killed anywhere and is simply done again:
1. Take: in one transaction the slots that are due become rows of `schedule_slots`, and the schedule moves on to its next slot.
2. Fire: for each such row a run is started under the name `schedule:<trigger>:<slot>`, which is unique for ever; then the row is removed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.session import Database
from flowforge.kit.errors import DependencyError, RequestError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.language.times import format_timestamp_ms
from flowforge.runs import service as runs
from flowforge.runs.errors import RunNotFoundError
from flowforge.triggers import schedule_repository as repository
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.repository import find_any_trigger
from flowforge.triggers.schedule import find_open_days, plan_next, read_stored
from flowforge.triggers.schedule_errors import CalendarNotFoundError, ScheduleError
from flowforge.triggers.schedule_models import ScheduleRow, ScheduleSlotRow
from flowforge.triggers.schedule_times import Missed, OpenDays, Overlap, Schedule, Slot, find_latest, make_due_ms
from flowforge.triggers.types import Fired, Paused, Trigger

LATE_AFTER_MS: Final = 60_000
"""A slot that is fired later than this after it was due was missed: the schedule's `missed` decides. Below it counts as on time."""
CAUGHT_UP_MAX: Final = 100
"""Slots of one schedule that wait to be fired, at most; of more that were missed, the last ones count."""
BURST_MAX: Final = 10
"""Slots of one schedule that are fired in one pass: a schedule that catches up does not crowd out the others."""
_FIRE_MAX: Final = 500
_AT_ONCE: Final = 16
_AGAIN_MS: Final = 1_000
_AGAIN_MAX_MS: Final = 60_000
_UNREADABLE_MS: Final = 3_600_000
_PLAN_BATCH: Final = 200
_AHEAD_MS: Final = 86_400_000

logger = get_logger("triggers.schedules")


def name_slot(trigger_id: str, slot_ms: int) -> str:
    """Under which the slot's run is unique for ever."""
    return f"schedule:{trigger_id}:{slot_ms}"


def describe_slot(
    trigger: Trigger, slot_ms: int, nominal: str, *, is_late: bool, at_ms: int, is_forced: bool = False
) -> Occurrence:
    """What happens at a slot. `is_forced`: also while the trigger is paused."""
    data = {"slot": format_timestamp_ms(slot_ms), "nominal": nominal, "late": is_late}
    return Occurrence(trigger, {**data}, at_ms, dedup=name_slot(trigger.id, slot_ms), is_forced=is_forced)


@dataclass(frozen=True, slots=True)
class _Due:
    slot: Slot
    is_late: bool


class ScheduleDuty:
    """Fires the slots of all schedules. `clock`: in a cluster the database's, estimated from below, so that nothing fires early."""

    def __init__(self, database: Database, firing: Firing, clock: Clock) -> None:
        self._database = database
        self._firing = firing
        self._clock = clock
        self._has_planned = False

    async def run_once(self) -> None:
        """One pass. Raises StorageError where the database cannot be used."""
        while await self.run():
            pass

    async def run(self) -> bool:
        """One pass; whether there is more to do at once.

        Raises:
            StorageError: the database cannot be used now; the next pass goes on where this one stopped.
        """
        if not self._has_planned:
            await self._plan_all()
            self._has_planned = True
        has_more = await self._take()
        await self._fire()
        return has_more

    async def find_next_at(self) -> int | None:
        """When something is due next, so that who runs the duty by itself can sleep until then."""
        async with self._database.read() as session:
            return await repository.find_next_at(session)

    # --- what is due -------------------------------------------------------------------------------------------------------------

    async def _plan_all(self) -> None:
        """At the first pass every next slot is computed anew: zones may have got other rules, and a clock that ran ahead is forgotten."""
        after_id: str | None = ""
        while after_id is not None:
            async with self._database.write.begin() as session:
                pairs = await repository.list_after(session, after_id, _PLAN_BATCH)
                for row, trigger_row in pairs:
                    await self._plan(session, row, read_trigger(trigger_row))
            after_id = pairs[-1][0].trigger_id if len(pairs) == _PLAN_BATCH else None

    async def _take(self) -> bool:
        """Turns what is due into rows to be fired. Whether there may be more."""
        now_ms = self._clock.now_ms()
        async with self._database.write.begin() as session:
            taken = await repository.take_due(session, now_ms)
            waiting = await repository.list_waiting(session, [row.trigger_id for row, _ in taken])
            for row, trigger_row in taken:
                await self._take_one(session, row, trigger_row, waiting, now_ms)
            await session.flush()
            crashpoint("CP16a")
        return len(taken) == repository.TAKE_MAX

    async def _take_one(
        self, session: AsyncSession, row: ScheduleRow, trigger_row: TriggerRow, waiting: set[tuple[str, int]], now_ms: int
    ) -> None:
        trigger = read_trigger(trigger_row)
        planned = await self._read(session, row, trigger, now_ms)
        if planned is None:
            return
        schedule, is_open = planned
        found = find_latest(schedule, row.last_slot, now_ms, CAUGHT_UP_MAX, is_open)
        come = [slot for slot in found if make_due_ms(schedule, slot, row.trigger_id) <= now_ms]
        chosen = [] if trigger.paused is Paused.REFUSE else _choose(schedule, come, row.trigger_id, now_ms)
        crashpoint("CP15")
        own = sum(trigger_id == row.trigger_id for trigger_id, _ in waiting)
        for due in chosen[: CAUGHT_UP_MAX - own]:
            if (row.trigger_id, due.slot.at_ms) not in waiting:
                session.add(_make_slot(row, due, now_ms))
        if come:
            row.last_slot = come[-1].at_ms
        if len(chosen) < len(come):
            logger.info("Slots of a schedule were passed over.", trigger=row.trigger_id, count=len(come) - len(chosen))
        plan_next(row, schedule, is_open)

    async def _plan(self, session: AsyncSession, row: ScheduleRow, trigger: Trigger) -> None:
        now_ms = self._clock.now_ms()
        if row.last_slot > now_ms + _AHEAD_MS:
            # Fired by a clock that was far ahead. What fires again now has its run already, by its name.
            row.last_slot = now_ms
        planned = await self._read(session, row, trigger, now_ms)
        if planned is not None:
            plan_next(row, *planned)

    async def _read(
        self, session: AsyncSession, row: ScheduleRow, trigger: Trigger, now_ms: int
    ) -> tuple[Schedule, OpenDays | None] | None:
        """The schedule and its days. One that cannot be read is put off, so that it does not stop the others."""
        try:
            schedule = read_stored(trigger)
            return schedule, await find_open_days(session, trigger.workspace_id, schedule)
        except (ScheduleError, CalendarNotFoundError) as fault:
            logger.warning("A schedule cannot be read; it does not fire.", trigger=row.trigger_id, cause=fault.message)
            row.next_at = now_ms + _UNREADABLE_MS
            return None

    # --- firing ------------------------------------------------------------------------------------------------------------------

    async def _fire(self) -> None:
        """Starts the runs of the slots that were taken: schedules side by side, the slots of one in their order."""
        async with self._database.read() as session:
            slots = await repository.list_due_slots(session, self._clock.now_ms(), _FIRE_MAX)
        by_trigger: dict[str, list[ScheduleSlotRow]] = {}
        for slot in slots:
            by_trigger.setdefault(slot.trigger_id, []).append(slot)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fire(trigger_id: str, own: Sequence[ScheduleSlotRow]) -> None:
            async with gate:
                await self._fire_schedule(trigger_id, own)

        answers = await asyncio.gather(*(fire(*item) for item in by_trigger.items()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _fire_schedule(self, trigger_id: str, slots: Sequence[ScheduleSlotRow]) -> None:
        async with self._database.read() as session:
            trigger_row = await find_any_trigger(session, trigger_id)
            row = await repository.find_schedule(session, trigger_id)
        if trigger_row is None or row is None or not trigger_row.is_live:
            async with self._database.write.begin() as session:
                await repository.delete_schedule(session, trigger_id)
            return
        trigger, last_run_id = read_trigger(trigger_row), row.last_run_id
        overlap = Overlap(str(trigger.config.get("overlap") or Overlap.ALLOW))
        for place, slot in enumerate(slots[:BURST_MAX]):
            if overlap is not Overlap.ALLOW and await self._is_open(trigger.workspace_id, last_run_id):
                if overlap is Overlap.QUEUE:
                    await self._put_off(trigger_id, slots[place:], _AGAIN_MS)
                    return
                logger.info("A slot was passed over: the last run goes on.", trigger=trigger_id, slot=slot.slot)
                await self._settle(slot, None)
                continue
            done = await self._start(trigger, slot)
            if done is None:
                await self._put_off(trigger_id, slots[place:], min(_AGAIN_MS * 2**slot.attempts, _AGAIN_MAX_MS))
                return
            await self._settle(slot, done.run_id)
            last_run_id = done.run_id or last_run_id

    async def _start(self, trigger: Trigger, slot: ScheduleSlotRow) -> Fired | None:
        """What became of the slot: its run, an event that is held, or nothing where it was refused. None: it is to be tried again."""
        try:
            now_ms = self._clock.now_ms()
            fired = await self._firing.fire(describe_slot(trigger, slot.slot, slot.nominal, is_late=slot.is_late, at_ms=now_ms))
        except StorageError:
            raise
        except DependencyError as fault:
            logger.warning("A slot could not be fired; it is tried again.", trigger=trigger.id, cause=fault.message)
            return None
        except RequestError as fault:
            logger.warning("A slot was refused.", trigger=trigger.id, slot=slot.slot, cause=fault.message)
            return Fired()
        crashpoint("CP16b")
        return fired

    async def _is_open(self, workspace_id: str, run_id: str | None) -> bool:
        if run_id is None:
            return False
        async with self._database.read() as session:
            try:
                return (await runs.get_run(session, workspace_id, run_id)).is_open
            except RunNotFoundError:
                return False

    async def _settle(self, slot: ScheduleSlotRow, run_id: str | None) -> None:
        async with self._database.write.begin() as session:
            await repository.settle_slot(session, slot.trigger_id, slot.slot, run_id)

    async def _put_off(self, trigger_id: str, slots: Sequence[ScheduleSlotRow], wait_ms: int) -> None:
        due_at = self._clock.now_ms() + wait_ms
        async with self._database.write.begin() as session:
            slots_ms = [slot.slot for slot in slots]
            await repository.put_off_slots(session, trigger_id, slots_ms, due_at, attempts=slots[0].attempts + 1)


def _choose(schedule: Schedule, come: Sequence[Slot], trigger_id: str, now_ms: int) -> list[_Due]:
    """Which of the slots that have come are fired: those on time, and of those that were missed what the schedule's policy says."""
    due = [_Due(slot, now_ms - make_due_ms(schedule, slot, trigger_id) > LATE_AFTER_MS) for slot in come]
    on_time = [item for item in due if not item.is_late]
    match schedule.missed:
        case Missed.ALL:
            return due
        case Missed.LATEST:
            return on_time or due[-1:]
        case Missed.SKIP:
            return on_time


def _make_slot(row: ScheduleRow, due: _Due, now_ms: int) -> ScheduleSlotRow:
    return ScheduleSlotRow(
        trigger_id=row.trigger_id,
        slot=due.slot.at_ms,
        workspace_id=row.workspace_id,
        nominal=due.slot.nominal,
        is_late=due.is_late,
        attempts=0,
        due_at=now_ms,
    )
