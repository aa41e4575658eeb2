"""Functions of numbers. A whole result is an integer, whatever went in."""

import math
from collections.abc import Callable
from typing import Final

from flowforge.language.expressions.catalog import Take, define
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.values import Kind, Value, is_number, name_kind, to_integer, to_number, with_article

NUMBER: Final = Take.NUMBER
WHOLE: Final = Take.WHOLE
_WORD: Final = 2**64
_SIGN_BIT: Final = 2**63


def _numbers(name: str, values: tuple[Value, ...]) -> list[int | float]:
    single = values[0]
    given = single if len(values) == 1 and type(single) is list else values
    numbers = [value for value in given if is_number(value)]
    for value in given:
        if not is_number(value):
            raise problem("type_mismatch", f"{name}() takes numbers; got {with_article(name_kind(value))}.")
    if not numbers:
        raise problem("type_mismatch", f"{name}() got an empty list.")
    return numbers


@define(
    "math.greatest(number, …)",
    "The greatest of the numbers, or of a list of them.",
    ("math.greatest(1, 2.5)", 2.5),
    Take.ANY,
    result=Kind.NUMBER,
)
def _greatest(context: Context, first: Value, *others: Value) -> Value:
    numbers = _numbers("math.greatest", (first, *others))
    context.charge(len(numbers))
    return max(numbers)


@define(
    "math.least(number, …)",
    "The least of the numbers, or of a list of them.",
    ("math.least([3, 1, 2])", 1),
    Take.ANY,
    result=Kind.NUMBER,
)
def _least(context: Context, first: Value, *others: Value) -> Value:
    numbers = _numbers("math.least", (first, *others))
    context.charge(len(numbers))
    return min(numbers)


def _round_with(rounding: Callable[[float], int], number: float) -> Value:
    return number if type(number) is int else to_number(float(rounding(number)))


@define("math.ceil(number)", "Rounded up to a whole number.", ("math.ceil(1.2)", 2), NUMBER, result=Kind.NUMBER)
def _ceil(_context: Context, number: float) -> Value:
    return _round_with(math.ceil, number)


@define("math.floor(number)", "Rounded down to a whole number.", ("math.floor(-1.2)", -2), NUMBER, result=Kind.NUMBER)
def _floor(_context: Context, number: float) -> Value:
    return _round_with(math.floor, number)


@define("math.trunc(number)", "Cut off towards 0.", ("math.trunc(-1.8)", -1), NUMBER, result=Kind.NUMBER)
def _trunc(_context: Context, number: float) -> Value:
    return _round_with(math.trunc, number)


@define(
    "math.round(number)",
    "Rounded to the nearest whole number, halves away from 0.",
    ("math.round(2.5)", 3),
    NUMBER,
    result=Kind.NUMBER,
)
def _round(_context: Context, number: float) -> Value:
    whole = math.trunc(number)
    return _round_with(lambda value: whole + (int(math.copysign(1, value)) if abs(value - whole) >= 0.5 else 0), number)


@define("math.abs(number)", "The number without its sign.", ("math.abs(-2.5)", 2.5), NUMBER, result=Kind.NUMBER)
def _abs(_context: Context, number: float) -> Value:
    return to_integer(abs(number)) if type(number) is int else to_number(abs(number))


@define("math.sign(number)", "-1, 0 or 1.", ("math.sign(-2.5)", -1), NUMBER, result=Kind.NUMBER)
def _sign(_context: Context, number: float) -> Value:
    return (number > 0) - (number < 0)


@define("math.sqrt(number)", "The square root.", ("math.sqrt(9)", 3), NUMBER, result=Kind.NUMBER)
def _sqrt(_context: Context, number: float) -> Value:
    if number < 0:
        raise problem("number_range", "math.sqrt() got a negative number.")
    return to_number(math.sqrt(number))


@define("math.isNaN(number)", "Always false: there is no NaN here.", ("math.isNaN(1.5)", False), NUMBER, result=Kind.BOOLEAN)
def _is_nan(_context: Context, number: float) -> Value:
    return math.isnan(number)


@define("math.isInf(number)", "Always false: there is no infinity here.", ("math.isInf(1.5)", False), NUMBER, result=Kind.BOOLEAN)
def _is_inf(_context: Context, number: float) -> Value:
    return math.isinf(number)


@define("math.isFinite(number)", "Always true.", ("math.isFinite(1.5)", True), NUMBER, result=Kind.BOOLEAN)
def _is_finite(_context: Context, number: float) -> Value:
    return math.isfinite(number)


@define("math.bitAnd(a, b)", "The bits that both have.", ("math.bitAnd(6, 3)", 2), WHOLE, WHOLE, result=Kind.NUMBER)
def _bit_and(_context: Context, left: int, right: int) -> Value:
    return left & right


@define("math.bitOr(a, b)", "The bits that one of both has.", ("math.bitOr(6, 3)", 7), WHOLE, WHOLE, result=Kind.NUMBER)
def _bit_or(_context: Context, left: int, right: int) -> Value:
    return left | right


@define("math.bitXor(a, b)", "The bits that exactly one has.", ("math.bitXor(6, 3)", 5), WHOLE, WHOLE, result=Kind.NUMBER)
def _bit_xor(_context: Context, left: int, right: int) -> Value:
    return left ^ right


@define("math.bitNot(a)", "All 64 bits turned round.", ("math.bitNot(1)", -2), WHOLE, result=Kind.NUMBER)
def _bit_not(_context: Context, number: int) -> Value:
    return ~number


def _signed(bits: int) -> int:
    word = bits % _WORD
    return word - _WORD if word >= _SIGN_BIT else word


def _need_shift(bits: int) -> int:
    if bits < 0:
        raise problem("number_range", "A number of bits cannot be negative.")
    return bits


@define(
    "math.bitShiftLeft(a, bits)",
    "The 64 bits moved to the left.",
    ("math.bitShiftLeft(1, 4)", 16),
    WHOLE,
    WHOLE,
    result=Kind.NUMBER,
)
def _bit_shift_left(_context: Context, number: int, bits: int) -> Value:
    return 0 if _need_shift(bits) >= 64 else _signed(number << bits)


@define(
    "math.bitShiftRight(a, bits)",
    "The 64 bits moved to the right, zeros coming in.",
    ("math.bitShiftRight(16, 4)", 1),
    WHOLE,
    WHOLE,
    result=Kind.NUMBER,
)
def _bit_shift_right(_context: Context, number: int, bits: int) -> Value:
    return 0 if _need_shift(bits) >= 64 else _signed((number % _WORD) >> bits)


MATH_FUNCTIONS: Final = (
    _greatest,
    _least,
    _ceil,
    _floor,
    _trunc,
    _round,
    _abs,
    _sign,
    _sqrt,
    _is_nan,
    _is_inf,
    _is_finite,
    _bit_and,
    _bit_or,
    _bit_xor,
    _bit_not,
    _bit_shift_left,
    _bit_shift_right,
)
