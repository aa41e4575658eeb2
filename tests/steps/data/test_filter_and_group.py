import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import INTEGER_MAX, JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.filter import filter_items
from flowforge.steps.data.group import group_rows

ITEMS: list[JsonValue] = [
    {"id": 1, "name": "bolt", "size": {"mm": 5}, "tags": ["a", "b"]},
    {"id": 2, "name": "nut", "size": {"mm": 8.0}, "tags": []},
    {"id": 3, "name": "washer", "size": None, "a.b": 1},
    {"id": 4, "name": None, "a": {"b": 2}},
]


def keep(*where: JsonObject, match: str = "all", items: list[JsonValue] = ITEMS) -> list[JsonValue]:
    kept = call_pure(filter_items, {"data": items, "where": [*where], "match": match})
    assert isinstance(kept, list)
    return [item["id"] if isinstance(item, dict) and "id" in item else item for item in kept]


def condition(field: str, operator: str, value: JsonValue) -> JsonObject:
    return {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (condition("name", "eq", "nut"), [2]),
        (condition("name", "eq", None), [4]),
        (condition("size.mm", "eq", 8), [2]),
        (condition("name", "ne", "nut"), [1, 3, 4]),
        (condition("size.mm", "lt", 8), [1]),
        (condition("size.mm", "le", 8), [1, 2]),
        (condition("size.mm", "gt", 5), [2]),
        (condition("size.mm", "ge", 5), [1, 2]),
        (condition("id", "in", [1, 3.0, "4"]), [1, 3]),
        (condition("id", "not_in", [1, 3]), [2, 4]),
        (condition("tags", "contains", "a"), [1]),
        (condition("a.b", "eq", 1), [3]),
        (condition("a.b", "eq", 2), [4]),
        ({"field": "size", "operator": "exists"}, [1, 2, 3]),
        ({"field": "size", "operator": "missing"}, [4]),
        ({"field": "size.mm", "operator": "missing"}, [3, 4]),
    ],
)
def test_items_are_kept_by_a_condition(where: JsonObject, kept: list[JsonValue]):
    assert keep(where) == kept


def test_texts_are_looked_into():
    items: list[JsonValue] = ["bolt", "nut", "bolster"]
    assert keep(condition("", "starts_with", "bol"), items=items) == ["bolt", "bolster"]
    assert keep(condition("", "ends_with", "t"), items=items) == ["bolt", "nut"]
    assert keep(condition("", "contains", "ol"), items=items) == ["bolt", "bolster"]
    assert keep(condition("", "gt", "bolt"), items=items) == ["nut"]


def test_conditions_join_by_all_or_any():
    both = (condition("id", "gt", 1), condition("id", "lt", 3))
    assert keep(*both) == [2]
    assert keep(*both, match="any") == [1, 2, 3, 4]


def test_a_boolean_is_no_number():
    items: list[JsonValue] = [True, 1, 1.0, [True], [1], {"x": 1.0}, {"x": True}]
    assert keep(condition("", "eq", 1), items=items) == [1, 1.0]
    assert [type(item) for item in keep(condition("", "eq", True), items=items)] == [bool]
    assert keep(condition("", "eq", [1.0]), items=items) == [[1]]
    assert keep(condition("", "eq", {"x": 1}), items=items) == [{"x": 1.0}]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (condition("name", "lt", 3), r"item\[0\]\.name: a text cannot be ordered against a number"),
        (condition("id", "contains", 1), "a number"),
        (condition("id", "starts_with", "1"), "a number"),
        (condition("tags", "gt", []), "a list"),
    ],
)
def test_what_cannot_be_compared_is_told_with_its_item(where: JsonObject, told: str):
    with pytest.raises(FatalError, match=told) as caught:
        keep(where)
    assert caught.value.code == "type_mismatch"


@pytest.mark.parametrize(
    "where",
    [
        {"field": "a"},
        {"field": "a", "operator": "exists", "value": 1},
        {"field": "a", "operator": "in", "value": 1},
        {"field": "a", "operator": "like", "value": 1},
    ],
)
def test_a_condition_that_cannot_be_is_refused(where: JsonObject):
    with pytest.raises(InvalidParametersError):
        keep(where)


ROWS: list[JsonValue] = [
    {"region": "Europe", "kind": 1, "total": 10},
    {"region": "Asia", "kind": 1.0, "total": 5},
    {"region": "Europe", "kind": True, "total": 2.5},
    {"kind": 1, "total": None},
    {"region": None, "total": 7},
]


def group(by: JsonValue, measures: JsonObject | None = None, items: list[JsonValue] = ROWS) -> JsonValue:
    return call_pure(group_rows, {"data": items, "by": by, **({} if measures is None else {"measures": measures})})


def measure(function: str, field: str | None = "total") -> JsonObject:
    return {"function": function} if field is None else {"function": function, "field": field}


def test_rows_are_grouped_in_the_order_they_come():
    assert group("region") == [
        {"region": "Europe", "items": [ROWS[0], ROWS[2]]},
        {"region": "Asia", "items": [ROWS[1]]},
        {"region": None, "items": [ROWS[3], ROWS[4]]},
    ]


def test_equal_values_make_a_group_and_a_boolean_is_no_number():
    counted = group("kind", {"n": measure("count", None)})
    assert counted == [{"kind": 1, "n": 3}, {"kind": True, "n": 1}, {"kind": None, "n": 1}]


def test_several_fields_make_a_group():
    counted = group(["region", "kind"], {"n": measure("count", None)})
    assert isinstance(counted, list)
    assert [row["n"] for row in counted if isinstance(row, dict)] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("function", "figures"),
    [
        ("count", [2, 1, 1]),
        ("sum", [12.5, 5, 7]),
        ("mean", [6.25, 5.0, 7.0]),
        ("min", [2.5, 5, 7]),
        ("max", [10, 5, 7]),
        ("list", [[10, 2.5], [5], [7]]),
        ("first", [10, 5, 7]),
        ("last", [2.5, 5, 7]),
    ],
)
def test_figures_are_worked_out_for_each_group(function: str, figures: list[JsonValue]):
    rows = group("region", {"figure": measure(function)})
    assert isinstance(rows, list)
    assert [row["figure"] for row in rows if isinstance(row, dict)] == figures


@pytest.mark.parametrize(
    ("function", "figure"),
    [("count", 0), ("sum", 0), ("mean", None), ("min", None), ("max", None), ("list", []), ("first", None)],
)
def test_a_group_without_values_has_figures_too(function: str, figure: JsonValue):
    assert group("x", {"figure": measure(function)}, [{"x": 1, "total": None}]) == [{"x": 1, "figure": figure}]


@pytest.mark.parametrize(
    ("function", "values", "code"),
    [
        ("sum", [1, "2"], "type_mismatch"),
        ("mean", [True], "type_mismatch"),
        ("max", [1, "2"], "type_mismatch"),
        ("sum", [INTEGER_MAX, 1], "number_range"),
        ("sum", [1e308, 1e308], "number_range"),
    ],
)
def test_what_cannot_be_worked_out_is_told(function: str, values: list[JsonValue], code: str):
    with pytest.raises(FatalError, match="figure") as caught:
        group("x", {"figure": measure(function)}, [{"x": 1, "total": value} for value in values])
    assert caught.value.code == code


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1000, 1000)), max_size=30))
def test_groups_split_the_rows_and_lose_none(rows: list[tuple[int, int]]):
    items: list[JsonValue] = [{"key": key, "total": total} for key, total in rows]
    groups = group("key", {"n": measure("count", None), "sum": measure("sum")}, items)
    assert isinstance(groups, list)
    figures = {row["key"]: (row["n"], row["sum"]) for row in groups if isinstance(row, dict) and isinstance(row["key"], int)}
    assert figures == {key: (sum(k == key for k, _ in rows), sum(t for k, t in rows if k == key)) for key, _ in rows}


@pytest.mark.parametrize(
    "parameters",
    [
        {"data": [], "by": []},
        {"data": [], "by": ""},
        {"data": [], "by": "x", "measures": {"x": {"function": "count"}}},
        {"data": [], "by": "x", "measures": {"y": {"function": "sum"}}},
        {"data": [], "by": "x", "measures": {"y": {"function": "mode", "field": "z"}}},
    ],
)
def test_a_grouping_that_cannot_be_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(group_rows, parameters)
