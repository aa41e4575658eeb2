"""`id.ulid`."""

from typing import Final

from pydantic import Field

from flowforge.kit.chance import draw_bytes
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80


class UlidParameters(StrictModel):
    """How many."""

    count: Count = Field(default=None, description="How many, as a list that sorts as it is; without it one.")


@operation(
    "id.ulid",
    title="Make a ULID",
    category="id",
    icon="fingerprint",
    nature=Nature.EFFECT,
    examples=(Example("One", {}, "01KE0HRN58Q0S6VZ8JQK5T9G2E", varies=True),),
)
async def make(parameters: UlidParameters, context: OperationContext) -> JsonValue:
    """Makes a ULID: 26 characters (Crockford's base 32), the time in milliseconds and 80 random bits, which sort by time.

    Several of one call grow by a random step, as in the specification's monotonic form; those of two calls within a millisecond are in no
    order.
    """
    moment_ms = context.now_ms()
    random = int.from_bytes(draw_bytes(10)) >> 1
    made: list[JsonValue] = []
    for _ in range(parameters.count or 1):
        made.append(_write(moment_ms << _RANDOM_BITS | random))
        random += 1 + int.from_bytes(draw_bytes(4))
    return made[0] if parameters.count is None else made


def _write(bits: int) -> str:
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -5, -5))
