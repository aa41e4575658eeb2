"""`id.uuid`."""

from typing import Literal

from pydantic import Field

from flowforge.kit.chance import draw_bytes
from flowforge.kit.ids import make_uuid
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each


class UuidParameters(StrictModel):
    """Which kind of UUID."""

    version: Literal[4, 7] = Field(
        default=7, description="4: nothing but chance; 7: begins with the time, so that later ones sort behind."
    )
    form: Literal["plain", "hex", "urn", "upper"] = Field(
        default="plain", description="With hyphens, as 32 digits alone, with `urn:uuid:` before it, or in upper case."
    )
    count: Count = Field(default=None, description="How many, as a list; without it one.")


@operation(
    "id.uuid",
    title="Make a UUID",
    category="id",
    icon="fingerprint",
    nature=Nature.EFFECT,
    examples=(
        Example("One that sorts by time", {}, "019b7c1e-52d0-7cc3-98c8-0a0c6d0f3c1e", varies=True),
        Example("One of nothing but chance", {"version": 4, "form": "hex"}, "9b2f0d6c0e5a4c7d8f1b3a5c7e9d0f2a", varies=True),
    ),
)
async def make(parameters: UuidParameters, context: OperationContext) -> JsonValue:
    """Makes a UUID (RFC 9562). Those of version 7 grow within one process, also within a millisecond."""
    del context
    return draw_each(parameters.count, lambda: _make(parameters))


def _make(parameters: UuidParameters) -> str:
    bits = make_uuid() if parameters.version == 7 else _make_random()
    digits = f"{bits:032x}"
    plain = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    match parameters.form:
        case "plain":
            return plain
        case "hex":
            return digits
        case "urn":
            return f"urn:uuid:{plain}"
        case "upper":
            return plain.upper()


def _make_random() -> int:
    drawn = bytearray(draw_bytes(16))
    drawn[6] = drawn[6] & 0x0F | 0x40
    drawn[8] = drawn[8] & 0x3F | 0x80
    return int.from_bytes(drawn)
