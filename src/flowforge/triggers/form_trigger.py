"""The kind `form`: a person fills in a form, and its values start a run."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import Sink, format_path, suggest_name
from flowforge.language.inputs import check_input_schema, fill_in_defaults
from flowforge.language.schema_faults import list_schema_faults, make_validator
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers.kinds import Kind

VALUES: Final = "values"


class FormInvalidError(ValidationError):
    """Values that do not fit the form; the details name each field."""

    def __init__(self, faults: Sequence[Detail]) -> None:
        super().__init__(f"The form is not filled in as it should be: {faults[0].field}: {faults[0].message}", faults)


def read_values(config: Mapping[str, JsonValue], given: JsonValue) -> JsonObject:
    """The values of a form that was filled in, with the schema's defaults.

    Where the form has a `schema`, they fit it; where it has `fields`, each value is of one of them, and those that are `required` are
    there. Else the workflow's `input` decides, when the run starts.

    Raises:
        FormInvalidError: they do not fit.
    """
    values = {} if given is None else given
    if not isinstance(values, dict):
        raise FormInvalidError([Detail(VALUES, "The values of a form are an object: one value for each field.", "type")])
    schema, fields = config.get("schema"), config.get("fields")
    if isinstance(schema, dict):
        return _fit_schema(schema, values)
    if isinstance(fields, list):
        _check_fields(fields, values)
    return values


def _fit_schema(schema: JsonObject, values: JsonObject) -> JsonObject:
    filled = fill_in_defaults(schema, values)
    validator = make_validator(schema)
    found = list_schema_faults(validator, schema, filled)
    faults = [Detail(format_path((VALUES, *fault.path)), fault.message, fault.code) for fault in found]
    if not faults and not validator.is_valid(filled):
        # Text that looks like an expression is passed over by the explanations; here it is text like any other.
        faults = [Detail(VALUES, "A value does not fit the form's schema.", "type")]
    if faults:
        raise FormInvalidError(faults)
    return filled if isinstance(filled, dict) else values


def _check_fields(fields: Sequence[JsonValue], values: JsonObject) -> None:
    known = {str(field["name"]): field for field in fields if isinstance(field, dict) and "name" in field}
    faults = [
        Detail(f"{VALUES}.{name}", "There is no such field in the form.", "field_unknown", suggestion=suggest_name(name, known))
        for name in values
        if name not in known
    ]
    missing = [name for name, field in known.items() if field.get("required") is True and values.get(name) in (None, "")]
    faults += [Detail(f"{VALUES}.{name}", "This field must be filled in.", "required") for name in missing]
    if faults:
        raise FormInvalidError(faults)


def make_form_data(config: Mapping[str, JsonValue], given: JsonValue, by: str) -> JsonObject:
    """What `trigger` holds of a form that was filled in by somebody. Raises FormInvalidError."""
    return {VALUES: read_values(config, given), "by": by}


async def check_form(
    _session: AsyncSession, _workspace_id: str, parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """Whether the schema is one, and each field has a name of its own."""
    faults: list[Detail] = []
    schema, fields = parameters.get("schema"), parameters.get("fields")
    if isinstance(schema, dict):
        sink = Sink()
        check_input_schema(schema, ("schema",), sink)
        faults += [Detail(fault.field, fault.message, fault.code) for fault in sink.list_errors()]
    seen: set[str] = set()
    for index, field in enumerate(fields if isinstance(fields, list) else ()):
        name = field.get("name") if isinstance(field, dict) else None
        if not isinstance(name, str) or not name:
            faults.append(Detail(f"fields[{index}].name", "Each field of a form has a name.", "required"))
        elif name in seen:
            faults.append(Detail(f"fields[{index}].name", f"Another field is called {name!r} already.", "name_taken"))
        else:
            seen.add(name)
    return faults


FORM: Final = Kind(
    TRIGGER_KINDS["form"],
    lambda trigger: trigger[VALUES],
    examples=(
        {"title": "New laptop", "fields": [{"name": "model", "label": "Model", "required": True}]},
        {"schema": {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}},
    ),
    check=check_form,
)
