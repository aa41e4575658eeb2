"""`data.unflatten`."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import require_row
from flowforge.steps.data.lists import TYPE_MISMATCH, ValueParameters, change_value, list_errors, run_on_file

DEPTH_MAX: Final = 60


class UnflattenParameters(ValueParameters):
    """How paths are read."""

    separator: str = Field(default=".", min_length=1, max_length=10, description="What stands between the names of a path.")
    lists: Literal["rebuild", "keep"] = Field(
        default="rebuild",
        description="Whether fields that are named 0, 1, 2 and so on, without a gap, become a list, or stay an object.",
    )


def unflatten_list(parameters: UnflattenParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The nested objects, one after another."""
    return (_unflatten(parameters, require_row(item, index), index) for index, item in enumerate(items))


def unflatten_file(parameters: UnflattenParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, unflatten_list)


@operation(
    "data.unflatten",
    title="Nest flat objects",
    category="data",
    icon="list-tree",
    nature=Nature.PURE,
    with_file=unflatten_file,
    errors=list_errors(
        TYPE_MISMATCH,
        ErrorCode("name_collision", "A field is a value and holds further ones, too; the message names item and path."),
        ErrorCode("path_too_deep", f"A path has more than {DEPTH_MAX} names."),
    ),
    examples=(
        Example(
            "A row as an order",
            {"data": {"id": 1, "address.city": "Ulm", "lines.0.part": "bolt", "lines.1.part": "nut"}},
            {"id": 1, "address": {"city": "Ulm"}, "lines": [{"part": "bolt"}, {"part": "nut"}]},
        ),
    ),
)
def unflatten_objects(parameters: UnflattenParameters) -> JsonValue:
    """Makes nested objects of fields that are named by a path, as `data.flatten` writes them: of an object, a list, or a file's rows."""
    return change_value(parameters, unflatten_list)


class _Node(dict[str, "JsonValue | _Node"]):
    """An object in the making, apart from the objects that are values."""


def _unflatten(parameters: UnflattenParameters, row: JsonObject, index: int) -> JsonObject:
    root = _Node()
    for path, value in row.items():
        names = path.split(parameters.separator)
        if len(names) > DEPTH_MAX:
            raise FatalError(
                f"item[{index}]: a path has {len(names)} names, at most {DEPTH_MAX} are allowed.",
                code="path_too_deep",
                details={"index": index},
            )
        if not _put(root, names, value):
            raise FatalError(
                f"item[{index}]: {path} cannot be set, because a field on the way to it is a value, or it is there already.",
                code="name_collision",
                details={"index": index, "field": path},
            )
    return {name: _finish(value, parameters) for name, value in root.items()}


def _put(root: _Node, names: list[str], value: JsonValue) -> bool:
    current = root
    for name in names[:-1]:
        below = current.setdefault(name, _Node())
        if not isinstance(below, _Node):
            return False
        current = below
    if names[-1] in current:
        return False
    current[names[-1]] = value
    return True


def _finish(value: "JsonValue | _Node", parameters: UnflattenParameters) -> JsonValue:
    if not isinstance(value, _Node):
        return value
    numbers = [str(number) for number in range(len(value))]
    if parameters.lists == "rebuild" and value.keys() == set(numbers):
        return [_finish(value[number], parameters) for number in numbers]
    return {name: _finish(inner, parameters) for name, inner in value.items()}
