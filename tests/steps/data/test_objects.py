"""Picking, leaving out, renaming, flattening and nesting fields of objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.flatten import flatten_objects
from flowforge.steps.data.omit import omit_fields
from flowforge.steps.data.pick import pick_fields
from flowforge.steps.data.rename import rename_fields
from flowforge.steps.data.unflatten import unflatten_objects

ITEM: JsonObject = {"id": 1, "a": {"b": {"c": 2, "d": 3}}, "a.b": 4, "lines": [{"x": 1, "y": 2}, {"x": 3}], "n": None}


def change(operation: Operation, data: JsonValue = ITEM, **parameters: JsonValue) -> JsonValue:
    return call_pure(operation, {"data": data, **parameters})


def names_of(value: JsonValue) -> list[str]:
    assert isinstance(value, dict)
    return [*value]


def fault_of(operation: Operation, data: JsonValue = ITEM, **parameters: JsonValue) -> FatalError:
    with pytest.raises(FatalError) as caught:
        change(operation, data, **parameters)
    return caught.value


def test_fields_are_picked_in_the_order_asked_for():
    assert change(pick_fields, fields=["a.b.c", "id", "a.b", "lines.1.x", "zzz"]) == {
        "a": {"b": {"c": 2}},
        "id": 1,
        "a.b": 4,
        "lines": {"1": {"x": 3}},
    }
    assert names_of(change(pick_fields, fields=["n", "id"])) == ["n", "id"]
    assert change(pick_fields, fields=["a.b.c", "zzz"], flat=True, missing="null") == {"a.b.c": 2, "zzz": None}
    assert change(pick_fields, [ITEM, {"id": 2}], fields="id") == [{"id": 1}, {"id": 2}]


def test_fields_are_left_out():
    before = change(pick_fields, fields=[*ITEM])
    assert change(omit_fields, fields=["a.b", "lines.0.x", "lines.1", "zzz.y"]) == {
        "id": 1,
        "a": {"b": {"c": 2, "d": 3}},
        "lines": [{"y": 2}, {"x": 3}],
        "n": None,
    }
    assert change(omit_fields, {"a": {"b": {"c": 2, "d": 3}}}, fields="a.b.c") == {"a": {"b": {"d": 3}}}
    assert change(omit_fields, {"a": None, "b": "", "c": False, "d": 0}, empty="null") == {"b": "", "c": False, "d": 0}
    assert change(omit_fields, {"a": None, "b": "", "c": False, "d": 0}, empty="blank") == {"c": False, "d": 0}
    assert change(pick_fields, fields=[*ITEM]) == before, "what was given is not changed"


def test_fields_are_renamed_in_their_places():
    assert names_of(change(rename_fields, {"x": 1, "y": 2, "z": 3}, fields={"y": "Y"})) == ["x", "Y", "z"]
    assert change(rename_fields, {"x": 1, "y": 2}, fields={"x": "y", "y": "x"}) == {"y": 1, "x": 2}
    renamed = change(rename_fields, fields={"a.b.c": "c", "id": "key.id", "a.b": "ab"})
    assert renamed == {"a": {"b": {"d": 3}}, "ab": 4, "lines": ITEM["lines"], "n": None, "c": 2, "key": {"id": 1}}
    assert change(rename_fields, {"x": 1, "y": 2}, fields={"x": "y"}, collisions="overwrite") == {"y": 1}
    assert change(rename_fields, {"y": 2, "x": 1}, fields={"x": "y"}, collisions="overwrite") == {"y": 1}


@pytest.mark.parametrize(
    ("style", "name"),
    [
        ("snake_case", "unit_price_in_eur_2"),
        ("camel_case", "unitPriceInEur2"),
        ("pascal_case", "UnitPriceInEur2"),
        ("kebab_case", "unit-price-in-eur-2"),
        ("upper_case", "UNIT PRICE  (INEUR) 2 "),
        ("trimmed", "Unit price (inEUR) 2"),
    ],
)
def test_names_get_one_style(style: str, name: str):
    assert change(rename_fields, [{"x": [{"Unit price  (inEUR) 2 ": 1}]}], style=style) in (
        [{"x": [{name: 1}]}],
        [{"X": [{name: 1}]}],
    )


def test_a_style_keeps_letters_of_all_scripts():
    assert change(rename_fields, {"Straßen Nummer": 1, "Цена": 2, "名前": 3, "??": 4}, style="snake_case") == {
        "straßen_nummer": 1,
        "цена": 2,
        "名前": 3,
        "??": 4,
    }


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        (pick_fields, {"fields": "zzz", "missing": "fail"}, "field_missing"),
        (pick_fields, {"data": [1], "fields": "x"}, "type_mismatch"),
        (omit_fields, {"fields": "zzz", "missing": "fail"}, "field_missing"),
        (rename_fields, {"fields": {"zzz": "y"}, "missing": "fail"}, "field_missing"),
        (rename_fields, {"fields": {"id": "n"}}, "name_collision"),
        (rename_fields, {"fields": {"id": "a.b.c"}}, "name_collision"),
        (rename_fields, {"fields": {"id": "n.x"}}, "type_mismatch"),
        (rename_fields, {"data": {"A b": 1, "a_b": 2}, "style": "snake_case"}, "name_collision"),
        (flatten_objects, {"data": {"a": {"b": 1}, "a.b": 2}}, "name_collision"),
        (unflatten_objects, {"data": {"a": 1, "a.b": 2}}, "name_collision"),
        (unflatten_objects, {"data": {"a.b": 1, "a": 2}}, "name_collision"),
        (unflatten_objects, {"data": {".".join("a" * 61): 1}}, "path_too_deep"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_item(operation: Operation, parameters: JsonObject, code: str):
    error = fault_of(operation, **parameters)
    assert error.code == code
    assert "item[0]" in error.message


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (pick_fields, {"data": 1, "fields": "x"}),
        (pick_fields, {"data": None, "fields": "x"}),
        (pick_fields, {"fields": []}),
        (rename_fields, {}),
        (rename_fields, {"fields": {"a": ""}}),
        (flatten_objects, {"separator": ""}),
    ],
)
def test_parameters_that_cannot_be_are_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        change(operation, **parameters)


def test_objects_are_flattened():
    assert change(flatten_objects) == {
        "id": 1,
        "a.b.c": 2,
        "a.b.d": 3,
        "a.b": 4,
        "lines.0.x": 1,
        "lines.0.y": 2,
        "lines.1.x": 3,
        "n": None,
    }
    assert change(flatten_objects, {"a": {"b": {"c": 1}, "e": {}}, "l": [1]}, depth=1, lists="keep") == {
        "a.b": {"c": 1},
        "a.e": {},
        "l": [1],
    }
    assert change(flatten_objects, [{}, {"a": {}}]) == [{}, {"a": {}}]


def test_lists_are_rebuilt_where_no_number_is_left_out():
    flat: JsonObject = {"a.1": "y", "a.0": "x", "b.0": 1, "b.2": 2, "c.00": 1}
    assert change(unflatten_objects, flat) == {"a": ["x", "y"], "b": {"0": 1, "2": 2}, "c": {"00": 1}}
    assert change(unflatten_objects, flat, lists="keep") == {"a": {"1": "y", "0": "x"}, "b": {"0": 1, "2": 2}, "c": {"00": 1}}


NAMES = st.text("abc_ é", max_size=3) | st.just("__proto__")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from([".", "/", "::"]))
def test_unflatten_is_the_way_back(value: JsonObject, separator: str):
    flat = change(flatten_objects, value, separator=separator)
    assert isinstance(flat, dict)
    assert all(not inner for inner in flat.values() if isinstance(inner, list | dict))
    assert change(unflatten_objects, flat, separator=separator) == value
