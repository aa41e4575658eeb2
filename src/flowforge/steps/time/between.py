"""`time.between`."""

from itertools import pairwise
from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.language.times import format_duration_ns
from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.time.instants import TIME_ERRORS, UTC, TimeText, ZoneName, read_time, to_zone

Unit = Literal["years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds"]
CalendarUnit = Literal["years", "months", "weeks", "days"]

_UNIT_NS: Final[dict[Unit, int]] = {
    "weeks": 604_800_000_000_000,
    "days": 86_400_000_000_000,
    "hours": 3_600_000_000_000,
    "minutes": 60_000_000_000,
    "seconds": 1_000_000_000,
    "milliseconds": 1_000_000,
}
_ORDER: Final[tuple[Unit, ...]] = ("years", "months", *_UNIT_NS)
_CALENDAR_ORDER: Final[tuple[CalendarUnit, ...]] = ("years", "months", "weeks", "days")
_CALENDAR: Final = frozenset[str](_CALENDAR_ORDER)


class BetweenParameters(StrictModel):
    """Two times, and how the time between them is told."""

    start: TimeText = Field(description="The one time, RFC 3339 with a zone.")
    end: TimeText = Field(description="The other one; where it is the earlier one, all numbers are negative.")
    units: list[Unit] = Field(
        default_factory=lambda: list[Unit](["days", "hours", "minutes", "seconds"]),
        min_length=1,
        description="The units to tell it in, from large to small. What is less than the last one is left out.",
    )
    timezone: ZoneName = Field(default=UTC, description="The zone whose calendar counts, by its IANA name.")
    days: Literal["calendar", "exact"] = Field(
        default="calendar",
        description="Whether days and weeks are those of the calendar, with 23 or 25 hours where clocks are changed, or 24 hours each.",
    )

    @model_validator(mode="after")
    def _check_units(self) -> "BetweenParameters":
        places = [_ORDER.index(unit) for unit in self.units]
        if any(left >= right for left, right in pairwise(places)):
            raise ValueError("units go from large to small, each once")
        if self.days == "exact" and {"years", "months"} & set(self.units):
            raise ValueError("years and months have no exact length; leave them out, or take days: calendar")
        return self


class BetweenResult(StrictModel):
    """The time between two times."""

    parts: dict[str, int] = Field(description="Whole numbers by unit, which add up; what is less than the last unit is left out.")
    milliseconds: int = Field(description="The exact length in milliseconds; what is finer is left out.")
    text: str = Field(description="The exact length as text, such as `1d2h30m`; a day in it has 24 hours.")


@operation(
    "time.between",
    title="Time between two times",
    category="time",
    icon="calendar-range",
    nature=Nature.PURE,
    errors=TIME_ERRORS,
    examples=(
        Example(
            "An age in years, months and days",
            {"start": "2001-05-20T00:00:00Z", "end": "2026-03-01T12:00:00Z", "units": ["years", "months", "days"]},
            {"parts": {"years": 24, "months": 9, "days": 9}, "milliseconds": 782_049_600_000, "text": "9051d12h"},
        ),
        Example(
            "A night with a change of clocks",
            {
                "start": "2026-03-28T20:00:00+01:00",
                "end": "2026-03-29T20:00:00+02:00",
                "timezone": "Europe/Berlin",
                "units": ["days", "hours"],
            },
            {"parts": {"days": 1, "hours": 0}, "milliseconds": 82_800_000, "text": "23h"},
        ),
    ),
)
def measure_between(parameters: BetweenParameters) -> BetweenResult:
    """Tells how much time lies between two times: in units of the calendar, and exactly.

    Calendar units are counted from `start`, by the calendar of the zone: from 31 January to 28 February is a month, which is how
    `time.add` counts. All numbers have one sign.
    """
    start_ns, end_ns = read_time(parameters.start, "start"), read_time(parameters.end, "end")
    length_ns = end_ns - start_ns
    is_exact = parameters.days == "exact" or not _CALENDAR & set(parameters.units)
    parts = _split(length_ns, parameters.units) if is_exact else _count(parameters, start_ns, end_ns)
    return BetweenResult(parts=parts, milliseconds=_divide(length_ns, 1_000_000), text=format_duration_ns(length_ns))


def _divide(number: int, divisor: int) -> int:
    """Towards zero."""
    return abs(number) // divisor * (-1 if number < 0 else 1)


def _split(length_ns: int, units: list[Unit]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for unit in units:
        parts[unit] = _divide(length_ns, _UNIT_NS[unit])
        length_ns -= parts[unit] * _UNIT_NS[unit]
    return parts


def _count(parameters: BetweenParameters, start_ns: int, end_ns: int) -> dict[str, int]:
    """Units of the calendar first, and what is left of the way exactly."""
    start, end = to_zone(start_ns, parameters.timezone), to_zone(end_ns, parameters.timezone)
    calendar: list[CalendarUnit] = [unit for unit in _CALENDAR_ORDER if unit in parameters.units]
    counted = {unit: int(number) for unit, number in end.since(start, in_units=calendar).items()}
    reached = start.add(
        years=counted.get("years", 0),
        months=counted.get("months", 0),
        weeks=counted.get("weeks", 0),
        days=counted.get("days", 0),
        disambiguation="compatible",
    )
    exact: list[Unit] = [unit for unit in parameters.units if unit not in _CALENDAR]
    parts = {**counted, **_split(end_ns - reached.timestamp(unit="nanosecond"), exact)}
    return {unit: parts[unit] for unit in parameters.units}
