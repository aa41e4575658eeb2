"""`data.chunk`."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation, require_one
from flowforge.steps.data.lists import ListParameters, list_errors, read_items, write_items

FILES_MAX: Final = 1_000


class ChunkParameters(ListParameters):
    """How long the parts are, or how many."""

    size: int | None = Field(default=None, ge=1, description="How many items each part has; the last one may have fewer.")
    parts: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="In place of `size`: into how many parts of nearly the same length the items go.",
    )

    @model_validator(mode="after")
    def _check_form(self) -> "ChunkParameters":
        require_one(self, "size", "parts")
        return self


def chunk_file(parameters: ChunkParameters, context: OperationContext) -> JsonValue:
    """The form for files: a list of files. The rows are read once before, so that a bad one leaves no file behind."""
    total = sum(1 for _ in read_items(parameters, context))
    count = parameters.parts if parameters.size is None else -(-total // parameters.size)
    if count is not None and min(count, total) > FILES_MAX:
        raise FatalError(
            f"The {total} rows make {min(count, total)} files, at most {FILES_MAX} are allowed; take larger parts.",
            code="too_many_files",
        )
    parts = _split(read_items(parameters, context), _list_sizes(parameters, total))
    return [write_items(parameters, context, part, suffix=f"-{number}") for number, part in enumerate(parts, start=1)]


@operation(
    "data.chunk",
    title="Split a list into parts",
    category="data",
    icon="scissors",
    nature=Nature.PURE,
    with_file=chunk_file,
    errors=list_errors(ErrorCode("too_many_files", f"A file would be split into more than {FILES_MAX} files.")),
    examples=(
        Example("Two items each", {"data": [1, 2, 3, 4, 5], "size": 2}, [[1, 2], [3, 4], [5]]),
        Example("Into three parts", {"data": [1, 2, 3, 4, 5], "parts": 3}, [[1, 2], [3, 4], [5]]),
    ),
)
def chunk_items(parameters: ChunkParameters) -> JsonValue:
    """Splits a list into lists, or a file into files, of so many items each, or into so many parts; the order stays.

    Parts differ in length by one item at most, the longer ones first; where there are fewer items than parts, there are fewer parts.
    """
    items = parameters.list_items()
    return [[*part] for part in _split(iter(items), _list_sizes(parameters, len(items)))]


def _list_sizes(parameters: ChunkParameters, total: int) -> Iterator[int]:
    """The length of each part, for ever where only a size is given."""
    while parameters.size is not None:
        yield parameters.size
    parts = parameters.parts or 1
    length, longer = divmod(total, parts)
    for number in range(parts):
        yield length + (number < longer)


def _split(items: Iterator[JsonValue], sizes: Iterable[int]) -> Iterator[Iterator[JsonValue]]:
    """Parts that are taken from the items while they are read: each must be read whole before the next is asked for."""
    for size in sizes:
        first = [*islice(items, min(size, 1))]
        if not first:
            return
        yield chain(first, islice(items, size - 1))
