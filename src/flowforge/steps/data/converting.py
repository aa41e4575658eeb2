"""Texts of every format to values and back, and files of every format to files."""

import io
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args

import orjson

from flowforge.kit.border import JsonRefusedError, check_json, decode_untrusted, encode
from flowforge.kit.errors import StorageError
from flowforge.kit.limits import Limits
from flowforge.kit.objects import FileValue
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError, OperationContext
from flowforge.steps.data.csv_text import CsvOptions, parse_csv, write_csv
from flowforge.steps.data.formats import MEDIA_TYPES, WHOLE_MAX_BYTES, FileFormat, RowFormat
from flowforge.steps.data.ndjson_rows import read_ndjson, write_ndjson
from flowforge.steps.data.rows import ROW_ERRORS, STORAGE_ERRORS, RowOptions, read_rows, write_rows
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xlsx_reading import read_xlsx_file
from flowforge.steps.data.xlsx_writing import write_xlsx_file
from flowforge.steps.data.xml_options import XML_ERRORS, XmlOptions
from flowforge.steps.data.xml_text import parse_xml, write_xml
from flowforge.steps.data.yaml_text import parse_yaml, write_yaml
from flowforge.steps.encoded import decode_base64
from flowforge.steps.stored import FILE_TOO_LARGE, create_stored, explain_storage, open_stored, read_stored

Format = Literal["json", "ndjson", "yaml", "csv", "xml", "xlsx", "value"]

READ_ERRORS: Final = (
    *(error for error in ROW_ERRORS if error not in STORAGE_ERRORS),
    *XML_ERRORS,
    FILE_TOO_LARGE,
    ErrorCode("yaml_invalid", "The text is no YAML, or more of it than JSON can hold; details have the line and column."),
)
"""What reading a file as a whole gives."""
_LIMITS: Final = Limits()
_INLINE_XLSX: Final = Limits(zip_total_bytes=32 * 2**20)
"""A workbook in a text is read inside a turn of the engine, one in a file in a process of its own."""
_WHOLE: Final = Limits(body_max_bytes=WHOLE_MAX_BYTES)


@dataclass(frozen=True, slots=True)
class Dialects:
    """How each format is read or written."""

    csv: CsvOptions = field(default_factory=CsvOptions)
    xml: XmlOptions = field(default_factory=XmlOptions)
    xlsx: XlsxOptions = field(default_factory=XlsxOptions)
    is_pretty: bool = False

    @property
    def rows(self) -> RowOptions:
        return RowOptions(self.csv, self.xlsx, self.is_pretty)


def parse_data(text: str, from_format: Format, dialects: Dialects) -> JsonValue:
    """The value of a text; a workbook is in base64.

    Raises:
        FatalError: a code of `ROW_ERRORS` or `XML_ERRORS`, or `yaml_invalid`, with the place in its details.
    """
    match from_format:
        case "value":
            return text
        case "json":
            return parse_json(text.encode(), _LIMITS)
        case "ndjson":
            return [*read_ndjson(io.BytesIO(text.encode()))]
        case "csv":
            return [*parse_csv(text, dialects.csv)]
        case "yaml":
            return parse_yaml(text)
        case "xml":
            return parse_xml(text, dialects.xml)
        case "xlsx":
            return [*read_xlsx_file(io.BytesIO(decode_base64(text, "data")), dialects.xlsx, _INLINE_XLSX)]


def format_data(value: JsonValue, to_format: Format, dialects: Dialects) -> JsonValue:
    """The text of a value, or the value itself; a workbook is in base64.

    Raises:
        FatalError: the value cannot be written in the format: `csv_invalid`, `xml_invalid`, `xlsx_invalid`, `rows_expected`.
    """
    match to_format:
        case "value":
            return value
        case "json":
            return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if dialects.is_pretty else encode(value).decode()
        case "ndjson":
            return _collect(lambda write: write_ndjson(write, _expect_rows(value))).decode()
        case "csv":
            return write_csv(value, dialects.csv)
        case "yaml":
            return write_yaml(value)
        case "xml":
            return write_xml(value, dialects.xml, pretty=dialects.is_pretty)
        case "xlsx":
            return b64encode(_collect(lambda write: write_xlsx_file(write, _expect_rows(value), dialects.xlsx))).decode()


def parse_json(data: bytes, limits: Limits) -> JsonValue:
    """Raises FatalError (`json_invalid` and the like), with line and column, or the field, in its message."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return decode_untrusted(text, limits)
    except JsonRefusedError as error:
        if error.reason == "encoding":
            _decode_text(text)
        message = _find_number(text, limits) if error.reason == "number_range" else None
        raise FatalError(message or error.message, code=error.reason) from None


def _find_number(data: bytes, limits: Limits) -> str | None:
    """Which number is out of range, and in which field: the fast reader does not tell."""
    try:
        check_json(json.loads(data), limits)
    except JsonRefusedError as error:
        return error.message if error.reason == "number_range" else None
    except (ValueError, RecursionError):  # of thousands of digits, or of a depth that is refused anyway
        return None
    return None


def _expect_rows(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, list):
        return value
    raise FatalError("Rows are written from a list; this value is no list.", code="rows_expected")


def _collect(work: Callable[[Callable[[bytes], object]], None]) -> bytes:
    made = bytearray()
    work(made.extend)
    return bytes(made)


def convert_stored(
    context: OperationContext,
    file: JsonObject,
    formats: tuple[FileFormat, Format],
    dialects: tuple[Dialects, Dialects],
    name: str,
) -> JsonValue:
    """Converts a stored file from the first format, read by the first dialects, to the second: a new file, or a value.

    From rows to rows it streams; else the file is read as a whole, at most 25 MiB.

    Raises:
        FatalError: as `parse_data` and `format_data`, and `file_too_large`.
        RetryableError: `storage_full`, `file_failed`.
    """
    source, target = formats
    reading, writing = dialects
    if source in get_args(RowFormat) and target in get_args(RowFormat) and not _is_single(context, file, source, target):
        rows = read_rows(context, file, cast("RowFormat", source), reading.rows)
        return write_rows(context, rows, cast("RowFormat", target), name=name, options=writing.rows).to_json()
    value = read_whole(context, file, source, reading)
    if target == "value":
        return value
    if target in ("ndjson", "csv", "xlsx"):
        return write_rows(context, _expect_rows(value), target, name=name, options=writing.rows).to_json()
    text = str(format_data(value, target, writing))
    return _store(context, text.encode(), name, target).to_json()


def _is_single(context: OperationContext, file: JsonObject, source: Format, target: Format) -> bool:
    """Whether this is JSON of one value, which becomes JSON again."""
    if source != "json" or target != "json":
        return False
    with open_stored(context, file) as stream:
        return not stream.read(2**16).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_whole(
    context: OperationContext, file: JsonObject, from_format: FileFormat, dialects: Dialects, field: str = "file"
) -> JsonValue:
    """The value of a stored file, at most 25 MiB.

    Raises:
        FatalError: as `parse_data`; `file_invalid`, `file_missing`, `file_too_large`, which name the field.
    """
    if from_format in ("csv", "xlsx", "ndjson"):
        with open_stored(context, file, field) as stream:
            if stream.seek(0, io.SEEK_END) > WHOLE_MAX_BYTES:
                size = format_size(WHOLE_MAX_BYTES)
                raise FatalError(
                    f"{field}: the file is larger than {size}; convert it to ndjson, csv or xlsx.", code="file_too_large"
                )
        return [*read_rows(context, file, from_format, dialects.rows, field=field)]
    data = read_stored(context, file, field, max_bytes=WHOLE_MAX_BYTES)
    if from_format == "json":
        return parse_json(data, _WHOLE)
    if from_format == "xml":
        return parse_xml(data, dialects.xml)
    try:
        return check_json(parse_yaml(_decode_text(data)), _LIMITS)
    except JsonRefusedError as error:
        raise FatalError(error.message, code=error.reason) from None


def _decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise FatalError(f"Line {line}: a byte is not UTF-8.", code="encoding", details={"line": line}) from None


def _store(context: OperationContext, data: bytes, name: str, to_format: FileFormat) -> FileValue:
    try:
        with create_stored(context, name=name, media_type=MEDIA_TYPES[to_format]) as writer:
            writer.write(data)
            return writer.commit()
    except StorageError as error:
        raise explain_storage(error, postpones=True) from error
