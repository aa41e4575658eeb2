"""`data.sample`."""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from heapq import nsmallest
from itertools import islice
from typing import Literal

from pydantic import Field, model_validator

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation, require_one
from flowforge.steps.data.lists import ListParameters, list_errors, run_on_file


class SampleParameters(ListParameters):
    """Which items to take."""

    method: Literal["random", "first", "last", "every"] = Field(
        default="random", description="Whether items are taken by chance, from the start, from the end, or each so-manieth."
    )
    count: int | None = Field(
        default=None, ge=1, le=100_000, description="How many items are taken (with `every`: of so many items the first one)."
    )
    fraction: float | None = Field(
        default=None, gt=0, lt=1, description="With `random`, in place of `count`: how likely each item is taken, such as 0.1."
    )
    seed: int = Field(
        default=0,
        ge=INTEGER_MIN,
        le=INTEGER_MAX,
        description="With `random`: what the choice depends on. The same seed takes the items at the same places again.",
    )

    @model_validator(mode="after")
    def _check_form(self) -> "SampleParameters":
        require_one(self, "count", "fraction")
        if self.fraction is not None and self.method != "random":
            raise ValueError("fraction belongs to the method random")
        return self


def sample_list(parameters: SampleParameters, items: Iterable[JsonValue]) -> Iterable[JsonValue]:
    """The items that are taken, in their order."""
    count = parameters.count or 1
    match parameters.method:
        case "first":
            return islice(items, count)
        case "last":
            return deque(items, maxlen=count)
        case "every":
            return islice(items, 0, None, count)
        case "random":
            return _draw(parameters, items)


def sample_file(parameters: SampleParameters, context: OperationContext) -> JsonObject:
    """The form for files."""
    return run_on_file(parameters, context, sample_list)


@operation(
    "data.sample",
    title="Take a sample",
    category="data",
    icon="test-tube",
    nature=Nature.PURE,
    with_file=sample_file,
    errors=list_errors(),
    examples=(
        Example("Each third item", {"data": [1, 2, 3, 4, 5, 6, 7], "method": "every", "count": 3}, [1, 4, 7]),
        Example("The last two", {"data": [1, 2, 3], "method": "last", "count": 2}, [2, 3]),
        Example("Three by chance, the same at each call", {"data": [1, 2, 3, 4, 5, 6, 7, 8], "count": 3, "seed": 7}, [3, 6, 8]),
    ),
)
def sample_items(parameters: SampleParameters) -> JsonValue:
    """Takes some items of a list, or rows of a file, in their order.

    The choice by chance is even, and depends on the seed and the number of the item alone: the operation gives the same at each call, so
    take another seed for another sample (`random.integer` draws one). For an unforeseeable choice there is `random.choice`.
    """
    return [*sample_list(parameters, parameters.list_items())]


def _draw(parameters: SampleParameters, items: Iterable[JsonValue]) -> Iterable[JsonValue]:
    key = b"%d" % parameters.seed
    ranked = ((_rank(key, index), index, item) for index, item in enumerate(items))
    if parameters.fraction is not None:
        limit = int(parameters.fraction * 2**64)
        return (item for rank, _, item in ranked if rank < limit)
    drawn = nsmallest(parameters.count or 1, ranked, key=lambda placed: placed[:2])
    return [item for _, _, item in sorted(drawn, key=lambda placed: placed[1])]


def _rank(key: bytes, index: int) -> int:
    """A number below 2^64 that looks random: the items with the least ones make an even sample."""
    return int.from_bytes(blake2b(b"%d" % index, digest_size=8, key=key).digest())
