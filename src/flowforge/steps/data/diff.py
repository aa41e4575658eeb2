"""`data.diff`."""

from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.changes import Change, find_changes, format_pointer
from flowforge.steps.data.fields import are_equal, identify, list_paths, name_type, read_field
from flowforge.steps.data.grouping import FieldList
from flowforge.steps.data.paths import remove_field, split_path


class DiffParameters(StrictModel):
    """What to compare, and how the difference is told."""

    before: pydantic.JsonValue = Field(description="The earlier value.")
    after: pydantic.JsonValue = Field(description="The later value.")
    to: Literal["patch", "changes", "rows"] = Field(
        default="patch",
        description="`patch`: a JSON Patch (RFC 6902), which `data.patch` applies; `changes`: a list with path, kind, before and after; "
        "`rows`: for two lists of objects, those that were added, removed and changed, by `key`.",
    )
    key: FieldList | None = Field(
        default=None, description="With `rows`: the field, or fields, by dotted paths, that tell which row is which."
    )
    ignore: list[str] = Field(
        default_factory=list[str], max_length=1000, description="With `rows`: fields, by dotted paths, that are not compared."
    )

    @model_validator(mode="after")
    def _check_key(self) -> "DiffParameters":
        if (self.key is None) != (self.to != "rows"):
            raise ValueError("key belongs to the form rows, which needs it")
        if self.ignore and self.to != "rows":
            raise ValueError("ignore belongs to the form rows; leave fields out with data.omit")
        return self


@operation(
    "data.diff",
    title="Compare two values",
    category="data",
    icon="diff",
    nature=Nature.PURE,
    errors=(
        ErrorCode("type_mismatch", "With `rows`, a side is no list of objects; the message names it."),
        ErrorCode(
            "key_not_unique", "With `rows`, two rows of one side have the same key, or one has none; the message names them."
        ),
    ),
    examples=(
        Example(
            "A JSON Patch",
            {"before": {"name": "bolt", "sizes": [5, 8]}, "after": {"name": "bolt", "sizes": [5, 6, 8], "new": True}},
            [{"op": "add", "path": "/sizes/1", "value": 6}, {"op": "add", "path": "/new", "value": True}],
        ),
        Example(
            "What changed, with both values",
            {"before": {"a": {"b": 1}}, "after": {"a": {"b": 2}}, "to": "changes"},
            [{"path": "/a/b", "kind": "changed", "before": 1, "after": 2}],
        ),
        Example(
            "Rows by their number",
            {
                "before": [{"id": 1, "n": 1}, {"id": 2, "n": 2}],
                "after": [{"id": 2, "n": 3}, {"id": 4, "n": 4}],
                "to": "rows",
                "key": "id",
            },
            {
                "added": [{"id": 4, "n": 4}],
                "removed": [{"id": 1, "n": 1}],
                "changed": [
                    {
                        "key": {"id": 2},
                        "before": {"id": 2, "n": 2},
                        "after": {"id": 2, "n": 3},
                        "changes": [{"path": "/n", "kind": "changed", "before": 2, "after": 3}],
                    }
                ],
                "unchanged": 0,
            },
        ),
    ),
)
def compare_values(parameters: DiffParameters) -> JsonValue:
    """Tells what is different between two values, as a JSON Patch, a list of changes, or rows by their key. 1 and 1.0 are equal.

    Paths are JSON Pointers (RFC 6901). In lists the elements that stay are found where both have at most 2,000 elements; longer ones are
    compared place by place between the equal ones at both ends. The steps of a patch are applied in order, and so are the numbers in its
    paths; those of `changes` count in the list as it was before (added: as it is after).
    """
    if parameters.to == "rows":
        return _compare_rows(parameters)
    changes = find_changes(parameters.before, parameters.after)
    return [_to_patch(change) if parameters.to == "patch" else _to_change(change) for change in changes]


def _to_patch(change: Change) -> JsonObject:
    match change.kind:
        case "added":
            return {"op": "add", "path": format_pointer(change.patch_path), "value": change.after}
        case "removed":
            return {"op": "remove", "path": format_pointer(change.patch_path)}
        case "changed":
            return {"op": "replace", "path": format_pointer(change.patch_path), "value": change.after}


def _to_change(change: Change) -> JsonObject:
    told: JsonObject = {"path": format_pointer(change.path), "kind": change.kind}
    if change.kind != "added":
        told["before"] = change.before
    if change.kind != "removed":
        told["after"] = change.after
    return told


def _compare_rows(parameters: DiffParameters) -> JsonObject:
    fields = list_paths(parameters.key or [])
    before, after = _index(parameters.before, fields, "before"), _index(parameters.after, fields, "after")
    changed: list[JsonValue] = []
    unchanged = 0
    for identity, row in after.items():
        if identity not in before:
            continue
        earlier = before[identity]
        left, right = _strip(earlier, parameters.ignore), _strip(row, parameters.ignore)
        if are_equal(left, right):
            unchanged += 1
            continue
        key: JsonObject = {field: read_field(row, field) for field in fields}
        told: list[JsonValue] = [_to_change(change) for change in find_changes(left, right)]
        changed.append({"key": key, "before": earlier, "after": row, "changes": told})
    return {
        "added": [row for identity, row in after.items() if identity not in before],
        "removed": [row for identity, row in before.items() if identity not in after],
        "changed": changed,
        "unchanged": unchanged,
    }


def _index(value: JsonValue, fields: list[str], side: str) -> dict[bytes, JsonObject]:
    if not isinstance(value, list):
        raise FatalError(f"{side} is {name_type(value)}; to compare rows it must be a list of objects.", code="type_mismatch")
    rows: dict[bytes, JsonObject] = {}
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise FatalError(f"{side}[{index}] is {name_type(row)}; a row is an object.", code="type_mismatch")
        values = [read_field(row, field) for field in fields]
        identity = identify(values)
        if identity in rows or None in values:
            fault = "has a key that another row has" if identity in rows else "has no key"
            raise FatalError(
                f"{side}[{index}] {fault} ({', '.join(fields)}); the key must tell each row.",
                code="key_not_unique",
                details={"side": side, "index": index},
            )
        rows[identity] = row
    return rows


def _strip(row: JsonObject, ignore: list[str]) -> JsonObject:
    kept = {**row}
    for path in ignore:
        remove_field(kept, split_path(kept, path))
    return kept
