"""Forms: what was filled in fits the form, or nothing starts."""

import pytest

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers.form_trigger import FORM, FormInvalidError, check_form, make_form_data

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"amount": {"type": "number", "minimum": 1}, "note": {"type": "string", "maxLength": 3, "default": "-"}},
    "required": ["amount"],
    "additionalProperties": False,
}
FIELDS: JsonValue = [{"name": "model", "required": True}, {"name": "color"}]


def test_values_that_fit_the_schema_start_with_its_defaults():
    data = make_form_data({"schema": SCHEMA}, {"amount": 2}, "user:x")
    assert data == {"values": {"amount": 2, "note": "-"}, "by": "user:x"}
    assert FORM.make_input(data) == {"amount": 2, "note": "-"}


@pytest.mark.parametrize(
    ("config", "values", "faults"),
    [
        ({"schema": SCHEMA}, {}, [("values.amount", "required")]),
        ({"schema": SCHEMA}, {"amount": 0}, [("values.amount", "range")]),
        ({"schema": SCHEMA}, {"amount": 1, "note": "${{ secrets.X }}"}, [("values", "type")]),
        ({"schema": SCHEMA}, [1], [("values", "type")]),
        ({"fields": FIELDS}, {"colour": "red"}, [("values.colour", "field_unknown"), ("values.model", "required")]),
        ({"fields": FIELDS}, {"model": ""}, [("values.model", "required")]),
    ],
)
def test_values_that_do_not_fit_are_told_by_field(config: JsonObject, values: JsonValue, faults: list[tuple[str, str]]):
    with pytest.raises(FormInvalidError) as caught:
        make_form_data(config, values, "user:x")
    assert [(detail.field, detail.code) for detail in caught.value.details] == faults


def test_a_form_without_fields_leaves_it_to_the_input_of_the_workflow():
    assert make_form_data({"title": "Go"}, {"anything": 1}, "user:x")["values"] == {"anything": 1}
    assert make_form_data({}, None, "user:x")["values"] == {}


@pytest.mark.parametrize(
    ("parameters", "faults"),
    [
        ({"schema": {"type": "objekt"}}, [("schema.type", "schema_invalid")]),
        (
            {"fields": [{"name": "a"}, {"name": "a"}, {"label": "b"}]},
            [("fields[1].name", "name_taken"), ("fields[2].name", "required")],
        ),
        ({"schema": SCHEMA, "fields": FIELDS}, []),
    ],
)
async def test_bad_forms_are_refused(parameters: JsonObject, faults: list[tuple[str, str]]):
    found = await check_form(None, "", parameters, Limits(), 0)  # type: ignore[arg-type]
    assert [(fault.field, fault.code) for fault in found] == faults
