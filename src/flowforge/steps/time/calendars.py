"""Calendars of working days: weekends and public holidays."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, Protocol

from pydantic import Field, model_validator

from flowforge.operations import ErrorCode, FatalError, StrictModel
from flowforge.steps.time.parts import WEEKDAYS

CALENDAR_UNKNOWN: Final = ErrorCode("calendar_unknown", "There is no calendar of holidays for this country or subdivision.")

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_NUMBERS: Final = {name.lower(): number for number, name in enumerate(WEEKDAYS)}


class NamedDay(StrictModel):
    """A day that is free."""

    date: str = Field(description="The date, such as 2026-12-25.")
    name: str = Field(description="What the day is called.")


class CalendarParameters(StrictModel):
    """The calendar of one place."""

    country: str | None = Field(
        default=None, pattern=r"^[A-Z]{2}$", description="The country whose public holidays are free, by ISO 3166 (`DE`)."
    )
    subdivision: str | None = Field(
        default=None,
        max_length=60,
        description="Its state or region, where holidays differ: the last part of its ISO 3166-2 code (`BY`).",
    )
    holidays: list[str] = Field(default_factory=list[str], max_length=5000, description="Further free days, as dates.")
    working_days: list[str] = Field(
        default_factory=list[str], max_length=5000, description="Dates that are worked on although they would be free."
    )
    weekend: list[Weekday] | None = Field(
        default=None,
        max_length=6,
        description="The days of the week that are free; without it those of the country, or Saturday and Sunday.",
    )

    @model_validator(mode="after")
    def _check_subdivision(self) -> "CalendarParameters":
        if self.subdivision is not None and self.country is None:
            raise ValueError("subdivision needs country")
        return self


class Holidays(Protocol):
    """What is used of the third party's calendars."""

    weekend: set[int]
    weekend_workdays: set[date]

    def get(self, day: date, default: str | None = None) -> str | None: ...


class WorkCalendar:
    """Says which days are worked on."""

    def __init__(self, parameters: CalendarParameters) -> None:
        self._country = None if parameters.country is None else _load_country(parameters.country, parameters.subdivision)
        self._free = {read_date(text, f"calendar.holidays[{place}]") for place, text in enumerate(parameters.holidays)}
        self._worked = {read_date(text, f"calendar.working_days[{place}]") for place, text in enumerate(parameters.working_days)}
        self._weekend = self._find_weekend(parameters)

    def _find_weekend(self, parameters: CalendarParameters) -> set[int]:
        if parameters.weekend is not None:
            return {_NUMBERS[name] for name in parameters.weekend}
        return {5, 6} if self._country is None else set(self._country.weekend)

    def is_working_day(self, day: date) -> bool:
        """Whether the day is worked on."""
        if day in self._worked:
            return True
        if self.find_holiday(day) is not None:
            return False
        return day.weekday() not in self._weekend or (self._country is not None and day in self._country.weekend_workdays)

    def find_holiday(self, day: date) -> str | None:
        """The name of the holiday that the day is; None for a day that is none, be it a weekend."""
        if day in self._free:
            return "holiday"
        return None if self._country is None else self._country.get(day)


def _load_country(country: str, subdivision: str | None) -> Holidays:
    # The calendars of all countries: only steps that name one pay for them.
    import holidays

    make: Any = holidays.country_holidays
    try:
        # Without a language the names would follow the locale of the machine.
        return make(country, subdiv=subdivision, language="en_US")
    except NotImplementedError:
        known: Mapping[str, list[str]] = holidays.list_supported_countries()
        if country in known and subdivision is not None:
            told = f"{country} has no subdivision {subdivision!r}; it has {', '.join(known[country]) or 'none'}"
        else:
            told = f"There is no calendar of holidays for {country!r}"
        raise FatalError(f"{told}. List the free days in calendar.holidays.", code="calendar_unknown") from None


def read_date(text: str, field: str) -> date:
    """The date.

    Raises:
        FatalError: `time_invalid`, which names the field.
    """
    try:
        return date.fromisoformat(text) if len(text) == 10 else _refuse(text)
    except ValueError:
        raise FatalError(
            f"{field}: {text[:40]!r} is no date; write it as 2026-03-01.", code="time_invalid", details={"field": field}
        ) from None


def _refuse(text: str) -> date:
    raise ValueError(text)
