"""`random.choice`."""

from bisect import bisect_left, bisect_right
from itertools import accumulate

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.chance import draw_below, draw_fraction, draw_order
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each


class ChoiceParameters(StrictModel):
    """What to choose from."""

    data: list[pydantic.JsonValue] = Field(min_length=1, description="The items.")
    count: Count = Field(default=None, description="How many items, as a list; without it one item.")
    repeat: bool = Field(default=False, description="With `count`: whether one item may be chosen several times.")
    weights: list[float] | None = Field(
        default=None, description="How likely each item is, in proportion: one number, 0 or more, for each of them."
    )

    @model_validator(mode="after")
    def _check_count(self) -> "ChoiceParameters":
        if self.count is not None and not self.repeat and self.count > len(self.data):
            raise ValueError(f"{self.count} different items cannot be chosen from {len(self.data)}; set repeat, or choose fewer")
        if self.weights is not None:
            if len(self.weights) != len(self.data):
                raise ValueError(f"there are {len(self.weights)} weights for {len(self.data)} items")
            if not all(0 <= weight <= 1e15 for weight in self.weights) or not any(self.weights):
                raise ValueError("weights are from 0 to 1e15, and not all 0")
            if self.count is not None and not self.repeat:
                raise ValueError("weights go with one item, or with repeat")
        return self


@operation(
    "random.choice",
    title="Choose an item",
    category="random",
    icon="mouse-pointer-click",
    nature=Nature.EFFECT,
    examples=(
        Example("One of three", {"data": ["Ada", "Bob", "Cyd"]}, "Bob", varies=True),
        Example("Two different ones", {"data": [1, 2, 3, 4], "count": 2}, [4, 1], varies=True),
        Example("Nine times out of ten the first", {"data": ["old", "new"], "weights": [9, 1]}, "old", varies=True),
    ),
)
async def choose(parameters: ChoiceParameters, context: OperationContext) -> JsonValue:
    """Chooses an item of a list, or several, in the order in which they are drawn; nobody can foresee which.

    For a choice that is the same at every call there is `data.sample`.
    """
    del context
    items = parameters.data
    if parameters.weights is not None:
        limits = [*accumulate(parameters.weights)]
        return draw_each(parameters.count, lambda: items[_draw_weighted(limits)])
    if parameters.count is not None and not parameters.repeat:
        return [items[place] for place in draw_order(len(items))[: parameters.count]]
    return draw_each(parameters.count, lambda: items[draw_below(len(items))])


def _draw_weighted(limits: list[float]) -> int:
    drawn = draw_fraction() * limits[-1]
    # Rounding can reach the last limit; the first place that has it is the last one with a weight.
    return bisect_right(limits, drawn) if drawn < limits[-1] else bisect_left(limits, limits[-1])
