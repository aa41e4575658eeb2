"""Cron expressions: our own strict grammar, and the days and times of day that an expression means.

What is accepted: five fields (minute, hour, day of the month, month, day of the week), six with seconds first where schedules may be
closer together than a minute, or a name like `@daily`. A field is a list by comma of `*`, `a`, `a-b`, each with a step behind `/`.
Months and days of the week also go by their first three letters; Sunday is 0 and 7. `a/n` means `a` to the field's end by `n`.

Days: where both day fields are restricted, a day counts if **either** matches; a field that begins with `*` does not restrict in this
sense, so that both must match then (as in the cron of Vixie and Debian).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Final

from cronsim import CronSim

from flowforge.language.triggers import CRON_CHARACTERS_MAX
from flowforge.triggers.schedule_errors import CronError

DAY_S: Final = 86_400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PLAIN: Final = re.compile(r"[ -~\t]*")
_ITEM: Final = re.compile(r"(\*|[A-Z0-9]+)(?:-([A-Z0-9]+))?(?:/([0-9]+))?")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_FOREIGN: Final = re.compile(r"[?#]|(?<![A-Z])(?:[HLW]|LW|[0-9]+[LW]|L-[0-9]+|H\(.*\))(?![A-Z])")
_SUNDAY: Final = 7


@dataclass(frozen=True, slots=True)
class _FieldRules:
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()
    """For the values from `lowest` on."""

    def read(self, text: str) -> frozenset[int]:
        """Raises CronError."""
        if _FOREIGN.search(text):
            message = (
                f"{text!r} ({self.name}) uses ?, L, W, # or H, which mean different things elsewhere and are not known here."
            )
            raise CronError(message, "cron_unsupported")
        return frozenset(value for item in text.split(",") for value in self._read_item(item))

    def _read_item(self, item: str) -> range:
        match = _ITEM.fullmatch(item)
        if match is None or (match[1] == "*" and match[2]):
            if re.fullmatch(r"[^/]*/[^/]*", item) and not item.startswith("/"):
                raise self._refuse_step(item)
            message = f"{item!r} ({self.name}) is none of *, 5, 1-5, */5, 1-30/5, nor a list of them by comma."
            raise CronError(message, "cron_syntax")
        first, last, step_text = match.groups()
        step = self._read_step(item, step_text)
        if first == "*":
            return range(self.lowest, self._top + 1, step)
        begin = self._read_value(first)
        end = self._read_value(last) if last else (self.highest if step_text else begin)
        if end < begin:
            message = f"The range {item} ({self.name}) runs backwards; write it as a list, like FRI,SAT,SUN,MON."
            raise CronError(message, "cron_range")
        return range(begin, end + 1, step)

    @property
    def _top(self) -> int:
        # Sunday is there as 0 already: a step over the week counts seven days.
        return self.highest - 1 if self.highest == _SUNDAY else self.highest

    def _read_step(self, item: str, text: str | None) -> int:
        if text is None:
            return 1
        step = int(text) if _NUMBER.fullmatch(text) else 0
        if not 1 <= step <= self.highest:
            raise self._refuse_step(item)
        return step

    def _refuse_step(self, item: str) -> CronError:
        message = f"The step of {item!r} ({self.name}) must be a whole number from 1 to {self.highest}."
        return CronError(message, "cron_step")

    def _read_value(self, text: str) -> int:
        if text in self.words:
            return self.words.index(text) + self.lowest
        if not _NUMBER.fullmatch(text):
            named = f" or {self.words[0]} to {self.words[-1]}" if self.words else ""
            message = f"{text!r} ({self.name}) is not known; write {self.lowest} to {self.highest}{named}."
            raise CronError(message, "cron_range" if text.isdigit() else "cron_syntax")
        value = int(text)
        if not self.lowest <= value <= self.highest:
            message = f"{value} ({self.name}) lies outside {self.lowest} to {self.highest}."
            raise CronError(message, "cron_range")
        return value


_SECOND: Final = _FieldRules("second", 0, 59)
_MINUTE: Final = _FieldRules("minute", 0, 59)
_HOUR: Final = _FieldRules("hour", 0, 23)
_DAY: Final = _FieldRules("day of the month", 1, 31)
_MONTH: Final = _FieldRules("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_WEEKDAY: Final = _FieldRules("day of the week", 0, _SUNDAY, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
_MONTH_DAYS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that was understood. `text`: normalised, in capitals, with single spaces.

    `is_elapsed`: it begins its minutes or hours with `*`, so it goes by time that passes: nothing in the hour that a change of the clocks
    leaves out, twice in the hour that comes twice. All others mean times of day, and fire once for each.
    """

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either_day: bool
    is_elapsed: bool

    def matches_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (is_day or is_weekday) if self.is_either_day else (is_day and is_weekday)

    def find_time_s(self, from_s: int) -> int | None:
        """The first time of day, in seconds, at or after this one."""
        hour, rest = divmod(from_s, 3_600)
        minute, second = divmod(rest, 60)
        for found in self.hours[bisect_left(self.hours, hour) :]:
            if found > hour:
                return found * 3_600 + self.minutes[0] * 60 + self.seconds[0]
            for at in self.minutes[bisect_left(self.minutes, minute) :]:
                if at > minute:
                    return found * 3_600 + at * 60 + self.seconds[0]
                place = bisect_left(self.seconds, second)
                if place < len(self.seconds):
                    return found * 3_600 + at * 60 + self.seconds[place]
        return None

    def measure_gap_s(self) -> int:
        """The shortest time between two times of day that it names, seen as if every day counted."""
        if len(self.seconds) > 1:
            return min(_list_gaps(self.seconds, 60))
        return 60 * min(_list_gaps([hour * 60 + minute for hour in self.hours for minute in self.minutes], DAY_S // 60))


def _list_gaps(places: Sequence[int], around: int) -> list[int]:
    return [later - earlier for earlier, later in pairwise([*places, places[0] + around])]


def parse_cron(text: str, *, least_gap_ms: int) -> Cron:
    """Reads an expression. `least_gap_ms`: LIMIT_CRON_MIN; below a minute it allows six fields, seconds first.

    Raises:
        CronError: `cron_syntax`, `cron_length`, `cron_fields`, `cron_step`, `cron_range`, `cron_unsupported`; `cron_never` where no day
            can match; `cron_min` where the times lie closer together than that.
    """
    fields = _split(text, has_seconds=least_gap_ms < 60_000)
    second, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    cron = Cron(
        text=" ".join(fields),
        seconds=tuple(sorted(_SECOND.read(second))),
        minutes=tuple(sorted(_MINUTE.read(minute))),
        hours=tuple(sorted(_HOUR.read(hour))),
        days=_DAY.read(day),
        months=_MONTH.read(month),
        weekdays=frozenset(value % 7 for value in _WEEKDAY.read(weekday)),
        is_either_day=not day.startswith("*") and not weekday.startswith("*"),
        is_elapsed=minute.startswith("*") or hour.startswith("*"),
    )
    if not cron.is_either_day and min(cron.days) > max(_MONTH_DAYS[month] for month in cron.months):
        raise CronError(f"{cron.text!r} never fires: none of its months has such a day.", "cron_never")
    if cron.measure_gap_s() * 1_000 < least_gap_ms:
        message = (
            f"{cron.text!r} fires more often than every {least_gap_ms / 1000:g} s, which is the least here (LIMIT_CRON_MIN)."
        )
        raise CronError(message, "cron_min")
    return cron


def _split(text: str, *, has_seconds: bool) -> list[str]:
    if len(text) > CRON_CHARACTERS_MAX:
        raise CronError(f"A cron expression has at most {CRON_CHARACTERS_MAX} characters.", "cron_length")
    if not _PLAIN.fullmatch(text):
        raise CronError("A cron expression has plain ASCII characters only, spaces and tabs among them.", "cron_syntax")
    words = text.upper().split()
    if not words:
        raise CronError("The cron expression is empty; write it like `0 7 * * 1-5`.", "cron_syntax")
    if words[0].startswith("@"):
        meant = _NAMES.get(text.strip().lower())
        if meant is None:
            raise CronError(f"{text.strip()!r} is not one of {', '.join(_NAMES)}.", "cron_syntax")
        return meant.split()
    if len(words) != 5 and not (has_seconds and len(words) == 6):
        more = ", or six with the seconds first" if has_seconds else ""
        message = f"It has {len(words)} fields; a cron expression has five{more}: minute, hour, day, month, weekday."
        raise CronError(message, "cron_fields")
    return words


def find_wall_s(cron: Cron, start_s: int, end_s: int, is_open: Callable[[date], bool] | None = None) -> int | None:
    """The first wall time that it names from `start_s` on and before `end_s`, in seconds of the wall clock since 1970.

    `is_open`: whether a day counts, by a calendar.
    """
    day_no, time_s = divmod(start_s, DAY_S)
    while day_no * DAY_S < end_s:
        day = date.fromordinal(day_no + _EPOCH_DAY)
        if day.month not in cron.months:
            day_no, time_s = _find_next_month(day) - _EPOCH_DAY, 0
            continue
        if cron.matches_day(day) and (is_open is None or is_open(day)):
            found_s = cron.find_time_s(time_s)
            if found_s is not None:
                wall_s = day_no * DAY_S + found_s
                return wall_s if wall_s < end_s else None
        day_no, time_s = day_no + 1, 0
    return None


def _find_next_month(day: date) -> int:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1).toordinal()


def explain_cron(cron: Cron) -> str:
    """What it means, in words."""
    return CronSim(cron.text, datetime(2000, 1, 1, tzinfo=UTC)).explain()
