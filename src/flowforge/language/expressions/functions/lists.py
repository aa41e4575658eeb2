"""Functions of lists."""

from functools import cmp_to_key
from typing import Final, cast

from flowforge.language.expressions.catalog import Take, define, refuse
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.operators import compare, equals
from flowforge.language.expressions.values import (
    ABSENT,
    SCALAR_TYPES,
    Items,
    Kind,
    OptionalValue,
    Value,
    is_number,
    kind_of,
)

LIST: Final = Take.LIST
WHOLE: Final = Take.WHOLE


@define("lists.range(n)", "The whole numbers from 0 to before n.", ("lists.range(3)", [0, 1, 2]), WHOLE, result=Kind.LIST)
def _range(context: Context, count: int) -> Value:
    context.charge(max(count, 0))
    return context.keep_list([*range(count)])


@define(
    "list.slice(start, end)",
    "The elements from `start` to before `end`.",
    ("[1, 2, 3].slice(1, 3)", [2, 3]),
    LIST,
    WHOLE,
    WHOLE,
    result=Kind.LIST,
)
def _slice(context: Context, items: Items, start: int, end: int) -> Value:
    if not 0 <= start <= end <= len(items):
        raise problem("index", f"slice() got positions outside the list, whose size is {len(items)}.")
    context.charge(end - start)
    return context.keep_list([*items[start:end]])


@define(
    "list.flatten([depth])",
    "Lists inside the list opened up, one level or so many.",
    ("[1, [2, [3]]].flatten()", [1, 2, [3]]),
    LIST,
    WHOLE,
    result=Kind.LIST,
)
def _flatten(context: Context, items: Items, depth: int = 1) -> Value:
    if depth < 0:
        raise problem("number_range", "flatten() got a negative depth.")
    flat: list[Value] = []
    _flatten_into(context, flat, items, depth)
    return context.keep_list(flat)


def _flatten_into(context: Context, flat: list[Value], items: Items, depth: int) -> None:
    context.charge(len(items))
    for item in items:
        if type(item) is list and depth > 0:
            _flatten_into(context, flat, item, depth - 1)
        else:
            flat.append(item)


def sort_by_keys(context: Context, items: Items, keys: list[Value]) -> list[Value]:
    """The items in the order of their keys; equal ones stay in their order.

    Raises:
        ExpressionError: `type_mismatch` where two keys cannot be compared.
    """
    context.charge(len(keys) * max(len(keys).bit_length(), 1))
    if all(type(key) is str for key in keys) or all(is_number(key) for key in keys):
        order = sorted(range(len(keys)), key=cast("list[str]", keys).__getitem__)
    else:
        order = sorted(range(len(keys)), key=cmp_to_key(lambda left, right: _order(keys[left], keys[right])))
    return context.keep_list([items[position] for position in order])


def _order(left: Value, right: Value) -> int:
    return compare(">", left, right) - compare("<", left, right)


@define(
    "list.sort()",
    "The elements in rising order; all numbers, or all of one other kind.",
    ("[3, 1, 2].sort()", [1, 2, 3]),
    LIST,
    result=Kind.LIST,
)
def _sort(context: Context, items: Items) -> Value:
    return sort_by_keys(context, items, [*items])


@define(
    "list.distinct()",
    "Each element once, in the order of its first place.",
    ("[1, 2, 1.0].distinct()", [1, 2]),
    LIST,
    result=Kind.LIST,
)
def _distinct(context: Context, items: Items) -> Value:
    context.charge(len(items))
    seen: set[tuple[Kind, Value]] = set()
    kept: list[Value] = []
    others: list[Value] = []
    for item in items:
        if type(item) in SCALAR_TYPES:
            key = (kind_of(item), item)
            if key in seen:
                continue
            seen.add(key)
        elif any(equals(context, item, other) for other in others):
            continue
        else:
            context.charge(len(others))
            others.append(item)
        kept.append(item)
    return context.keep_list(kept)


@define("list.reverse()", "The list, or the text, from back to front.", ("[1, 2].reverse()", [2, 1]), Take.ANY)
def _reverse(context: Context, value: Value) -> Value:
    if type(value) is list:
        context.charge(len(value))
        return context.keep_list([*value[::-1]])
    if type(value) is str:
        context.charge_text(len(value))
        return context.keep_text(value[::-1])
    raise refuse("reverse", value, Kind.LIST, Kind.STRING)


@define("list.first()", "The first element as an optional.", ("[7, 8].first().orValue(0)", 7), LIST, result=Kind.OPTIONAL)
def _first(_context: Context, items: Items) -> Value:
    return OptionalValue(items[0]) if items else ABSENT


@define("list.last()", "The last element as an optional.", ("[7, 8].last().orValue(0)", 8), LIST, result=Kind.OPTIONAL)
def _last(_context: Context, items: Items) -> Value:
    return OptionalValue(items[-1]) if items else ABSENT


LIST_FUNCTIONS: Final = (_range, _slice, _flatten, _sort, _distinct, _reverse, _first, _last)
