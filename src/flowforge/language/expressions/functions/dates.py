"""Functions of times and durations, `now` and `uuid`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.catalog import Function, Take, define, refuse
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.moments import make_timestamp
from flowforge.language.expressions.values import Duration, Kind, Timestamp, Value
from flowforge.language.times import NS_PER_MS, NS_PER_SECOND

_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_ZONE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def find_zone(name: str) -> tzinfo | None:
    """The time zone of a name (`Europe/Berlin`) or an offset (`+02:00`, `02:00`)."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        in_range = int(offset[2]) < 24 and int(offset[3]) < 60
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)) if in_range else None
    if _ZONE_NAME.fullmatch(name) is None or name == "Factory":
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _in_zone(time: Timestamp, zone: str) -> datetime:
    found = find_zone(zone)
    if found is None:
        raise problem("timezone", "The time zone is not known; give a name as Europe/Berlin or an offset as +02:00.")
    try:
        return (_EPOCH + timedelta(microseconds=time.ns // 1_000)).astimezone(found)
    except OverflowError:
        raise _out_of_range() from None


def _out_of_range() -> ExpressionError:
    return problem("date_range", "In this time zone the time lies outside the years 1 to 9999.")


def _part(name: str, summary: str, gives: int, read: Callable[[datetime], int]) -> Function:
    example: tuple[str, JsonValue] = (f"timestamp('2026-03-01T08:09:10.011Z').{name}('Europe/Berlin')", gives)

    @define(f"time.{name}([zone])", summary, example, Take.TIMESTAMP, Take.TEXT, result=Kind.NUMBER)
    def part(_context: Context, time: Timestamp, zone: str = "UTC") -> Value:
        return read(_in_zone(time, zone))

    return part


def _clock_part(name: str, summary: str, gives: int, read: Callable[[datetime], int], unit_ns: int) -> Function:
    example: tuple[str, JsonValue] = (f"timestamp('2026-03-01T08:09:10.011Z').{name}('Europe/Berlin')", gives)

    @define(f"time.{name}([zone])", summary, example, Take.ANY, Take.TEXT, result=Kind.NUMBER)
    def part(_context: Context, time: Value, zone: str | None = None) -> Value:
        if type(time) is Duration and zone is None:
            return abs(time.ns) // unit_ns * (-1 if time.ns < 0 else 1)
        if type(time) is not Timestamp:
            raise refuse(name, time, Kind.TIMESTAMP, Kind.DURATION)
        return read(_in_zone(time, zone or "UTC"))

    return part


@define(
    "time.getMilliseconds([zone])",
    "The milliseconds within the second, 0 to 999.",
    ("duration('1s500ms').getMilliseconds()", 500),
    Take.ANY,
    Take.TEXT,
    result=Kind.NUMBER,
)
def _get_milliseconds(_context: Context, time: Value, zone: str = "UTC") -> Value:
    if type(time) is Duration:
        return abs(time.ns) % NS_PER_SECOND // NS_PER_MS
    if type(time) is not Timestamp:
        raise refuse("getMilliseconds", time, Kind.TIMESTAMP, Kind.DURATION)
    return _in_zone(time, zone).microsecond // 1_000


@define(
    "now()",
    "The time at which the step was evaluated; the same at every replay.",
    ("now() == now()", True),
    result=Kind.TIMESTAMP,
)
def _now(context: Context) -> Value:
    return make_timestamp(context.now_ms * NS_PER_MS)


@define(
    "uuid()",
    "A new unique id (RFC 9562, version 8); the same ones at every replay.",
    ("uuid() == uuid()", False),
    result=Kind.STRING,
)
def _uuid(context: Context) -> Value:
    context.calls += 1
    digest = bytearray(blake2b(context.seed + context.calls.to_bytes(8, "big"), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


DATE_FUNCTIONS: Final = (
    _now,
    _uuid,
    _part("getFullYear", "The year.", 2026, lambda time: time.year),
    _part("getMonth", "The month, from 0 (January) to 11.", 2, lambda time: time.month - 1),
    _part("getDate", "The day of the month, from 1.", 1, lambda time: time.day),
    _part("getDayOfMonth", "The day of the month, from 0.", 0, lambda time: time.day - 1),
    _part("getDayOfWeek", "The day of the week, from 0 (Sunday) to 6.", 0, lambda time: time.isoweekday() % 7),
    _part("getDayOfYear", "The day of the year, from 0.", 59, lambda time: time.timetuple().tm_yday - 1),
    _clock_part("getHours", "The hour, or all hours of a duration.", 9, lambda time: time.hour, 3_600 * NS_PER_SECOND),
    _clock_part("getMinutes", "The minute, or all minutes of a duration.", 9, lambda time: time.minute, 60 * NS_PER_SECOND),
    _clock_part("getSeconds", "The second, or all seconds of a duration.", 10, lambda time: time.second, NS_PER_SECOND),
    _get_milliseconds,
)
