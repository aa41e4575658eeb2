"""What a plain word of YAML means: the core schema of YAML 1.2, in which `no`, `on`, `12:30` and `1_000` are text."""

import math
import re
from typing import Final

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DIGITS_MAX: Final = 400
"""More digits than any finite number needs; reading more would cost time that grows with their square."""


class NumberOutOfRangeError(ValueError):
    """A number that JSON with integers of 64 bits cannot hold."""


def resolve_plain(word: str) -> bool | int | float | str | None:
    """The value of a plain word.

    Raises:
        NumberOutOfRangeError: an integer beyond 64 bits, an infinite number, or none at all (`.nan`).
    """
    if word in _WORDS:
        return _WORDS[word]
    if word[0] not in "+-.0123456789":
        return word
    if _INTEGER.fullmatch(word):
        return read_integer(word)
    if _FLOAT.fullmatch(word):
        return read_float(word)
    if _NOT_FINITE.fullmatch(word):
        raise NumberOutOfRangeError(word)
    return word


def read_integer(digits: str) -> int:
    """Raises NumberOutOfRangeError when it does not fit into 64 signed bits."""
    significant = digits.lstrip("+-0")
    if len(significant) > _DIGITS_MAX:
        raise NumberOutOfRangeError(digits)
    value = int(digits, 0 if digits[1:2] in ("o", "x") else 10)
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise NumberOutOfRangeError(digits)
    return value


def read_float(digits: str) -> float:
    """Raises NumberOutOfRangeError when it is too large for a double."""
    value = float(digits)
    if not math.isfinite(value):
        raise NumberOutOfRangeError(digits)
    return value
