"""The operations that the workloads call: one whose every attempt must be durable, one that is pure. Both return at once."""

from typing import Final

from pydantic import JsonValue as AnyJson

from flowforge.operations import Nature, OperationContext, StrictModel, operation

EFFECT: Final = "bench.effect"
PURE: Final = "bench.pure"


class Value(StrictModel):
    value: AnyJson = None


@operation(EFFECT, title="Effect", category="bench", icon="bolt", nature=Nature.EFFECT)
async def effect(parameters: Value, context: OperationContext) -> Value:
    """Gives back its value, as an effect."""
    return parameters


@operation(PURE, title="Pure", category="bench", icon="bolt", nature=Nature.PURE)
def pure(parameters: Value) -> Value:
    """Gives back its value."""
    return parameters
