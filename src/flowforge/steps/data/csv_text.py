"""CSV text (RFC 4180 and its dialects) to rows and back."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pydantic import Field

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, StrictModel
from flowforge.steps.data.csv_cells import (
    FORMULA_SIGNS,
    PLAIN_TYPES,
    Cell,
    ColumnType,
    guess_cell,
    read_cell,
    write_cell,
    write_safe_cell,
)
from flowforge.steps.data.text_lines import TextEncoding

if TYPE_CHECKING:
    from _csv import Reader

_BATCH_CHARACTERS: Final = 2**18
COLUMNS_MAX: Final = Limits().json_keys
"""An object has no more fields."""
_CELL_MAX: Final = 10 * 2**20
"""In characters. A quote that is never closed ends there, and not with the file."""


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
    encoding: TextEncoding = Field(
        default="utf-8",
        description="The encoding of a file; `utf-8-sig` writes a byte order mark, which Excel wants. A text has no encoding.",
    )
    formulas: Literal["neutralise", "keep"] = Field(
        default="neutralise",
        description=(
            "In writing: `neutralise` puts ' before texts that a spreadsheet program would run as formulas (those that begin with = + - @ "
            "and are no numbers); it stays when the cell is read again. `keep` writes every text as it is."
        ),
    )


def parse_csv(text: str, options: CsvOptions) -> list[JsonValue]:
    """The rows; empty lines are left out.

    Raises:
        FatalError: `csv_invalid`, with the line and, where it has one, the column in its details.
    """
    return [*iterate_csv(io.StringIO(text.removeprefix("\ufeff"), newline=""), options)]


def iterate_csv(lines: Iterable[str], options: CsvOptions) -> Iterator[JsonValue]:
    """The rows of lines that still have their ends. Raises as `parse_csv`, and whatever `lines` raises."""
    csv.field_size_limit(_CELL_MAX)  # of the whole process, which reads CSV nowhere else
    reader = csv.reader(lines, delimiter=options.delimiter, quotechar=options.quote, strict=True)
    columns = options.columns
    if options.header:
        _, header = next(_read_records(reader), (1, cast("list[str]", [])))
        columns = columns or header
        if header and len(columns) != len(header):
            raise _fail(f"Line 1: the header has {len(header)} columns where `columns` names {len(columns)}.", 1)
    if columns is None:
        # A type by column needs names of columns: where there are none, all cells are texts.
        for _, cells in _read_records(reader):
            yield [guess_cell(cell) for cell in cells] if options.types == "auto" else [*cells]
        return
    _check_columns(columns)
    if options.types == "text":
        yield from _read_texts(reader, columns)
    else:
        yield from _read_typed(reader, columns, options)


def _read_records(reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Each record that is not empty, with the number of the line it begins on."""
    line = reader.line_num + 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fail(f"Line {line}: {error}.", line) from None


def _check_columns(columns: Sequence[str]) -> None:
    if len(columns) > COLUMNS_MAX:
        raise _fail(f"Line 1: there are more than {COLUMNS_MAX:,} columns; without header and `columns` rows are lists.", 1)
    seen: set[str] = set()
    for name in columns:
        if name in seen:
            raise _fail(f"Line 1: two columns are called {name!r}; rename one, or name all in `columns`.", 1, name)
        seen.add(name)


def _read_texts(reader: "Reader", columns: Sequence[str]) -> Iterator[JsonValue]:
    # The most usual way through a large file, with nothing in it that need not be there.
    width = len(columns)
    line = reader.line_num + 1
    try:
        for cells in reader:
            if len(cells) == width:
                yield cast("JsonValue", dict(zip(columns, cells)))  # noqa: B905 - strict costs, and the width is known
            elif cells:
                raise _fail_width(line, cells, columns)
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fail(f"Line {line}: {error}.", line) from None


def _read_typed(reader: "Reader", columns: Sequence[str], options: CsvOptions) -> Iterator[JsonValue]:
    types: dict[str, ColumnType] = options.types if isinstance(options.types, dict) else {}
    for line, cells in _read_records(reader):
        if len(cells) != len(columns):
            raise _fail_width(line, cells, columns)
        if options.types == "auto":
            yield {name: guess_cell(cell) for name, cell in zip(columns, cells, strict=True)}
        else:
            yield {name: _read_cell(cell, name, types.get(name, "text"), line) for name, cell in zip(columns, cells, strict=True)}


def _read_cell(cell: str, column: str, kind: ColumnType, line: int) -> JsonValue:
    try:
        return read_cell(cell, kind)
    except ValueError as fault:
        raise _fail(f"Line {line}, column {column!r}: {cell[:60]!r} {fault}.", line, column) from None


def _fail_width(line: int, cells: Sequence[str], columns: Sequence[str]) -> FatalError:
    return _fail(f"Line {line}: there are {len(cells)} cells where {len(columns)} columns are named.", line)


def _fail(message: str, line: int, column: str | None = None) -> FatalError:
    return FatalError(message, code="csv_invalid", details={"line": line, "column": column})


def write_csv(value: JsonValue, options: CsvOptions) -> str:
    """Rows (objects, or lists of cells) as CSV text. Null is an empty cell; lists and objects in a cell are JSON.

    Raises:
        FatalError: `csv_invalid`: the value is no list of rows, or a row is neither an object nor a list.
    """
    if not isinstance(value, list):
        raise FatalError("CSV is written from a list of rows; this value is no list.", code="csv_invalid")
    columns = options.columns or list_columns(value)
    return "".join(format_csv(value, columns, options))


def list_columns(rows: Iterable[JsonValue]) -> list[str]:
    """The fields of all rows that are objects, in the order in which they first appear."""
    columns: dict[str, None] = {}
    for row in rows:
        if isinstance(row, dict) and not columns.keys() >= row.keys():
            columns.update(dict.fromkeys(row))
    return list(columns)


class _Lines(list[str]):
    """Takes each record as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.write = self.append


def format_csv(rows: Iterable[JsonValue], columns: Sequence[str], options: CsvOptions) -> Iterator[str]:
    """The lines with their ends, the header first, many in one text. Raises as `write_csv`."""
    lines = _Lines()
    # Only characters of the line end are quoted in cells, and a carriage return must be, whatever ends the lines in the end.
    writer = csv.writer(lines, delimiter=options.delimiter, quotechar=options.quote, lineterminator="\r\n")
    is_short = options.line_end == "lf"
    is_safe = options.formulas == "neutralise"
    write, signs = (write_safe_cell, FORMULA_SIGNS) if is_safe else (write_cell, frozenset[str]())
    if options.header and columns:
        writer.writerow([write(name) for name in columns])
    size = 0
    for index, row in enumerate(rows):
        writer.writerow(_list_cells(row, columns, index, write, signs))
        size += len(lines[-1])
        if size >= _BATCH_CHARACTERS:
            yield _join(lines, is_short=is_short)
            lines.clear()
            size = 0
    yield _join(lines, is_short=is_short)


def _join(lines: Sequence[str], *, is_short: bool) -> str:
    return "".join([line[:-2] + "\n" for line in lines]) if is_short else "".join(lines)


def _list_cells(
    row: JsonValue, columns: Sequence[str], index: int, write: Callable[[JsonValue], Cell], signs: frozenset[str]
) -> list[Cell]:
    # Most cells need no call: numbers, null, and texts that do not begin with one of the signs.
    return [
        value if (kind := value.__class__) in PLAIN_TYPES or (kind is str and value[:1] not in signs) else write(value)
        for value in _list_values(row, columns, index)
    ]


def _list_values(row: JsonValue, columns: Sequence[str], index: int) -> Iterable[Any]:
    if isinstance(row, dict):
        return map(row.get, columns)
    if isinstance(row, list):
        return row
    raise FatalError(f"Row {index} is neither an object nor a list.", code="csv_invalid", details={"row": index})
