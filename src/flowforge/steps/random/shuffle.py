"""`random.shuffle`."""

import pydantic
from pydantic import Field

from flowforge.kit.chance import draw_order
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation


class ShuffleParameters(StrictModel):
    """What to shuffle."""

    data: list[pydantic.JsonValue] = Field(description="The items.")


@operation(
    "random.shuffle",
    title="Shuffle a list",
    category="random",
    icon="shuffle",
    nature=Nature.EFFECT,
    examples=(Example("Four cards", {"data": ["A", "B", "C", "D"]}, ["C", "A", "D", "B"], varies=True),),
)
async def shuffle(parameters: ShuffleParameters, context: OperationContext) -> JsonValue:
    """Puts the items of a list into a random order, each order as likely as any other; nobody can foresee it."""
    del context
    return [parameters.data[place] for place in draw_order(len(parameters.data))]
