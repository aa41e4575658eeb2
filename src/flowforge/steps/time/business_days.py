"""`time.business_days`."""

from datetime import date, timedelta
from typing import Final

from pydantic import Field, model_validator

from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.time.calendars import CALENDAR_UNKNOWN, CalendarParameters, NamedDay, WorkCalendar, read_date
from flowforge.steps.time.instants import (
    DATE_RANGE,
    TIME_ERRORS,
    UTC,
    TimeText,
    ZoneName,
    read_time,
    to_instant,
    to_zone,
    write_time,
)

DAYS_MAX: Final = 10_000
SPAN_MAX: Final = timedelta(days=40_000)
HOLIDAYS_MAX: Final = 1_000
_DATE_LENGTH: Final = 10


class BusinessDaysParameters(StrictModel):
    """From which day on, how far, by which calendar."""

    data: TimeText = Field(
        description="A date such as 2026-03-01, or a time, RFC 3339 with a zone, whose day in `timezone` counts."
    )
    add: int | None = Field(
        default=None,
        ge=-DAYS_MAX,
        le=DAYS_MAX,
        description="Goes on so many business days, or back; 0 goes to the next business day, unless the day is one.",
    )
    until: TimeText | None = Field(
        default=None,
        description="In place of `add`: counts the business days after `data` up to this date or time, its own day included. With "
        "neither, the day itself is looked at.",
    )
    timezone: ZoneName = Field(default=UTC, description="The zone whose days count, by its IANA name.")
    calendar: CalendarParameters = Field(default_factory=CalendarParameters, description="Which days are free.")

    @model_validator(mode="after")
    def _check_goal(self) -> "BusinessDaysParameters":
        if self.add is not None and self.until is not None:
            raise ValueError("give add or until, not both")
        return self


class BusinessDaysResult(StrictModel):
    """The day that was arrived at."""

    date: str = Field(description="The day that was arrived at; with `until` its day; the day itself with neither.")
    time: str | None = Field(description="Where `data` is a time: the same time of day on that date; null for a date.")
    count: int = Field(
        description="How many business days lie after the first day, up to that one; negative where it is earlier."
    )
    is_business_day: bool = Field(description="Whether that day is a business day.")
    holiday: str | None = Field(description="What the holiday on that day is called; null where it is none.")
    holidays: list[NamedDay] = Field(description=f"The holidays on the way, weekends left out; at most the first {HOLIDAYS_MAX}.")


@operation(
    "time.business_days",
    title="Count business days",
    category="time",
    icon="briefcase-business",
    nature=Nature.PURE,
    errors=(*TIME_ERRORS, CALENDAR_UNKNOWN, ErrorCode("span_too_long", f"The days lie more than {SPAN_MAX.days} days apart.")),
    examples=(
        Example(
            "Payable in three business days, over Easter in Bavaria",
            {"data": "2026-04-02", "add": 3, "calendar": {"country": "DE", "subdivision": "BY"}},
            {
                "date": "2026-04-09",
                "time": None,
                "count": 3,
                "is_business_day": True,
                "holiday": None,
                "holidays": [{"date": "2026-04-03", "name": "Good Friday"}, {"date": "2026-04-06", "name": "Easter Monday"}],
            },
        ),
        Example(
            "How many until the end of the month",
            {"data": "2026-02-20", "until": "2026-02-28", "calendar": {"holidays": ["2026-02-25"]}},
            {
                "date": "2026-02-28",
                "time": None,
                "count": 4,
                "is_business_day": False,
                "holiday": None,
                "holidays": [{"date": "2026-02-25", "name": "holiday"}],
            },
        ),
    ),
)
def count_business_days(parameters: BusinessDaysParameters) -> BusinessDaysResult:
    """Goes on by business days, counts them between two days, or says whether a day is one.

    Free are weekends and holidays: the public ones of a country or state, and those that are listed. The first day does not count, the
    last one does. The calendars are those of the Python package `holidays`; a year for which a law is yet to be made can change.
    """
    calendar = WorkCalendar(parameters.calendar)
    start = _read_day(parameters, parameters.data, "data")
    walk = _Walk(calendar, start)
    if parameters.until is not None:
        walk.go_to(_read_day(parameters, parameters.until, "until"))
    elif parameters.add is not None:
        walk.go_on(parameters.add)
    return BusinessDaysResult(
        date=walk.day.isoformat(),
        time=_write_time(parameters, walk.day),
        count=walk.count,
        is_business_day=calendar.is_working_day(walk.day),
        holiday=calendar.find_holiday(walk.day),
        holidays=walk.holidays,
    )


class _Walk:
    """Goes from day to day, counts business days, and remembers holidays."""

    def __init__(self, calendar: WorkCalendar, start: date) -> None:
        self._calendar = calendar
        self._start = start
        self.day = start
        self.count = 0
        self.holidays: list[NamedDay] = []

    def go_on(self, count: int) -> None:
        sign = -1 if count < 0 else 1
        if count == 0 and not self._calendar.is_working_day(self.day):
            count = 1
        while self.count != count:
            self._step(sign)

    def go_to(self, end: date) -> None:
        if abs(end - self._start) > SPAN_MAX:
            raise _make_too_long()
        while self.day != end:
            self._step(1 if end > self.day else -1)

    def _step(self, sign: int) -> None:
        try:
            self.day += timedelta(days=sign)
        except OverflowError:
            raise FatalError(DATE_RANGE.meaning, code="date_range") from None
        if abs(self.day - self._start) > SPAN_MAX:
            raise _make_too_long()
        if self._calendar.is_working_day(self.day):
            self.count += sign
            return
        name = self._calendar.find_holiday(self.day)
        if name is not None and len(self.holidays) < HOLIDAYS_MAX:
            self.holidays.append(NamedDay(date=self.day.isoformat(), name=name))


def _make_too_long() -> FatalError:
    return FatalError(
        f"The days lie more than {SPAN_MAX.days} days apart; count years with time.between instead.", code="span_too_long"
    )


def _read_day(parameters: BusinessDaysParameters, text: str, field: str) -> date:
    if len(text) == _DATE_LENGTH:
        return read_date(text, field)
    return to_zone(read_time(text, field), parameters.timezone).date().to_stdlib()


def _write_time(parameters: BusinessDaysParameters, day: date) -> str | None:
    if len(parameters.data) == _DATE_LENGTH:
        return None
    local = to_zone(read_time(parameters.data), parameters.timezone).to_plain()
    moved = local.replace(year=day.year, month=day.month, day=day.day)
    return write_time(to_instant(moved, parameters.timezone, "compatible"))
