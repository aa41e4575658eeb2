"""Streams of rows: files of any size, read and written row by row, in memory that does not grow with them.

For the forms of operations that take a file (heavy ones; everything here blocks):

    rows = read_rows(context, parameters.file, parameters.from_format, RowOptions(csv=parameters.csv))
    kept = (row for row in rows if ...)
    return write_rows(context, kept, to_format="ndjson", name="kept.ndjson").to_json()

Declare `*ROW_ERRORS` besides the operation's own errors. `RowFormat` (ndjson, json, csv, xlsx) is the type of a parameter `from` or
`to`; without `from` the file's name and media type tell it (`guess_row_format`). A row is an object, or whatever a line of NDJSON or an
item of a JSON list is. Errors that the reading meets come out of the iterator; a file that is being written then is never there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never, cast, get_args

from flowforge.kit.errors import StorageError
from flowforge.kit.objects import FileValue, ObjectWriter
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError, OperationContext
from flowforge.steps.data.csv_file import read_csv_file, write_csv_file
from flowforge.steps.data.csv_text import CsvOptions
from flowforge.steps.data.formats import FORMAT_UNKNOWN, MEDIA_TYPES, RowFormat, guess_format
from flowforge.steps.data.json_rows import read_json_rows, write_json_rows
from flowforge.steps.data.ndjson_rows import read_ndjson, write_ndjson
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xlsx_reading import XLSX_ERRORS, read_xlsx_file
from flowforge.steps.data.xlsx_writing import write_xlsx_file
from flowforge.steps.stored import STORED_ERRORS, create_stored, explain_storage, find_stored, open_stored

__all__ = [
    "ROW_ERRORS",
    "STORAGE_ERRORS",
    "CsvOptions",
    "RowFormat",
    "RowOptions",
    "XlsxOptions",
    "guess_row_format",
    "read_rows",
    "write_rows",
]

JSON_ERRORS: Final = (
    ErrorCode("json_invalid", "A text is no JSON; the message and the details have the line."),
    ErrorCode("json_depth", "A JSON value is nested too deeply."),
    ErrorCode("json_keys", "An object of JSON has too many keys."),
    ErrorCode("number_range", "A number does not fit into 64 bits, or is infinite; the message says where it stands."),
    ErrorCode("body_too_large", "One row, or a whole text of JSON, is larger than 10 MiB."),
    ErrorCode("encoding", "Bytes are no text in the encoding that they should have; the message has the line."),
)
CSV_ERROR: Final = ErrorCode(
    "csv_invalid", "The text is no such CSV, or the value cannot be written as CSV; details have the line and column."
)
STORAGE_ERRORS: Final = (
    ErrorCode("storage_full", "There is no room left on the disk.", retryable=True),
    ErrorCode("file_failed", "The disk refused.", retryable=True),
)
ROW_ERRORS: Final = (
    *STORED_ERRORS,
    FORMAT_UNKNOWN,
    ErrorCode("rows_expected", "The file holds no list of rows."),
    CSV_ERROR,
    *JSON_ERRORS,
    *XLSX_ERRORS,
    *STORAGE_ERRORS,
)
"""Every code that `read_rows` and `write_rows` give."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """The dialect of each format; formats that are not used do not look at theirs."""

    csv: CsvOptions = field(default_factory=CsvOptions)
    xlsx: XlsxOptions = field(default_factory=XlsxOptions)
    is_pretty: bool = False
    """Whether JSON that is written is indented."""


def guess_row_format(file: JsonObject, field: str = "file") -> RowFormat:
    """The format of a file value, by its name or media type.

    Raises:
        FatalError: `format_unknown`; `rows_expected` for YAML and XML, which hold no rows; `file_invalid`.
    """
    found = guess_format(find_stored(file, field), field)
    if found not in get_args(RowFormat):
        raise FatalError(
            f"{field}: a {found} file is not read row by row; convert it to ndjson with data.convert first.", code="rows_expected"
        )
    return cast("RowFormat", found)


def read_rows(
    context: OperationContext,
    file: JsonObject,
    from_format: RowFormat | None = None,
    options: RowOptions | None = None,
    *,
    field: str = "file",
) -> Iterator[JsonValue]:
    """The rows of a stored file, one after another; the file is opened at the first and closed after the last.

    Raises:
        FatalError: a code of `ROW_ERRORS`, while the rows are taken; the message names the field, and the line or row.
    """
    known = options or RowOptions()
    chosen = from_format or guess_row_format(file, field)
    with open_stored(context, file, field) as stream:
        match chosen:
            case "ndjson":
                yield from read_ndjson(stream)
            case "json":
                yield from read_json_rows(stream)
            case "csv":
                yield from read_csv_file(stream, known.csv)
            case "xlsx":
                yield from read_xlsx_file(stream, known.xlsx, context.limits)
            case _:
                assert_never(chosen)


def write_rows(
    context: OperationContext,
    rows: Iterable[JsonValue],
    to_format: RowFormat = "ndjson",
    *,
    name: str,
    options: RowOptions | None = None,
) -> FileValue:
    """Writes the rows to a new stored file, which is there whole or not at all.

    CSV and XLSX without `columns` in their options get the columns of all rows, in the order in which they first appear: the rows then
    wait in a temporary file until the last one is known.

    Raises:
        FatalError: a row cannot be written in the format (`csv_invalid`, `xlsx_invalid`), and whatever `rows` raises.
        RetryableError: `storage_full`, `file_failed`.
    """
    known = options or RowOptions()
    try:
        with create_stored(context, name=name, media_type=MEDIA_TYPES[to_format]) as writer:
            _write(writer, rows, to_format, known)
            return writer.commit()
    except StorageError as error:
        raise explain_storage(error, postpones=True) from error


def _write(writer: ObjectWriter, rows: Iterable[JsonValue], to_format: RowFormat, options: RowOptions) -> None:
    match to_format:
        case "ndjson":
            write_ndjson(writer.write, rows)
        case "json":
            write_json_rows(writer.write, rows, is_pretty=options.is_pretty)
        case "csv":
            write_csv_file(writer.write, rows, options.csv)
        case "xlsx":
            write_xlsx_file(writer.write, rows, options.xlsx)
