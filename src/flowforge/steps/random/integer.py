"""`random.integer`."""

from pydantic import Field, model_validator

from flowforge.kit.chance import draw_below
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.random.amounts import Count, draw_each


class IntegerParameters(StrictModel):
    """The bounds."""

    least: int = Field(default=0, alias="min", ge=INTEGER_MIN, le=INTEGER_MAX, description="The least number that may come.")
    greatest: int = Field(alias="max", ge=INTEGER_MIN, le=INTEGER_MAX, description="The greatest number that may come.")
    count: Count = Field(default=None, description="How many numbers, as a list; without it one number.")

    @model_validator(mode="after")
    def _check_bounds(self) -> "IntegerParameters":
        if self.least > self.greatest:
            raise ValueError("min is greater than max")
        return self


@operation(
    "random.integer",
    title="Draw a whole number",
    category="random",
    icon="dices",
    nature=Nature.EFFECT,
    examples=(
        Example("A die", {"min": 1, "max": 6}, 4, varies=True),
        Example("Three draws", {"max": 99, "count": 3}, [7, 93, 7], varies=True),
    ),
)
async def draw_integer(parameters: IntegerParameters, context: OperationContext) -> JsonValue:
    """Draws a whole number from min to max, both included, each as likely as any other; nobody can foresee it."""
    del context
    span = parameters.greatest - parameters.least + 1
    return draw_each(parameters.count, lambda: parameters.least + draw_below(span))
