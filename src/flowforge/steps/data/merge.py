"""`data.merge`."""

from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.fields import are_equal, identify, name_type, read_field, require_row


class MergeParameters(StrictModel):
    """What to merge, and what happens where two say different things."""

    data: list[pydantic.JsonValue] = Field(description="The objects, the first one to begin with. A null among them is left out.")
    deep: bool = Field(default=True, description="Whether objects inside are merged as well, or replaced as a whole.")
    conflict: Literal["last", "first", "fail"] = Field(
        default="last", description="Which value counts where two objects have different ones for a field: or the step fails."
    )
    lists: Literal["replace", "concat", "union", "by_key"] = Field(
        default="replace",
        description="What happens to two lists: they are in conflict; are put together; put together without what is there already; or "
        "their objects are merged where `key` is equal.",
    )
    key: str | None = Field(
        default=None, min_length=1, description="With `by_key`: the field, by a dotted path, that tells the objects."
    )
    nulls: Literal["value", "skip", "remove"] = Field(
        default="value",
        description="What a null of a later object is: a value; nothing; or it takes the field away (as in RFC 7396).",
    )

    @model_validator(mode="after")
    def _check_key(self) -> "MergeParameters":
        if (self.key is None) != (self.lists != "by_key"):
            raise ValueError("key belongs to lists: by_key, which needs it")
        return self


@operation(
    "data.merge",
    title="Merge objects",
    category="data",
    icon="merge",
    nature=Nature.PURE,
    errors=(
        ErrorCode("type_mismatch", "What is merged is no object; the message names it."),
        ErrorCode("merge_conflict", "Two objects have different values for a field; the message and the details have its path."),
    ),
    examples=(
        Example(
            "Settings over defaults",
            {
                "data": [{"retry": {"attempts": 3, "max": "1m"}, "tags": ["a"]}, {"retry": {"attempts": 5}, "tags": ["b"]}],
                "lists": "concat",
            },
            {"retry": {"attempts": 5, "max": "1m"}, "tags": ["a", "b"]},
        ),
        Example(
            "Lines by their number",
            {
                "data": [{"lines": [{"nr": 1, "n": 2}, {"nr": 2, "n": 3}]}, {"lines": [{"nr": 2, "price": 5}, {"nr": 3}]}],
                "lists": "by_key",
                "key": "nr",
            },
            {"lines": [{"nr": 1, "n": 2}, {"nr": 2, "n": 3, "price": 5}, {"nr": 3}]},
        ),
        Example("A patch takes a field away", {"data": [{"a": 1, "b": 2}, {"b": None}], "nulls": "remove"}, {"a": 1}),
    ),
)
def merge_objects(parameters: MergeParameters) -> JsonValue:
    """Merges objects into one, the later ones over the earlier; fields keep the order in which they first appear.

    Values of different types, and different values, are in conflict, which `conflict` decides; equal ones (1 and 1.0) are not. Where
    `lists` puts lists together, they are not in conflict. In `by_key`, an element that is no object or has no key is added.
    """
    merged: JsonObject | None = None
    for index, item in enumerate(parameters.data):
        if item is None:
            continue
        row = require_row(item, index)
        merged = row if merged is None else _merge(parameters, merged, row, "")
    return merged or {}


def _merge(parameters: MergeParameters, left: JsonObject, right: JsonObject, path: str) -> JsonObject:
    merged = {**left}
    for name, value in right.items():
        if value is None and parameters.nulls != "value":
            if parameters.nulls == "remove":
                merged.pop(name, None)
            continue
        inner = f"{path}.{name}".removeprefix(".")
        merged[name] = _clean(parameters, value) if name not in merged else _join(parameters, merged[name], value, inner)
    return merged


def _clean(parameters: MergeParameters, value: JsonValue) -> JsonValue:
    """A new value without the nulls that mean something else."""
    if parameters.nulls == "value" or not isinstance(value, dict):
        return value
    return {name: _clean(parameters, inner) for name, inner in value.items() if inner is not None}


def _join(parameters: MergeParameters, left: JsonValue, right: JsonValue, path: str) -> JsonValue:
    if isinstance(left, dict) and isinstance(right, dict) and parameters.deep:
        return _merge(parameters, left, right, path)
    if isinstance(left, list) and isinstance(right, list) and parameters.lists != "replace":
        return _join_lists(parameters, left, right, path)
    if are_equal(left, right):
        return left
    if parameters.conflict == "fail":
        raise FatalError(
            f"{path} is in conflict: it is {name_type(left)} and {'another' if name_type(left) == name_type(right) else name_type(right)}.",
            code="merge_conflict",
            details={"field": path},
        )
    return left if parameters.conflict == "first" else _clean(parameters, right)


def _join_lists(parameters: MergeParameters, left: list[JsonValue], right: list[JsonValue], path: str) -> JsonValue:
    match parameters.lists:
        case "union":
            return _unite([*left, *right])
        case "by_key":
            return _merge_by_key(parameters, left, right, path)
        case _:
            return [*left, *right]


def _unite(items: list[JsonValue]) -> list[JsonValue]:
    """Each item once, at the place of its first."""
    seen: dict[bytes, JsonValue] = {}
    for item in items:
        seen.setdefault(identify(item), item)
    return [*seen.values()]


def _merge_by_key(parameters: MergeParameters, left: list[JsonValue], right: list[JsonValue], path: str) -> list[JsonValue]:
    key = parameters.key or ""
    merged: list[JsonValue] = []
    places: dict[bytes, int] = {}
    for item in [*left, *right]:
        found = read_field(item, key) if isinstance(item, dict) else None
        identity = identify(found)
        if found is None or identity not in places:
            places.setdefault(identity, len(merged))
            merged.append(item)
            continue
        place = places[identity]
        earlier = merged[place]
        if isinstance(earlier, dict) and isinstance(item, dict):
            merged[place] = _merge(parameters, earlier, item, f"{path}[{place}]")
    return merged
