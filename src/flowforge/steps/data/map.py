"""`data.map`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation, require_one
from flowforge.steps.data.fields import ABSENT, Absent, find_field, name_type, require_row
from flowforge.steps.data.item_expressions import (
    BUDGET_ERROR,
    EXPRESSION_ERROR,
    GivenValues,
    ItemEvaluator,
    ItemExpression,
    ItemFunction,
)
from flowforge.steps.data.lists import TYPE_MISMATCH, ListParameters, list_errors, run_on_file


class FieldSource(StrictModel):
    """Where a field of the new item comes from: one of `path`, `value` and `expression`."""

    path: str | None = Field(default=None, description="A field of the item, by a dotted path; empty for the whole item.")
    default: pydantic.JsonValue = Field(default=None, description="With `path`: the value where the item has no such field.")
    value: pydantic.JsonValue = Field(default=None, description="The same value for every item.")
    expression: ItemExpression | None = Field(
        default=None, description="An expression over `item`, `index` and `values`, without `${{ }}`."
    )

    @model_validator(mode="after")
    def _check_one(self) -> "FieldSource":
        given = sorted({"path", "value", "expression"} & self.model_fields_set)
        if len(given) != 1:
            raise ValueError("give one of path, value and expression")
        if "default" in self.model_fields_set and self.path is None:
            raise ValueError("default belongs to path")
        return self


class MapParameters(ListParameters):
    """What to make of each item."""

    expression: ItemExpression | None = Field(
        default=None,
        description="An expression that gives the new item, over `item`, `index` (from 0) and `values`, "
        "such as `{'id': item.id, 'total': item.price * item.pieces}`; without `${{ }}`.",
    )
    fields: dict[str, FieldSource] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="In place of `expression`: the fields of the new item, each from a path, a value or an expression of its own.",
    )
    values: GivenValues = Field(default_factory=dict)
    keep_others: bool = Field(
        default=False, description="With `fields`: whether the item's other fields stay, and `fields` are set besides."
    )
    spread: bool = Field(
        default=False, description="With `expression`, which then gives lists: whether each of their elements becomes an item."
    )

    @model_validator(mode="after")
    def _check_form(self) -> "MapParameters":
        require_one(self, "expression", "fields")
        if self.keep_others and self.fields is None:
            raise ValueError("keep_others belongs to fields")
        if self.spread and self.expression is None:
            raise ValueError("spread belongs to expression")
        return self


def map_list(parameters: MapParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The new items, one after another."""
    evaluator = ItemEvaluator(parameters.values, is_bounded=parameters.file is None)
    if parameters.fields is not None:
        make = _make_fields(parameters.fields, evaluator, keeps_others=parameters.keep_others)
        return (make(item, index) for index, item in enumerate(items))
    run = evaluator.prepare(parameters.expression or "")
    if parameters.spread:
        return (part for index, item in enumerate(items) for part in _require_list(run(item, index), index))
    return (run(item, index) for index, item in enumerate(items))


def map_file(parameters: MapParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, map_list)


@operation(
    "data.map",
    title="Change each item",
    category="data",
    icon="table-properties",
    nature=Nature.PURE,
    with_file=map_file,
    errors=list_errors(
        ErrorCode("field_missing", "An item has not got a field that is read without a default; the message names both."),
        TYPE_MISMATCH,
        EXPRESSION_ERROR,
        BUDGET_ERROR,
    ),
    examples=(
        Example(
            "An expression makes each new item",
            {
                "data": [{"id": 1, "price": 2.5, "pieces": 4}, {"id": 2, "price": 3, "pieces": 1}],
                "expression": "{'id': item.id, 'total': item.price * item.pieces}",
            },
            [{"id": 1, "total": 10}, {"id": 2, "total": 3}],
        ),
        Example(
            "Fields by path, and one more",
            {
                "data": [{"id": 1, "address": {"city": "Ulm"}}, {"id": 2}],
                "fields": {
                    "id": {"path": "id"},
                    "city": {"path": "address.city", "default": "unknown"},
                    "source": {"value": "shop"},
                    "row": {"expression": "index + 1"},
                },
            },
            [{"id": 1, "city": "Ulm", "source": "shop", "row": 1}, {"id": 2, "city": "unknown", "source": "shop", "row": 2}],
        ),
        Example(
            "Lists become items",
            {"data": [{"tags": ["a", "b"]}, {"tags": []}], "expression": "item.tags", "spread": True},
            ["a", "b"],
        ),
    ),
)
def map_items(parameters: MapParameters) -> JsonValue:
    """Makes a new item of each item of a list or row of a file, by an expression or field by field.

    The expression is the language of `${{ }}`, over `item`, `index` and `values`; what else of the workflow it needs is handed over in
    `values`. With `keep_others` a field that is set again keeps its place.
    """
    return [*map_list(parameters, parameters.list_items())]


def _make_fields(sources: Mapping[str, FieldSource], evaluator: ItemEvaluator, *, keeps_others: bool) -> ItemFunction:
    makers = {name: _make_one(name, source, evaluator) for name, source in sources.items()}

    def make(item: JsonValue, index: int) -> JsonValue:
        made = {**require_row(item, index)} if keeps_others else cast("JsonObject", {})
        for name, maker in makers.items():
            made[name] = maker(item, index)
        return made

    return make


def _make_one(name: str, source: FieldSource, evaluator: ItemEvaluator) -> ItemFunction:
    if source.expression is not None:
        return evaluator.prepare(source.expression, f"fields.{name}.expression")
    if source.path is None:
        return lambda _item, _index: source.value
    return _make_reader(source.path, source.default if "default" in source.model_fields_set else ABSENT)


def _make_reader(path: str, default: "JsonValue | Absent") -> Callable[[JsonValue, int], JsonValue]:
    def read(item: JsonValue, index: int) -> JsonValue:
        found = find_field(item, path)
        value = default if isinstance(found, Absent) else found
        if isinstance(value, Absent):
            raise FatalError(
                f"item[{index}] has no field {path}; give it a default if it may be missing.",
                code="field_missing",
                details={"index": index, "field": path},
            )
        return value

    return read


def _require_list(value: JsonValue, index: int) -> list[JsonValue]:
    if isinstance(value, list):
        return value
    raise FatalError(
        f"expression gives {name_type(value)} for item[{index}]; with spread it must give a list.",
        code="type_mismatch",
        details={"index": index},
    )
