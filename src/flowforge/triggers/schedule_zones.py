"""Time zones by their IANA names, and the stretches between the changes of their clocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from flowforge.kit.errors import InvariantError
from flowforge.triggers.schedule_errors import ScheduleError

_STEP_S: Final = 43_200
_YEAR_MAX: Final = 9_998
_NOT_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})


@cache
def _list_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_ZONES)


def find_zone(name: str, field: str = "timezone") -> ZoneInfo:
    """The zone of an IANA name, old names included.

    Raises:
        ScheduleError: `timezone`.
    """
    names = _list_names()
    if name in names:
        return ZoneInfo(name)
    shown = name[:64]
    by_lower = {known.lower(): known for known in names}
    close = get_close_matches(shown.lower(), by_lower, n=1, cutoff=0.75)
    hint = f" Do you mean {by_lower[close[0]]}?" if close else ""
    raise ScheduleError(field, f"{shown!r} is no time zone; name one like Europe/Berlin (IANA).{hint}", "timezone")


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start_s` up to, not including, `end_s` the wall clock is `offset_s` ahead of UTC; before it was `before_s`."""

    start_s: int
    end_s: int
    offset_s: int
    before_s: int


def list_stretches(zone: ZoneInfo, start_s: int, end_s: int) -> Iterator[Stretch]:
    """The stretches that cover this time, in their order. What was before the first one is not told."""
    begin_s, offset_s = start_s, find_offset_s(zone, start_s)
    before_s = offset_s
    for year in range(_year_of(start_s), min(_year_of(end_s), _YEAR_MAX) + 1):
        for change_s in _list_changes(zone.key, year):
            if begin_s < change_s < end_s:
                yield Stretch(begin_s, change_s, offset_s, before_s)
                begin_s, before_s, offset_s = change_s, offset_s, find_offset_s(zone, change_s)
    yield Stretch(begin_s, end_s, offset_s, before_s)


def find_offset_s(zone: ZoneInfo, at_s: int) -> int:
    """How far the zone's wall clock is ahead of UTC at this moment."""
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return 0 if offset is None else offset.days * 86_400 + offset.seconds


def locate_wall_s(zone: ZoneInfo, wall_s: int) -> tuple[int, bool]:
    """The moment at which the wall clock shows this, and whether it had to be moved.

    The first of two such moments; where there is none because the clocks are put forward, the first one after that.
    """
    for stretch in list_stretches(zone, wall_s - 2 * 86_400, wall_s + 2 * 86_400):
        if wall_s < stretch.start_s + stretch.offset_s:
            return stretch.start_s, True
        if wall_s < stretch.end_s + stretch.offset_s:
            return wall_s - stretch.offset_s, False
    raise InvariantError(f"The wall clock of {zone.key} never shows {wall_s} s.")


@lru_cache(maxsize=4_096)
def _list_changes(name: str, year: int) -> tuple[int, ...]:
    """When the clocks of a zone change in a year of UTC, to the second."""
    zone = ZoneInfo(name)
    start_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    end_s = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    found: list[int] = []
    at_s, offset_s = start_s, find_offset_s(zone, start_s)
    while at_s < end_s:
        next_s = min(at_s + _STEP_S, end_s)
        later_s = find_offset_s(zone, next_s)
        if later_s != offset_s:
            found.append(_narrow(zone, at_s, next_s))
        at_s, offset_s = next_s, later_s
    return tuple(found)


def _narrow(zone: ZoneInfo, low_s: int, high_s: int) -> int:
    before_s = find_offset_s(zone, low_s)
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if find_offset_s(zone, middle_s) == before_s:
            low_s = middle_s
        else:
            high_s = middle_s
    return high_s


def _year_of(at_s: int) -> int:
    return datetime.fromtimestamp(at_s, UTC).year
