from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Operation
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.chunk import chunk_items
from flowforge.steps.data.sample import sample_items


def split(items: list[JsonValue], **parameters: JsonValue) -> list[list[JsonValue]]:
    parts = call_pure(chunk_items, {"data": items, **parameters})
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, list)]


@given(st.lists(st.integers(0, 9)), st.integers(1, 12))
def test_the_parts_joined_give_the_list(items: list[int], number: int):
    data: list[JsonValue] = [*items]
    by_size = split(data, size=number)
    assert [*chain(*by_size)] == data
    assert all(len(part) == number for part in by_size[:-1])
    by_parts = split(data, parts=number)
    assert [*chain(*by_parts)] == data
    assert len(by_parts) == min(number, len(data))
    lengths = [len(part) for part in by_parts]
    assert lengths == sorted(lengths, reverse=True)
    assert not lengths or lengths[0] - lengths[-1] <= 1


def draw(size: int, **parameters: JsonValue) -> list[JsonValue]:
    drawn = call_pure(sample_items, {"data": [*range(size)], **parameters})
    assert isinstance(drawn, list)
    return drawn


@given(st.integers(0, 50), st.integers(1, 60), st.integers(-5, 5))
def test_a_sample_is_as_large_as_asked_for_and_in_order(count: int, size: int, seed: int):
    drawn = draw(count, count=size, seed=seed)
    numbers = [number for number in drawn if isinstance(number, int)]
    assert len(drawn) == len({*numbers}) == min(size, count)
    assert drawn == sorted(numbers)
    assert drawn == draw(count, count=size, seed=seed)


def test_other_methods():
    assert draw(7, method="first", count=3) == [0, 1, 2]
    assert draw(7, method="last", count=3) == [4, 5, 6]
    assert draw(7, method="every", count=3) == [0, 3, 6]


def test_chance_is_even():
    hits = [0] * 10
    for seed in range(1000):
        for number in draw(10, count=3, seed=seed):
            assert isinstance(number, int)
            hits[number] += 1
    # 300 expected each, standard deviation 14.5: five of them.
    assert all(225 < count < 375 for count in hits)
    assert 900 < len(draw(10_000, fraction=0.1, seed=1)) < 1100


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (chunk_items, {}),
        (chunk_items, {"size": 0}),
        (chunk_items, {"size": 1, "parts": 1}),
        (sample_items, {}),
        (sample_items, {"count": 1, "fraction": 0.5}),
        (sample_items, {"fraction": 1}),
        (sample_items, {"fraction": 0.5, "method": "last"}),
        (sample_items, {"count": 0}),
    ],
)
def test_what_cannot_be_is_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(operation, {"data": [], **parameters})
