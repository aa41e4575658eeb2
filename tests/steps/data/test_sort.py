from io import BytesIO
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import ordering
from flowforge.steps.data.item_expressions import ItemEvaluator
from flowforge.steps.data.ordering import DiskSort, Order, SortKey
from flowforge.steps.data.sort import sort_items


def sort(data: list[JsonValue], *keys: JsonObject, **parameters: JsonValue) -> JsonValue:
    return call_pure(sort_items, {"data": data, **({"by": [*keys]} if keys else {}), **parameters})


def make_order(*keys: SortKey) -> Order:
    return Order(keys, ItemEvaluator({}, is_bounded=False))


SCALARS = st.integers(-5, 5) | st.sampled_from([0.5, 1.0, -2.5]) | st.none()
ROWS = st.lists(st.fixed_dictionaries({"a": SCALARS, "b": st.text("abAB1", max_size=3), "n": st.integers(-9, 9)}), max_size=40)


@given(st.lists(st.integers(INTEGER_MIN, INTEGER_MAX) | st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_are_sorted_as_python_sorts_them(numbers: list[int | float]):
    assert sort([*numbers]) == sorted(numbers)
    assert sort([*numbers], {"field": "", "order": "descending"}) == sorted(numbers, reverse=True)


@given(st.lists(st.text()))
def test_texts_are_sorted_as_python_sorts_them(texts: list[str]):
    assert sort([*texts]) == sorted(texts)


@given(ROWS)
def test_a_sort_is_a_stable_permutation(rows: list[dict[str, JsonValue]]):
    data: list[JsonObject] = [{**row, "place": place} for place, row in enumerate(rows)]
    done = sort([*data], {"field": "a", "order": "descending", "nulls": "first"}, {"field": "b"})

    def rank(row: JsonObject) -> tuple[bool, float]:
        number = row["a"]
        return (number is None, number if isinstance(number, int | float) else 0)

    # Python's sort is stable: by the last key first gives the same.
    expected = sorted(data, key=lambda row: str(row["b"]))
    expected.sort(key=rank, reverse=True)
    assert done == expected


@given(ROWS, st.integers(1, 7), st.sampled_from(["ascending", "descending"]), st.sampled_from(["first", "last"]))
def test_sorting_on_disk_equals_sorting_in_memory(rows: list[dict[str, JsonValue]], run: int, order: str, nulls: str):
    data: list[JsonValue] = [{**row} for row in rows]
    keys: list[JsonObject] = [{"field": "a", "order": order, "nulls": nulls}, {"field": "b", "compare": "natural"}]
    with DiskSort(make_order(*(SortKey.model_validate(key) for key in keys)), run_max_items=run) as sorting:
        assert [*sorting.sort(data)] == sort(data, *keys)


def test_many_runs_are_merged_in_stages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ordering, "MERGED_RUNS_MAX", 3)
    numbers: list[JsonValue] = [{"n": number * 7919 % 101, "place": number} for number in range(500)]
    with DiskSort(make_order(SortKey(field="n")), run_max_items=10) as sorting:
        assert [*sorting.sort(numbers)] == sort(numbers, {"field": "n"})


def test_a_run_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ordering, "RUN_MAX_BYTES", 100)
    texts: list[JsonValue] = [f"{number * 31 % 97:060d}" for number in range(97)]
    with DiskSort(make_order(SortKey(field=""))) as sorting:
        assert [*islice(sorting.sort(texts), 5)] == sorted(map(str, texts))[:5]


@given(ROWS, st.integers(1, 50))
def test_a_limit_gives_the_first_ones(rows: list[dict[str, JsonValue]], limit: int):
    data: list[JsonValue] = [{**row} for row in rows]
    whole = sort(data, {"field": "b"})
    assert isinstance(whole, list)
    assert sort(data, {"field": "b"}, limit=limit) == whole[:limit]


@pytest.mark.parametrize(
    ("compare", "given_", "expected"),
    [
        ("ignore_case", ["b", "A", "a", "B"], ["A", "a", "b", "B"]),
        ("natural", ["x10y2", "X9", "x10y1", "x", "x02"], ["x", "x02", "X9", "x10y1", "x10y2"]),
        ("number", ["10", "9.5", "-1", " 2 ", 3], ["-1", " 2 ", 3, "9.5", "10"]),
        (
            "time",
            ["2026-01-01T00:00:00.5Z", "2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z"],
            ["2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"],
        ),
        ("value", [True, None, False], [False, True, None]),
    ],
)
def test_texts_are_ordered_in_several_ways(compare: str, given_: list[JsonValue], expected: list[JsonValue]):
    assert sort(given_, {"field": "", "compare": compare}) == expected
    assert sort(given_, {"field": "", "compare": compare, "order": "descending", "nulls": "first"})


def test_null_and_missing_stand_together_whatever_the_direction():
    data: list[JsonValue] = [{"n": 1}, {}, {"n": None}, {"n": 2}]
    for order in ("ascending", "descending"):
        done = sort(data, {"field": "n", "order": order})
        assert isinstance(done, list)
        assert done[2:] == [{}, {"n": None}]
        done = sort(data, {"field": "n", "order": order, "nulls": "first"})
        assert isinstance(done, list)
        assert done[:2] == [{}, {"n": None}]


def test_an_expression_orders():
    data: list[JsonValue] = [{"a": 3, "b": 1}, {"a": 1, "b": 1}]
    assert sort(data, {"expression": "item.a + item.b + values.x"}, values={"x": 1}) == [data[1], data[0]]


NO_ORDER: list[tuple[list[JsonValue], JsonObject, str]] = [
    ([{"n": 1}, {"n": "2"}], {"field": "n"}, r"item\[1\]\.n: a text cannot be ordered against a number"),
    ([{"n": True}, {"n": 0}], {"field": "n"}, r"item\[1\]\.n: a number cannot be ordered against a boolean"),
    ([{"n": []}], {"field": "n"}, r"item\[0\]\.n is a list that has no place"),
    (["x"], {"field": "", "compare": "number"}, r"item\[0\] is a text that has no place"),
    (["2026"], {"field": "", "compare": "time"}, "has no place"),
    ([{}], {"expression": "item.n"}, r"item\[0\]"),
]


@pytest.mark.parametrize(("data", "key", "told"), NO_ORDER)
def test_what_has_no_order_is_told_with_its_item(data: list[JsonValue], key: JsonObject, told: str):
    with pytest.raises(FatalError, match=told):
        sort(data, key)


@pytest.mark.parametrize(
    "by", [[], [{}], [{"field": "a", "expression": "item"}], [{"field": "a", "order": "up"}], [{"expression": "item +"}], 3]
)
def test_an_order_that_cannot_be_is_refused(by: JsonValue):
    with pytest.raises(InvalidParametersError):
        sort([], by=by)


def test_a_full_disk_is_told_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch):
    class FullFile(BytesIO):
        def writelines(self, lines: object) -> None:
            raise OSError(28, "No space left on device")

    made: list[FullFile] = []

    def make_file() -> FullFile:
        made.append(FullFile())
        return made[-1]

    monkeypatch.setattr(ordering.tempfile, "TemporaryFile", make_file)
    with DiskSort(make_order(SortKey(field="")), run_max_items=2) as sorting, pytest.raises(RetryableError) as caught:
        next(sorting.sort([3, 2, 1]))
    assert caught.value.code == "storage_full"
    assert [file.closed for file in made] == [True]
