from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data import join, joining
from flowforge.steps.data.join import join_rows

Row = dict[str, JsonValue]

LEFT: list[JsonValue] = [{"id": 1, "n": "a"}, {"id": 2, "n": "b"}, {"id": 2, "n": "c"}, {"id": None, "n": "d"}, {"n": "e"}]
RIGHT: list[JsonValue] = [{"id": 2.0, "m": "x"}, {"id": 2, "m": "y"}, {"id": 3, "m": "z"}, {"id": None, "m": "w"}]


def combine(**parameters: JsonValue) -> JsonValue:
    return call_pure(join_rows, {"data": LEFT, "right": RIGHT, "on": "id", **parameters})


def letters(value: JsonValue) -> list[str]:
    assert isinstance(value, list)
    return [f"{row.get('n') or '-'}{row.get('m') or '-'}" for row in value if isinstance(row, dict)]


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        ("inner", "bx by cx cy"),
        ("left", "a- bx by cx cy d- e-"),
        ("right", "bx by cx cy -z -w"),
        ("full", "a- bx by cx cy d- e- -z -w"),
        ("semi", "b- c-"),
        ("anti", "a- d- e-"),
    ],
)
def test_rows_are_joined_in_every_way(kind: str, pairs: str):
    assert letters(combine(type=kind)) == pairs.split()


def test_rows_without_partner_have_null_in_the_fields_of_the_other_side():
    assert combine(type="full", data=[{"id": 1, "n": "a"}], right=[{"id": 2, "m": "x"}]) == [
        {"id": 1, "n": "a", "m": None},
        {"id": 2, "n": None, "m": "x"},
    ]


def test_fields_of_two_names_and_of_several_parts():
    left: list[JsonValue] = [{"a": {"b": 1}, "c": "x"}, {"a": {"b": 1}, "c": "y"}]
    right: list[JsonValue] = [{"k": 1, "c": "y", "v": 9}]
    joined = combine(data=left, right=right, on=[{"left": "a.b", "right": "k"}, "c"])
    assert joined == [{"a": {"b": 1}, "c": "y", "k": 1, "v": 9}]


@pytest.mark.parametrize(
    ("parameters", "row"),
    [
        ({}, {"id": 1, "n": 1, "n_right": 2}),
        ({"left_suffix": "_l", "right_suffix": ""}, {"id": 1, "n_l": 1, "n": 2}),
        ({"collisions": "left"}, {"id": 1, "n": 1}),
        ({"collisions": "right"}, {"id": 1, "n": 2}),
        ({"nest": {"left": "order", "right": "customer"}}, {"order": {"id": 1, "n": 1}, "customer": {"id": 1, "n": 2}}),
    ],
)
def test_fields_that_both_have_are_kept_apart(parameters: JsonObject, row: JsonObject):
    assert combine(data=[{"id": 1, "n": 1}], right=[{"id": 1, "n": 2}], **parameters) == [row]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"collisions": "fail", "data": [{"id": 1, "m": 1}]}, "name_collision"),
        ({"data": [{"id": 1, "m": 1, "m_right": 2}], "right": [{"id": 1, "m": 1}]}, "name_collision"),
        ({"expect": "many_to_one"}, "join_not_unique"),
        ({"expect": "one_to_many"}, "join_not_unique"),
        ({"expect": "one_to_one"}, "join_not_unique"),
        ({"data": [1]}, "type_mismatch"),
        ({"right": ["x"]}, "type_mismatch"),
    ],
)
def test_what_cannot_be_joined_is_told(parameters: JsonObject, code: str):
    with pytest.raises(FatalError) as caught:
        combine(**parameters)
    assert caught.value.code == code


def test_an_expectation_that_holds_passes():
    right: list[JsonValue] = [{"id": 1, "m": "x"}, {"id": 2, "m": "y"}, {"id": None}, {"id": None}]
    assert letters(combine(right=right, expect="many_to_one")) == ["ax", "by", "cy"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"data": None},
        {"right": None},
        {"on": []},
        {"on": ""},
        {"on": [{"left": "a"}]},
        {"right_suffix": ""},
        {"nest": {"left": "a", "right": "a"}},
        {"type": "cross"},
    ],
)
def test_a_join_that_cannot_be_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        combine(**parameters)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(join, "JOINED_MAX", 3)
    with pytest.raises(FatalError) as caught:
        combine()
    assert caught.value.code == "too_many_rows"
    monkeypatch.setattr(joining, "RIGHT_MAX_PARTS", 5)
    with pytest.raises(FatalError) as caught:
        combine()
    assert caught.value.code == "too_many_values"


KEYS = st.sampled_from([1, 2, 3, 1.0, "1", True, None, [1], [1.0]])
SIDE = st.lists(KEYS, max_size=8)


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equality as the data operations have it, told by types first."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one is not None and one == other


@given(SIDE, SIDE)
def test_a_join_agrees_with_every_pair_tried(left_keys: list[JsonValue], right_keys: list[JsonValue]):
    left: list[JsonValue] = [{"l": place, "k": key} for place, key in enumerate(left_keys)]
    right: list[JsonValue] = [{"r": place, "q": key} for place, key in enumerate(right_keys)]
    pairs = [(a, b) for a, one in enumerate(left_keys) for b, other in enumerate(right_keys) if same(one, other)]
    lone_left = [(a, None) for a in range(len(left)) if all(a != pair[0] for pair in pairs)]
    lone_right = [(None, b) for b in range(len(right)) if all(b != pair[1] for pair in pairs)]
    oracle: dict[str, list[tuple[int | None, int | None]]] = {
        "inner": [*pairs],
        "left": [*pairs, *lone_left],
        "right": [*pairs, *lone_right],
        "full": [*pairs, *lone_left, *lone_right],
    }
    on: list[JsonValue] = [{"left": "k", "right": "q"}]
    for kind, expected in oracle.items():
        joined = call_pure(join_rows, {"data": left, "right": right, "on": on, "type": kind})
        assert isinstance(joined, list)
        found = [(row.get("l"), row.get("r")) for row in joined if isinstance(row, dict)]
        rank: Callable[[tuple[object, object]], str] = repr
        assert sorted(found, key=rank) == sorted(expected, key=rank)
    semi = call_pure(join_rows, {"data": left, "right": right, "on": on, "type": "semi"})
    anti = call_pure(join_rows, {"data": left, "right": right, "on": on, "type": "anti"})
    assert isinstance(semi, list)
    assert isinstance(anti, list)
    assert [row["l"] for row in semi if isinstance(row, dict)] == sorted({pair[0] for pair in pairs})
    assert [row["l"] for row in anti if isinstance(row, dict)] == [pair[0] for pair in lone_left]
