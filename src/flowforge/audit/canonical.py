"""RFC 8785: one text for equal JSON, so that anyone can compute a row's hash.

Whole numbers beyond 2^53 - 1 are no numbers there: `simplify` makes them texts, as RFC 7493 (2.2) advises.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, cast

from flowforge.kit.errors import InvariantError
from flowforge.kit.values import JsonValue

SAFE_INTEGER: Final = 2**53 - 1
_POINT_AT_MOST: Final = 21
_ZEROS_AT_MOST: Final = 6


def encode_canonically(value: JsonValue) -> bytes:
    """The one UTF-8 text of a value.

    Raises:
        InvariantError: it holds NaN, an infinity, a whole number beyond 2^53 - 1, half of a surrogate pair, or is no JSON.
    """
    try:
        return _write(value).encode()
    except UnicodeEncodeError as fault:
        raise InvariantError("A text with half of a surrogate pair was about to be hashed.") from fault


def simplify(value: JsonValue) -> JsonValue:
    """The value as RFC 8785 can hold it: whole numbers beyond 2^53 - 1 as texts of their digits."""
    if isinstance(value, dict):
        return {key: simplify(item) for key, item in value.items()}
    if isinstance(value, list):
        return [simplify(item) for item in value]
    if isinstance(value, int) and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return str(value)
    return value


def _write(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return _write_integer(value)
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping):
        pairs = sorted(cast("Mapping[str, object]", value).items(), key=_order)
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_write(item)}" for key, item in pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(_write(item) for item in cast("Sequence[object]", value)) + "]"
    raise InvariantError(f"A {type(value).__name__} was about to be hashed, which is no JSON.")


def _order(pair: tuple[str, object]) -> bytes:
    """By UTF-16 units, as the RFC sorts."""
    return pair[0].encode("utf-16-be", "surrogatepass")


def _write_integer(value: int) -> str:
    # A number with an exponent may be read back as a whole number of many digits: it is written as it was.
    if -SAFE_INTEGER <= value <= SAFE_INTEGER or format_number(float(value)) == str(value):
        return str(value)
    raise InvariantError(f"The whole number {value} is beyond 2^53 - 1; make it a text.")


def format_number(value: float) -> str:
    """A number as ECMAScript writes it (ECMA-262, Number::toString), from the shortest digits that give the same number."""
    if not math.isfinite(value):
        raise InvariantError("A number that is infinite, or none, was about to be hashed.")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _split(abs(value))
    return sign + _place_point(digits, point)


def _split(value: float) -> tuple[str, int]:
    """The digits without zeros around them, and how many of them stand before the point."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    leading = len(digits) - len(digits.lstrip("0"))
    return digits.strip("0"), point - leading


def _place_point(digits: str, point: int) -> str:
    if len(digits) <= point <= _POINT_AT_MOST:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _POINT_AT_MOST:
        return f"{digits[:point]}.{digits[point:]}"
    if -_ZEROS_AT_MOST < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    head = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{head}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
