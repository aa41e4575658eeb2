"""`data.pick`."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import Absent, find_field, list_paths, require_row
from flowforge.steps.data.grouping import FieldList
from flowforge.steps.data.lists import TYPE_MISMATCH, ValueParameters, change_value, list_errors, run_on_file
from flowforge.steps.data.paths import set_field, split_path


class PickParameters(ValueParameters):
    """Which fields to keep."""

    fields: FieldList = Field(description="The fields to keep, by dotted paths; they come in this order.")
    missing: Literal["skip", "null", "fail"] = Field(
        default="skip", description="What happens where a field is not there: it is left out, becomes null, or the step fails."
    )
    flat: bool = Field(
        default=False,
        description="Whether a field from inside another one is named by its whole path, in place of an object in an object.",
    )


def pick_list(parameters: PickParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The objects with these fields alone, one after another."""
    return (_pick(parameters, require_row(item, index), index) for index, item in enumerate(items))


def pick_file(parameters: PickParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, pick_list)


@operation(
    "data.pick",
    title="Keep some fields",
    category="data",
    icon="list-checks",
    nature=Nature.PURE,
    with_file=pick_file,
    errors=list_errors(TYPE_MISMATCH, ErrorCode("field_missing", "A field is not there; the message names item and field.")),
    examples=(
        Example(
            "Two fields of each item",
            {"data": [{"id": 1, "name": "bolt", "size": {"mm": 5, "inch": 0.2}}, {"id": 2}], "fields": ["size.mm", "id"]},
            [{"size": {"mm": 5}, "id": 1}, {"id": 2}],
        ),
        Example(
            "Of one object",
            {"data": {"a": 1, "b": {"c": 2}}, "fields": ["b.c", "x"], "missing": "null", "flat": True},
            {"b.c": 2, "x": None},
        ),
    ),
)
def pick_fields(parameters: PickParameters) -> JsonValue:
    """Keeps the named fields of an object, of each object of a list, or of each row of a file, and leaves out all others.

    From a list inside an object a number picks an element (`lines.0.price`); it then stands in an object by its number.
    """
    return change_value(parameters, pick_list)


def _pick(parameters: PickParameters, row: JsonObject, index: int) -> JsonObject:
    picked: JsonObject = {}
    for path in list_paths(parameters.fields):
        found = find_field(row, path)
        if isinstance(found, Absent):
            if parameters.missing == "fail":
                raise FatalError(
                    f"item[{index}] has no field {path}.", code="field_missing", details={"index": index, "field": path}
                )
            if parameters.missing == "skip":
                continue
            found = None
        names = [path] if parameters.flat else split_path(row, path)
        set_field(picked, names, found, f"item[{index}]")
    return picked
