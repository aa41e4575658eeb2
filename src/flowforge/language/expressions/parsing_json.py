"""JSON text that an expression reads: the same border as for every value that comes in."""

import json
from typing import Final, NoReturn, cast

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.values import to_number

JSON_DEPTH_MAX: Final = 64
INTEGER_MAX_CHARACTERS: Final = 20


def parse_json(text: str) -> JsonValue:
    """The value of the text.

    Raises:
        ExpressionError: `type_mismatch` for what is no JSON, is nested deeper than 64, or holds half a surrogate pair; `number_range`.
    """
    try:
        value = cast(
            "JsonValue", json.loads(text, parse_int=_read_integer, parse_float=_read_float, parse_constant=_refuse_constant)
        )
    except (json.JSONDecodeError, RecursionError):
        raise problem("type_mismatch", "json() got a text that is no JSON.") from None
    _check(value, 0)
    return value


def _read_integer(digits: str) -> int:
    value = int(digits) if len(digits) <= INTEGER_MAX_CHARACTERS else INTEGER_MAX + 1
    if INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    raise problem("number_range", "json() got a number that does not fit into 64 bits.")


def _read_float(digits: str) -> float:
    value = float(digits)
    to_number(value)
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise problem("type_mismatch", "json() got a text that is no JSON.")


def _check(value: JsonValue, depth: int) -> None:
    if depth > JSON_DEPTH_MAX:
        raise problem("type_mismatch", f"json() got a value that is nested deeper than {JSON_DEPTH_MAX}.")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise problem("type_mismatch", "json() got half of a surrogate pair, which is no Unicode.") from None
