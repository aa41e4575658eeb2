"""`data.rename`."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import ABSENT, Absent, find_field, require_row
from flowforge.steps.data.lists import TYPE_MISMATCH, ValueParameters, change_value, list_errors, run_on_file
from flowforge.steps.data.paths import remove_field, set_field, split_path

Style = Literal["snake_case", "camel_case", "pascal_case", "kebab_case", "lower_case", "upper_case", "trimmed"]


class RenameParameters(ValueParameters):
    """Which fields get which names."""

    fields: dict[str, str] = Field(
        default_factory=dict[str, str],
        max_length=5000,
        description="The new name of each field, both by dotted paths: `{old: new}`. A new path elsewhere moves the field there.",
    )
    style: Style | None = Field(
        default=None,
        description="Writes all names, of inner objects too, in one way: `Unit price` becomes `unit_price` in snake_case.",
    )
    missing: Literal["skip", "fail"] = Field(
        default="skip", description="What happens where a field is not there: nothing, or the step fails."
    )
    collisions: Literal["fail", "overwrite"] = Field(
        default="fail", description="What happens where a field of the new name is there already."
    )

    @model_validator(mode="after")
    def _check_names(self) -> "RenameParameters":
        if not self.fields and self.style is None:
            raise ValueError("give fields or style")
        if not all(self.fields) or not all(self.fields.values()):
            raise ValueError("a field's name cannot be empty")
        return self


def rename_list(parameters: RenameParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The objects with their new names, one after another."""
    return (_rename(parameters, require_row(item, index), index) for index, item in enumerate(items))


def rename_file(parameters: RenameParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, rename_list)


@operation(
    "data.rename",
    title="Rename fields",
    category="data",
    icon="text-cursor-input",
    nature=Nature.PURE,
    with_file=rename_file,
    errors=list_errors(
        TYPE_MISMATCH,
        ErrorCode("field_missing", "A field is not there; the message names item and field."),
        ErrorCode("name_collision", "Two fields of an object would get one name; the message names item and field."),
    ),
    examples=(
        Example(
            "New names, and a field that moves",
            {"data": [{"nr": 1, "city": "Ulm", "x": 2}], "fields": {"nr": "id", "city": "address.city"}},
            [{"id": 1, "x": 2, "address": {"city": "Ulm"}}],
        ),
        Example(
            "All names in one style",
            {"data": {"Unit price": 5, "orderID": 1, "Lines": [{"Part No.": 7}]}, "style": "snake_case"},
            {"unit_price": 5, "order_id": 1, "lines": [{"part_no": 7}]},
        ),
    ),
)
def rename_fields(parameters: RenameParameters) -> JsonValue:
    """Renames fields of an object, of each object of a list, or of each row of a file; a renamed field keeps its place.

    All fields are renamed at once, so that two can swap their names. A field that moves into another object comes last there. The style
    is applied after the new names.
    """
    return change_value(parameters, rename_list)


def _rename(parameters: RenameParameters, row: JsonObject, index: int) -> JsonObject:
    plain = {old: new for old, new in parameters.fields.items() if old in row and ("." not in new or new in row)}
    changed = _rename_keys(parameters, row, plain.get, index)
    moved = [(old, new) for old, new in parameters.fields.items() if old not in plain]
    for new, value in _take_out(parameters, changed, row, moved, index):
        path = split_path(changed, new)
        if parameters.collisions == "fail" and find_field(changed, new) is not ABSENT:
            raise _make_collision(index, new)
        set_field(changed, path, value, f"item[{index}]")
    return _restyle(parameters, changed, index) if parameters.style is not None else changed


def _take_out(
    parameters: RenameParameters, changed: JsonObject, row: JsonObject, moved: list[tuple[str, str]], index: int
) -> list[tuple[str, JsonValue]]:
    taken: list[tuple[str, JsonValue]] = []
    for old, new in moved:
        found = find_field(row, old)
        if not isinstance(found, Absent) and remove_field(changed, split_path(row, old)):
            taken.append((new, found))
        elif parameters.missing == "fail":
            raise FatalError(f"item[{index}] has no field {old}.", code="field_missing", details={"index": index, "field": old})
    return taken


def _rename_keys(parameters: RenameParameters, row: JsonObject, find_new: Callable[[str], str | None], index: int) -> JsonObject:
    changed: JsonObject = {}
    renamed: set[str] = set()
    for name, value in row.items():
        new = find_new(name)
        target = name if new is None else new
        if target in changed:
            if parameters.collisions == "fail":
                raise _make_collision(index, target)
            if target in renamed:
                continue
        if target != name:
            renamed.add(target)
        changed[target] = value
    return changed


def _restyle(parameters: RenameParameters, row: JsonObject, index: int) -> JsonObject:
    write = _STYLES[parameters.style or "trimmed"]

    def change(value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [change(item) for item in value]
        if isinstance(value, dict):
            inner: JsonObject = {name: change(item) for name, item in value.items()}
            return _rename_keys(parameters, inner, lambda name: write(name) or name, index)
        return value

    changed = change(row)
    return changed if isinstance(changed, dict) else row


def _make_collision(index: int, name: str) -> FatalError:
    return FatalError(
        f"item[{index}] would have two fields {name}; choose other names, or set `collisions` to overwrite.",
        code="name_collision",
        details={"index": index, "field": name},
    )


_WORD: Final = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[^\W_A-Z]+|[^\W_]")


def _split_words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _to_camel(name: str) -> str:
    words = _split_words(name)
    return "".join([*words[:1], *(word.capitalize() for word in words[1:])])


_STYLES: Final[dict[str, Callable[[str], str]]] = {
    "snake_case": lambda name: "_".join(_split_words(name)),
    "camel_case": _to_camel,
    "pascal_case": lambda name: "".join(word.capitalize() for word in _split_words(name)),
    "kebab_case": lambda name: "-".join(_split_words(name)),
    "lower_case": str.lower,
    "upper_case": str.upper,
    "trimmed": lambda name: " ".join(name.split()),
}
