"""`data.flatten`."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import require_row
from flowforge.steps.data.lists import TYPE_MISMATCH, ValueParameters, change_value, list_errors, run_on_file


class FlattenParameters(ValueParameters):
    """How inner fields are named."""

    separator: str = Field(default=".", min_length=1, max_length=10, description="What stands between the names of a path.")
    lists: Literal["flatten", "keep"] = Field(
        default="flatten",
        description="Whether elements of lists become fields too, by their numbers from 0, or lists stay as they are.",
    )
    depth: int | None = Field(
        default=None, ge=1, le=64, description="How many levels of inner objects are dissolved; without it all."
    )


def flatten_list(parameters: FlattenParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The flat objects, one after another."""
    return (_flatten(parameters, require_row(item, index), index) for index, item in enumerate(items))


def flatten_file(parameters: FlattenParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, flatten_list)


@operation(
    "data.flatten",
    title="Flatten objects",
    category="data",
    icon="layers",
    nature=Nature.PURE,
    with_file=flatten_file,
    errors=list_errors(
        TYPE_MISMATCH, ErrorCode("name_collision", "Two fields would get one path; the message names item and path.")
    ),
    examples=(
        Example(
            "An order as one row",
            {"data": {"id": 1, "address": {"city": "Ulm"}, "lines": [{"part": "bolt"}, {"part": "nut"}], "tags": []}},
            {"id": 1, "address.city": "Ulm", "lines.0.part": "bolt", "lines.1.part": "nut", "tags": []},
        ),
        Example(
            "Lists stay, names with a line",
            {"data": [{"a": {"b": {"c": 1}}, "d": [1]}], "separator": "_", "lists": "keep"},
            [{"a_b_c": 1, "d": [1]}],
        ),
    ),
)
def flatten_objects(parameters: FlattenParameters) -> JsonValue:
    """Makes one flat object of an object, of each object of a list, or of each row of a file: inner fields are named by their path.

    Empty objects and lists stay as they are. `data.unflatten` is the way back, where no name holds the separator or is a number.
    """
    return change_value(parameters, flatten_list)


def _flatten(parameters: FlattenParameters, row: JsonObject, index: int) -> JsonObject:
    flat: JsonObject = {}
    for path, value in _walk(parameters, row, "", 0):
        if path in flat:
            raise FatalError(
                f"item[{index}] has two fields of the path {path}; choose another separator.",
                code="name_collision",
                details={"index": index, "field": path},
            )
        flat[path] = value
    return flat


def _walk(parameters: FlattenParameters, value: JsonValue, path: str, depth: int) -> Iterator[tuple[str, JsonValue]]:
    inner = _list_inner(parameters, value)
    is_dissolved = bool(inner) and (depth == 0 or parameters.depth is None or depth <= parameters.depth)
    if not is_dissolved:
        if depth:
            yield path, value
        return
    for name, item in inner:
        yield from _walk(parameters, item, f"{path}{parameters.separator}{name}" if depth else name, depth + 1)


def _list_inner(parameters: FlattenParameters, value: JsonValue) -> list[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        return [*value.items()]
    if isinstance(value, list) and parameters.lists == "flatten":
        return [(str(number), item) for number, item in enumerate(value)]
    return []
