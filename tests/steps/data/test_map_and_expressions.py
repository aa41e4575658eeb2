import re

import pytest

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import item_expressions
from flowforge.steps.data.filter import filter_items
from flowforge.steps.data.map import map_items
from flowforge.steps.data.sort import sort_items

ROWS: list[JsonValue] = [
    {"id": 1, "price": 2.5, "pieces": 4, "a.b": 1},
    {"id": 2, "price": 3, "pieces": 1, "a": {"b": [5, {"c": 6}]}},
]


def make(**parameters: JsonValue) -> JsonValue:
    return call_pure(map_items, {"data": ROWS, **parameters})


def fault_of(**parameters: JsonValue) -> FatalError:
    with pytest.raises(FatalError) as caught:
        make(**parameters)
    return caught.value


def test_an_expression_sees_item_index_and_values():
    made = make(expression="{'n': index, 'sum': item.price * item.pieces + values.more}", values={"more": 1})
    assert made == [{"n": 0, "sum": 11}, {"n": 1, "sum": 4}]


def test_an_expression_may_give_any_value():
    assert make(expression="item.id") == [1, 2]
    assert make(expression="item") == ROWS
    assert make(expression="[item.id, null]", spread=True) == [1, None, 2, None]


def test_fields_come_from_paths_values_and_expressions():
    made = make(
        fields={
            "one": {"path": "a.b", "default": None},
            "deep": {"path": "a.b.1.c", "default": 0},
            "whole": {"path": ""},
            "kind": {"value": None},
            "sum": {"expression": "item.price * item.pieces"},
        }
    )
    assert made == [
        {"one": 1, "deep": 0, "whole": ROWS[0], "kind": None, "sum": 10},
        {"one": [5, {"c": 6}], "deep": 6, "whole": ROWS[1], "kind": None, "sum": 3},
    ]


def test_other_fields_may_stay_in_their_places():
    made = make(fields={"id": {"expression": "item.id * 10"}, "x": {"value": 1}}, keep_others=True)
    assert isinstance(made, list)
    assert [list(row) for row in made if isinstance(row, dict)] == [
        ["id", "price", "pieces", "a.b", "x"],
        ["id", "price", "pieces", "a", "x"],
    ]
    assert ROWS[0] == {"id": 1, "price": 2.5, "pieces": 4, "a.b": 1}


def test_names_like_prototype_are_plain_data():
    made = call_pure(map_items, {"data": [{"__proto__": {"x": 1}}], "fields": {"__proto__": {"path": "__proto__.x"}}})
    assert made == [{"__proto__": 1}]


def test_a02_text_that_looks_like_an_expression_stays_text():
    evil: list[JsonValue] = [{"name": "${{ secrets.API }}"}, {"name": "= 1 + 1"}, {"name": "{{ x }}"}]
    assert call_pure(map_items, {"data": evil, "expression": "item.name + values.end", "values": {"end": "${{ x }}"}}) == [
        "${{ secrets.API }}${{ x }}",
        "= 1 + 1${{ x }}",
        "{{ x }}${{ x }}",
    ]


def test_expressions_are_code_that_no_expression_may_make():
    assert map_items.literal_parameters == {"expression", "fields.expression"}
    assert filter_items.literal_parameters == {"expression"}
    assert sort_items.literal_parameters == {"by.expression"}


@pytest.mark.parametrize(
    ("parameters", "code", "told"),
    [
        ({"expression": "item.a.b[0]"}, "expression_failed", r"item\[0\]: item\.a does not exist"),
        ({"expression": "item.id + 'x'"}, "expression_failed", r"item\[0\]"),
        ({"expression": "item.id", "spread": True}, "type_mismatch", r"item\[0\]"),
        ({"fields": {"x": {"path": "a.b"}, "y": {"path": "a.b.1.c"}}}, "field_missing", r"item\[0\] has no field a\.b\.1\.c"),
        ({"fields": {"x": {"expression": "1 / 0"}}}, "expression_failed", "fields.x.expression"),
        ({"data": [1], "fields": {"x": {"value": 1}}, "keep_others": True}, "type_mismatch", r"item\[0\] is a number"),
    ],
)
def test_what_cannot_be_made_is_told_with_its_item(parameters: JsonObject, code: str, told: str):
    error = fault_of(**parameters)
    assert error.code == code
    assert re.search(told, error.message)
    assert isinstance(error.details, dict)
    assert error.details["index"] == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"expression": "item.id", "fields": {"x": {"value": 1}}},
        {"fields": {}},
        {"fields": {"x": {}}},
        {"fields": {"x": {"value": 1, "path": "a"}}},
        {"fields": {"x": {"value": 1, "default": 1}}},
        {"expression": "item."},
        {"expression": "steps.a.output"},
        {"expression": "secrets.API"},
        {"expression": "${{ item.id }}"},
        {"expression": "now()"},
        {"expression": "uuid()"},
        {"expression": "item.id", "keep_others": True},
        {"fields": {"x": {"value": 1}}, "spread": True},
        {"data": None, "expression": "item"},
    ],
)
def test_what_cannot_be_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        make(**parameters)


def test_a_wrong_expression_is_told_with_its_place():
    with pytest.raises(InvalidParametersError, match=r"character 11"):
        make(expression="item.id + ")
    with pytest.raises(InvalidParametersError, match="There is no 'order' here"):
        make(expression="order.id")


def test_all_items_share_one_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(item_expressions, "WORK_MAX_TICKS", 20)
    with pytest.raises(FatalError, match=r"item\[20\]") as caught:
        make(data=[{"x": number} for number in range(30)], expression="item.x")
    assert caught.value.code == "expression_budget"


def test_items_are_kept_by_an_expression():
    kept = call_pure(filter_items, {"data": ROWS, "expression": "item.price > values.least", "values": {"least": 2.7}})
    assert kept == [ROWS[1]]
    others = call_pure(filter_items, {"data": ROWS, "expression": "item.price > 2.7", "keep": "others"})
    assert others == [ROWS[0]]
    with pytest.raises(FatalError, match=r"a number for item\[0\]") as caught:
        call_pure(filter_items, {"data": ROWS, "expression": "item.price"})
    assert caught.value.code == "type_mismatch"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"field": "", "operator": "matches", "value": "^b.*t$"}, ["bolt"]),
        ({"field": "", "operator": "matches", "value": "^B", "ignore_case": True}, ["bolt", "BOX"]),
        ({"field": "", "operator": "eq", "value": "Box", "ignore_case": True}, ["BOX"]),
        ({"field": "", "operator": "in", "value": ["NUT", "box"], "ignore_case": True}, ["nut", "BOX"]),
        ({"field": "", "operator": "empty"}, [""]),
        ({"field": "", "operator": "not_empty"}, ["bolt", "nut", "BOX"]),
    ],
)
def test_texts_are_matched(where: JsonObject, kept: list[JsonValue]):
    assert call_pure(filter_items, {"data": ["bolt", "nut", "BOX", ""], "where": [where]}) == kept


def test_a_pattern_that_is_none_is_refused_before_the_run():
    with pytest.raises(InvalidParametersError, match="regular expression"):
        call_pure(filter_items, {"data": [], "where": [{"field": "", "operator": "matches", "value": "("}]})
