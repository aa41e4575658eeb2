"""`data.filter`."""

from collections.abc import Callable
from typing import Final, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.fields import ABSENT, Absent, are_equal, compare, find_field, name_type

Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "starts_with", "ends_with", "exists", "missing"
]
_WITHOUT_VALUE: Final = frozenset({"exists", "missing"})


class Condition(StrictModel):
    """What one field must be."""

    field: str = Field(description="The field, by a dotted path such as `address.city`; empty for the item itself.")
    operator: Operator = Field(default="eq", description="How the field is held against the value.")
    value: pydantic.JsonValue = Field(
        default=None, description="The value; a list for `in` and `not_in`; none for `exists` and `missing`."
    )

    @model_validator(mode="after")
    def _check_value(self) -> "Condition":
        if self.operator in _WITHOUT_VALUE and "value" in self.model_fields_set:
            raise ValueError(f"{self.operator} takes no value")
        if self.operator not in _WITHOUT_VALUE and "value" not in self.model_fields_set:
            raise ValueError(f"{self.operator} needs a value")
        if self.operator in {"in", "not_in"} and not isinstance(self.value, list):
            raise ValueError(f"{self.operator} needs a list of values")
        return self


class FilterParameters(StrictModel):
    """Which items to keep."""

    items: list[pydantic.JsonValue] = Field(description="The items.")
    where: list[Condition] = Field(description="The conditions.", min_length=1, max_length=100)
    match: Literal["all", "any"] = Field(default="all", description="Whether all conditions must hold or one is enough.")


@operation(
    "data.filter",
    title="Filter items",
    category="data",
    icon="filter",
    nature=Nature.PURE,
    errors=(ErrorCode("type_mismatch", "A field cannot be compared with the value, such as a text with a number."),),
    examples=(
        Example(
            "Large open orders",
            {
                "items": [
                    {"id": 1, "total": 80, "open": True},
                    {"id": 2, "total": 120, "open": True},
                    {"id": 3, "total": 500, "open": False},
                ],
                "where": [{"field": "total", "operator": "gt", "value": 100}, {"field": "open", "value": True}],
            },
            [{"id": 2, "total": 120, "open": True}],
        ),
    ),
)
def filter_items(parameters: FilterParameters) -> JsonValue:
    """Keeps the items of a list whose fields meet all, or any, of the conditions, in their order.

    A field that is missing is equal to nothing, is in no list and is neither less nor greater than anything.
    """
    combine = all if parameters.match == "all" else any
    return [
        item
        for index, item in enumerate(parameters.items)
        if combine(_holds(condition, item, index) for condition in parameters.where)
    ]


def _holds(condition: Condition, item: JsonValue, index: int) -> bool:
    found = find_field(item, condition.field) if condition.field else item
    match condition.operator:
        case "exists":
            return found is not ABSENT
        case "missing":
            return found is ABSENT
        case "ne":
            return not are_equal(found, condition.value)
        case "not_in":
            return not _is_in(found, condition.value)
        case _:
            return found is not ABSENT and _CHECKS[condition.operator](
                found, condition.value, f"items[{index}].{condition.field}"
            )


def _is_in(found: "JsonValue | Absent", values: JsonValue) -> bool:
    return isinstance(values, list) and any(are_equal(found, value) for value in values)


def _contains(found: "JsonValue | Absent", value: JsonValue, where: str) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return value in found
    if isinstance(found, list):
        return any(are_equal(item, value) for item in found)
    raise FatalError(f"{where} is {name_type(found)}; only a text or a list can contain something.", code="type_mismatch")


def _affix(method: Callable[[str, str], bool]) -> Callable[["JsonValue | Absent", JsonValue, str], bool]:
    def check(found: "JsonValue | Absent", value: JsonValue, where: str) -> bool:
        if not isinstance(found, str) or not isinstance(value, str):
            raise FatalError(f"{where} is {name_type(found)}; only a text begins or ends with a text.", code="type_mismatch")
        return method(found, value)

    return check


_CHECKS: Final[dict[str, Callable[["JsonValue | Absent", JsonValue, str], bool]]] = {
    "eq": lambda found, value, _: are_equal(found, value),
    "lt": lambda found, value, where: compare(found, value, where) < 0,
    "le": lambda found, value, where: compare(found, value, where) <= 0,
    "gt": lambda found, value, where: compare(found, value, where) > 0,
    "ge": lambda found, value, where: compare(found, value, where) >= 0,
    "in": lambda found, value, _: _is_in(found, value),
    "contains": _contains,
    "starts_with": _affix(str.startswith),
    "ends_with": _affix(str.endswith),
}
