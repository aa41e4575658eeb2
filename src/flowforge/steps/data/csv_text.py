"""CSV text (RFC 4180 and its dialects) to rows and back."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, cast

from pydantic import Field

from flowforge.kit.border import JsonRefusedError, decode_untrusted, encode
from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import FatalError, StrictModel

ColumnType = Literal["text", "integer", "number", "boolean", "json"]

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,308})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_WORDS: Final[dict[str, bool | None]] = {"": None, "true": True, "false": False}
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_LIMITS: Final = Limits()


class CsvOptions(StrictModel):
    """The dialect of a CSV text, and what its cells mean."""

    delimiter: str = Field(
        default=",", min_length=1, max_length=1, pattern=r'^[^"\r\n]$', description="The character between cells."
    )
    quote: str = Field(
        default='"',
        min_length=1,
        max_length=1,
        pattern=r"^[^\r\n]$",
        description="The character around cells; doubled inside one.",
    )
    header: bool = Field(
        default=True,
        description="Whether the first line names the columns: rows are then objects. Without, and without `columns`, lists.",
    )
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Names of the columns: for a text without header; in writing, which columns, and in what order.",
    )
    types: Literal["text", "auto"] | dict[str, ColumnType] = Field(
        default="text",
        description="What cells become: `text`; `auto` (JSON's numbers, true, false, null for an empty cell); or a type by column.",
    )
    line_end: Literal["lf", "crlf"] = Field(default="lf", description="How lines end in writing.")


def parse_csv(text: str, options: CsvOptions) -> list[JsonValue]:
    """The rows; empty lines are left out.

    Raises:
        FatalError: `csv_invalid`, with the line and, where it has one, the column in its details.
    """
    lines = _read_lines(text.removeprefix("\ufeff"), options)
    columns = options.columns
    if options.header:
        header = next((cells for _, cells in lines), cast("list[str]", []))
        columns = columns or header
        _check_columns(header, columns)
    if columns is None:
        return [[_read_cell(cell, "", options.types, line) for cell in cells] for line, cells in lines]
    return [_make_row(cells, columns, options, line) for line, cells in lines]


def _read_lines(text: str, options: CsvOptions) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter, quotechar=options.quote, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fail(f"Line {line}: {error}.", line) from None


def _check_columns(header: Sequence[str], columns: Sequence[str]) -> None:
    if len(columns) != len(header) and header:
        raise _fail(f"Line 1: the header has {len(header)} columns where `columns` names {len(columns)}.", 1)
    seen: set[str] = set()
    for name in columns:
        if name in seen:
            raise _fail(f"Line 1: two columns are called {name!r}; rename one, or name all in `columns`.", 1, name)
        seen.add(name)


def _make_row(cells: Sequence[str], columns: Sequence[str], options: CsvOptions, line: int) -> JsonObject:
    if len(cells) != len(columns):
        raise _fail(f"Line {line}: there are {len(cells)} cells where {len(columns)} columns are named.", line)
    return {name: _read_cell(cell, name, options.types, line) for name, cell in zip(columns, cells, strict=True)}


def _read_cell(cell: str, column: str, types: str | Mapping[str, ColumnType], line: int) -> JsonValue:
    if types == "text":
        return cell
    if isinstance(types, str):
        return _guess(cell)
    kind = types.get(column, "text")
    if kind == "text":
        return cell
    if not cell.strip():
        return None
    try:
        return _convert(cell.strip(), kind)
    except (ValueError, KeyError, JsonRefusedError):
        message = f"Line {line}, column {column!r}: {cell[:60]!r} is no {kind}."
        raise _fail(message, line, column) from None


def _guess(cell: str) -> JsonValue:
    if cell in _WORDS:
        return _WORDS[cell]
    if _INTEGER.fullmatch(cell) and INTEGER_MIN <= int(cell) <= INTEGER_MAX:
        return int(cell)
    if _NUMBER.fullmatch(cell) and not _INTEGER.fullmatch(cell) and math.isfinite(float(cell)):
        return float(cell)
    return cell


def _convert(cell: str, kind: ColumnType) -> JsonValue:
    if kind == "json":
        return decode_untrusted(cell.encode(), _LIMITS)
    if kind == "boolean":
        return _BOOLEANS[cell.lower()]
    if not (_INTEGER if kind == "integer" else _NUMBER).fullmatch(cell):
        raise ValueError(cell)
    value = int(cell) if _INTEGER.fullmatch(cell) else float(cell)
    if not math.isfinite(value) or (isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX):
        raise ValueError(cell)
    return value


def _fail(message: str, line: int, column: str | None = None) -> FatalError:
    return FatalError(message, code="csv_invalid", details={"line": line, "column": column})


class _Lines(list[str]):
    """Takes each record as it is written."""

    def write(self, record: str) -> None:
        self.append(record)


def write_csv(value: JsonValue, options: CsvOptions) -> str:
    """Rows (objects, or lists of cells) as CSV text. Null is an empty cell; lists and objects in a cell are JSON.

    Raises:
        FatalError: `csv_invalid`: the value is no list of rows, or a row is of another kind than the first.
    """
    if not isinstance(value, list):
        raise FatalError("CSV is written from a list of rows; this value is none.", code="csv_invalid")
    lines = _Lines()
    # Only characters of the line end are quoted in cells, and a carriage return must be, whatever ends the lines in the end.
    writer = csv.writer(lines, delimiter=options.delimiter, quotechar=options.quote, lineterminator="\r\n")
    objects = [row for row in value if isinstance(row, dict)]
    columns = options.columns or list(dict.fromkeys(name for row in objects for name in row))
    if options.header and columns:
        writer.writerow(columns)
    for index, row in enumerate(value):
        writer.writerow(_list_cells(row, columns, index))
    end = "\n" if options.line_end == "lf" else "\r\n"
    return "".join(line.removesuffix("\r\n") + end for line in lines)


def _list_cells(row: JsonValue, columns: Sequence[str], index: int) -> list[str]:
    if isinstance(row, dict):
        return [_write_cell(row.get(name)) for name in columns]
    if isinstance(row, list):
        return [_write_cell(cell) for cell in row]
    raise FatalError(f"Row {index} is neither an object nor a list.", code="csv_invalid", details={"row": index})


def _write_cell(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value).decode()
