"""`data.omit`."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.data.fields import list_paths, require_row
from flowforge.steps.data.grouping import FieldList
from flowforge.steps.data.lists import TYPE_MISMATCH, ValueParameters, change_value, list_errors, run_on_file
from flowforge.steps.data.paths import remove_field, split_path


class OmitParameters(ValueParameters):
    """Which fields to leave out."""

    fields: FieldList | None = Field(default=None, description="The fields to leave out, by dotted paths.")
    missing: Literal["skip", "fail"] = Field(
        default="skip", description="What happens where a field is not there: nothing, or the step fails."
    )
    empty: Literal["keep", "null", "blank"] = Field(
        default="keep",
        description="Which fields go besides: none; those that are `null`; or all `blank` ones (null, empty texts, lists and objects).",
    )


def omit_list(parameters: OmitParameters, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
    """The objects without these fields, one after another."""
    return (_omit(parameters, require_row(item, index), index) for index, item in enumerate(items))


def omit_file(parameters: OmitParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, omit_list)


@operation(
    "data.omit",
    title="Leave out fields",
    category="data",
    icon="list-minus",
    nature=Nature.PURE,
    with_file=omit_file,
    errors=list_errors(TYPE_MISMATCH, ErrorCode("field_missing", "A field is not there; the message names item and field.")),
    examples=(
        Example(
            "Without what others need not see",
            {
                "data": [{"id": 1, "owner": {"name": "Ada", "phone": "1"}, "note": "x"}, {"id": 2}],
                "fields": ["owner.phone", "note"],
            },
            [{"id": 1, "owner": {"name": "Ada"}}, {"id": 2}],
        ),
        Example("Without blank fields", {"data": {"a": None, "b": "", "c": 0, "d": []}, "empty": "blank"}, {"c": 0}),
    ),
)
def omit_fields(parameters: OmitParameters) -> JsonValue:
    """Leaves the named fields out of an object, of each object of a list, or of each row of a file, and keeps all others.

    An element of a list is not left out, but fields of it are (`lines.0.price`). `empty` looks at the outer fields alone.
    """
    return change_value(parameters, omit_list)


def _omit(parameters: OmitParameters, row: JsonObject, index: int) -> JsonObject:
    kept = {**row}
    for path in list_paths(parameters.fields or []):
        if not remove_field(kept, split_path(kept, path)) and parameters.missing == "fail":
            raise FatalError(f"item[{index}] has no field {path}.", code="field_missing", details={"index": index, "field": path})
    match parameters.empty:
        case "keep":
            return kept
        case "null":
            return {name: value for name, value in kept.items() if value is not None}
        case "blank":
            return {name: value for name, value in kept.items() if value is not None and value not in ("", [], {})}
