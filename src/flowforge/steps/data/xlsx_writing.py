"""Rows to an Excel workbook (ECMA-376) of one sheet, as a stream: the same rows give the same bytes.

Written here and not by a library: those that there are hold the time of writing in the file, keep the sheet in a second file on its
way, and round whole numbers that are larger than 2^53.
"""

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import IO, Final, cast

from flowforge.kit.border import encode
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.csv_cells import FORMULA_SIGNS, read_cell
from flowforge.steps.data.row_spool import spool_rows
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xlsx_reading import find_zone, name_cell, name_column
from flowforge.steps.data.xml_markup import escape_text, quote_attribute

_ROWS_MAX: Final = 1_048_576
_COLUMNS_MAX: Final = 16_384
_TEXT_MAX: Final = 32_767
_PART_MAX_BYTES: Final = 2**31 - 2**20
"""A part of the archive beyond it would need ZIP64, which not every program reads."""
_INTEGER_EXACT: Final = 2**53
_BATCH_CHARACTERS: Final = 2**18
_DAY_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's times have no zone
_DAY_FIRST: Final = date(1900, 3, 1)
"""Before it Excel counts a 29 February 1900, which never was."""
_DATE_CHARACTERS: Final = len("2026-01-31")
_STYLE_DATE, _STYLE_MOMENT, _STYLE_QUOTED = 1, 2, 3

_SHEET_NAME: Final = re.compile(r"(?!')[^\[\]:*?/\\\x00-\x1f]{1,31}(?<!')")
_LOOKS_ESCAPED: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f]")
_NEVER_IN_XML: Final = re.compile("[\ufffe\uffff]")
_NAMESPACE: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_PARTS: Final = {
    "[Content_Types].xml": (
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>'
    ),
    "xl/styles.xml": (
        f'{_HEAD}<styleSheet xmlns="{_NAMESPACE}"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
        '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
        '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}


def write_xlsx_file(write: Callable[[bytes], object], rows: Iterable[JsonValue], options: XlsxOptions) -> None:
    """Writes the rows (objects, or lists of cells). Whole numbers beyond 2^53 become texts, which keep all their digits.

    No text is ever a formula, unless the options say so: texts that begin like one carry Excel's own mark for texts, which is no part
    of their value. Null is an empty cell; lists and objects in a cell are JSON.

    Raises:
        FatalError: `xlsx_invalid`, with the cell in its details: a row is neither an object nor a list, a text is longer than Excel takes
            (32,767), there are too many rows or columns, or a column of dates holds what is no date that exists.
    """
    if options.columns is not None:
        _write(write, rows, options.columns, options)
        return
    with spool_rows(rows) as spooled:
        _write(write, spooled.iterate(), spooled.columns, options)


def _write(write: Callable[[bytes], object], rows: Iterable[JsonValue], columns: Sequence[str], options: XlsxOptions) -> None:
    name = options.sheet if isinstance(options.sheet, str) else "Sheet1"
    if not _SHEET_NAME.fullmatch(name):
        raise _fail(f"{name[:60]!r} can be no name of a sheet: at most 31 characters, none of [ ] : * ? / \\")
    sheet = _Sheet(columns, options)
    with zipfile.ZipFile(cast("IO[bytes]", _Sink(write)), "w") as archive:
        for part, text in {**_PARTS, "xl/workbook.xml": _write_workbook(name)}.items():
            archive.writestr(_describe(part), text)
        with archive.open(_describe("xl/worksheets/sheet1.xml"), "w") as part:
            for piece in _gather(sheet.write(rows)):
                part.write(piece)


class _Sink:
    """Where the archive is written to; it cannot go back."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""


def _describe(part: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(part, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _write_workbook(name: str) -> str:
    return (
        f'{_HEAD}<workbook xmlns="{_NAMESPACE}" xmlns:r="{_RELATIONS}"><sheets>'
        f'<sheet name={quote_attribute(name)} sheetId="1" r:id="rId1"/></sheets><calcPr calcId="0" fullCalcOnLoad="1"/></workbook>'
    )


def _gather(texts: Iterable[str]) -> Iterator[bytes]:
    batch: list[str] = []
    size = 0
    total_bytes = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARACTERS:
            piece = "".join(batch).encode()
            total_bytes += len(piece)
            if total_bytes > _PART_MAX_BYTES:
                raise _fail("the sheet is larger than 2 GiB; write csv, or several workbooks")
            yield piece
            batch.clear()
            size = 0
    yield "".join(batch).encode()


class _Sheet:
    """The text of the sheet's part, row by row."""

    def __init__(self, columns: Sequence[str], options: XlsxOptions) -> None:
        self._columns = columns
        self._options = options
        self._is_live = options.formulas == "live"
        self._zone = find_zone(options.timezone)
        self._dates = frozenset(at for at, name in enumerate(columns) if name in options.dates)
        self._letters: list[str] = []

    def write(self, rows: Iterable[JsonValue]) -> Iterator[str]:
        yield f'{_HEAD}<worksheet xmlns="{_NAMESPACE}"><sheetData>'
        number = 0
        if self._options.header and self._columns:
            number = 1
            yield self._write_row([*self._columns], number, frozenset())
        for row in rows:
            number += 1
            if number > _ROWS_MAX:
                raise _fail(f"a sheet holds {_ROWS_MAX:,} rows and no more; write csv, or several workbooks")
            yield self._write_row(self._list_cells(row, number), number, self._dates)
        yield "</sheetData></worksheet>"

    def _list_cells(self, row: JsonValue, number: int) -> Sequence[JsonValue]:
        if isinstance(row, dict):
            return [row.get(name) for name in self._columns]
        if isinstance(row, list):
            return row
        raise _fail("a row is neither an object nor a list", name_cell(number, 0))

    def _write_row(self, cells: Sequence[JsonValue], number: int, dates: frozenset[int]) -> str:
        if len(cells) > _COLUMNS_MAX:
            raise _fail(f"a sheet holds {_COLUMNS_MAX:,} columns and no more", name_cell(number, 0))
        while len(self._letters) < len(cells):
            self._letters.append(name_column(len(self._letters)))
        texts: list[str] = []
        for at, cell in enumerate(cells):
            if cell is not None:
                place = f"{self._letters[at]}{number}"
                texts.append(self._write_date(cell, place) if at in dates else self._write_cell(cell, place))
        return f'<row r="{number}">{"".join(texts)}</row>'

    def _write_cell(self, cell: JsonValue, place: str) -> str:
        if isinstance(cell, bool):
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        if isinstance(cell, float) or (isinstance(cell, int) and -_INTEGER_EXACT <= cell <= _INTEGER_EXACT):
            return f'<c r="{place}"><v>{cell!r}</v></c>'
        text = cell if isinstance(cell, str) else encode(cell).decode()
        return self._write_text(text, place)

    def _write_text(self, text: str, place: str) -> str:
        if len(text) > _TEXT_MAX // 2 and len(text.encode("utf-16-le")) // 2 > _TEXT_MAX:
            raise _fail(f"the text is longer than the {_TEXT_MAX:,} characters that a cell holds", place)
        if _NEVER_IN_XML.search(text):
            raise _fail("the text holds U+FFFE or U+FFFF, which are no characters", place)
        if self._is_live and text.startswith("=") and len(text) > 1:
            return f'<c r="{place}"><f>{_escape_xml(text[1:], place)}</f></c>'
        style = f' s="{_STYLE_QUOTED}"' if text[:1] in FORMULA_SIGNS else ""
        return (
            f'<c r="{place}" t="inlineStr"{style}><is><t xml:space="preserve">{escape_text(_escape_controls(text))}</t></is></c>'
        )

    def _write_date(self, cell: JsonValue, place: str) -> str:
        if cell == "":
            return ""
        moment = self._read_moment(cell) if isinstance(cell, str) else None
        if moment is None or moment.date() < _DAY_FIRST:
            told = "is no RFC 3339 date that exists, from 1900-03-01 on"
            raise _fail(f"{encode(cell).decode()[:60]} {told}; the column stands in `xlsx.dates`", place)
        days = (moment - _DAY_ZERO) / timedelta(days=1)
        style = _STYLE_DATE if len(str(cell)) == _DATE_CHARACTERS else _STYLE_MOMENT
        return f'<c r="{place}" s="{style}"><v>{int(days) if days == int(days) else repr(days)}</v></c>'

    def _read_moment(self, text: str) -> datetime | None:
        with suppress(ValueError, OverflowError):  # the caller knows the cell
            if len(text) == _DATE_CHARACTERS:
                return datetime.combine(date.fromisoformat(str(read_cell(text, "date"))), time())
            read_cell(text, "datetime")
            return datetime.fromisoformat(text).astimezone(self._zone).replace(tzinfo=None)
        return None


def _escape_controls(text: str) -> str:
    """ECMA-376, 22.9.2.19: characters that XML cannot hold are `_x000D_`, and what looks like that is escaped itself."""
    text = _LOOKS_ESCAPED.sub("_x005F_", text)
    return _CONTROL.sub(lambda match: f"_x{ord(match.group()):04X}_", text)


def _escape_xml(text: str, place: str) -> str:
    if _CONTROL.search(text):
        raise _fail("a formula holds a control character", place)
    return escape_text(text)


def _fail(told: str, cell: str | None = None) -> FatalError:
    where = f" (cell {cell})" if cell else ""
    return FatalError(f"The workbook cannot be written: {told}{where}.", code="xlsx_invalid", details={"cell": cell})
