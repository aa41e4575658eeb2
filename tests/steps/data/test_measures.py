import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import INTEGER_MAX, JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import grouping, measures, pivot
from flowforge.steps.data.aggregate import aggregate_items
from flowforge.steps.data.group import group_rows
from flowforge.steps.data.pivot import pivot_rows
from flowforge.steps.data.unique import unique_items
from flowforge.steps.data.unpivot import unpivot_rows


def work_out(data: list[JsonValue], function: str, **more: JsonValue) -> JsonValue:
    measure: JsonObject = {"function": function, "field": "", **more}
    done = call_pure(aggregate_items, {"data": data, "measures": {"figure": measure}})
    assert isinstance(done, dict)
    return done["figure"]


@pytest.mark.parametrize(
    ("function", "more", "figure"),
    [
        ("count", {}, 5),
        ("sum", {}, 14),
        ("mean", {}, 2.8),
        ("median", {}, 3),
        ("min", {}, 1),
        ("max", {}, 5),
        ("first", {}, 3),
        ("last", {}, 4),
        ("list", {}, [3, 1, 1.0, 5, 4]),
        ("unique", {}, [3, 1, 5, 4]),
        ("unique_count", {}, 4),
        ("percentile", {"percentile": 0}, 1),
        ("percentile", {"percentile": 90}, 4.6),
        ("percentile", {"percentile": 100}, 5),
    ],
)
def test_figures_leave_out_null(function: str, more: JsonObject, figure: JsonValue):
    assert work_out([3, None, 1, 1.0, 5, 4], function, **more) == figure


@pytest.mark.parametrize(
    ("function", "figure"),
    [("count", 0), ("sum", 0), ("unique_count", 0), ("list", "none"), ("unique", "none")]
    + [(name, None) for name in ("mean", "min", "max", "median", "stddev", "variance", "first", "last")],
)
def test_figures_of_nothing(function: str, figure: int | str | None):
    expected: JsonValue = [] if figure == "none" else figure
    assert work_out([], function) == expected
    assert work_out([None], function) == expected


NUMBERS = st.lists(st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(NUMBERS)
def test_figures_agree_with_the_standard_library(numbers: list[int | float]):
    data: list[JsonValue] = [*numbers]
    assert work_out(data, "median") == pytest.approx(statistics.median(numbers))
    for function, expected in (
        ("sum", math.fsum(numbers)),
        ("mean", statistics.fmean(numbers)),
        ("variance", statistics.variance(numbers)),
        ("stddev", statistics.stdev(numbers)),
    ):
        assert work_out(data, function) == pytest.approx(expected)
    assert work_out(data, "variance", population=True) == pytest.approx(statistics.pvariance(numbers))
    quartiles = statistics.quantiles(numbers, n=4, method="inclusive")
    assert [work_out(data, "percentile", percentile=share) for share in (25, 50, 75)] == pytest.approx(quartiles)


@given(NUMBERS, st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_the_order(numbers: list[int | float], chance: object):
    data: list[JsonValue] = [*numbers]
    assert work_out(data, "sum") == work_out(data[::-1], "sum")
    assert work_out(data, "variance") == work_out(sorted(numbers), "variance")  # pyright: ignore[reportArgumentType] - numbers are JSON
    del chance


def test_whole_sums_are_exact_and_bounded():
    assert work_out([2**53, 1, 1], "sum") == 2**53 + 2
    assert work_out([INTEGER_MAX, 1, -1], "sum") == INTEGER_MAX
    with pytest.raises(FatalError) as caught:
        work_out([INTEGER_MAX, 1], "sum")
    assert caught.value.code == "number_range"
    with pytest.raises(FatalError) as caught:
        work_out([1e308, -1e308], "variance")
    assert caught.value.code == "number_range"


def test_a_measure_may_count_only_some_items():
    assert work_out([1, 5, 9], "sum", where=[{"field": "", "operator": "gt", "value": 3}]) == 14


def test_an_error_names_figure_item_and_field():
    with pytest.raises(FatalError, match=r"turnover: item\[1\]\.total: a text") as caught:
        call_pure(
            aggregate_items,
            {"data": [{"total": 1}, {"total": "2"}], "measures": {"turnover": {"function": "sum", "field": "total"}}},
        )
    assert caught.value.code == "type_mismatch"


@pytest.mark.parametrize(
    "measure",
    [
        {"function": "sum"},
        {"function": "percentile", "field": "x"},
        {"function": "percentile", "field": "x", "percentile": 101},
        {"function": "sum", "field": "x", "percentile": 5},
        {"function": "sum", "field": "x", "population": True},
        {"function": "mode", "field": "x"},
    ],
)
def test_a_measure_that_cannot_be_is_refused(measure: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(aggregate_items, {"data": [], "measures": {"figure": measure}})


def test_what_figures_keep_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measures, "KEPT_MAX_PARTS", 10)
    assert work_out([1] * 10, "median") == 1
    for function in ("median", "list", "unique_count"):
        with pytest.raises(FatalError) as caught:
            work_out([*range(11)], function)
        assert caught.value.code == "too_many_values"


def test_groups_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grouping, "GROUPS_MAX", 3)
    rows: list[JsonValue] = [{"x": number} for number in range(4)]
    assert call_pure(group_rows, {"data": rows[:3], "by": "x"})
    with pytest.raises(FatalError, match="more than 3 groups") as caught:
        call_pure(group_rows, {"data": rows, "by": "x"})
    assert caught.value.code == "too_many_groups"


def test_items_that_are_no_objects_cannot_be_grouped():
    with pytest.raises(FatalError, match=r"item\[1\] is a number") as caught:
        call_pure(group_rows, {"data": [{"x": 1}, 2], "by": "x"})
    assert caught.value.code == "type_mismatch"


def test_one_of_those_that_are_the_same_is_kept():
    data: list[JsonValue] = [1, "a", 1.0, True, "A", {"x": 1, "y": 2}, {"y": 2.0, "x": 1}, None, None]
    assert call_pure(unique_items, {"data": data}) == [1, "a", True, "A", {"x": 1, "y": 2}, None]
    assert call_pure(unique_items, {"data": data, "keep": "last"}) == ["a", 1.0, True, "A", {"y": 2.0, "x": 1}, None]
    assert call_pure(unique_items, {"data": data, "keep": "none"}) == ["a", True, "A"]
    assert call_pure(unique_items, {"data": ["a", "A", ["B"], ["b"]], "ignore_case": True}) == ["a", ["B"]]


def test_items_are_the_same_by_fields():
    rows: list[JsonValue] = [{"a": 1, "b": {"c": 1}}, {"a": 1, "b": {"c": 2}}, {"b": {"c": 1}, "a": None}, {"b": {"c": 1}}]
    assert call_pure(unique_items, {"data": rows, "by": "b.c"}) == rows[:2]
    assert call_pure(unique_items, {"data": rows, "by": ["a", "b.c"]}) == rows[:3]


SALES: list[JsonValue] = [
    {"city": "Ulm", "month": 2, "n": 5},
    {"city": "Bonn", "month": None, "n": 7},
    {"city": "Ulm", "month": 1.0, "n": 3},
    {"city": "Ulm", "month": 2.0, "n": None},
]


def test_a_pivot_has_a_column_for_each_value():
    assert call_pure(pivot_rows, {"data": SALES, "rows": "city", "columns": "month"}) == [
        {"city": "Ulm", "2": 2, "null": None, "1": 1},
        {"city": "Bonn", "2": None, "null": 1, "1": None},
    ]
    table = call_pure(
        pivot_rows,
        {
            "data": SALES,
            "rows": ["city"],
            "columns": "month",
            "measure": {"function": "sum", "field": "n"},
            "order": "name",
            "fill": 0,
            "total": "all",
        },
    )
    assert table == [{"city": "Ulm", "1": 3, "2": 5, "null": 0, "all": 8}, {"city": "Bonn", "1": 0, "2": 0, "null": 7, "all": 7}]


def test_a_pivot_is_bounded_and_its_columns_do_not_collide(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FatalError) as caught:
        call_pure(pivot_rows, {"data": [{"a": "x", "b": "a"}], "rows": "a", "columns": "b"})
    assert caught.value.code == "name_collision"
    monkeypatch.setattr(pivot, "COLUMNS_MAX", 2)
    with pytest.raises(FatalError) as caught:
        call_pure(pivot_rows, {"data": SALES, "rows": "city", "columns": "month"})
    assert caught.value.code == "too_many_columns"


CELLS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), min_size=1)


@given(st.lists(CELLS, max_size=8))
def test_unpivot_is_the_way_back(tables: list[dict[str, int]]):
    rows: list[JsonValue] = [{"id": number, **row} for number, row in enumerate(tables)]
    long = call_pure(unpivot_rows, {"data": rows, "keep": ["id"]})
    measure: JsonObject = {"function": "first", "field": "value"}
    wide = call_pure(pivot_rows, {"data": long, "rows": "id", "columns": "name", "measure": measure})
    assert isinstance(wide, list)
    assert [{name: value for name, value in row.items() if value is not None} for row in wide if isinstance(row, dict)] == rows


def test_columns_become_rows():
    rows: list[JsonValue] = [{"id": 1, "a": 1, "b": None}, {"a": 2}]
    assert call_pure(unpivot_rows, {"data": rows, "keep": ["id"], "columns": ["b", "a"], "skip_null": True}) == [
        {"id": 1, "name": "a", "value": 1},
        {"id": None, "name": "a", "value": 2},
    ]
    with pytest.raises(InvalidParametersError):
        call_pure(unpivot_rows, {"data": [], "keep": ["name"]})
