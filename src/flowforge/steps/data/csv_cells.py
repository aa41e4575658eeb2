"""What the cells of CSV mean, and how values become cells."""

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Final, Literal

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.language.times import parse_timestamp_ns

ColumnType = Literal["text", "integer", "number", "boolean", "json", "date", "datetime"]

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,308})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORDS: Final[dict[str, bool | None]] = {"": None, "true": True, "false": False}
_NUMBER_STARTS: Final = frozenset("-0123456789")
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_LIMITS: Final = Limits()
FORMULA_SIGNS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - some programs take the wide signs too
"""What a cell begins with that a spreadsheet program takes for a formula (OWASP, CSV injection)."""
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,400}([.,][0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")


def guess_cell(cell: str) -> JsonValue:
    """The value that the cell is by JSON's own rules: a number, true, false, null where it is empty; else the text."""
    if cell[:1] not in _NUMBER_STARTS:
        return _WORDS.get(cell, cell)
    if _INTEGER.fullmatch(cell):
        number = int(cell)
        return number if INTEGER_MIN <= number <= INTEGER_MAX else cell
    # Digits alone that are no integer of ours are an identifier, which a number would round.
    if _NUMBER.fullmatch(cell) and not cell.lstrip("-").isdigit() and math.isfinite(float(cell)):
        return float(cell)
    return cell


def read_cell(cell: str, kind: ColumnType) -> JsonValue:
    """The value of a cell in a column of this type; null where it is empty or blank.

    Raises:
        ValueError: it is none of this type; the message completes "the cell …".
    """
    if kind == "text":
        return cell
    bare = cell.strip()
    return _READERS[kind](bare) if bare else None


def _read_integer(cell: str) -> int:
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)", cell):
        raise ValueError("is no integer")
    if not _INTEGER.fullmatch(cell) or not INTEGER_MIN <= int(cell) <= INTEGER_MAX:
        raise ValueError("is no integer that fits into 64 bits")
    return int(cell)


def _read_number(cell: str) -> int | float:
    if _INTEGER.fullmatch(cell) and INTEGER_MIN <= int(cell) <= INTEGER_MAX:
        return int(cell)
    if not _NUMBER.fullmatch(cell):
        raise ValueError("is no number")
    if "." not in cell and "e" not in cell.lower():
        raise ValueError("is no number that fits into 64 bits")
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError("is no number that fits into 64 bits")
    return number


def _read_boolean(cell: str) -> bool:
    found = _BOOLEANS.get(cell.lower())
    if found is None:
        raise ValueError("is no boolean (true, false, yes, no, 1, 0)")
    return found


def _read_json(cell: str) -> JsonValue:
    try:
        return decode_untrusted(cell.encode(), _LIMITS)
    except JsonRefusedError as error:
        told = error.message.rstrip(".")
        raise ValueError(f"is no json that can be held: {told[0].lower()}{told[1:]}") from None


def _read_date(cell: str) -> str:
    if not _DATE.fullmatch(cell):
        raise ValueError("is no date such as 2026-01-31")
    try:
        date.fromisoformat(cell)
    except ValueError:
        raise ValueError("is a date that does not exist") from None
    return cell


def _read_datetime(cell: str) -> str:
    try:
        parse_timestamp_ns(cell)
    except ValueError:
        raise ValueError("is no datetime that exists, such as 2026-01-31T12:00:00Z") from None
    return cell


_READERS: Final[dict[ColumnType, Callable[[str], JsonValue]]] = {
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "json": _read_json,
    "date": _read_date,
    "datetime": _read_datetime,
}


Cell = str | int | float | None
"""What the writer of CSV takes: numbers are written by it, null is an empty cell."""
PLAIN_TYPES: Final = frozenset({int, float, type(None)})
"""Of values that are cells already."""


def write_cell(value: JsonValue) -> Cell:
    """The cell of a value; lists, objects, true and false are JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode(value).decode() if isinstance(value, list | dict) else value


def write_safe_cell(value: JsonValue) -> Cell:
    """As `write_cell`, with `'` before a text that a spreadsheet program would take for a formula; a number is none."""
    if type(value) is str:
        return f"'{value}" if value[:1] in FORMULA_SIGNS and not _PLAIN_NUMBER.fullmatch(value) else value
    return write_cell(value)
