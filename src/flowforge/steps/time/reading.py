"""Reading times that people and other systems wrote: ISO 8601, RFC 2822, seconds since 1970; and making a moment out of their parts."""

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from flowforge.operations import FatalError
from flowforge.steps.time.instants import Ambiguous, to_instant, to_zone, within_range
from flowforge.steps.time.parts import MONTHS, WEEKDAYS
from flowforge.steps.time.patterns import Found, make_fault

if TYPE_CHECKING:
    from whenever import ZonedDateTime

NS_PER_SECOND: Final = 1_000_000_000
MILLISECONDS_FROM: Final = 100_000_000_000
"""A number from here on counts milliseconds: as seconds it would lie after the year 5138."""

_ISO: Final = re.compile(
    r"""
    (?P<Y>[0-9]{4}) (?: -? W (?P<V>[0-9]{2}) (?: -? (?P<u>[0-9]) )?     # 2026-W05-3
        | - (?P<j>[0-9]{3}) (?![0-9])                                  # 2026-034
        | - (?P<m>[0-9]{1,2}) (?: - (?P<d>[0-9]{1,2}) )?               # 2026-02-03, 2026-02
        | (?P<m2>[0-9]{2}) (?P<d2>[0-9]{2}) )                          # 20260203
    (?: (?: \ * [Tt] | \ + ) (?P<H>[0-9]{2})
        (?: :? (?P<M>[0-9]{2}) (?: :? (?P<S>[0-9]{2}) (?: [.,] (?P<fraction>[0-9]{1,9}) [0-9]* )? )? )?
        \ * (?P<offset> [Zz] | (?P<sign>[+-]) (?P<offset_hours>[0-9]{2}) (?: :? (?P<offset_minutes>[0-9]{2}) )? )?
        (?: \[ (?P<zone> [A-Za-z][A-Za-z0-9_+/-]* ) \] )?
    )?
    """,
    re.VERBOSE,
)
_RFC_2822: Final = re.compile(
    r"(?:([A-Za-z]{3}),)? *([0-9]{1,2}) +([A-Za-z]{3}) +([0-9]{2,4}) +([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? +([+-][0-9]{4}|[A-Za-z]{1,3})"
    r"(?: +\([^()]*\))?"
)
_OLD_ZONES: Final = {
    **dict.fromkeys(("UT", "GMT", "UTC", "Z"), 0),
    "EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8,
}  # fmt: skip
_EPOCH: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SHORT_MONTHS: Final = tuple(name[:3].casefold() for name in MONTHS)
_SHORT_DAYS: Final = tuple(name[:3].casefold() for name in WEEKDAYS)


def find_iso(text: str) -> Found | None:
    """What an ISO 8601 or RFC 3339 text says; None for another text. Seconds may have a comma, and a zone may follow in brackets."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    names = {"Y": "Y", "m": "m", "d": "d", "m2": "m", "d2": "d", "j": "j", "V": "V", "u": "u", "H": "H", "M": "M", "S": "S"}
    numbers = {name: int(parts[group]) for group, name in names.items() if parts[group] is not None}
    if "V" in numbers:
        numbers["G"] = numbers.pop("Y")
    found = Found(numbers, int((parts["fraction"] or "").ljust(9, "0")), zone=parts["zone"])
    if parts["offset"] is not None:
        found.offset_s = _add_offset(parts["sign"], parts["offset_hours"], parts["offset_minutes"])
    return found


def _add_offset(sign: str | None, hours_text: str | None, minutes_text: str | None) -> int:
    hours, minutes = int(hours_text or 0), int(minutes_text or 0)
    if hours > 23 or minutes > 59:
        raise make_fault("offset", f"The offset {sign}{hours:02d}:{minutes:02d} is too large.")
    return (hours * 3600 + minutes * 60) * (-1 if sign == "-" else 1)


def find_rfc_2822(text: str) -> Found | None:
    """What the date of a mail or an HTTP header says (RFC 2822, RFC 9110); None for another text."""
    match = _RFC_2822.fullmatch(text.strip())
    if match is None:
        return None
    weekday, day, month, year, hour, minute, second, zone = match.groups()
    if month.casefold() not in _SHORT_MONTHS:
        raise make_fault("month", f"{month!r} is no month.")
    # Two digits are years from 1950 to 2049, three are counted from 1900 (RFC 2822, 4.3).
    full_year = int(year) + ((1900 if int(year) >= 50 else 2000) if len(year) == 2 else 1900 if len(year) == 3 else 0)
    numbers = {"Y": full_year, "m": _SHORT_MONTHS.index(month.casefold()) + 1, "d": int(day), "H": int(hour), "M": int(minute)}
    numbers["S"] = int(second or 0)
    if weekday is not None:
        if weekday.casefold() not in _SHORT_DAYS:
            raise make_fault("day of the week", f"{weekday!r} is no day of the week.")
        numbers["u"] = _SHORT_DAYS.index(weekday.casefold()) + 1
    if zone[0] in "+-":
        return Found(numbers, offset_s=_add_offset(zone[0], zone[1:3], zone[3:]))
    if zone.upper() not in _OLD_ZONES:
        raise make_fault("time zone", f"{zone!r} is no zone of RFC 2822.")
    return Found(numbers, offset_s=_OLD_ZONES[zone.upper()] * 3600)


def read_epoch(number: str, unit: str) -> int:
    """Nanoseconds since 1970 of a count of seconds or milliseconds (`epoch_s`, `epoch_ms`); by its size for any other unit.

    Raises:
        FatalError: `time_invalid`.
    """
    if not _EPOCH.fullmatch(number):
        raise make_fault("seconds", f"{number[:40]!r} is no count of seconds or milliseconds since 1970.")
    whole, _, fraction = number.partition(".")
    is_seconds = unit == "epoch_s" or (unit != "epoch_ms" and abs(int(whole)) < MILLISECONDS_FROM)
    unit_ns = NS_PER_SECOND if is_seconds else 1_000_000
    part_ns = int(fraction.ljust(9, "0")) * unit_ns // NS_PER_SECOND
    return int(whole) * unit_ns + (-part_ns if whole.startswith("-") else part_ns)


def resolve(found: Found, zone: str, ambiguous: Ambiguous) -> "ZonedDateTime":
    """The moment that the parts tell; without an offset or zone of their own they are local in the zone.

    Raises:
        FatalError: `time_invalid`, `timezone_unknown`, `date_range`.
    """
    # The library of time zones is loaded by the first step that needs it.
    from whenever import PlainDateTime

    if "s" in found.numbers:
        return to_zone(found.numbers["s"] * NS_PER_SECOND + found.fraction_ns, "UTC")
    day = _find_date(found.numbers)
    hour, minute, second = _find_clock(found.numbers)
    local = PlainDateTime(day.year, day.month, day.day, hour, minute, second, nanosecond=found.fraction_ns)
    if found.offset_s is not None:
        offset_s = found.offset_s
        return within_range(lambda: to_zone(local.assume_utc().timestamp(unit="nanosecond") - offset_s * NS_PER_SECOND, "UTC"))
    own_zone = "UTC" if (found.zone or "").upper() in {"UTC", "GMT", "Z"} else found.zone
    return to_instant(local, own_zone or zone, ambiguous)


def _find_date(numbers: dict[str, int]) -> date:
    if "G" in numbers:
        return _find_week_date(numbers)
    if "Y" not in numbers and "y" not in numbers:
        raise make_fault("year", "The text has no year.")
    # POSIX: 69 to 99 are in the last century.
    year = numbers["Y"] if "Y" in numbers else numbers["y"] + (1900 if numbers["y"] >= 69 else 2000)
    if not 1 <= year <= 9999:
        raise FatalError("The year lies outside 1 to 9999.", code="date_range")
    found = _find_day_of_year(year, numbers["j"]) if "j" in numbers else _find_day(year, numbers.get("m", 1), numbers.get("d", 1))
    if "u" in numbers and numbers["u"] != found.isoweekday():
        named = WEEKDAYS[numbers["u"] - 1] if 1 <= numbers["u"] <= 7 else str(numbers["u"])
        raise make_fault("day of the week", f"{found.isoformat()} is a {WEEKDAYS[found.weekday()]}, not a {named}.")
    return found


def _find_day(year: int, month: int, day: int) -> date:
    if not 1 <= month <= 12:
        raise make_fault("month", f"There is no month {month}.")
    try:
        return date(year, month, day)
    except ValueError:
        raise make_fault("day", f"{MONTHS[month - 1]} {year} has no day {day}.") from None


def _find_day_of_year(year: int, number: int) -> date:
    found = date(year, 1, 1) + timedelta(days=number - 1) if 1 <= number <= 366 and (year, number) != (9999, 366) else None
    if found is None or found.year != year:
        raise make_fault("day of the year", f"The year {year} has no day {number}.")
    return found


def _find_week_date(numbers: dict[str, int]) -> date:
    year, week, weekday = numbers["G"], numbers.get("V", 1), numbers.get("u", 1)
    if not 1 <= weekday <= 7:
        raise make_fault("day of the week", f"There is no day {weekday} of the week; 1 is Monday.")
    try:
        return date.fromisocalendar(year, week, weekday)
    except ValueError:
        raise make_fault("week", f"The year {year} has no week {week}.") from None


def _find_clock(numbers: dict[str, int]) -> tuple[int, int, int]:
    hour, minute, second = numbers.get("H", 0), numbers.get("M", 0), numbers.get("S", 0)
    if "I" in numbers:
        if "p" not in numbers or not 1 <= numbers["I"] <= 12:
            raise make_fault("hour", f"An hour {numbers['I']} of 12 needs AM or PM, and goes from 1 to 12.")
        hour = numbers["I"] % 12 + 12 * numbers["p"]
    for part, number, largest in (("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)):
        if number > largest:
            raise make_fault(part, f"There is no {part} {number}.")
    return hour, minute, second
