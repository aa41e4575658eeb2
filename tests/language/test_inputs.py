"""The input of a run against the document's schema."""

import pytest
from tests.support.language_catalog import compile_text

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Workflow
from flowforge.language.inputs import fill_in_defaults, validate_input

ITEM: JsonObject = {
    "type": "object",
    "required": ["sku"],
    "additionalProperties": False,
    "properties": {"sku": {"type": "string", "minLength": 2}, "count": {"type": "integer", "minimum": 1, "default": 1}},
}
SCHEMA: JsonObject = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "email": {"type": "string", "format": "email"},
        "when": {"type": "string", "format": "date-time"},
        "mode": {"enum": ["fast", "slow"], "default": "fast"},
        "address": {"type": "object", "default": {}, "properties": {"country": {"default": "DE"}}},
    },
    "$defs": {"item": ITEM},
}


def compile_with(schema: JsonObject | None) -> Workflow:
    document: JsonObject = {"flowforge": 1, "name": "sample", "steps": [{"id": "a", "uses": "flow.stop"}]}
    if schema is not None:
        document["input"] = schema
    compilation = compile_text(document)
    assert compilation.workflow is not None, compilation.errors
    return compilation.workflow


def list_schema_faults(schema: JsonObject) -> list[tuple[str, str]]:
    document: JsonObject = {"flowforge": 1, "name": "sample", "input": schema, "steps": [{"id": "a", "uses": "flow.stop"}]}
    return [(fault.code, fault.field) for fault in compile_text(document).errors]


def test_defaults_are_filled_in_and_the_value_handed_in_stays_as_it_is():
    given: JsonObject = {"items": [{"sku": "ab"}, {"sku": "cd", "count": 3}]}
    filled, faults = validate_input(compile_with(SCHEMA), given)
    assert faults == ()
    assert filled == {
        "items": [{"sku": "ab", "count": 1}, {"sku": "cd", "count": 3}],
        "mode": "fast",
        "address": {"country": "DE"},
    }
    assert given == {"items": [{"sku": "ab"}, {"sku": "cd", "count": 3}]}


def test_without_a_schema_any_json_fits():
    assert validate_input(compile_with(None), [1, None]) == ([1, None], ())


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        ({}, "required", "input.items"),
        ({"items": [{"sku": "ab"}, {"sku": "ab"}, {"sku": 5}]}, "type", "input.items[2].sku"),
        ({"items": [{"sku": "ab", "cuont": 2}]}, "field_unknown", "input.items[0].cuont"),
        ({"items": [{"sku": "a"}]}, "length", "input.items[0].sku"),
        ({"items": [{"sku": "ab", "count": 0}]}, "range", "input.items[0].count"),
        ({"items": [], "email": "nobody"}, "format", "input.email"),
        ({"items": [], "when": "yesterday"}, "format", "input.when"),
        ({"items": [], "mode": "fats"}, "choice", "input.mode"),
        ([], "type", "input"),
    ],
)
def test_a_fault_names_its_field(value: JsonValue, code: str, field: str):
    _, faults = validate_input(compile_with(SCHEMA), value)
    assert [(fault.code, fault.field) for fault in faults] == [(code, field)]


def test_faults_carry_suggestions_and_come_all_at_once():
    _, faults = validate_input(compile_with(SCHEMA), {"items": [{"sku": "ab", "cuont": 2}, 7], "mode": "fats"})
    assert [(fault.field, fault.suggestion) for fault in faults if fault.suggestion] == [
        ("input.items[0].cuont", "count"),
        ("input.mode", "fast"),
    ]
    assert len(faults) == 3


def test_an_alternative_that_was_probably_meant_is_the_one_whose_faults_are_told():
    schema: JsonObject = {
        "properties": {
            "pay": {
                "oneOf": [
                    {"required": ["kind", "iban"], "properties": {"kind": {"const": "bank"}, "iban": {"type": "string"}}},
                    {"required": ["kind", "number"], "properties": {"kind": {"const": "card"}, "number": {"type": "string"}}},
                ]
            },
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        }
    }
    _, faults = validate_input(compile_with(schema), {"pay": {"kind": "card", "number": 5}, "count": "x"})
    assert [(fault.code, fault.field) for fault in faults] == [("type", "input.pay.number"), ("type", "input.count")]
    assert "A whole number or null" in faults[1].message


def test_a_pattern_takes_linear_time():
    schema: JsonObject = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    _, faults = validate_input(compile_with(schema), {"a": "a" * 100_000 + "!"})
    assert [fault.field for fault in faults] == ["input.a"]
    assert len(faults[0].message) < 200


@pytest.mark.parametrize(
    ("schema", "code", "field"),
    [
        ({"type": "objekt"}, "schema_invalid", "input.type"),
        ({"properties": {"a": {"minimum": "1"}}}, "schema_invalid", "input.properties.a.minimum"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema_invalid", 'input["$schema"]'),
        ({"$ref": "https://elsewhere.example/x"}, "schema_ref", 'input["$ref"]'),
        ({"$ref": "file:///etc/passwd"}, "schema_ref", 'input["$ref"]'),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "schema_ref", 'input.properties.a["$ref"]'),
        ({"$dynamicRef": "other"}, "schema_ref", 'input["$dynamicRef"]'),
        ({"allOf": [{"pattern": "(?=a)"}]}, "schema_invalid", "input"),
        ({"allOf": [{"pattern": "a{1000000000}"}]}, "schema_invalid", "input"),
    ],
)
def test_an_input_that_is_no_schema_or_leads_out_is_refused(schema: JsonObject, code: str, field: str):
    assert list_schema_faults(schema) == [(code, field)]


def test_data_inside_a_schema_is_no_schema():
    assert list_schema_faults({"properties": {"$ref": {"type": "string"}, "a": {"const": {"$ref": "https://x.example"}}}}) == []


def test_a_schema_that_holds_itself_ends():
    assert list_schema_faults({"$ref": "#"}) == []
    tree: JsonObject = {"properties": {"child": {"$ref": "#"}, "name": {"default": "leaf"}}}
    filled, faults = validate_input(compile_with(tree), {"child": {"child": {}}})
    assert faults == ()
    assert filled == {"child": {"child": {"name": "leaf"}, "name": "leaf"}, "name": "leaf"}


def test_defaults_that_would_never_end_are_bounded():
    names = [f"n{index}" for index in range(10)]
    endless: JsonObject = {"properties": {name: {"$ref": "#", "default": {}} for name in names}}
    assert count_objects(fill_in_defaults(endless, {})) <= 10_001


def count_objects(value: JsonValue) -> int:
    return 1 + sum(count_objects(item) for item in value.values()) if isinstance(value, dict) else 0
