"""Values of a database as JSON, exactly. No I/O.

Whole numbers stay numbers within signed 64 bits and are text beyond. Decimal numbers are text, unless asked for as numbers. A fraction that
is not finite is the text `NaN`, `Infinity` or `-Infinity`. Bytes are base64. Times are RFC 3339, with `Z` where they have a zone.
"""

import json
import math
from base64 import b64encode
from collections.abc import Callable
from typing import Final, Literal

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue

Decimals = Literal["text", "number"]
Converter = Callable[[str], JsonValue]

_LIMITS: Final = Limits()


class UnsupportedValueError(ValueError):
    """The value is no JSON; the message says why, and what to select instead."""


def read_integer(text: str) -> JsonValue:
    value = int(text)
    return value if INTEGER_MIN <= value <= INTEGER_MAX else text


def read_float(text: str) -> JsonValue:
    return show_float(float(text))


def show_float(value: float) -> JsonValue:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def read_decimal_as_number(text: str) -> JsonValue:
    """A number, as near as a fraction of 64 bits comes."""
    if text.lstrip("-").isdigit():
        return read_integer(text)
    return read_float(text)


def read_moment(text: str) -> str:
    """`2026-01-02 03:04:05.5` as `2026-01-02T03:04:05.5`; what is no such time (`infinity`) stays as it is."""
    return text.replace(" ", "T", 1) if text[:1].isdigit() else text


def read_moment_in_utc(text: str) -> str:
    """As `read_moment`, with a `Z` instead of the session's zone, which is UTC."""
    moment = read_moment(text)
    if not moment[:1].isdigit():
        return moment
    time, space, era = moment.partition(" ")
    return f"{time.removesuffix('+00')}Z{space}{era}"


def show_bytes(data: bytes) -> str:
    return b64encode(data).decode()


def read_json(text: str) -> JsonValue:
    """The value of a JSON column; numbers that JSON here cannot hold become text.

    Raises:
        UnsupportedValueError: it is nested too deeply, or holds half of a surrogate pair.
    """
    try:
        value = json.loads(text, parse_int=read_integer, parse_float=read_float)
        return check_json(value, _LIMITS)
    except (JsonRefusedError, RecursionError, json.JSONDecodeError) as error:
        told = error.message.rstrip(".") if isinstance(error, JsonRefusedError) else "It is nested too deeply or no JSON"
        raise UnsupportedValueError(f"{told}; select it as text") from None


def name_columns(names: list[str]) -> list[str]:
    """The names, each once: what comes again gets `_2`, `_3` and so on."""
    used: set[str] = set()
    unique: list[str] = []
    for name in names:
        chosen, count = name, 1
        while chosen in used:
            count += 1
            chosen = f"{name}_{count}"
        used.add(chosen)
        unique.append(chosen)
    return unique
