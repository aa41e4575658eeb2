"""Sheets of Excel workbooks (ECMA-376) to rows. Read by calamine; nothing in a workbook is ever run or fetched."""

import io
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowforge.kit.border import encode
from flowforge.kit.limits import Limits
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonValue
from flowforge.language.times import format_duration_ns
from flowforge.operations import ErrorCode, FatalError
from flowforge.steps.data.xlsx_options import XlsxOptions

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

XLSX_ERRORS: Final = (
    ErrorCode("xlsx_invalid", "The workbook or its sheet cannot be read or written; the message and the details have the cell."),
    ErrorCode("zip_ratio", "The workbook grows too much when it is unpacked."),
    ErrorCode("zip_total", "The workbook is too large when it is unpacked."),
    ErrorCode("zip_entries", "The workbook has too many parts."),
    ErrorCode("zip_overlap", "Parts of the workbook lie over one another."),
)
_CHUNK_BYTES: Final = 2**20
_RATIO_FREE_BYTES: Final = 2**20
"""What may be packed as tightly as it likes."""
_INTEGER_EXACT: Final = 2**53
_Cell = int | float | str | bool | time | date | datetime | timedelta


def read_xlsx_file(stream: BinaryIO, options: XlsxOptions, limits: Limits) -> Iterator[JsonValue]:
    """The rows of one sheet; rows without any filled cell are left out.

    Whole numbers come as such. A date is `2026-01-31`, one with a time RFC 3339 in the options' zone (of two equal times when clocks go
    back the first), a time of day `12:30:00`, a length of time `30h`. Empty cells and errors such as #DIV/0! are null.

    Raises:
        FatalError: a code of `XLSX_ERRORS`, with the cell in its details where it has one.
    """
    check_workbook(stream, limits)
    zone = find_zone(options.timezone)
    with _ReaderFaults(), _open(stream) as workbook:
        sheet = _find_sheet(workbook, options.sheet)
        yield from _read_rows(sheet, options, zone)


def check_workbook(stream: BinaryIO, limits: Limits) -> None:
    """Unpacks every part once, within the bounds, so that its reader meets none that is larger than it says.

    Raises:
        FatalError: `zip_entries`, `zip_overlap`, `zip_ratio`, `zip_total`, or `xlsx_invalid`: it is no workbook of Excel 2007 or later.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > limits.zip_entries:
                raise FatalError(f"The workbook has more than {limits.zip_entries} parts.", code="zip_entries")
            if not {"[Content_Types].xml", "xl/workbook.xml"} <= {entry.filename for entry in entries}:
                raise _fail("it is a ZIP archive, but no workbook")
            _check_overlap(entries)
            _unpack_all(archive, entries, limits)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as fault:
        hint = " (a workbook with a password and an old .xls file cannot be read)" if "not a zip" in str(fault) else ""
        raise _fail(f"{str(fault)[:200] or 'it is cut short'}{hint}") from None
    except zlib.error as fault:
        raise _fail(f"its packed data are broken: {fault}") from None
    stream.seek(0)


def _check_overlap(entries: Sequence[zipfile.ZipInfo]) -> None:
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise FatalError(f"The part {entry.filename[:100]!r} of the workbook lies over another one.", code="zip_overlap")
        end = entry.header_offset + entry.compress_size


def _unpack_all(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    packed = sum(entry.compress_size for entry in entries)
    allowed = max(_RATIO_FREE_BYTES, packed * limits.zip_ratio)
    total = 0
    for size in _unpack(archive, entries):
        total += size
        if total > allowed:
            raise FatalError(f"The workbook grows more than {limits.zip_ratio} times when unpacked.", code="zip_ratio")
        if total > limits.zip_total_bytes:
            most = format_size(limits.zip_total_bytes)
            raise FatalError(f"The workbook is larger than {most} when unpacked; split it.", code="zip_total")


def _unpack(archive: zipfile.ZipFile, entries: Iterable[zipfile.ZipInfo]) -> Iterator[int]:
    """The sizes of the pieces, as they come."""
    for entry in entries:
        with archive.open(entry) as part:
            while chunk := part.read(_CHUNK_BYTES):
                yield len(chunk)


def find_zone(name: str) -> ZoneInfo:
    """Raises FatalError (`xlsx_invalid`) for a zone that there is none of."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _fail(f"the time zone {name!r} of `xlsx.timezone` is unknown; give one such as Europe/Berlin") from None


class _ReaderFaults:
    """Turns whatever the reader raises into our error: what is wrong is the file. Its panics are no `Exception`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        del trace
        names = {parent.__name__ for parent in kind.__mro__} if kind else set[str]()
        if names & {"CalamineError", "PanicException"}:
            raise _fail(f"{str(fault)[:200]}") from None


@contextmanager
def _open(stream: BinaryIO) -> "Generator[CalamineWorkbook]":
    from python_calamine import CalamineWorkbook  # 10 ms and a native library, for those who read workbooks only

    yield CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))


def _find_sheet(workbook: "CalamineWorkbook", wanted: str | int) -> "CalamineSheet":
    names = workbook.sheet_names
    if isinstance(wanted, int):
        if 0 <= wanted < len(names):
            return workbook.get_sheet_by_index(wanted)
        raise _fail(f"it has {len(names)} sheets, and none of the number {wanted} (they count from 0)")
    if wanted in names:
        return workbook.get_sheet_by_name(wanted)
    raise _fail(f"it has no sheet {wanted!r}, but {', '.join(repr(name) for name in names[:20])}")


def _read_rows(sheet: "CalamineSheet", options: XlsxOptions, zone: ZoneInfo) -> Iterator[JsonValue]:
    rows = enumerate(sheet.iter_rows(), 1)
    columns: list[str] | None = options.columns
    if options.header:
        number, header = next(((number, row) for number, row in rows if any(cell != "" for cell in row)), (1, list[_Cell]()))
        names = [_read_name(cell, zone) for cell in header]
        if columns is None:
            _check_names(names, number)
            columns = names
    for number, row in rows:
        if any(cell != "" for cell in row):
            cells = [_read_cell(cell, zone, number, at) for at, cell in enumerate(row)]
            yield cells if columns is None else _make_row(cells, columns, number)


def _read_name(cell: _Cell, zone: ZoneInfo) -> str:
    value = _read_cell(cell, zone, 1, 0)
    return value if isinstance(value, str) else "" if value is None else encode(value).decode()


def _check_names(names: Sequence[str], row: int) -> None:
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name and name in seen:
            raise _fail(f"two columns are called {name!r}; rename one, or name all in `columns`", name_cell(row, at))
        seen.add(name)


def _make_row(cells: Sequence[JsonValue], columns: Sequence[str], row: int) -> JsonValue:
    for at, cell in enumerate(cells):
        if cell is not None and (at >= len(columns) or not columns[at]):
            raise _fail("there is a value in a column that has no name; name all in `columns`", name_cell(row, at))
    made: dict[str, JsonValue] = dict(zip(columns, cells, strict=False))
    made.update((name, None) for name in columns[len(cells) :])
    made.pop("", None)
    return made


def _read_cell(cell: _Cell, zone: ZoneInfo, row: int, column: int) -> JsonValue:
    match cell:
        case "":
            return None
        case bool() | str():
            return cell
        case int() | float():
            return int(cell) if -_INTEGER_EXACT <= cell <= _INTEGER_EXACT and cell == int(cell) else float(cell)
        case datetime():
            return _read_moment(cell, zone, name_cell(row, column))
        case timedelta():
            return format_duration_ns((cell // timedelta(microseconds=1)) * 1_000)
        case _:
            return cell.isoformat()


def _read_moment(local: datetime, zone: ZoneInfo, cell: str) -> str:
    moment = local.replace(tzinfo=zone)
    if moment.astimezone(ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None) != local:
        raise _fail(f"the time {local.isoformat()} does not exist in {zone.key}, where clocks go forward then", cell)
    return moment.isoformat().replace("+00:00", "Z")


def name_cell(row: int, column: int) -> str:
    """`B3` for the third row, counted from 1, and the second column, counted from 0."""
    return f"{name_column(column)}{row}"


def name_column(column: int) -> str:
    """`A` for 0, `AA` for 26."""
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _fail(told: str, cell: str | None = None) -> FatalError:
    where = f" (cell {cell})" if cell else ""
    return FatalError(f"The workbook cannot be read: {told}{where}.", code="xlsx_invalid", details={"cell": cell})
