"""`data.group`."""

import math
from collections.abc import Sequence
from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import encode_canonical
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.fields import Absent, compare, find_field, is_number, name_type

Function = Literal["count", "sum", "avg", "min", "max", "list", "first", "last"]


class Aggregate(StrictModel):
    """What to work out for each group."""

    function: Function = Field(description="Which figure.")
    field: str | None = Field(
        default=None,
        description="The field it is worked out from, by a dotted path; `count`, `list`, `first`, `last` take whole items without.",
    )

    @model_validator(mode="after")
    def _check_field(self) -> "Aggregate":
        if self.field is None and self.function in {"sum", "avg", "min", "max"}:
            raise ValueError(f"{self.function} needs a field")
        return self


class GroupParameters(StrictModel):
    """What to group, by which fields."""

    items: list[dict[str, pydantic.JsonValue]] = Field(description="The rows.")
    by: str | list[str] = Field(
        description="The field, or fields, whose equal values make a group, by dotted paths.", min_length=1
    )
    aggregates: dict[str, Aggregate] = Field(
        default_factory=lambda: {"items": Aggregate(function="list")},
        description="Names of the result's further fields, and what each is; without it `items`, the list of the group's rows.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> "GroupParameters":
        both = sorted(set(self.aggregates) & set(self.list_fields()))
        if both:
            raise ValueError(f"{both[0]} is the name of a field to group by and of an aggregate; rename the aggregate")
        return self

    def list_fields(self) -> list[str]:
        return [self.by] if isinstance(self.by, str) else self.by


@operation(
    "data.group",
    title="Group rows",
    category="data",
    icon="group",
    nature=Nature.PURE,
    errors=(
        ErrorCode("type_mismatch", "A field that a sum or average needs is no number, or values of a group cannot be ordered."),
        ErrorCode("number_range", "A sum does not fit into 64 bits."),
    ),
    examples=(
        Example(
            "Orders and turnover of each region",
            {
                "items": [{"region": "Europe", "total": 10}, {"region": "Asia", "total": 5}, {"region": "Europe", "total": 2.5}],
                "by": "region",
                "aggregates": {"orders": {"function": "count"}, "turnover": {"function": "sum", "field": "total"}},
            },
            [{"region": "Europe", "orders": 2, "turnover": 12.5}, {"region": "Asia", "orders": 1, "turnover": 5}],
        ),
    ),
)
def group_rows(parameters: GroupParameters) -> JsonValue:
    """Groups rows by the values of one or more fields, and works out figures for each group.

    Groups come in the order in which their first row does. A missing field counts as null; figures leave out rows whose field is
    missing or null, and `sum` of none is 0, the others null.
    """
    fields = parameters.list_fields()
    groups: dict[bytes, tuple[JsonObject, list[JsonObject]]] = {}
    for item in parameters.items:
        key = {field: _read(item, field) for field in fields}
        identity = encode_canonical([_normalise(value) for value in key.values()])
        groups.setdefault(identity, (key, []))[1].append(item)
    return [
        {**key, **{name: _aggregate(aggregate, rows, name) for name, aggregate in parameters.aggregates.items()}}
        for key, rows in groups.values()
    ]


def _read(item: JsonValue, field: str) -> JsonValue:
    found = find_field(item, field)
    return None if isinstance(found, Absent) else found


def _normalise(value: JsonValue) -> JsonValue:
    """1.0 as 1, so that equal numbers fall into one group."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_normalise(item) for item in value]
    if isinstance(value, dict):
        return {key: _normalise(item) for key, item in value.items()}
    return value


def _aggregate(aggregate: Aggregate, rows: Sequence[JsonObject], name: str) -> JsonValue:
    field = aggregate.field
    values: list[JsonValue] = list(rows) if field is None else [value for row in rows if (value := _read(row, field)) is not None]
    match aggregate.function:
        case "count":
            return len(values)
        case "list":
            return values
        case "first":
            return values[0] if values else None
        case "last":
            return values[-1] if values else None
        case "min" | "max":
            return _find_extreme(values, name, sign=-1 if aggregate.function == "min" else 1)
        case "sum":
            return _sum(values, name)
        case "avg":
            return _sum_floats(values, name) / len(values) if values else None


def _find_extreme(values: Sequence[JsonValue], name: str, *, sign: int) -> JsonValue:
    best: JsonValue = values[0] if values else None
    for value in values:
        if compare(value, best, name) == sign:
            best = value
    return best


def _sum(values: Sequence[JsonValue], name: str) -> int | float:
    if not all(isinstance(value, int) for value in values):
        return _sum_floats(values, name)
    total = sum(_take_numbers(values, name))
    if not INTEGER_MIN <= total <= INTEGER_MAX:
        raise FatalError(f"{name}: the sum does not fit into 64 bits.", code="number_range")
    return total


def _sum_floats(values: Sequence[JsonValue], name: str) -> float:
    """Exact before it is rounded once, so that it does not depend on the order."""
    try:
        return math.fsum(_take_numbers(values, name))
    except OverflowError:
        raise FatalError(f"{name}: the sum is too large.", code="number_range") from None


def _take_numbers(values: Sequence[JsonValue], name: str) -> list[int | float]:
    for value in values:
        if not is_number(value):
            raise FatalError(
                f"{name}: {name_type(value)} cannot be added up; convert it to a number before.", code="type_mismatch"
            )
    return [value for value in values if isinstance(value, int | float)]
