"""`time.convert`."""

from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, StrictModel, operation
from flowforge.steps.time.instants import TIME_ERRORS, TimeText, ZoneName, read_time, to_zone, write_time


class ConvertParameters(StrictModel):
    """Which time, in which zone."""

    data: TimeText = Field(description="The time, RFC 3339 with a zone.")
    timezone: ZoneName = Field(description="The zone to show it in, by its IANA name.")


@operation(
    "time.convert",
    title="Show a time in another zone",
    category="time",
    icon="globe",
    nature=Nature.PURE,
    errors=TIME_ERRORS,
    examples=(
        Example(
            "From Berlin to New York",
            {"data": "2026-03-10T15:00:00+01:00", "timezone": "America/New_York"},
            "2026-03-10T10:00:00-04:00",
        ),
        Example("To UTC", {"data": "2026-03-10T15:00:00+01:00", "timezone": "UTC"}, "2026-03-10T14:00:00Z"),
    ),
)
def convert_time(parameters: ConvertParameters) -> JsonValue:
    """Shows the same moment as clocks in another zone show it: RFC 3339 with that zone's offset at that time."""
    return write_time(to_zone(read_time(parameters.data), parameters.timezone))
