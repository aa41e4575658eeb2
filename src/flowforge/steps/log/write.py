"""`log.write`."""

from typing import Literal

import pydantic
from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation


class LogParameters(StrictModel):
    """A line for the run's log."""

    message: str = Field(description="What to say.", min_length=1, max_length=10_000)
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="How much it matters.")
    fields: dict[str, pydantic.JsonValue] = Field(
        default_factory=dict[str, pydantic.JsonValue], description="Values to go with it, by name; secrets in them are masked."
    )


# An effect although it changes nothing outside: a pure operation has no context to log with, and may be evaluated anew at a replay,
# which would write the line again.
@operation(
    "log.write",
    title="Write to the log",
    category="log",
    icon="scroll-text",
    nature=Nature.EFFECT,
    examples=(Example("Note how far it got", {"message": "Orders fetched", "fields": {"count": 12}}, None),),
)
async def write(parameters: LogParameters, context: OperationContext) -> None:
    """Writes one line to the run's log, with its level and fields."""
    context.log(parameters.level, parameters.message, **parameters.fields)
