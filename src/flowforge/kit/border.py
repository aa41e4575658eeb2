"""JSON at the border: what may come in, and the one place where JSON becomes bytes and back.

The encoder (orjson) turns integers beyond 64 bits into floats, NaN into null, and gives up on lone surrogates in the middle of a
commit. So a value is checked once, where it comes in, and trusted afterwards.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from typing import Final, NoReturn, cast

import orjson

from flowforge.kit.errors import Detail, InvariantError, ValidationError
from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue

_DIGITS_AS_ZEROS: Final = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))
_MAY_BE_BEYOND_64_BITS: Final = b"0" * 19
"""So many digits in a row; looked for with the digits made equal, which takes a tenth of the time of a regular expression."""


class JsonRefusedError(ValidationError):
    """A value, or a text that should be JSON, that may not come in. `reason` is the detail's code.

    Codes: `json_invalid`, `json_depth`, `json_keys`, `json_type`, `number_range`, `encoding`, `body_too_large`.
    """

    def __init__(self, message: str, *, reason: str, path: str = "") -> None:
        sentence = f"{message} (at {path})." if path else f"{message}."
        super().__init__(sentence, [Detail(field=path, message=sentence, code=reason)])
        self.reason = reason


class _Refused(Exception):
    """Collects the path to the bad value while it climbs out of the recursion."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.path: list[str | int] = []


def check_json(value: object, limits: Limits) -> JsonValue:
    """The same value, once it is known to be JSON that can be stored and read back exactly.

    Raises:
        JsonRefusedError: it holds an integer beyond 64 signed bits, NaN or infinity (`number_range`), a lone surrogate (`encoding`), a
            key that is no text or another type than JSON's (`json_type`), or is too deep (`json_depth`) or too wide (`json_keys`).
    """
    try:
        _check(value, limits.json_depth, limits.json_keys)
    except _Refused as fault:
        raise JsonRefusedError(fault.message, reason=fault.reason, path=_format_path(fault.path)) from None
    return cast("JsonValue", value)


def _check(value: object, depth_left: int, keys_max: int) -> None:
    kind = type(value)
    if kind is str:
        _check_text(cast("str", value))
    elif kind is int:
        if not INTEGER_MIN <= cast("int", value) <= INTEGER_MAX:
            raise _Refused("A whole number does not fit into 64 bits", "number_range")
    elif kind is dict:
        _check_object(cast("dict[object, object]", value), depth_left, keys_max)
    elif kind is list:
        _check_list(cast("list[object]", value), depth_left, keys_max)
    elif kind is float:
        if not math.isfinite(cast("float", value)):
            raise _Refused("A number is infinite or not a number", "number_range")
    elif value is not None and kind is not bool:
        raise _Refused(f"A value of the type {kind.__name__} is not JSON", "json_type")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Refused("A text holds half of a surrogate pair", "encoding") from None


def _check_object(value: dict[object, object], depth_left: int, keys_max: int) -> None:
    if depth_left == 0:
        raise _Refused("The value is nested too deeply", "json_depth")
    if len(value) > keys_max:
        raise _Refused(f"An object has more than {keys_max} keys", "json_keys")
    for key, item in value.items():
        if type(key) is not str:
            raise _Refused("A key of an object is not a text", "json_type")
        try:
            _check_text(key)
            _check(item, depth_left - 1, keys_max)
        except _Refused as fault:
            fault.path.append(key)
            raise


def _check_list(value: list[object], depth_left: int, keys_max: int) -> None:
    if depth_left == 0:
        raise _Refused("The value is nested too deeply", "json_depth")
    for index, item in enumerate(value):
        try:
            _check(item, depth_left - 1, keys_max)
        except _Refused as fault:
            fault.path.append(index)
            raise


def _format_path(reversed_path: list[str | int]) -> str:
    text = ""
    for part in reversed(reversed_path[-20:]):
        shown = f"[{part}]" if isinstance(part, int) else "." + part[:64].encode("utf-8", "replace").decode()
        text += shown
    return text.removeprefix(".")


def decode_untrusted(data: bytes, limits: Limits) -> JsonValue:
    """A value from JSON text that came from outside, checked as `check_json` does; of repeated keys the last one counts.

    Raises:
        JsonRefusedError: as `check_json`; besides, the text is no JSON (`json_invalid`) or above `body_max` (`body_too_large`).
    """
    if len(data) > limits.body_max_bytes:
        raise JsonRefusedError(f"The JSON text is larger than {limits.body_max_bytes} bytes", reason="body_too_large")
    if _MAY_BE_BEYOND_64_BITS in data.translate(_DIGITS_AS_ZEROS):
        _refuse_huge_integers(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise _explain_bad_json(fault) from None
    # The reader gives texts without half surrogates, finite numbers, and keys that are texts: only the shape is left to look at.
    if _has_shape(value, limits.json_depth, limits.json_keys):
        return value
    return check_json(value, limits)


def _has_shape(value: object, depth_left: int, keys_max: int) -> bool:
    """Whether a decoded value is neither too deep nor too wide."""
    if type(value) is dict:
        fields = cast("dict[str, object]", value)
        if depth_left == 0 or len(fields) > keys_max:
            return False
        items: Iterable[object] = fields.values()
    elif type(value) is list:
        if depth_left == 0:
            return False
        items = cast("list[object]", value)
    else:
        return True
    for item in items:
        kind = type(item)
        if (kind is dict or kind is list) and not _has_shape(item, depth_left - 1, keys_max):
            return False
    return True


def _refuse_huge_integers(data: bytes) -> None:
    # The standard library's reader shows each integer as it is written; other faults are left to the reader that follows.
    def refuse_if_huge(digits: str) -> int:
        if len(digits) > 20 or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
            raise JsonRefusedError("A whole number does not fit into 64 bits", reason="number_range")
        return 0

    try:
        json.loads(data, parse_int=refuse_if_huge)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return


def _explain_bad_json(fault: orjson.JSONDecodeError) -> JsonRefusedError:
    if "infinity" in fault.msg:
        return JsonRefusedError("A number is too large", reason="number_range")
    if "depth" in fault.msg:
        return JsonRefusedError("The value is nested too deeply", reason="json_depth")
    if "UTF-8" in fault.msg:
        return JsonRefusedError("The text is not UTF-8", reason="encoding")
    if "surrogate" in fault.msg:
        return JsonRefusedError("A text holds half of a surrogate pair", reason="encoding")
    return JsonRefusedError(f"This is not JSON: {fault.msg}, line {fault.lineno}, column {fault.colno}", reason="json_invalid")


def encode(value: JsonValue) -> bytes:
    """UTF-8 JSON of a checked value, in the order its keys have.

    Raises:
        InvariantError: the value was never checked and is no JSON.
    """
    try:
        return orjson.dumps(value)
    except TypeError as fault:
        _blame_caller(fault)


def encode_canonical(value: JsonValue) -> bytes:
    """As `encode`, with the keys of every object sorted: equal values give equal bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as fault:
        _blame_caller(fault)


def _blame_caller(fault: TypeError) -> NoReturn:
    raise InvariantError(f"A value that is no JSON was about to be stored: {fault}.") from fault


def decode(data: bytes | str) -> JsonValue:
    """The value of JSON that we wrote ourselves.

    Raises:
        InvariantError: it is no JSON; what we wrote was changed from outside.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise InvariantError(f"Stored JSON cannot be read back: {fault}.") from fault


def digest(data: bytes) -> str:
    """BLAKE2b-128 in 32 lower-case hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_value(value: JsonValue) -> str:
    """The digest of the canonical JSON: equal for values that are equal whatever the order of their keys."""
    return digest(encode_canonical(value))
