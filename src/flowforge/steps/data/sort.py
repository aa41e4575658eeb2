"""`data.sort`."""

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.data.item_expressions import BUDGET_ERROR, EXPRESSION_ERROR, GivenValues, ItemEvaluator
from flowforge.steps.data.lists import TYPE_MISMATCH, ListParameters, list_errors, read_items, write_items
from flowforge.steps.data.ordering import DiskSort, Order, SortKey, SortKeys, sort_in_memory

LIMIT_MAX: Final = 100_000


class SortParameters(ListParameters):
    """By what to order."""

    by: str | SortKeys = Field(
        default="",
        description="A field by a dotted path, or a list of keys, the most important first; without it the items themselves are ordered.",
    )
    values: GivenValues = Field(default_factory=dict)
    limit: int | None = Field(
        default=None, ge=1, le=LIMIT_MAX, description="Only so many items are given, the first in the order; without it all."
    )


def sort_file(parameters: SortParameters, context: OperationContext) -> JsonObject:
    """The form for files: sorted in temporary files where they are many."""
    return write_items(parameters, context, _sort_rows(parameters, context))


@operation(
    "data.sort",
    title="Sort items",
    category="data",
    icon="arrow-down-a-z",
    nature=Nature.PURE,
    with_file=sort_file,
    errors=list_errors(TYPE_MISMATCH, EXPRESSION_ERROR, BUDGET_ERROR),
    examples=(
        Example("Plain values", {"data": [3, 1, 2]}, [1, 2, 3]),
        Example(
            "By city, within it the largest first",
            {
                "data": [{"city": "Ulm", "total": 5}, {"city": "Bonn", "total": 1}, {"city": "Ulm", "total": 9}, {"total": 7}],
                "by": [{"field": "city"}, {"field": "total", "order": "descending"}],
            },
            [{"city": "Bonn", "total": 1}, {"city": "Ulm", "total": 9}, {"city": "Ulm", "total": 5}, {"total": 7}],
        ),
        Example(
            "File names as people count",
            {"data": ["file10", "File2", "file1"], "by": [{"field": "", "compare": "natural"}]},
            ["file1", "File2", "file10"],
        ),
        Example(
            "The dearest one, by an expression",
            {
                "data": [{"price": 2, "pieces": 3}, {"price": 4, "pieces": 9}],
                "by": [{"expression": "item.price * item.pieces", "order": "descending"}],
                "limit": 1,
            },
            [{"price": 4, "pieces": 9}],
        ),
    ),
)
def sort_items(parameters: SortParameters) -> JsonValue:
    """Orders the items of a list or rows of a file by one or more keys; items of equal keys stay in the order in which they came.

    Each key orders numbers, texts or booleans (false before true), never a mixture, which fails and names the item. Texts are ordered by
    their Unicode code points, not by the rules of a language. A file may be larger than the memory.
    """
    return sort_in_memory(parameters.list_items(), _make_order(parameters), parameters.limit)


def _sort_rows(parameters: SortParameters, context: OperationContext) -> Iterator[JsonValue]:
    items, order = read_items(parameters, context), _make_order(parameters)
    if parameters.limit is not None:
        yield from sort_in_memory(items, order, parameters.limit)
        return
    with DiskSort(order) as sorting:
        yield from sorting.sort(items)


def _make_order(parameters: SortParameters) -> Order:
    keys = [SortKey(field=parameters.by)] if isinstance(parameters.by, str) else parameters.by
    return Order(keys, ItemEvaluator(parameters.values, is_bounded=parameters.file is None))
