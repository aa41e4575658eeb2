"""Times as the operations take and give them: RFC 3339 text; and the zones in which people read them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import Field

from flowforge.language.times import TimeFault, format_timestamp_ns, parse_timestamp_ns
from flowforge.operations import ErrorCode, FatalError

if TYPE_CHECKING:
    from whenever import PlainDateTime, ZonedDateTime

UTC: Final = "UTC"

TIME_INVALID: Final = ErrorCode(
    "time_invalid", "The text is no such time, or the time does not exist; the message says which part is wrong."
)
TIMEZONE_UNKNOWN: Final = ErrorCode("timezone_unknown", "There is no time zone of this name.")
DATE_RANGE: Final = ErrorCode("date_range", "The time lies outside the years 1 to 9999.")
TIME_ERRORS: Final = (TIME_INVALID, TIMEZONE_UNKNOWN, DATE_RANGE)

TimeText = Annotated[str, Field(min_length=1, max_length=64)]
ZoneName = Annotated[str, Field(min_length=1, max_length=64)]

Ambiguous: TypeAlias = Literal["compatible", "earlier", "later", "fail"]
AMBIGUOUS_DESCRIPTION: Final = (
    "Which time is meant where clocks are put back and a local time is there twice, or put forward and it is left out: the `earlier`, the "
    "`later`, none (`fail`), or, `compatible` with calendars (RFC 5545), the first of two and, in a gap, so much later."
)

ResultT = TypeVar("ResultT")


def read_time(text: str, field: str = "data") -> int:
    """The time in nanoseconds since 1970 (UTC).

    Raises:
        FatalError: `time_invalid` or `date_range`, which name the field.
    """
    try:
        return parse_timestamp_ns(text)
    except TimeFault as fault:
        code = "date_range" if fault.code == "date_range" else "time_invalid"
        raise FatalError(f"{field}: {fault.message} time.parse reads other forms.", code=code, details={"field": field}) from None


def check_zone(zone: str) -> str:
    """The name itself, once it is known to be a time zone.

    Raises:
        FatalError: `timezone_unknown`.
    """
    to_zone(0, zone)
    return zone


def to_zone(time_ns: int, zone: str) -> "ZonedDateTime":
    """The time as clocks in the zone show it.

    Raises:
        FatalError: `timezone_unknown`, `date_range`.
    """
    # The library of time zones is loaded by the first step that needs it.
    from whenever import Instant, TimeZoneNotFoundError

    if ":" in zone or zone.startswith((".", "/")):
        raise _make_unknown(zone)
    try:
        moment = within_range(lambda: Instant.from_timestamp(time_ns, unit="nanosecond"))
        return within_range(lambda: moment.to_tz(zone))  # pyright: ignore[reportUnknownMemberType] - the stubs leave a type open
    except TimeZoneNotFoundError:
        raise _make_unknown(zone) from None


def _make_unknown(zone: str) -> FatalError:
    return FatalError(
        f"There is no time zone {zone!r}; take a name of the IANA database such as Europe/Berlin, or UTC.",
        code="timezone_unknown",
    )


def to_instant(local: "PlainDateTime", zone: str, ambiguous: Ambiguous) -> "ZonedDateTime":
    """The time at which clocks in the zone show the local time.

    Raises:
        FatalError: `time_invalid` where there are two or none and `ambiguous` is `fail`; `timezone_unknown`, `date_range`.
    """
    # The library of time zones is loaded by the first step that needs it.
    from whenever import RepeatedTime, SkippedTime

    check_zone(zone)
    try:
        wanted = "raise" if ambiguous == "fail" else ambiguous
        return within_range(lambda: local.assume_tz(zone, disambiguation=wanted))  # pyright: ignore[reportUnknownMemberType] - as above
    except SkippedTime:
        told = f"{local.format_iso()} does not exist in {zone}: clocks were put forward over it"
    except RepeatedTime:
        told = f"{local.format_iso()} is there twice in {zone}: clocks were put back"
    raise FatalError(f"{told}; set `ambiguous` to earlier or later.", code="time_invalid", details={"part": "time"})


def within_range(make: Callable[[], ResultT]) -> ResultT:
    """What the function makes.

    Raises:
        FatalError: `date_range` where the library says that it is out of range.
    """
    # The library of time zones is loaded by the first step that needs it.
    from whenever import RepeatedTime, SkippedTime, TimeZoneNotFoundError

    try:
        return make()
    except (RepeatedTime, SkippedTime, TimeZoneNotFoundError):
        raise
    except (ValueError, OverflowError):
        raise FatalError("The time lies outside the years 1 to 9999.", code="date_range") from None


def write_time(time: "ZonedDateTime") -> str:
    """RFC 3339 text with the zone's offset, `Z` for UTC.

    An offset that is no whole number of minutes (before about 1900) cannot be written; the text is then in UTC.
    """
    offset_s = round(time.offset.total("seconds"))
    if time.tz_id == UTC or offset_s % 60:
        return write_utc(time.timestamp(unit="nanosecond"))
    sign, minutes = ("-" if offset_s < 0 else "+"), abs(offset_s) // 60
    # The clock of the zone, written as if it were UTC, in place of whose Z its offset stands.
    local = write_utc(time.timestamp(unit="nanosecond") + offset_s * 1_000_000_000)
    return f"{local.removesuffix('Z')}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def write_utc(time_ns: int) -> str:
    """RFC 3339 text in UTC.

    Raises:
        FatalError: `date_range`.
    """
    try:
        return format_timestamp_ns(time_ns)
    except TimeFault as fault:
        raise FatalError(fault.message, code="date_range") from None
