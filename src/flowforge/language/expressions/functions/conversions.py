"""Functions that change one kind of value into another, or tell its size or kind."""

import base64
import binascii
import re
from typing import Final

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN
from flowforge.language.expressions.catalog import Style, Take, define, refuse
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.leaving import json_text, number_text, take_whole
from flowforge.language.expressions.moments import make_duration, make_timestamp, read_duration, read_timestamp, time_text
from flowforge.language.expressions.parsing_json import parse_json
from flowforge.language.expressions.values import (
    Duration,
    Kind,
    Timestamp,
    Value,
    is_lazy,
    is_number,
    kind_of,
    to_number,
)
from flowforge.language.times import NS_PER_SECOND

ANY: Final = Take.ANY
NUMBER_MAX_CHARACTERS: Final = 400
_INTEGER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}


@define(
    "size(value)",
    "How many characters a text, elements a list or fields an object has.",
    ("size('flow')", 4),
    ANY,
    result=Kind.NUMBER,
    style=Style.BOTH,
)
def _size(_context: Context, value: Value) -> Value:
    if is_lazy(value):
        value = value.plain()
    if type(value) is str or type(value) is list or type(value) is dict:
        return len(value)
    raise refuse("size", value, Kind.STRING, Kind.LIST, Kind.OBJECT)


@define(
    "int(value)",
    "The whole number in a text, of a number (cut off towards 0), or the seconds since 1970 of a time.",
    ("int('42')", 42),
    ANY,
    result=Kind.NUMBER,
)
def _int(_context: Context, value: Value) -> Value:
    if type(value) is Timestamp:
        return value.ns // NS_PER_SECOND
    if type(value) is str:
        if _INTEGER.fullmatch(value) is None:
            raise problem("type_mismatch", "int() got a text that is no whole number.")
        whole = int(value)
    elif is_number(value):
        whole = int(value)
    else:
        raise refuse("int", value, Kind.NUMBER, Kind.STRING, Kind.TIMESTAMP)
    if not INTEGER_MIN <= whole <= INTEGER_MAX:
        raise problem("number_range", "int() got a number that does not fit into 64 bits.")
    return whole


@define("double(value)", "The number in a text; a number stays what it is.", ("double('2.5')", 2.5), ANY, result=Kind.NUMBER)
def _double(_context: Context, value: Value) -> Value:
    if is_number(value):
        return to_number(float(value))
    if type(value) is not str:
        raise refuse("double", value, Kind.NUMBER, Kind.STRING)
    if len(value) > NUMBER_MAX_CHARACTERS or _DECIMAL.fullmatch(value) is None:
        raise problem("type_mismatch", "double() got a text that is no number.")
    return to_number(float(value))


@define(
    "string(value)",
    "The text of a number, boolean, time or duration; whole numbers have no fraction. For lists and objects use to_json.",
    ("string(2.0)", "2"),
    ANY,
    result=Kind.STRING,
)
def _string(_context: Context, value: Value) -> Value:
    if type(value) is str:
        return value
    if is_number(value):
        return number_text(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is Timestamp or type(value) is Duration:
        return time_text(value)
    raise refuse("string", value, Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.TIMESTAMP, Kind.DURATION)


@define("bool(value)", "The boolean in a text: true, false, t, f, 1, 0.", ("bool('true')", True), ANY, result=Kind.BOOLEAN)
def _bool(_context: Context, value: Value) -> Value:
    if type(value) is bool:
        return value
    if type(value) is not str:
        raise refuse("bool", value, Kind.BOOLEAN, Kind.STRING)
    if value not in _BOOLEANS:
        raise problem("type_mismatch", "bool() got a text that is no boolean.")
    return _BOOLEANS[value]


@define(
    "timestamp(value)",
    "The time in a text (RFC 3339 with a zone), or so many seconds after 1970.",
    ("timestamp('2026-03-01T09:00:00+01:00')", "2026-03-01T08:00:00Z"),
    ANY,
    result=Kind.TIMESTAMP,
)
def _timestamp(_context: Context, value: Value) -> Value:
    if type(value) is Timestamp:
        return value
    if type(value) is str:
        return read_timestamp(value)
    if is_number(value):
        return make_timestamp(int(value * NS_PER_SECOND))
    raise refuse("timestamp", value, Kind.STRING, Kind.NUMBER)


@define(
    "duration(value)",
    "The duration in a text (1h30m, 7d, PT5M), or of so many seconds.",
    ("duration('90m')", "1h30m"),
    ANY,
    result=Kind.DURATION,
)
def _duration(_context: Context, value: Value) -> Value:
    if type(value) is Duration:
        return value
    if type(value) is str:
        return read_duration(value)
    if is_number(value):
        return make_duration(int(value * NS_PER_SECOND))
    raise refuse("duration", value, Kind.STRING, Kind.NUMBER)


@define(
    "type(value)",
    "The kind of a value; int and double are both the kind number.",
    ("type(2.5) == int", True),
    ANY,
    result=Kind.TYPE,
)
def _type(_context: Context, value: Value) -> Value:
    return kind_of(value)


@define("dyn(value)", "The value itself. CEL has it to switch checks off; here nothing needs it.", ("dyn(1) == 1.0", True), ANY)
def _dyn(_context: Context, value: Value) -> Value:
    return value


@define("json(text)", "The value that a JSON text holds.", ("json('[1, 2]')[1]", 2), Take.TEXT)
def _json(context: Context, text: str) -> Value:
    # Items are paid for before they exist: a text of brackets becomes a hundred times its size.
    context.charge_text(len(text))
    context.charge(sum(text.count(mark) for mark in ",[{"))
    return parse_json(text)


@define("to_json(value)", "The value as JSON text.", ("to_json({'a': [1, null]})", '{"a":[1,null]}'), ANY, result=Kind.STRING)
def _to_json(context: Context, value: Value) -> Value:
    text = json_text(take_whole(context, value))
    return context.keep_text(text)


@define(
    "base64.encode(text)", "The text's UTF-8 in base64.", ("base64.encode('flow')", "Zmxvdw=="), Take.TEXT, result=Kind.STRING
)
def _base64_encode(context: Context, text: str) -> Value:
    context.charge_text(2 * len(text))
    return context.keep_text(base64.b64encode(text.encode(errors="replace")).decode())


@define(
    "base64.decode(text)",
    "The text that stands in base64 (padding may be missing).",
    ("base64.decode('Zmxvdw')", "flow"),
    Take.TEXT,
    result=Kind.STRING,
)
def _base64_decode(context: Context, text: str) -> Value:
    context.charge_text(len(text))
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        raise problem("type_mismatch", "base64.decode() got what is no base64 of a text.") from None
    return context.keep_text(decoded)


CONVERSION_FUNCTIONS: Final = (
    _size,
    _int,
    _double,
    _string,
    _bool,
    _timestamp,
    _duration,
    _type,
    _dyn,
    _json,
    _to_json,
    _base64_encode,
    _base64_decode,
)
