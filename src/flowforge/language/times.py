"""Durations and times as text, the one form that the whole language has.

A duration is `30s`, `1h30m`, `7d`, `1w` (units in falling order, each once; the last may have a fraction) or ISO 8601 without years and
months, whose length is not fixed. A time is RFC 3339 with a zone, in the years 1 to 9999. Both are exact to the nanosecond.
"""

import re
from datetime import date
from decimal import Decimal
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
TEXT_MAX_CHARACTERS: Final = 64

_UNIT_NS: Final = {
    "w": 604_800 * NS_PER_SECOND,
    "d": 86_400 * NS_PER_SECOND,
    "h": 3_600 * NS_PER_SECOND,
    "m": 60 * NS_PER_SECOND,
    "s": NS_PER_SECOND,
    "ms": NS_PER_MS,
    "us": 1_000,
    "ns": 1,
}
_PRINTED_UNITS: Final = ("d", "h", "m", "s", "ms", "us", "ns")
_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_SHORT: Final = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _UNIT_NS), re.ASCII)
_ISO: Final = re.compile(rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?", re.ASCII)
_RFC_3339: Final = re.compile(
    r"(\d{4,9})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
TIME_MIN_NS: Final = (date.min.toordinal() - _EPOCH_DAY) * _UNIT_NS["d"]
"""0001-01-01T00:00:00Z, in nanoseconds since 1970."""
TIME_MAX_NS: Final = (date.max.toordinal() - _EPOCH_DAY + 1) * _UNIT_NS["d"] - 1
"""The last nanosecond of the year 9999."""


class TimeFault(ValueError):
    """The text is no duration or time. `code` is `duration`, `timestamp` or, for one outside the years 1 to 9999, `date_range`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_duration_ms(text: str) -> int:
    """The duration in milliseconds, 0 or more.

    Raises:
        TimeFault: it is no duration, is negative, or is not a whole number of milliseconds.
    """
    length_ns = parse_duration_ns(text)
    if length_ns < 0:
        raise TimeFault("duration", "A duration cannot be negative.")
    if length_ns % NS_PER_MS:
        raise TimeFault("duration", "A duration is a whole number of milliseconds.")
    return length_ns // NS_PER_MS


def parse_duration_ns(text: str) -> int:
    """The duration in nanoseconds (a fraction of one is cut off); a `-` before it makes it negative.

    Raises:
        TimeFault: it is no duration.
    """
    body = text.removeprefix("-")
    if body and len(body) <= TEXT_MAX_CHARACTERS and body[-1] not in "PT":
        match = _ISO.fullmatch(body) if body[0] == "P" else _SHORT.fullmatch(body)
        if match is not None:
            length_ns = _add_units(match)
            return -length_ns if body is not text and body != text else length_ns
    raise TimeFault("duration", "This is no duration: write it as 30s, 5m, 1h30m, 7d, 1w or ISO 8601 (PT5M).")


def _add_units(match: re.Match[str]) -> int:
    numbers = match.groups()
    given = [(number, unit_ns) for number, unit_ns in zip(numbers, _UNIT_NS.values(), strict=False) if number is not None]
    if any("." in number for number, _ in given[:-1]):
        raise TimeFault("duration", "Only the last part of a duration may have a fraction.")
    return sum(int(Decimal(number) * unit_ns) for number, unit_ns in given)


def format_duration_ms(length_ms: int) -> str:
    """The canonical text (`1h30m`, `7d`, `1s500ms`; `0s` for nothing) of a duration in milliseconds."""
    return format_duration_ns(length_ms * NS_PER_MS)


def format_duration_ns(length_ns: int) -> str:
    """The canonical text of a duration in nanoseconds."""
    rest_ns = abs(length_ns)
    parts = ["-"] if length_ns < 0 else []
    for unit in _PRINTED_UNITS:
        count, rest_ns = divmod(rest_ns, _UNIT_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_timestamp_ms(text: str) -> int:
    """The RFC 3339 time in milliseconds since 1970 (UTC); what is finer is cut off.

    Raises:
        TimeFault: it is no time, has no zone, or lies outside the years 1 to 9999.
    """
    return parse_timestamp_ns(text) // NS_PER_MS


def parse_timestamp_ns(text: str) -> int:
    """The RFC 3339 time in nanoseconds since 1970 (UTC).

    Raises:
        TimeFault: it is no time, has no zone, or lies outside the years 1 to 9999.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise TimeFault("timestamp", "This is no time: write it as RFC 3339 with a zone (2026-03-01T08:00:00Z).")
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if not 1 <= year <= 9999:
        raise TimeFault("date_range", "The time lies outside the years 1 to 9999.")
    offset_hour, offset_minute = int(match[9] or 0), int(match[10] or 0)
    if max(hour, offset_hour) > 23 or max(minute, second, offset_minute) > 59:
        raise TimeFault("timestamp", "This is no time: an hour, minute or second is too large.")
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise TimeFault("timestamp", "This is no time: the month does not exist or has no such day.") from None
    offset_s = (offset_hour * 3_600 + offset_minute * 60) * (-1 if match[8] == "-" else 1)
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s
    time_ns = seconds * NS_PER_SECOND + int((match[7] or "").ljust(9, "0"))
    if not TIME_MIN_NS <= time_ns <= TIME_MAX_NS:
        raise TimeFault("date_range", "The time lies outside the years 1 to 9999.")
    return time_ns


def format_timestamp_ms(time_ms: int) -> str:
    """The canonical RFC 3339 text, in UTC, of a time in milliseconds since 1970.

    Raises:
        TimeFault: the time lies outside the years 1 to 9999.
    """
    return format_timestamp_ns(time_ms * NS_PER_MS)


def format_timestamp_ns(time_ns: int) -> str:
    """The canonical RFC 3339 text (in UTC; 0, 3, 6 or 9 digits of a second) of a time in nanoseconds since 1970.

    Raises:
        TimeFault: the time lies outside the years 1 to 9999.
    """
    if not TIME_MIN_NS <= time_ns <= TIME_MAX_NS:
        raise TimeFault("date_range", "The time lies outside the years 1 to 9999.")
    seconds, fraction_ns = divmod(time_ns, NS_PER_SECOND)
    days, second_of_day = divmod(seconds, 86_400)
    hour, rest = divmod(second_of_day, 3_600)
    minute, second = divmod(rest, 60)
    fraction = f".{fraction_ns:09d}" if fraction_ns else ""
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{date.fromordinal(days + _EPOCH_DAY).isoformat()}T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"
