"""`time.parse`."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, StrictFloat, StrictInt, StrictStr, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.time.instants import (
    AMBIGUOUS_DESCRIPTION,
    TIME_ERRORS,
    UTC,
    Ambiguous,
    ZoneName,
    to_zone,
    write_time,
)
from flowforge.steps.time.patterns import TOKENS, PatternReader, check_pattern
from flowforge.steps.time.reading import find_iso, find_rfc_2822, read_epoch, resolve

if TYPE_CHECKING:
    from whenever import ZonedDateTime

Pattern = Annotated[str, AfterValidator(check_pattern), Field(min_length=1, max_length=200)]


class ParseParameters(StrictModel):
    """A time in another form."""

    data: StrictStr | StrictInt | StrictFloat = Field(
        description="The time: a text, or a number of seconds or milliseconds since 1970."
    )
    form: Literal["auto", "iso", "rfc2822", "epoch_s", "epoch_ms", "pattern"] = Field(
        default="auto",
        description="`auto`: ISO 8601 with RFC 3339, RFC 2822, or a number, which from 100,000,000,000 on counts milliseconds; or one of "
        "them alone; or a `pattern`.",
    )
    pattern: Pattern | None = Field(default=None, description=f"How the text is written, with the form `pattern`: {TOKENS}")
    timezone: ZoneName | None = Field(
        default=None,
        description="The zone of a text that names none, by its IANA name; the result is written in it. Without it both are UTC.",
    )
    ambiguous: Ambiguous = Field(default="compatible", description=AMBIGUOUS_DESCRIPTION)

    @model_validator(mode="after")
    def _check_pattern(self) -> "ParseParameters":
        if (self.pattern is None) != (self.form != "pattern"):
            raise ValueError("pattern belongs to the form pattern, which needs it")
        if isinstance(self.data, str) and len(self.data) > 200:
            raise ValueError("data is a text of at most 200 characters, or a number")
        return self


@operation(
    "time.parse",
    title="Read a time",
    category="time",
    icon="calendar-check",
    nature=Nature.PURE,
    errors=TIME_ERRORS,
    examples=(
        Example(
            "As people in Germany write it",
            {"data": "01.07.2026 09:30", "form": "pattern", "pattern": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
            "2026-07-01T09:30:00+02:00",
        ),
        Example("The date of a mail", {"data": "Tue, 10 Mar 2026 15:00:00 +0100"}, "2026-03-10T14:00:00Z"),
        Example("A date alone", {"data": "2026-03-10", "timezone": "Europe/Berlin"}, "2026-03-10T00:00:00+01:00"),
        Example("Milliseconds since 1970", {"data": 1773151200000}, "2026-03-10T14:00:00Z"),
    ),
)
def parse_time(parameters: ParseParameters) -> JsonValue:
    """Reads a time and gives it as RFC 3339 text, as all operations take it, in UTC or in `timezone`.

    What does not exist (30 February, 25 o'clock, a Tuesday that is a Monday) fails and names the part. A date alone is its midnight, a
    month alone its first day. A number or text in a pattern must fit to its end.
    """
    return write_time(to_zone(_read(parameters).timestamp(unit="nanosecond"), parameters.timezone or UTC))


def _read(parameters: ParseParameters) -> "ZonedDateTime":
    text = parameters.data.strip() if isinstance(parameters.data, str) else _write_number(parameters.data)
    zone, form = parameters.timezone or UTC, parameters.form
    if parameters.pattern is not None:
        return resolve(PatternReader(text).read(parameters.pattern), zone, parameters.ambiguous)
    if form in {"epoch_s", "epoch_ms"} or not isinstance(parameters.data, str):
        return to_zone(read_epoch(text, form), UTC)
    found = (find_iso(text) if form in {"auto", "iso"} else None) or (
        find_rfc_2822(text) if form in {"auto", "rfc2822"} else None
    )
    if found is not None:
        return resolve(found, zone, parameters.ambiguous)
    if form == "auto" and text.lstrip("-").replace(".", "", 1).isdigit():
        return to_zone(read_epoch(text, form), UTC)
    raise FatalError(
        f"{text[:60]!r} is no time in a form that is known; say by `pattern` how it is written.",
        code="time_invalid",
        details={"part": "form"},
    )


def _write_number(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.9f}"
