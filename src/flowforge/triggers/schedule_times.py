"""When a schedule has its slots: pure arithmetic over cron, intervals, single moments, zones and calendars.

A slot is the moment that the schedule names, and what the wall clock shows at it (or would, where the clocks skip it).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from flowforge.triggers.cron import DAY_S, Cron, find_wall_s
from flowforge.triggers.schedule_zones import Stretch, find_offset_s, list_stretches, locate_wall_s

OpenDays = Callable[[date], bool]
"""Whether a day counts, by a calendar."""

_LOOK_BACK_S: Final = 2 * DAY_S
"""How far before the moment asked for a change of the clocks may still matter."""


class Missed(StrEnum):
    """What becomes of slots that nobody was awake for."""

    ALL = "all"
    LATEST = "latest"
    SKIP = "skip"


class Overlap(StrEnum):
    """What happens at a slot while the schedule's last run goes on."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that was understood: one of `cron`, `every_ms` and `at_ms` is there. `at_wall`: what `at` said, if the clocks skip it.

    `every` counts from `start_ms`, or from 1970, so that it needs no memory: `every: 1h` fires on the hour.
    """

    zone: ZoneInfo
    cron: Cron | None = None
    every_ms: int | None = None
    at_ms: int | None = None
    at_wall: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    jitter_ms: int = 0
    calendar: str | None = None
    missed: Missed = Missed.LATEST
    overlap: Overlap = Overlap.ALLOW


@dataclass(frozen=True, slots=True)
class Slot:
    """`at_ms`: the moment. `nominal`: what the wall clock shows, without a zone; it differs where the clocks skip it (`is_moved`)."""

    at_ms: int
    nominal: str
    is_moved: bool = False


def find_next(schedule: Schedule, after_ms: int, until_ms: int, is_open: OpenDays | None = None) -> Slot | None:
    """The first slot after `after_ms`, not after `until_ms`."""
    if schedule.start_ms is not None:
        after_ms = max(after_ms, schedule.start_ms - 1)
    if schedule.end_ms is not None:
        until_ms = min(until_ms, schedule.end_ms)
    if after_ms >= until_ms:
        return None
    if schedule.cron is not None:
        return _find_cron(schedule.cron, schedule.zone, after_ms, until_ms, is_open)
    if schedule.every_ms is not None:
        return _find_interval(schedule, schedule.every_ms, after_ms, until_ms, is_open)
    return _find_single(schedule, after_ms, until_ms, is_open)


def list_slots(schedule: Schedule, after_ms: int, until_ms: int, limit: int, is_open: OpenDays | None = None) -> list[Slot]:
    """The slots after `after_ms`, not after `until_ms`, the first `limit` of them."""
    return [slot for slot, _ in zip(_walk(schedule, after_ms, until_ms, is_open), range(limit), strict=False)]


def find_latest(schedule: Schedule, after_ms: int, until_ms: int, limit: int, is_open: OpenDays | None = None) -> list[Slot]:
    """The last `limit` slots after `after_ms`, not after `until_ms`, in their order."""
    kept: list[Slot] = []
    span_ms = 3_600_000
    end_ms = until_ms
    while end_ms > after_ms and len(kept) < limit:
        # Looked for from the end, in windows that grow: what lies before is never walked through.
        begin_ms = max(after_ms, end_ms - span_ms)
        kept = [*_walk(schedule, begin_ms, end_ms, is_open), *kept][-limit:]
        end_ms, span_ms = begin_ms, span_ms * 4
    return kept


def make_due_ms(schedule: Schedule, slot: Slot, seed: str) -> int:
    """When a slot fires: the jitter is the same for the same slot and seed (the schedule's id), wherever it is computed."""
    if not schedule.jitter_ms:
        return slot.at_ms
    drawn = hashlib.blake2b(f"{seed}:{slot.at_ms}".encode(), digest_size=8).digest()
    return slot.at_ms + int.from_bytes(drawn) % (schedule.jitter_ms + 1)


def format_wall(wall_s: int) -> str:
    """What a wall clock shows: `2027-03-28T02:30:00`."""
    return (datetime(1970, 1, 1) + timedelta(seconds=wall_s)).isoformat()  # noqa: DTZ001 -- a wall clock has no zone


def _walk(schedule: Schedule, after_ms: int, until_ms: int, is_open: OpenDays | None) -> Iterator[Slot]:
    slot = find_next(schedule, after_ms, until_ms, is_open)
    while slot is not None:
        yield slot
        slot = find_next(schedule, slot.at_ms, until_ms, is_open)


def _find_cron(cron: Cron, zone: ZoneInfo, after_ms: int, until_ms: int, is_open: OpenDays | None) -> Slot | None:
    first_s, end_s = after_ms // 1_000 + 1, until_ms // 1_000 + 1
    for stretch in list_stretches(zone, first_s - _LOOK_BACK_S, end_s):
        skipped = None if cron.is_elapsed or stretch.start_s < first_s else _find_skipped(cron, stretch, is_open)
        if skipped is not None:
            return skipped
        floor_s = stretch.start_s + stretch.offset_s
        if not cron.is_elapsed:
            # What the clock has shown before it was put back has fired.
            floor_s = max(floor_s, stretch.start_s + stretch.before_s)
        wall_s = find_wall_s(cron, max(floor_s, first_s + stretch.offset_s), stretch.end_s + stretch.offset_s, is_open)
        if wall_s is not None:
            return Slot((wall_s - stretch.offset_s) * 1_000, format_wall(wall_s))
    return None


def _find_skipped(cron: Cron, stretch: Stretch, is_open: OpenDays | None) -> Slot | None:
    """The times of day that the clocks skip at the stretch's beginning are one slot there."""
    wall_s = find_wall_s(cron, stretch.start_s + stretch.before_s, stretch.start_s + stretch.offset_s, is_open)
    return None if wall_s is None else Slot(stretch.start_s * 1_000, format_wall(wall_s), is_moved=True)


def _find_interval(schedule: Schedule, every_ms: int, after_ms: int, until_ms: int, is_open: OpenDays | None) -> Slot | None:
    anchor_ms = schedule.start_ms or 0
    at_ms = anchor_ms + ((after_ms - anchor_ms) // every_ms + 1) * every_ms
    while at_ms <= until_ms:
        wall_s = _show_s(schedule.zone, at_ms)
        day_no = wall_s // DAY_S
        if is_open is None or is_open(_day_of(day_no)):
            return Slot(at_ms, format_wall(wall_s))
        next_day_s, _ = locate_wall_s(schedule.zone, (day_no + 1) * DAY_S)
        at_ms = (
            anchor_ms + max((next_day_s * 1_000 - 1 - anchor_ms) // every_ms + 1, (at_ms - anchor_ms) // every_ms + 1) * every_ms
        )
    return None


def _find_single(schedule: Schedule, after_ms: int, until_ms: int, is_open: OpenDays | None) -> Slot | None:
    at_ms = schedule.at_ms
    if at_ms is None or not after_ms < at_ms <= until_ms:
        return None
    wall_s = _show_s(schedule.zone, at_ms)
    if is_open is not None and not is_open(_day_of(wall_s // DAY_S)):
        return None
    return Slot(at_ms, schedule.at_wall or format_wall(wall_s), is_moved=schedule.at_wall is not None)


def _show_s(zone: ZoneInfo, at_ms: int) -> int:
    at_s = at_ms // 1_000
    return at_s + find_offset_s(zone, at_s)


def _day_of(day_no: int) -> date:
    return datetime.fromtimestamp(day_no * DAY_S, UTC).date()
