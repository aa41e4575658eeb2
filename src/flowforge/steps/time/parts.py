"""`time.parts`."""

from calendar import isleap, monthrange
from typing import Final

from pydantic import Field

from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.time.instants import TIME_ERRORS, UTC, TimeText, ZoneName, read_time, to_zone, write_time

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class PartsParameters(StrictModel):
    """Which time, in which zone."""

    data: TimeText = Field(description="The time, RFC 3339 with a zone.")
    timezone: ZoneName = Field(default=UTC, description="The zone whose calendar and clocks count, by its IANA name.")


class Parts(StrictModel):
    """A time, taken apart."""

    time: str = Field(description="The time in the zone, RFC 3339.")
    date: str = Field(description="The date, such as 2026-03-01.")
    year: int = Field(description="The year.")
    quarter: int = Field(description="The quarter of the year, 1 to 4.")
    month: int = Field(description="The month, 1 to 12.")
    day: int = Field(description="The day of the month, 1 to 31.")
    hour: int = Field(description="The hour, 0 to 23.")
    minute: int = Field(description="The minute, 0 to 59.")
    second: int = Field(description="The second, 0 to 59.")
    nanosecond: int = Field(description="The part of the second, 0 to 999,999,999.")
    weekday: int = Field(description="The day of the week, 1 (Monday) to 7, as ISO 8601 counts.")
    weekday_name: str = Field(description="Its English name.")
    month_name: str = Field(description="The month's English name.")
    iso_week: int = Field(description="The week by ISO 8601, 1 to 53.")
    iso_year: int = Field(description="The year that this week belongs to.")
    day_of_year: int = Field(description="The day of the year, 1 to 366.")
    days_in_month: int = Field(description="How many days the month has.")
    is_leap_year: bool = Field(description="Whether the year has 366 days.")
    offset_seconds: int = Field(description="How far the zone is ahead of UTC at this time, in seconds.")
    abbreviation: str = Field(description="What the zone is called at this time, such as CET.")
    is_summer_time: bool = Field(description="Whether clocks are put forward at this time.")
    epoch_ms: int = Field(description="Milliseconds since 1970-01-01T00:00:00Z.")


@operation(
    "time.parts",
    title="Take a time apart",
    category="time",
    icon="calendar-search",
    nature=Nature.PURE,
    errors=TIME_ERRORS,
    examples=(
        Example(
            "A summer evening in Berlin",
            {"data": "2026-07-05T18:30:15.25Z", "timezone": "Europe/Berlin"},
            {
                "time": "2026-07-05T20:30:15.250+02:00",
                "date": "2026-07-05",
                "year": 2026,
                "quarter": 3,
                "month": 7,
                "day": 5,
                "hour": 20,
                "minute": 30,
                "second": 15,
                "nanosecond": 250_000_000,
                "weekday": 7,
                "weekday_name": "Sunday",
                "month_name": "July",
                "iso_week": 27,
                "iso_year": 2026,
                "day_of_year": 186,
                "days_in_month": 31,
                "is_leap_year": False,
                "offset_seconds": 7200,
                "abbreviation": "CEST",
                "is_summer_time": True,
                "epoch_ms": 1_783_276_215_250,
            },
        ),
    ),
)
def take_apart(parameters: PartsParameters) -> Parts:
    """Takes a time apart into year, month, day, week, hour and so on, by the calendar and clocks of a zone."""
    time_ns = read_time(parameters.data)
    time = to_zone(time_ns, parameters.timezone)
    date = time.date().to_stdlib()
    iso_year, iso_week, weekday = date.isocalendar()
    return Parts(
        time=write_time(time),
        date=date.isoformat(),
        year=time.year,
        quarter=(time.month + 2) // 3,
        month=time.month,
        day=time.day,
        hour=time.hour,
        minute=time.minute,
        second=time.second,
        nanosecond=time.nanosecond,
        weekday=weekday,
        weekday_name=WEEKDAYS[weekday - 1],
        month_name=MONTHS[time.month - 1],
        iso_week=iso_week,
        iso_year=iso_year,
        day_of_year=date.timetuple().tm_yday,
        days_in_month=monthrange(time.year, time.month)[1],
        is_leap_year=isleap(time.year),
        offset_seconds=round(time.offset.total("seconds")),
        abbreviation=time.tz_abbrev(),
        is_summer_time=bool(time.dst_offset()),
        epoch_ms=time_ns // 1_000_000,
    )
