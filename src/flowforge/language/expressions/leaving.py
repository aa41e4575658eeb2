"""Values on their way out of an expression: plain JSON again, and not too much of it."""

from typing import Final, cast

import orjson

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.context import BYTES_PER_TICK, Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.moments import time_text
from flowforge.language.expressions.values import (
    MISSING,
    SCALAR_TYPES,
    Duration,
    Key,
    Kind,
    OptionalValue,
    Timestamp,
    Value,
    is_lazy,
    key_text,
)

SCALAR_BYTES: Final = 8


def leave(context: Context, value: Value, result_bytes: int) -> JsonValue:
    """The value as JSON. What the expression made is new and the caller's own; what it hands on by its path is the very same object,
    and does not count (but each further copy of it does).

    Raises:
        ExpressionError: `expression_budget` if the rest is larger than `result_bytes`.
    """
    if type(value) in SCALAR_TYPES and (type(value) is not str or len(value) <= BYTES_PER_TICK):
        return cast("JsonValue", value)
    if (type(value) is list or type(value) is dict) and id(value) not in context.made:
        return cast("JsonValue", value)
    return _Leaving(context.made, result_bytes).convert(value)


class _Leaving:
    def __init__(self, made: dict[int, Value], limit_bytes: int) -> None:
        self.made = made
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.handed_on: set[int] = set()

    def convert(self, value: Value) -> JsonValue:
        if type(value) is str:
            return self.convert_text(value)
        if type(value) is list or type(value) is dict:
            return self.convert_container(value)
        if is_lazy(value):
            return self.hand_on(value.plain(), id(value))
        if type(value) is OptionalValue:
            return None if value.value is MISSING else self.convert(value.value)
        self.add(SCALAR_BYTES)
        if type(value) is Timestamp or type(value) is Duration:
            return time_text(value)
        if type(value) is Kind:
            return value.value
        return cast("JsonValue", value)

    def convert_text(self, text: str) -> JsonValue:
        if len(text) <= BYTES_PER_TICK or id(text) in self.made:
            self.add(len(text) if text.isascii() else len(text.encode(errors="replace")))
            return text
        return self.hand_on(text, id(text))

    def convert_container(self, value: Value) -> JsonValue:
        if id(value) not in self.made:
            return self.hand_on(cast("JsonValue", value), id(value))
        if type(value) is list:
            self.add(len(value))
            return [self.convert(item) for item in value]
        fields = cast("dict[Key, Value]", value)
        self.add(sum(len(key) for key in fields if type(key) is str))
        return {key if type(key) is str else key_text(key): self.convert(item) for key, item in fields.items()}

    def hand_on(self, value: JsonValue, identity: int) -> JsonValue:
        if identity in self.handed_on:
            self.add(measure(value, self.limit_bytes - self.size_bytes))
        self.handed_on.add(identity)
        return value

    def add(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        if self.size_bytes > self.limit_bytes:
            raise problem("expression_budget", f"The expression makes more than {self.limit_bytes} bytes.")


def measure(value: JsonValue, enough_bytes: int) -> int:
    """About how many bytes the value has as JSON; stops counting beyond `enough_bytes`."""
    size_bytes = 0
    waiting: list[JsonValue] = [value]
    while waiting and size_bytes <= enough_bytes:
        item = waiting.pop()
        size_bytes += len(item) if isinstance(item, str) else SCALAR_BYTES
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            size_bytes += sum(map(len, item))
            waiting.extend(item.values())
    return size_bytes


def number_text(value: float) -> str:
    """The number as text: a whole one below 2^63 without a fraction, others as in JSON."""
    if type(value) is float and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return str(value) if type(value) is int else orjson.dumps(value).decode()


def to_text(value: JsonValue) -> str:
    """The value inside a text: null is nothing, lists and objects are JSON, whole numbers have no fraction.

    Raises:
        ExpressionError: `type_mismatch` for text that cannot be JSON.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    return json_text(value)


def json_text(value: JsonValue) -> str:
    """The value as JSON text.

    Raises:
        ExpressionError: `type_mismatch` for what cannot be JSON (half of a surrogate pair, too deep).
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise _refuse_json() from None


def _refuse_json() -> ExpressionError:
    return problem("type_mismatch", "The value cannot be written as JSON: a text in it is no Unicode, or it is too deep.")


def take_whole(context: Context, value: Value) -> JsonValue:
    """The value as JSON for a function that reads the whole of it; pays for its size.

    Raises:
        ExpressionError: `expression_budget`.
    """
    plain = leave(context, value, context.limits.result_bytes)
    charge_whole(context, plain)
    return plain


def charge_whole(context: Context, value: JsonValue) -> None:
    """Pays for the size of a whole value.

    Raises:
        ExpressionError: `expression_budget`.
    """
    affordable_bytes = (context.limits.ticks - context.ticks) * BYTES_PER_TICK
    context.charge_text(measure(value, affordable_bytes))
