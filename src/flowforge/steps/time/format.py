"""`time.format`."""

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.time.instants import TIME_ERRORS, UTC, TimeText, ZoneName, read_time, to_zone, write_time
from flowforge.steps.time.patterns import TOKENS, check_pattern, write_pattern

if TYPE_CHECKING:
    from whenever import ZonedDateTime

_FORMS: Final[dict[str, str]] = {
    "date": "%Y-%m-%d",
    "time": "%H:%M:%S",
    "rfc2822": "%a, %d %b %Y %H:%M:%S %z",
    "http": "%a, %d %b %Y %H:%M:%S GMT",
    "human": "%A, %-d %B %Y, %H:%M %Z",
    "human_date": "%-d %B %Y",
}
_SPANS: Final = (
    ("year", 31_556_952), ("month", 2_629_746), ("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1),
)  # fmt: skip


class FormatParameters(StrictModel):
    """The time, and how to write it."""

    data: TimeText = Field(description="The time, RFC 3339 with a zone.")
    form: Literal[
        "rfc3339", "date", "time", "rfc2822", "http", "human", "human_date", "relative", "epoch_s", "epoch_ms", "pattern"
    ] = Field(
        default="rfc3339",
        description="How it is written: `date` 2026-03-01, `time` 09:30:00, `rfc2822` for mails, `http` for headers, `human` in English "
        "words, `relative` such as `3 days ago`, `epoch_s` and `epoch_ms` numbers since 1970, or a `pattern`.",
    )
    pattern: Annotated[str, AfterValidator(check_pattern), Field(min_length=1, max_length=200)] | None = Field(
        default=None, description=f"With the form `pattern`: {TOKENS}"
    )
    timezone: ZoneName = Field(default=UTC, description="The zone whose clocks are shown, by its IANA name.")
    relative_to: TimeText | None = Field(
        default=None, description="With the form `relative`: the time from which it is seen, such as `${{ now() }}`."
    )

    @model_validator(mode="after")
    def _check_pattern(self) -> "FormatParameters":
        if (self.pattern is None) != (self.form != "pattern"):
            raise ValueError("pattern belongs to the form pattern, which needs it")
        if (self.relative_to is None) != (self.form != "relative"):
            raise ValueError("relative_to belongs to the form relative, which needs it")
        return self


@operation(
    "time.format",
    title="Write a time",
    category="time",
    icon="calendar-type",
    nature=Nature.PURE,
    errors=TIME_ERRORS,
    examples=(
        Example(
            "As people in Germany write it",
            {"data": "2026-07-01T07:30:00Z", "form": "pattern", "pattern": "%d.%m.%Y, %H:%M Uhr", "timezone": "Europe/Berlin"},
            "01.07.2026, 09:30 Uhr",
        ),
        Example(
            "In English words",
            {"data": "2026-07-01T07:30:00Z", "form": "human", "timezone": "Europe/Berlin"},
            "Wednesday, 1 July 2026, 09:30 CEST",
        ),
        Example("For a mail", {"data": "2026-07-01T07:30:00Z", "form": "rfc2822"}, "Wed, 01 Jul 2026 07:30:00 +0000"),
        Example("Seconds since 1970", {"data": "2026-07-01T07:30:00Z", "form": "epoch_s"}, 1782891000),
        Example(
            "Seen from another time",
            {"data": "2026-07-01T07:30:00Z", "form": "relative", "relative_to": "2026-07-04T08:00:00Z"},
            "3 days ago",
        ),
    ),
)
def format_time(parameters: FormatParameters) -> JsonValue:
    """Writes a time as text by a form or a pattern, or as a number since 1970, as clocks of a zone show it. Names are English.

    Numbers since 1970 are rounded down. In `relative` the largest unit that is there once counts, a year as 365.2425 days.
    """
    time_ns = read_time(parameters.data)
    match parameters.form:
        case "rfc3339":
            return write_time(to_zone(time_ns, parameters.timezone))
        case "epoch_s":
            return time_ns // 1_000_000_000
        case "epoch_ms":
            return time_ns // 1_000_000
        case "relative":
            return _tell_distance(time_ns - read_time(parameters.relative_to or "", "relative_to"))
        case _:
            return write_pattern(_find_shown(parameters, time_ns), parameters.pattern or _FORMS[parameters.form])


def _find_shown(parameters: FormatParameters, time_ns: int) -> "ZonedDateTime":
    # HTTP knows GMT alone (RFC 9110, 5.6.7).
    return to_zone(time_ns, UTC if parameters.form == "http" else parameters.timezone)


def _tell_distance(distance_ns: int) -> str:
    distance_s = abs(distance_ns) // 1_000_000_000
    for unit, length_s in _SPANS:
        count = distance_s // length_s
        if count:
            told = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {told}" if distance_ns > 0 else f"{told} ago"
    return "now"
