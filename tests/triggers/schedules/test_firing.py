"""The duty: which slots become runs, how often, and what a crash, a second scheduler, a clock or a person may do meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.trigger_lab import TriggerLab, make_firing, open_trigger_lab

from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.errors import ConflictError, DependencyError, ValidationError
from flowforge.kit.values import JsonObject
from flowforge.triggers.models import TriggerRow
from flowforge.triggers.schedule_firing import BURST_MAX, ScheduleDuty
from flowforge.triggers.schedule_models import ScheduleRow, ScheduleSlotRow

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def make_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


NINE = make_ms("2026-04-01T09:00:30Z")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[TriggerLab]:
    async with open_trigger_lab(tmp_path, NINE) as lab:
        yield lab


def make_duty(lab: TriggerLab) -> ScheduleDuty:
    return ScheduleDuty(lab.database, make_firing(lab.database, lab.runner, lab.clock), lab.clock)


async def list_slots(lab: TriggerLab) -> list[str]:
    return [str(run.trigger["slot"])[11:16] for run in await lab.list_runs()]


async def count_waiting(lab: TriggerLab) -> int:
    async with lab.database.read() as session:
        return await session.scalar(select(func.count()).select_from(ScheduleSlotRow)) or 0


async def run_until(lab: TriggerLab, duty: ScheduleDuty, minutes: int) -> None:
    for _ in range(minutes):
        lab.clock.advance(MINUTE_MS)
        await duty.run_once()


async def test_a_slot_starts_one_run_and_never_early(lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *", "timezone": "Europe/Berlin"})
    duty = make_duty(lab)
    await duty.run_once()
    assert await duty.find_next_at() == make_ms("2026-04-01T09:05:00Z")
    lab.clock.set_wall(make_ms("2026-04-01T09:05:00Z") - 1)
    await duty.run_once()
    assert await lab.list_runs() == []
    lab.clock.set_wall(make_ms("2026-04-01T09:05:00Z"))
    for _ in range(3):
        await duty.run_once()
    (run,) = await lab.list_runs()
    assert run.input == {}
    assert run.trigger == {
        "kind": "schedule",
        "id": "t",
        "fired_at": "2026-04-01T09:05:00Z",
        "slot": "2026-04-01T09:05:00Z",
        "nominal": "2026-04-01T11:05:00",
        "late": False,
    }
    assert await count_waiting(lab) == 0


async def test_jitter_delays_a_slot_by_the_same_time_each_time(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "0 * * * *", "jitter": "10m"})
    async with lab.database.read() as session:
        row = await session.get_one(ScheduleRow, trigger.id)
    slot_ms = make_ms("2026-04-01T10:00Z")
    assert row.next_slot == slot_ms
    assert row.next_at is not None
    assert 0 <= row.next_at - slot_ms <= 600_000
    lab.clock.set_wall(row.next_at - 1)
    duty = make_duty(lab)
    await duty.run_once()
    assert await lab.list_runs() == []
    lab.clock.set_wall(row.next_at)
    await duty.run_once()
    assert await list_slots(lab) == ["10:00"]


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("latest", 1), ("all", 36)])
async def test_f46_slots_of_a_time_without_scheduler_follow_the_policy(missed: str, count: int, lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *", "missed": missed})
    await make_duty(lab).run_once()
    lab.clock.advance(3 * HOUR_MS + 2 * MINUTE_MS)
    duty = make_duty(lab)
    await duty.run_once()
    assert len(await lab.list_runs()) == min(count, BURST_MAX), "the rest follows in later passes"
    for _ in range(5):
        lab.clock.advance(1_000)
        await duty.run_once()
    found = await lab.list_runs()
    slots = [str(run.trigger["slot"]) for run in found]
    assert len(slots) == count
    assert slots == sorted(slots)
    assert all(run.trigger["late"] is True for run in found)
    if count:
        assert slots[-1] == "2026-04-01T12:00:00Z"


async def test_f46_at_most_a_hundred_slots_are_caught_up(lab: TriggerLab):
    await lab.add("schedule", {"cron": "* * * * *", "missed": "all"})
    await make_duty(lab).run_once()
    lab.clock.advance(48 * HOUR_MS)
    duty = make_duty(lab)
    for _ in range(12):
        await duty.run_once()
    slots = await list_slots(lab)
    assert len(slots) == 100
    assert slots[-1] == "09:00"


async def test_a_short_pause_of_the_scheduler_misses_nothing(lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *", "missed": "skip"})
    await make_duty(lab).run_once()
    lab.clock.set_wall(make_ms("2026-04-01T09:05:40Z"))
    await make_duty(lab).run_once()
    (run,) = await lab.list_runs()
    assert run.trigger["late"] is False


@pytest.mark.parametrize("kind", KINDS)
async def test_f47_two_schedulers_make_one_run_of_each_slot(kind: Kind, tmp_path: Path):
    async with open_trigger_lab(tmp_path, NINE, kind=kind) as lab:
        for index in range(8):
            await lab.add("schedule", {"cron": "* * * * *"}, key=f"t{index}")
        duties = [make_duty(lab), make_duty(lab)]
        for _ in range(3):
            lab.clock.advance(MINUTE_MS)
            await asyncio.gather(*(duty.run_once() for duty in duties))
        found = await lab.list_runs()
        assert len(found) == len({run.dedup for run in found}) == 24
        assert await count_waiting(lab) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["CP15", "CP16a", "CP16b"])
async def test_a_kill_anywhere_loses_no_slot_and_doubles_none(point: str, kind: Kind, tmp_path: Path):
    async with open_trigger_lab(tmp_path, NINE, kind=kind) as lab:
        await lab.add("schedule", {"cron": "* * * * *", "missed": "skip"})

        def kill(name: str) -> None:
            if name == point:
                raise ConnectionAbortedError

        for _ in range(2):
            lab.clock.advance(MINUTE_MS)
            with crash_hook(kill), pytest.raises(ConnectionAbortedError):
                await make_duty(lab).run_once()
            await make_duty(lab).run_once()
        assert await list_slots(lab) == ["09:01", "09:02"]
        assert await count_waiting(lab) == 0


async def test_f43_a_clock_that_is_set_back_doubles_and_misses_nothing(lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *", "missed": "all"})
    duty = make_duty(lab)
    await run_until(lab, duty, 10)
    lab.clock.set_wall(lab.clock.now_ms() - HOUR_MS)
    await run_until(lab, duty, 5)
    await run_until(lab, make_duty(lab), 5)
    lab.clock.set_wall(lab.clock.now_ms() + HOUR_MS)
    await run_until(lab, duty, 10)
    assert await list_slots(lab) == ["09:05", "09:10", "09:15", "09:20", "09:25", "09:30"]


async def test_a_clock_that_ran_far_ahead_is_forgotten_at_the_next_start(lab: TriggerLab):
    await lab.add("schedule", {"cron": "0 * * * *"})
    lab.clock.advance(365 * 24 * HOUR_MS)
    await make_duty(lab).run_once()
    lab.clock.set_wall(NINE)
    duty = make_duty(lab)
    await run_until(lab, duty, 61)
    assert (await list_slots(lab))[1:] == ["10:00"]


async def test_overlap_skip_passes_over_slots_while_the_last_run_goes_on(lab: TriggerLab):
    await lab.add("schedule", {"cron": "* * * * *", "overlap": "skip"})
    duty = make_duty(lab)
    await run_until(lab, duty, 3)
    assert await list_slots(lab) == ["09:01"]
    await lab.end_runs()
    await run_until(lab, duty, 1)
    assert await list_slots(lab) == ["09:01", "09:04"]


async def test_overlap_queue_keeps_slots_until_the_last_run_has_ended(lab: TriggerLab):
    await lab.add("schedule", {"cron": "* * * * *", "overlap": "queue"})
    duty = make_duty(lab)
    await run_until(lab, duty, 3)
    assert await list_slots(lab) == ["09:01"]
    for expected in (["09:01", "09:02"], ["09:01", "09:02", "09:03"]):
        await lab.end_runs()
        lab.clock.advance(2_000)
        await duty.run_once()
        assert await list_slots(lab) == expected
    assert await count_waiting(lab) == 0


async def test_f49_after_a_pause_no_later_slot_fires(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "* * * * *"})
    duty = make_duty(lab)
    await run_until(lab, duty, 1)
    await lab.set(trigger, paused="refuse")
    await run_until(lab, duty, 3)
    assert await list_slots(lab) == ["09:01"]
    await lab.set(trigger)
    await run_until(lab, duty, 1)
    assert await list_slots(lab) == ["09:01", "09:05"], "what came while it was paused is not caught up"


async def test_f49_a_deleted_or_unpublished_schedule_fires_nothing(lab: TriggerLab):
    first, second = await lab.add("schedule", {"cron": "* * * * *"}), await lab.add("schedule", {"cron": "* * * * *"})
    duty = make_duty(lab)
    await lab.remove(first)
    await lab.set(second, is_live=False)
    await run_until(lab, duty, 2)
    assert await lab.list_runs() == []
    await lab.set(second)
    await run_until(lab, duty, 1)
    assert await list_slots(lab) == ["09:03"]


async def test_f49_a_slot_that_comes_while_its_schedule_is_changed_is_of_one_version(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "1 * * * *"})
    duty = make_duty(lab)
    await duty.run_once()
    lab.clock.set_wall(make_ms("2026-04-01T09:01:00Z"))
    await lab.add("schedule", {"cron": "1,2 * * * *"}, trigger_id=trigger.id)
    await duty.run_once()
    await duty.run_once()
    assert await list_slots(lab) == ["09:01"], "the new version has it"
    lab.clock.set_wall(make_ms("2026-04-01T09:02:00Z"))
    await lab.add("schedule", {"cron": "30 * * * *"}, trigger_id=trigger.id)
    await duty.run_once()
    assert await list_slots(lab) == ["09:01"], "the new version has it not"


async def test_a_changed_schedule_does_not_catch_up_its_own_past(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "0 7 * * *", "missed": "all"})
    duty = make_duty(lab)
    await duty.run_once()
    lab.clock.advance(6 * HOUR_MS)
    await lab.add("schedule", {"cron": "0 10 * * *", "missed": "all"}, trigger_id=trigger.id)
    await duty.run_once()
    assert await lab.list_runs() == []


async def test_publishing_the_same_schedule_again_changes_nothing(lab: TriggerLab):
    config: JsonObject = {"cron": "*/5 * * * *"}
    trigger = await lab.add("schedule", config)
    duty = make_duty(lab)
    await duty.run_once()
    lab.clock.set_wall(make_ms("2026-04-01T09:05:00Z"))
    await lab.add("schedule", config, trigger_id=trigger.id)
    await duty.run_once()
    assert await list_slots(lab) == ["09:05"]


async def test_a_paused_schedule_that_keeps_holds_its_slots(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "* * * * *"})
    await lab.set(trigger, paused="keep")
    duty = make_duty(lab)
    await run_until(lab, duty, 2)
    assert await lab.list_runs() == []
    assert await count_waiting(lab) == 0


async def test_a_slot_is_tried_again_when_something_else_failed(lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *"})
    lab.runner.faults = [DependencyError("It is away."), DependencyError("It is away.")]
    duty = make_duty(lab)
    await run_until(lab, duty, 5)
    assert await lab.list_runs() == []
    for _ in range(4):
        lab.clock.advance(1_000)
        await duty.run_once()
    assert await list_slots(lab) == ["09:05"]


@pytest.mark.parametrize("fault", [ConflictError("Full."), ValidationError("No.")])
async def test_a_slot_that_is_refused_is_done_with(fault: ConflictError, lab: TriggerLab):
    await lab.add("schedule", {"cron": "*/5 * * * *"})
    lab.runner.faults = [fault]
    duty = make_duty(lab)
    await run_until(lab, duty, 6)
    assert await lab.list_runs() == []
    assert await count_waiting(lab) == 0


async def test_a_schedule_that_cannot_be_read_stops_no_other(lab: TriggerLab):
    trigger = await lab.add("schedule", {"cron": "* * * * *"})
    await lab.add("schedule", {"cron": "* * * * *"}, key="u")
    duty = make_duty(lab)
    await duty.run_once()
    async with lab.database.write.begin() as session:
        (await session.get_one(TriggerRow, trigger.id)).config = '{"cron":"* * * * *","calendar":"gone"}'
    await run_until(lab, duty, 1)
    assert len(await lab.list_runs()) == 1


async def test_a_one_shot_fires_once_and_is_done(lab: TriggerLab):
    await lab.add("schedule", {"at": "2026-04-01T09:02:00Z"})
    duty = make_duty(lab)
    await run_until(lab, duty, 4)
    assert await list_slots(lab) == ["09:02"]
    assert await duty.find_next_at() is None


async def test_more_schedules_than_one_look_takes_fire_once_each(lab: TriggerLab):
    for index in range(110):
        await lab.add("schedule", {"cron": "* * * * *"}, key=f"t{index}")
    duty = make_duty(lab)
    await run_until(lab, duty, 1)
    assert len(await lab.list_runs()) == 110
    assert datetime.fromtimestamp((await duty.find_next_at() or 0) / 1_000, UTC).minute == 2
