"""`time.add`."""

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.language.times import TimeFault, parse_duration_ns
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.time.instants import (
    AMBIGUOUS_DESCRIPTION,
    TIME_ERRORS,
    UTC,
    Ambiguous,
    TimeText,
    ZoneName,
    read_time,
    to_instant,
    to_zone,
    within_range,
    write_time,
)

if TYPE_CHECKING:
    from whenever import ZonedDateTime

AMOUNT_MAX: Final = 4_000_000
Edge = Literal["year", "quarter", "month", "week", "day", "hour", "minute", "second"]


class AddParameters(StrictModel):
    """The time, and what to add to it."""

    data: TimeText = Field(description="The time, RFC 3339 with a zone.")
    timezone: ZoneName = Field(
        default=UTC, description="The zone whose calendar counts and in which the result is written, by its IANA name."
    )
    years: int = Field(default=0, ge=-9999, le=9999, description="Years of the calendar; negative ones go back.")
    months: int = Field(default=0, ge=-120_000, le=120_000, description="Months of the calendar.")
    weeks: int = Field(default=0, ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="Weeks of the calendar.")
    days: int = Field(
        default=0, ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="Days of the calendar: the clock shows the same afterwards."
    )
    duration: str = Field(
        default="0s",
        max_length=64,
        description="An exact length of time, such as `1h30m`, `-36h` or `PT5M`, added last; a day in it has 24 hours.",
    )
    start_of: Edge | None = Field(
        default=None,
        description="Goes back at the end to the start of the year, month, week (Monday), day or hour that was arrived at.",
    )
    ambiguous: Ambiguous = Field(default="compatible", description=AMBIGUOUS_DESCRIPTION)


@operation(
    "time.add",
    title="Add to a time",
    category="time",
    icon="calendar-plus",
    nature=Nature.PURE,
    errors=(*TIME_ERRORS, ErrorCode("duration", "`duration` is no duration.")),
    examples=(
        Example("A month, to a shorter one", {"data": "2026-01-31T08:00:00Z", "months": 1}, "2026-02-28T08:00:00Z"),
        Example(
            "A day over the change to summer time",
            {"data": "2026-03-28T12:00:00+01:00", "timezone": "Europe/Berlin", "days": 1},
            "2026-03-29T12:00:00+02:00",
        ),
        Example(
            "24 hours over the change to summer time",
            {"data": "2026-03-28T12:00:00+01:00", "timezone": "Europe/Berlin", "duration": "24h"},
            "2026-03-29T13:00:00+02:00",
        ),
        Example(
            "The first of next month", {"data": "2026-01-31T08:00:00Z", "months": 1, "start_of": "month"}, "2026-02-01T00:00:00Z"
        ),
    ),
)
def add_to_time(parameters: AddParameters) -> JsonValue:
    """Adds years, months, weeks and days by the calendar of a zone, then an exact duration.

    Years and months come first: a day that the month has not got becomes its last one (31 January and a month is 28 or 29 February). Then
    weeks and days, whose length differs where clocks are changed; the time of day stays. A duration is exact, whatever clocks do.
    """
    time = to_zone(read_time(parameters.data), parameters.timezone)
    if parameters.years or parameters.months or parameters.weeks or parameters.days:
        local = within_range(
            lambda: time.to_plain().add(
                years=parameters.years, months=parameters.months, weeks=parameters.weeks, days=parameters.days
            )
        )
        time = to_instant(local, parameters.timezone, parameters.ambiguous)
    try:
        length_ns = parse_duration_ns(parameters.duration)
    except TimeFault as fault:
        raise FatalError(f"duration: {fault.message}", code="duration") from None
    time = to_zone(time.timestamp(unit="nanosecond") + length_ns, parameters.timezone) if length_ns else time
    return write_time(time if parameters.start_of is None else within_range(lambda: _go_back(time, parameters.start_of or "day")))


def _go_back(time: "ZonedDateTime", edge: Edge) -> "ZonedDateTime":
    match edge:
        case "week":
            return time.start_of("week_mon")
        case "quarter":
            return time.start_of("month").subtract(months=(time.month - 1) % 3, disambiguation="compatible").start_of("month")
        case _:
            return time.start_of(edge)
