"""`data.filter`."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, FatalError, Nature, OperationContext, operation, require_one
from flowforge.steps.data.conditions import Check, Conditions, make_check
from flowforge.steps.data.fields import name_type
from flowforge.steps.data.item_expressions import BUDGET_ERROR, EXPRESSION_ERROR, GivenValues, ItemEvaluator, ItemExpression
from flowforge.steps.data.lists import TYPE_MISMATCH, ListParameters, list_errors, run_on_file


class FilterParameters(ListParameters):
    """Which items to keep."""

    where: Conditions | None = Field(default=None, description="The conditions.")
    match: Literal["all", "any"] = Field(default="all", description="Whether all conditions must hold or one is enough.")
    expression: ItemExpression | None = Field(
        default=None,
        description="In place of `where`: an expression that is true for items to keep, over `item`, `index` and `values`, "
        "such as `item.total > values.limit`; without `${{ }}`.",
    )
    values: GivenValues = Field(default_factory=dict)
    keep: Literal["matching", "others"] = Field(
        default="matching", description="Whether the items that meet the conditions are kept, or all others."
    )

    @model_validator(mode="after")
    def _check_conditions(self) -> "FilterParameters":
        require_one(self, "where", "expression")
        return self


def filter_list(parameters: FilterParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The items to keep, one after another."""
    check = _make_check(parameters)
    wanted = parameters.keep == "matching"
    return (item for index, item in enumerate(items) if check(item, index) is wanted)


def filter_file(parameters: FilterParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, filter_list)


@operation(
    "data.filter",
    title="Filter items",
    category="data",
    icon="filter",
    nature=Nature.PURE,
    with_file=filter_file,
    errors=list_errors(TYPE_MISMATCH, EXPRESSION_ERROR, BUDGET_ERROR),
    examples=(
        Example(
            "Large open orders",
            {
                "data": [
                    {"id": 1, "total": 80, "open": True},
                    {"id": 2, "total": 120, "open": True},
                    {"id": 3, "total": 500, "open": False},
                ],
                "where": [{"field": "total", "operator": "gt", "value": 100}, {"field": "open", "value": True}],
            },
            [{"id": 2, "total": 120, "open": True}],
        ),
        Example(
            "By an expression, with a value of the workflow",
            {
                "data": [{"price": 2, "pieces": 10}, {"price": 30, "pieces": 5}],
                "expression": "item.price * item.pieces > values.limit",
                "values": {"limit": 100},
            },
            [{"price": 30, "pieces": 5}],
        ),
    ),
)
def filter_items(parameters: FilterParameters) -> JsonValue:
    """Keeps the items of a list, or the rows of a file, that meet conditions or an expression, in their order.

    A field that is missing is equal to nothing, is in no list and is neither less nor greater than anything.
    """
    return [*filter_list(parameters, parameters.list_items())]


def _make_check(parameters: FilterParameters) -> Check:
    if parameters.where is not None:
        return make_check(parameters.where, parameters.match)
    run = ItemEvaluator(parameters.values, is_bounded=parameters.file is None).prepare(parameters.expression or "")

    def check(item: JsonValue, index: int) -> bool:
        held = run(item, index)
        if not isinstance(held, bool):
            raise FatalError(
                f"expression gives {name_type(held)} for item[{index}]; it must be true or false.",
                code="type_mismatch",
                details={"index": index},
            )
        return held

    return check
