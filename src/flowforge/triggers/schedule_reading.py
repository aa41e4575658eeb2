"""A schedule's parameters, understood and checked: from `with` of a trigger, and from the body of a preview."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from flowforge.kit.limits import Limits
from flowforge.kit.units import format_duration, parse_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import TimeFault, format_timestamp_ms, parse_timestamp_ms
from flowforge.language.triggers import WALL_TIME_PATTERN
from flowforge.triggers.cron import explain_cron, parse_cron
from flowforge.triggers.schedule_errors import ScheduleError
from flowforge.triggers.schedule_times import (
    Missed,
    OpenDays,
    Overlap,
    Schedule,
    find_next,
    format_wall,
)
from flowforge.triggers.schedule_zones import find_zone, locate_wall_s

_KINDS: Final = ("cron", "every", "at")
_LOCAL: Final = re.compile(WALL_TIME_PATTERN)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- a wall clock has no zone
_WALL_MAX: Final = datetime(9_990, 1, 1)  # noqa: DTZ001 -- as above
_SINGLE_JITTER_MAX_MS: Final = 86_400_000
_UTC: Final = "UTC"


def read_schedule(parameters: JsonObject, limits: Limits) -> Schedule:
    """What the parameters say. Times without a zone are the wall clock's in `timezone`.

    Raises:
        ScheduleError, CronError: a field cannot be; the error names it.
    """
    given = [name for name in _KINDS if parameters.get(name) is not None]
    if len(given) != 1:
        raise ScheduleError(given[1] if given else "cron", "A schedule has exactly one of `cron`, `every` and `at`.", "one_of")
    zone = find_zone(_read_text(parameters, "timezone") or _UTC)
    cron_text, every_text = _read_text(parameters, "cron"), _read_text(parameters, "every")
    at_ms, at_wall = _read_time(parameters, "at", zone)
    start_ms, _ = _read_time(parameters, "start", zone)
    end_ms, _ = _read_time(parameters, "end", zone)
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        raise ScheduleError("end", "The schedule ends before it starts.", "time_order")
    schedule = Schedule(
        zone=zone,
        cron=None if cron_text is None else parse_cron(cron_text, least_gap_ms=limits.cron_min_ms),
        every_ms=None if every_text is None else _read_interval(every_text, limits),
        at_ms=at_ms,
        at_wall=at_wall,
        start_ms=start_ms,
        end_ms=end_ms,
        jitter_ms=_read_jitter(parameters),
        calendar=_read_text(parameters, "calendar"),
        missed=Missed(_read_choice(parameters, "missed", list(Missed), Missed.LATEST)),
        overlap=Overlap(_read_choice(parameters, "overlap", list(Overlap), Overlap.ALLOW)),
    )
    _check_jitter(schedule)
    return schedule


def check_times(schedule: Schedule, limits: Limits, now_ms: int, is_open: OpenDays | None = None) -> None:
    """Looks whether the schedule has anything to do from now on, within LIMIT_CRON_HORIZON.

    Raises:
        ScheduleError: `time_past` (its one moment or its end has passed), `cron_horizon` (its next slot is too far away, or there is none).
    """
    horizon_ms = now_ms + limits.cron_horizon_ms
    for field, moment_ms in (("at", schedule.at_ms), ("end", schedule.end_ms)):
        if moment_ms is not None and moment_ms <= now_ms:
            raise ScheduleError(field, f"{format_timestamp_ms(moment_ms)} has passed already.", "time_past")
    for field, moment_ms in (("at", schedule.at_ms), ("start", schedule.start_ms)):
        if moment_ms is not None and moment_ms > horizon_ms:
            raise ScheduleError(field, f"{_tell_horizon(limits)} (LIMIT_CRON_HORIZON).", "cron_horizon")
    if find_next(schedule, now_ms, horizon_ms, is_open) is None:
        field = _name_kind(schedule) if schedule.calendar is None else "calendar"
        message = (
            f"There is no slot between now and the end: {_tell_horizon(limits)}, and `end` and `calendar` leave none before."
        )
        raise ScheduleError(field, message, "cron_horizon")


def explain_schedule(schedule: Schedule) -> str:
    """What the schedule means, in words, with its zone."""
    zone = schedule.zone.key
    if schedule.cron is not None:
        said = f"{explain_cron(schedule.cron)}, {zone} time"
    elif schedule.every_ms is not None:
        since = "midnight of 1 January 1970 UTC" if schedule.start_ms is None else format_timestamp_ms(schedule.start_ms)
        said = f"Every {format_duration(schedule.every_ms)}, counted from {since}"
    else:
        said = f"Once, at {format_timestamp_ms(schedule.at_ms or 0)}"
    return ". ".join([said, *_explain_rest(schedule)]) + "."


def _explain_rest(schedule: Schedule) -> list[str]:
    rest: list[str] = []
    if schedule.at_wall is not None:
        rest.append(f"The clocks skip {schedule.at_wall} in {schedule.zone.key}: it fires at the first moment after that")
    if schedule.start_ms is not None and schedule.every_ms is None:
        rest.append(f"Not before {format_timestamp_ms(schedule.start_ms)}")
    if schedule.end_ms is not None:
        rest.append(f"Not after {format_timestamp_ms(schedule.end_ms)}")
    if schedule.jitter_ms:
        rest.append(f"Up to {format_duration(schedule.jitter_ms)} later, spread evenly")
    if schedule.calendar is not None:
        rest.append(f"Only on days that count in the calendar {schedule.calendar}")
    return rest


def _name_kind(schedule: Schedule) -> str:
    if schedule.cron is not None:
        return "cron"
    return "every" if schedule.every_ms is not None else "at"


def _tell_horizon(limits: Limits) -> str:
    return f"a slot may be at most {limits.cron_horizon_ms // 86_400_000} days ahead"


def _read_text(parameters: JsonObject, name: str) -> str | None:
    value: JsonValue = parameters.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ScheduleError(name, f"`{name}` is a text.", "type")


def _read_choice(parameters: JsonObject, name: str, choices: Sequence[str], default: str) -> str:
    value = _read_text(parameters, name) or default
    if value not in choices:
        raise ScheduleError(name, f"`{name}` is one of {', '.join(choices)}.", "choice")
    return value


def _read_duration(text: str, field: str) -> int:
    try:
        duration_ms = parse_duration(text)
    except ValueError as fault:
        raise ScheduleError(field, f"{fault}.", "duration") from None
    if duration_ms <= 0:
        raise ScheduleError(field, f"`{field}` must be longer than nothing.", "duration")
    return duration_ms


def _read_interval(text: str, limits: Limits) -> int:
    every_ms = _read_duration(text, "every")
    if every_ms < limits.cron_min_ms:
        message = f"The least time between two slots is {format_duration(limits.cron_min_ms)} here (LIMIT_CRON_MIN)."
        raise ScheduleError("every", message, "cron_min")
    if every_ms > limits.cron_horizon_ms:
        raise ScheduleError("every", f"{_tell_horizon(limits)} (LIMIT_CRON_HORIZON).".capitalize(), "cron_horizon")
    return every_ms


def _read_jitter(parameters: JsonObject) -> int:
    text = _read_text(parameters, "jitter")
    return 0 if text is None or text in ("0", "0s") else _read_duration(text, "jitter")


def _check_jitter(schedule: Schedule) -> None:
    most_ms = _SINGLE_JITTER_MAX_MS
    if schedule.cron is not None:
        most_ms = schedule.cron.measure_gap_s() * 1_000
    elif schedule.every_ms is not None:
        most_ms = schedule.every_ms
    # As long as the interval it may be, but a slot never comes after the next one.
    if schedule.jitter_ms > most_ms:
        message = f"`jitter` may be at most {format_duration(most_ms)}, the shortest time between two slots."
        raise ScheduleError("jitter", message, "jitter")


def _read_time(parameters: JsonObject, name: str, zone: ZoneInfo) -> tuple[int | None, str | None]:
    """The moment, and what the wall clock would have shown where it was moved."""
    text = _read_text(parameters, name)
    if text is None:
        return None, None
    try:
        if not _LOCAL.fullmatch(text):
            return parse_timestamp_ms(text), None
        # The last years of the calendar are left out, where neither a zone nor a look ahead can be computed.
        wall_s = int((min(datetime.fromisoformat(text), _WALL_MAX) - _EPOCH).total_seconds())
        at_s, is_moved = locate_wall_s(zone, wall_s)
    except (TimeFault, ValueError, OverflowError, OSError):
        message = f"{text[:60]!r} is no time; write it with a zone (2030-01-31T07:00:00Z), or without for {zone.key} time."
        raise ScheduleError(name, message, "time") from None
    return at_s * 1_000, format_wall(wall_s) if is_moved else None
