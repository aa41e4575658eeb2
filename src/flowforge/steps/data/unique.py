"""`data.unique`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import identify, list_paths, read_field
from flowforge.steps.data.grouping import GROUPS_MAX, TOO_MANY_GROUPS, FieldList
from flowforge.steps.data.lists import TYPE_MISMATCH, ListParameters, list_errors, read_items, write_items


class UniqueParameters(ListParameters):
    """Which items are the same."""

    by: FieldList | None = Field(
        default=None,
        description="The field, or fields, whose equal values make items the same, by dotted paths; without it the whole item.",
    )
    keep: Literal["first", "last", "none"] = Field(
        default="first", description="Which of items that are the same is kept; `none` keeps only those that are there once."
    )
    ignore_case: bool = Field(default=False, description="Whether texts are the same without regard to upper and lower case.")


def unique_list(parameters: UniqueParameters, open_items: Callable[[], Iterable[JsonValue]]) -> Iterator[JsonValue]:
    """The items to keep. `open_items` gives all items, and is called twice unless the first one is kept."""
    if parameters.keep == "first":
        return _keep_first(parameters, open_items())
    return _keep_counted(parameters, open_items)


def unique_file(parameters: UniqueParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return write_items(parameters, context, unique_list(parameters, lambda: read_items(parameters, context)))


@operation(
    "data.unique",
    title="Remove duplicates",
    category="data",
    icon="copy-minus",
    nature=Nature.PURE,
    with_file=unique_file,
    errors=list_errors(TOO_MANY_GROUPS, TYPE_MISMATCH),
    examples=(
        Example("Plain values", {"data": [1, "1", 1.0, True, "a", "a"]}, [1, "1", True, "a"]),
        Example(
            "The last row of each customer",
            {
                "data": [{"id": 1, "city": "Ulm"}, {"id": 2, "city": "Bonn"}, {"id": 1, "city": "Köln"}],
                "by": "id",
                "keep": "last",
            },
            [{"id": 2, "city": "Bonn"}, {"id": 1, "city": "Köln"}],
        ),
    ),
)
def unique_items(parameters: UniqueParameters) -> JsonValue:
    """Keeps one of all items that are the same, in the order and at the place in which the kept ones stand.

    1 equals 1.0, true does not equal 1; a missing field counts as null.
    """
    return [*unique_list(parameters, parameters.list_items)]


def _keep_first(parameters: UniqueParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    seen: set[bytes] = set()
    for item in items:
        identity = _identify(parameters, item)
        if identity not in seen:
            seen.add(identity)
            _check_count(len(seen))
            yield item


def _keep_counted(parameters: UniqueParameters, open_items: Callable[[], Iterable[JsonValue]]) -> Iterator[JsonValue]:
    """Remembers only where the items to keep stand, so that the rows of a large file need not wait in memory."""
    places: dict[bytes, int] = {}
    repeated: set[bytes] = set()
    for index, item in enumerate(open_items()):
        identity = _identify(parameters, item)
        if identity in places:
            repeated.add(identity)
        places[identity] = index
        _check_count(len(places))
    drop = repeated if parameters.keep == "none" else frozenset[bytes]()
    kept = {index for identity, index in places.items() if identity not in drop}
    yield from (item for index, item in enumerate(open_items()) if index in kept)


def _identify(parameters: UniqueParameters, item: JsonValue) -> bytes:
    key = item if parameters.by is None else [read_field(item, field) for field in list_paths(parameters.by)]
    return identify(_fold(key) if parameters.ignore_case else key)


def _fold(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_fold(item) for item in value]
    return {key: _fold(item) for key, item in value.items()} if isinstance(value, dict) else value


def _check_count(count: int) -> None:
    if count > GROUPS_MAX:
        raise FatalError(
            f"There are more than {GROUPS_MAX} different items; compare them by a field with fewer values.",
            code="too_many_groups",
        )
