"""`random.number`."""

from pydantic import Field, model_validator

from flowforge.kit.chance import draw_fraction
from flowforge.kit.values import JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each


class NumberParameters(StrictModel):
    """The bounds."""

    least: float = Field(default=0, alias="min", ge=-1e300, le=1e300, description="The least number that may come.")
    greatest: float = Field(default=1, alias="max", ge=-1e300, le=1e300, description="All numbers are below it.")
    decimals: int | None = Field(
        default=None,
        ge=0,
        le=15,
        description="Digits behind the point to which a number is rounded; it may then be `max` itself.",
    )
    count: Count = Field(default=None, description="How many numbers, as a list; without it one number.")

    @model_validator(mode="after")
    def _check_bounds(self) -> "NumberParameters":
        if self.least >= self.greatest:
            raise ValueError("min must be less than max")
        return self


@operation(
    "random.number",
    title="Draw a number",
    category="random",
    icon="dices",
    nature=Nature.EFFECT,
    examples=(
        Example("Between 0 and 1", {}, 0.4142135623730951, varies=True),
        Example("A price", {"min": 5, "max": 20, "decimals": 2}, 12.34, varies=True),
    ),
)
async def draw_number(parameters: NumberParameters, context: OperationContext) -> JsonValue:
    """Draws a number from min up to, but without, max, evenly spread over 2^53 steps; nobody can foresee it."""
    del context
    return draw_each(parameters.count, lambda: _draw(parameters))


def _draw(parameters: NumberParameters) -> float:
    drawn = parameters.least + draw_fraction() * (parameters.greatest - parameters.least)
    # Rounding of the sum can reach the upper bound, which is left out.
    inside = drawn if drawn < parameters.greatest else parameters.least
    return inside if parameters.decimals is None else round(inside, parameters.decimals)
