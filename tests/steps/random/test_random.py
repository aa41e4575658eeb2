from collections import Counter

import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import Nature, Operation
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.random.choice import choose
from flowforge.steps.random.integer import draw_integer
from flowforge.steps.random.number import draw_number
from flowforge.steps.random.shuffle import shuffle
from flowforge.steps.random.text import ALPHABETS, draw_text

DRAWS = 6_000


async def draw(operation: Operation, **parameters: JsonValue) -> JsonValue:
    return await Attempts({}).call(operation, parameters)


async def draw_many(operation: Operation, **parameters: JsonValue) -> list[JsonValue]:
    drawn = await draw(operation, count=DRAWS, **parameters)
    assert isinstance(drawn, list)
    return drawn


def assert_even(drawn: list[JsonValue], expected: dict[int | str, float]):
    """Each count lies within six standard deviations: a false alarm once in a hundred million tests."""
    counts = Counter(value for value in drawn if isinstance(value, int | str))
    assert set(counts) <= set(expected)
    for value, share in expected.items():
        mean = len(drawn) * share
        assert abs(counts[value] - mean) <= 6 * (mean * (1 - share)) ** 0.5


def test_what_is_drawn_is_an_effect_so_that_a_replay_sees_it_again():
    assert {operation.nature for operation in (choose, draw_integer, draw_number, shuffle, draw_text)} == {Nature.EFFECT}


async def test_whole_numbers_are_even_and_reach_both_bounds():
    assert_even(await draw_many(draw_integer, min=-1, max=4), dict.fromkeys(range(-1, 5), 1 / 6))
    assert await draw(draw_integer, min=7, max=7) == 7
    wide = await draw(draw_integer, min=INTEGER_MIN, max=INTEGER_MAX)
    assert isinstance(wide, int)
    assert INTEGER_MIN <= wide <= INTEGER_MAX


async def test_numbers_lie_between_the_bounds():
    drawn = [value for value in await draw_many(draw_number, min=-1, max=3) if isinstance(value, float)]
    assert len(drawn) == DRAWS
    assert all(-1 <= value < 3 for value in drawn)
    assert abs(sum(drawn) / DRAWS - 1) < 6 * (4 / 12**0.5) / DRAWS**0.5
    assert await draw(draw_number, min=1, max=1.0000000000000002) == 1
    rounded = await draw_many(draw_number, max=1, decimals=1)
    assert {value for value in rounded if isinstance(value, float)} <= {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}


async def test_items_are_chosen_evenly_or_by_weight():
    assert_even(await draw_many(choose, data=["a", "b"], repeat=True), {"a": 0.5, "b": 0.5})
    weighted = await draw_many(choose, data=["x", "a", "b", "y"], weights=[0, 3, 1, 0], repeat=True)
    assert_even(weighted, {"a": 0.75, "b": 0.25})
    chosen = await draw(choose, data=[*range(50)], count=50)
    assert isinstance(chosen, list)
    assert sorted(value for value in chosen if isinstance(value, int)) == [*range(50)]
    assert await draw(choose, data=[{"x": 1}]) == {"x": 1}


async def test_a_shuffle_loses_nothing_and_every_order_is_as_likely():
    orders: list[JsonValue] = []
    for _ in range(1200):
        shuffled = await draw(shuffle, data=["a", "b", "c"])
        assert isinstance(shuffled, list)
        orders.append("".join(map(str, shuffled)))
    assert_even(orders, dict.fromkeys(("abc", "acb", "bac", "bca", "cab", "cba"), 1 / 6))
    assert await draw(shuffle, data=[]) == []


@pytest.mark.parametrize("alphabet", [*ALPHABETS])
async def test_texts_have_the_characters_asked_for(alphabet: str):
    drawn = await draw(draw_text, length=2000, alphabet=alphabet)
    assert isinstance(drawn, dict)
    text = drawn["text"]
    assert isinstance(text, str)
    assert len(text) == 2000
    assert set(text) <= set(ALPHABETS[alphabet])
    assert len(set(text)) > len(ALPHABETS[alphabet]) * 0.9


async def test_a_password_has_what_is_required():
    required: list[JsonValue] = ["0123456789", "abcdefghijklmnopqrstuvwxyz", "!#"]
    drawn = await draw(draw_text, length=3, alphabet="printable", require=required, count=200)
    assert isinstance(drawn, dict)
    assert isinstance(drawn["text"], list)
    for text in drawn["text"]:
        assert isinstance(text, str)
        assert all(set(text) & set(str(group)) for group in required)
    assert drawn["entropy_bits"] == 19.7


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (draw_integer, {"min": 2, "max": 1}),
        (draw_integer, {}),
        (draw_integer, {"max": 2**63}),
        (draw_integer, {"max": 1, "count": 10_001}),
        (draw_number, {"min": 1, "max": 1}),
        (choose, {"data": []}),
        (choose, {"data": [1], "count": 2}),
        (choose, {"data": [1, 2], "weights": [1]}),
        (choose, {"data": [1, 2], "weights": [0, 0]}),
        (choose, {"data": [1, 2], "weights": [-1, 2]}),
        (choose, {"data": [1, 2], "weights": [1, 2], "count": 2}),
        (draw_text, {"length": 0}),
        (draw_text, {"characters": "aa"}),
        (draw_text, {"require": ["ä"]}),
        (draw_text, {"length": 1, "require": ["a", "b"]}),
    ],
)
def test_parameters_that_cannot_be_are_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(operation, parameters)
