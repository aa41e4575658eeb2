"""Bodies of requests and answers: strict models, texts for people, and strict JSON."""

import json
import unicodedata
from typing import Annotated, Any, Final, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.errors import BadRequestError, MediaTypeError, PayloadTooLargeError

_UNREADABLE: Final = frozenset({"json_invalid", "json_depth", "json_duplicate_key"})
_DIGITS_MAX: Final = 20
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters that emoji and some scripts are written with."""

JsonField = Annotated[Any, WithJsonSchema({"description": "Any JSON value."})]
"""A field that takes any JSON value."""


class Body(BaseModel):
    """A request's body: nothing is converted, unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def show(example: JsonObject) -> ConfigDict:
    """`model_config` of a body whose fields exclude each other: what /docs fills in can then be sent."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class Answer(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(frozen=True)


def _check_plain_text(text: str) -> str:
    for letter in text:
        if unicodedata.category(letter) in _HIDDEN and letter not in _JOINERS:
            raise PydanticCustomError("control_char", "It holds a control character (U+{code}).", {"code": f"{ord(letter):04X}"})
    return text


def _check_title(text: str) -> str:
    _check_plain_text(text)
    if not any(unicodedata.category(letter)[0] not in "ZC" for letter in text):
        raise PydanticCustomError("blank", "It holds nothing that can be seen.")
    return text


def _check_prose(text: str) -> str:
    _check_plain_text("".join(letter for letter in text if letter not in "\n\r\t"))
    return text


Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_title)]
"""One line for people: 1 to 255 characters, one of them visible, no control characters."""
Prose = Annotated[str, Field(max_length=10_000), AfterValidator(_check_prose)]
"""Text for people, of several lines."""

TitleAdapter: Final[TypeAdapter[str]] = TypeAdapter(Title)


def check_content_type(value: str | None) -> None:
    """Raises MediaTypeError unless it is JSON in UTF-8."""
    if value is None:
        raise MediaTypeError
    kind, *options = (part.strip().lower() for part in value.split(";"))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise MediaTypeError
    for option in options:
        name, _, given = option.partition("=")
        if name.strip() == "charset" and given.strip().strip('"') not in {"utf-8", "utf8"}:
            raise MediaTypeError


def read_json(data: bytes, limits: Limits) -> JsonValue:
    """The value of a request's body, by the strictest reading: no repeated keys, no NaN, UTF-8 without a mark of byte order.

    Raises:
        BadRequestError: it cannot be read (`json_invalid`, `json_depth`, `json_duplicate_key`, `encoding`).
        JsonRefusedError: it can be read but not kept (`number_range`, `json_keys`, `encoding`: half of a surrogate pair).
        PayloadTooLargeError: it is above `body_max`.
    """
    if len(data) > limits.body_max_bytes:
        raise PayloadTooLargeError(limits.body_max_bytes)
    try:
        return check_json(_parse(data), limits)
    except JsonRefusedError as fault:
        if fault.reason in _UNREADABLE:
            raise BadRequestError(fault.message, reason=fault.reason) from None
        raise


def _parse(data: bytes) -> object:
    if data.startswith(_BOMS) or b"\x00" in data[:4]:
        raise BadRequestError("JSON comes as UTF-8 without a mark of byte order.", reason="encoding")
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        raise BadRequestError(f"Byte {fault.start} of the body is not UTF-8.", reason="encoding") from None
    try:
        return json.loads(text, object_pairs_hook=_unite, parse_int=_read_integer, parse_constant=_refuse_constant)
    except json.JSONDecodeError as fault:
        message = f"This is not JSON: {fault.msg}, line {fault.lineno}, column {fault.colno}."
        raise BadRequestError(message, reason="json_invalid") from None
    except RecursionError:
        raise BadRequestError("The value is nested too deeply.", reason="json_depth") from None


def _unite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    united = dict(pairs)
    if len(united) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise BadRequestError(f"The key {twice[:80]!r} stands twice in one object.", reason="json_duplicate_key")
    return united


def _read_integer(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise JsonRefusedError("A whole number does not fit into 64 bits", reason="number_range")
    return int(digits)


def _refuse_constant(word: str) -> NoReturn:
    raise BadRequestError(f"{word} is no JSON.", reason="json_invalid")
