"""data.validate."""

import time
from pathlib import Path

import pytest
from tests.steps.data.stored_files import StoredFiles

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.validate import ERRORS_MAX, validate

ORDER: JsonObject = {
    "type": "object",
    "required": ["id", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "mail": {"type": "string", "format": "email"},
        "day": {"format": "date"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"pieces": {"type": "integer"}, "kind": {"enum": ["bolt", "nut"]}}}},
}


def check(data: JsonValue, schema: JsonObject = ORDER, **parameters: JsonValue) -> JsonObject:
    found = call_pure(validate, {"data": data, "schema": schema, **parameters})
    assert isinstance(found, dict)
    return found


def faults(found: JsonObject) -> list[tuple[JsonValue, JsonValue, JsonValue]]:
    errors = found["errors"]
    assert isinstance(errors, list)
    return [(error["path"], error["keyword"], error["row"]) for error in errors if isinstance(error, dict)]


def test_what_fits_is_valid():
    found = check({"id": 1, "lines": [{"pieces": 2, "kind": "nut"}], "mail": "a@example.com", "day": "2026-01-31"})
    assert found == {"is_valid": True, "checked": 1, "invalid": 0, "errors": []}


def test_every_fault_is_told_with_its_place():
    found = check(
        {"id": 0, "mail": "nobody", "day": "2026-02-30", "lines": [{"pieces": 1}, {"pieces": "x", "kind": "cog"}], "more": 1}
    )
    assert found["is_valid"] is False
    assert sorted(faults(found), key=str) == sorted(
        [
            ("id", "minimum", None),
            ("mail", "format", None),
            ("day", "format", None),
            ("lines[1].pieces", "type", None),
            ("lines[1].kind", "enum", None),
            ("", "additionalProperties", None),
        ],
        key=str,
    )


def test_an_expression_in_the_data_is_a_text_like_another():
    assert faults(check({"id": "${{ secrets.X }}", "lines": []})) == [("id", "type", None)]


def test_each_item_is_checked():
    found = check([{"id": 1, "lines": []}, {"id": 2}, 3], each=True)
    assert (found["checked"], found["invalid"]) == (3, 2)
    assert faults(found) == [("", "required", 1), ("", "type", 2)]


def test_at_most_a_hundred_faults_are_told_and_all_are_counted():
    found = check([*("x" for _ in range(250))], {"type": "integer"}, each=True)
    assert (found["checked"], found["invalid"], len(faults(found))) == (250, 250, ERRORS_MAX)


def test_a_long_value_is_not_told_whole():
    found = check("x" * 100_000, {"type": "integer"})
    errors = found["errors"]
    assert isinstance(errors, list)
    assert isinstance(errors[0], dict)
    assert len(str(errors[0]["message"])) < 400


def test_a_step_can_fail_by_it():
    with pytest.raises(FatalError) as caught:
        check([{"id": 1, "lines": []}, {"id": "x", "lines": []}], each=True, on_invalid="fail")
    assert caught.value.code == "schema_mismatch"
    assert "row 1, id" in caught.value.message
    assert isinstance(caught.value.details, dict)
    assert (caught.value.details["checked"], caught.value.details["invalid"]) == (2, 1)


SCHEMA_FAULTS: dict[str, JsonObject] = {
    "another site": {"$ref": "https://example.com/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "below its own id": {"$id": "https://example.com/a", "$ref": "b"},
    "a part that is not there": {"$ref": "#/$defs/none"},
    "a type that is none": {"type": "strnig"},
    "a pattern that can hang": {"pattern": "(?=a)b"},
    "a pattern that is none": {"pattern": "("},
    "another draft": {"$schema": "http://json-schema.org/draft-07/schema#"},
}


@pytest.mark.parametrize("schema", SCHEMA_FAULTS.values(), ids=SCHEMA_FAULTS.keys())
def test_a_schema_that_is_wrong_or_leads_outside_is_refused(schema: JsonObject):
    with pytest.raises(FatalError) as caught:
        check("x", schema)
    assert caught.value.code == "schema_invalid"


def test_a20_patterns_take_time_in_proportion_to_the_text():
    begun = time.perf_counter()
    assert check("a" * 50_000 + "b", {"pattern": "^(a+)+$"})["is_valid"] is False
    assert time.perf_counter() - begun < 5


def test_a_schema_that_refers_to_itself_ends():
    assert check({"a": {"a": 1}}, {"properties": {"a": {"$ref": "#"}}})["is_valid"] is True
    assert check(1, {"allOf": [{"$ref": "#"}]})["is_valid"] is True


@pytest.mark.parametrize(
    "parameters",
    [
        {"schema": {}},
        {"data": 1},
        {"data": 1, "schema": {}, "schema_file": {}},
        {"data": 1, "schema": {}, "each": True},
        {"data": 1, "file": {}, "schema": {}},
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(validate, parameters)


async def test_rows_of_files_are_checked(tmp_path: Path):
    files = StoredFiles(tmp_path)
    schema: JsonObject = {"properties": {"pieces": {"type": "integer"}}}
    cases: list[tuple[JsonObject, JsonObject]] = [
        (files.put('{"pieces":1}\n\n{"pieces":"x"}\n', "x.ndjson"), {}),
        (files.put("pieces\n1\nx\n", "x.csv"), {"csv": {"types": "auto"}}),
        (files.put('[{"pieces":1},{"pieces":"x"}]', "x.json"), {}),
        (files.put("- pieces: 1\n- pieces: x\n", "x.yaml"), {}),
    ]
    for file, more in cases:
        found = await files.attempts.call(validate, {"file": file, "schema": schema, "each": True, **more})
        assert isinstance(found, dict)
        assert (found["checked"], faults(found)) == (2, [("pieces", "type", 1)])


async def test_a_whole_file_and_a_schema_out_of_a_file(tmp_path: Path):
    files = StoredFiles(tmp_path)
    schema = files.put("type: object\n", "schema.yaml")
    data = files.put("[1]", "data.json")
    found = await files.attempts.call(validate, {"file": data, "schema_file": schema})
    assert isinstance(found, dict)
    assert faults(found) == [("", "type", None)]
    found = await files.attempts.call(validate, {"data": {}, "schema_file": schema})
    assert isinstance(found, dict)
    assert found["is_valid"] is True
    with pytest.raises(FatalError) as caught:
        await files.attempts.call(validate, {"data": {}, "schema_file": data})
    assert caught.value.code == "schema_invalid"
    with pytest.raises(FatalError) as caught:
        await files.attempts.call(validate, {"file": files.put("{}", "x.json"), "schema": {}, "each": True})
    assert caught.value.code == "rows_expected"
