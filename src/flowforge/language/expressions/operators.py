"""Arithmetic, comparison, membership: one kind of number, and no truthiness."""

import operator
from collections.abc import Callable
from math import fmod
from typing import Any, Final, TypeAlias, cast

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN
from flowforge.language.expressions.context import BYTES_PER_TICK, Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.moments import make_duration, make_timestamp
from flowforge.language.expressions.reading import find_in
from flowforge.language.expressions.syntax import Operator
from flowforge.language.expressions.values import (
    MISSING,
    Duration,
    Fields,
    Items,
    Key,
    OptionalValue,
    Timestamp,
    Value,
    is_lazy,
    is_number,
    name_kind,
    to_integer,
    to_key,
    to_number,
    with_article,
)

Binary: TypeAlias = Callable[[Context, Value, Value], Value]


def add(context: Context, left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        total = left + right
        return total if INTEGER_MIN <= total <= INTEGER_MAX else to_integer(total)
    if is_number(left) and is_number(right):
        return to_number(float(left) + float(right))
    if type(left) is str and type(right) is str:
        context.charge_text(len(left) + len(right))
        return context.keep_text(left + right)
    if type(left) is list and type(right) is list:
        context.charge(1 + (len(left) + len(right)) // (BYTES_PER_TICK // 8))
        return context.keep_list([*left, *right])
    if type(left) is Timestamp and type(right) is Duration:
        return make_timestamp(left.ns + right.ns)
    if type(left) is Duration and type(right) is Timestamp:
        return make_timestamp(left.ns + right.ns)
    if type(left) is Duration and type(right) is Duration:
        return make_duration(left.ns + right.ns)
    raise _refuse("+", left, right)


def subtract(_context: Context, left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        return to_integer(left - right)
    if is_number(left) and is_number(right):
        return to_number(float(left) - float(right))
    if type(left) is Timestamp and type(right) is Timestamp:
        return make_duration(left.ns - right.ns)
    if type(left) is Timestamp and type(right) is Duration:
        return make_timestamp(left.ns - right.ns)
    if type(left) is Duration and type(right) is Duration:
        return make_duration(left.ns - right.ns)
    raise _refuse("-", left, right)


def multiply(_context: Context, left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        return to_integer(left * right)
    if is_number(left) and is_number(right):
        return to_number(float(left) * float(right))
    raise _refuse("*", left, right)


def divide(_context: Context, left: Value, right: Value) -> Value:
    if not (is_number(left) and is_number(right)):
        raise _refuse("/", left, right)
    if right == 0:
        raise problem("division_by_zero", "The divisor is 0.")
    if type(left) is int and type(right) is int and left % right == 0:
        return to_integer(left // right)
    return to_number(left / right)


def modulo(_context: Context, left: Value, right: Value) -> Value:
    if not (is_number(left) and is_number(right)):
        raise _refuse("%", left, right)
    if not (left == int(left) and right == int(right)):
        raise problem("type_mismatch", "% takes whole numbers; got a fraction.")
    if right == 0:
        raise problem("division_by_zero", "The divisor is 0.")
    if type(left) is int and type(right) is int:
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return to_number(fmod(left, right))


def negate(value: Value) -> Value:
    if type(value) is int:
        return to_integer(-value)
    if type(value) is float:
        return to_number(-value)
    raise problem("type_mismatch", f"- takes a number; got {with_article(name_kind(value))}.")


def _refuse(symbol: str, left: Value, right: Value) -> ExpressionError:
    kinds = f"{with_article(name_kind(left))} and {with_article(name_kind(right))}"
    return problem("type_mismatch", f"{symbol} cannot take {kinds}.")


def compare(symbol: str, left: Value, right: Value) -> bool:
    """`left < right` and the like.

    Raises:
        ExpressionError: `type_mismatch` unless both are numbers, strings, booleans, times or durations.
    """
    apply = ORDERINGS[Operator(symbol)]
    if is_number(left) and is_number(right):
        return apply(left, right)
    if type(left) is type(right) and type(left) in _ORDERED_TYPES:
        return apply(left, right)
    raise _refuse(symbol, left, right)


_ORDERED_TYPES: Final = frozenset({str, bool, Timestamp, Duration})
ORDERINGS: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.LESS: operator.lt,
    Operator.LESS_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_EQUAL: operator.ge,
}


def equals(context: Context, left: Value, right: Value) -> bool:
    """Whether both are the same value: values of different kinds never are; 2 and 2.0 are."""
    if is_number(left):
        return is_number(right) and left == right
    if is_lazy(left):
        left = left.plain()
    if is_lazy(right):
        right = right.plain()
    if type(left) is not type(right):
        return False
    if type(left) is str and type(right) is str:
        context.charge_text(min(len(left), len(right)))
        return left == right
    if type(left) is list and type(right) is list:
        return len(left) == len(right) and _equal_items(context, left, right)
    if type(left) is dict and type(right) is dict:
        return len(left) == len(right) and _equal_fields(context, left, right)
    if type(left) is OptionalValue and type(right) is OptionalValue:
        return _equal_optionals(context, left, right)
    return left == right


def _equal_items(context: Context, left: Items, right: Items) -> bool:
    for first, second in zip(left, right, strict=True):
        context.charge(1)
        if not equals(context, first, second):
            return False
    return True


def _equal_fields(context: Context, left: Fields, right: Fields) -> bool:
    for key, first in cast("dict[Key, Value]", left).items():
        context.charge(1)
        second = find_in(right, key)
        if second is MISSING or not equals(context, first, second):
            return False
    return True


def _equal_optionals(context: Context, left: OptionalValue, right: OptionalValue) -> bool:
    if left.value is MISSING or right.value is MISSING:
        return left.value is right.value
    return equals(context, left.value, right.value)


def is_member(context: Context, item: Value, container: Value) -> bool:
    """`item in container`: an element of a list, a key of a map.

    Raises:
        ExpressionError: `type_mismatch` for a container of another kind.
    """
    if type(container) is list:
        context.charge(len(container))
        if type(item) is str:
            return item in container
        return any(equals(context, item, element) for element in container)
    if type(container) is dict:
        return find_in(container, to_key(item)) is not MISSING
    if is_lazy(container):
        return type(item) is str and container.find(item) is not MISSING
    raise problem("type_mismatch", f"in takes a list or an object on its right; got {with_article(name_kind(container))}.")


def _is_equal(context: Context, left: Value, right: Value) -> Value:
    return equals(context, left, right)


def _is_unequal(context: Context, left: Value, right: Value) -> Value:
    return not equals(context, left, right)


def _order(symbol: Operator) -> Binary:
    def run(_context: Context, left: Value, right: Value) -> Value:
        return compare(symbol, left, right)

    return run


BINARY: Final[dict[Operator, Binary]] = {
    Operator.ADD: add,
    Operator.SUBTRACT: subtract,
    Operator.MULTIPLY: multiply,
    Operator.DIVIDE: divide,
    Operator.MODULO: modulo,
    Operator.EQUAL: _is_equal,
    Operator.NOT_EQUAL: _is_unequal,
    Operator.IN: is_member,
    **{symbol: _order(symbol) for symbol in ORDERINGS},
}
