"""Workbooks to rows and back."""

import io
import zipfile
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import cast

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.limits import Limits
from flowforge.kit.values import INTEGER_MAX, JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import call_pure
from flowforge.steps.data.convert import convert
from flowforge.steps.data.xlsx_options import XlsxOptions
from flowforge.steps.data.xlsx_reading import name_cell, read_xlsx_file
from flowforge.steps.data.xlsx_writing import write_xlsx_file


def write(rows: list[JsonValue], **options: JsonValue) -> bytes:
    made = bytearray()
    write_xlsx_file(made.extend, rows, XlsxOptions.model_validate(options))
    return bytes(made)


def read(data: bytes, limits: Limits | None = None, **options: JsonValue) -> list[JsonValue]:
    return list(read_xlsx_file(io.BytesIO(data), XlsxOptions.model_validate(options), limits or Limits()))


def fault_of(work: Callable[[], object]) -> FatalError:
    with pytest.raises(FatalError) as caught:
        work()
    return caught.value


def moment(*parts: int) -> datetime:
    """A time as a sheet has it, without a zone."""
    year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
    return datetime.combine(date(year, month, day), time(hour, minute, second))


def make_workbook(*rows: list[object], title: str = "Data") -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    held = io.BytesIO()
    workbook.save(held)
    return held.getvalue()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=12)
CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["=1+1", "+1", "-x", "@a", "\t", "_x000D_", "_x005F_", " x ", "a\r\nb", "'q"])
)


@given(st.lists(st.dictionaries(TEXTS, CELLS.filter(lambda cell: cell is not None), min_size=1, max_size=3), max_size=4))
def test_rows_come_back_as_they_were_written(rows: list[JsonObject]):
    names = list(dict.fromkeys(name for row in rows for name in row))
    assert read(write([*rows])) == [{name: row.get(name) for name in names} for row in rows]


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_lists_come_back_as_they_were_written(cells: list[JsonValue]):
    rows = read(write([["first", *cells]], header=False), header=False)
    kept = [*cells]
    while kept and kept[-1] is None:
        kept.pop()
    assert rows == [["first", *kept]]


def test_the_same_rows_give_the_same_bytes():
    rows: list[JsonValue] = [{"a": 1, "b": "x"}]
    assert write(rows) == write(rows)
    assert call_pure(convert, {"data": rows, "to": "xlsx"}) == call_pure(convert, {"data": rows, "to": "xlsx"})


def test_another_program_reads_what_was_written():
    rows: list[JsonValue] = [
        {
            "name": "ä €",
            "count": 12,
            "price": 2.5,
            "open": True,
            "due": "2026-01-31",
            "at": "2026-01-31T12:30:00+01:00",
            "none": None,
        },
        {"name": [1, {"x": 2}], "count": INTEGER_MAX, "price": -1e300, "open": False, "due": None, "at": "", "none": None},
    ]
    workbook = openpyxl.load_workbook(io.BytesIO(write(rows, sheet="Orders & more", dates=["due", "at"])))
    assert workbook.sheetnames == ["Orders & more"]
    sheet = workbook["Orders & more"]
    found = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert [row[:6] for row in found] == [
        ["name", "count", "price", "open", "due", "at"],
        ["ä €", 12, 2.5, True, moment(2026, 1, 31), moment(2026, 1, 31, 11, 30)],
        ['[1,{"x":2}]', str(INTEGER_MAX), -1e300, False, None, None],
    ]


@pytest.mark.parametrize(
    "text", ["=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']
)
def test_a_text_is_never_a_formula(text: str):
    data = write([{"=head": text}])
    part = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in part
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert all(cell.data_type in ("s", "inlineStr") for row in sheet.iter_rows() for cell in row)
    assert sheet["A2"].quotePrefix
    assert read(data) == [{"=head": text}]


def test_formulas_are_live_where_the_options_say_so():
    data = write([{"a": '=1+1 & "<"', "b": "+1", "c": "="}], formulas="live")
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert (sheet["A2"].value, sheet["A2"].data_type) == ('=1+1 & "<"', "f")
    assert (sheet["B2"].value, sheet["C2"].value) == ("+1", "=")


def test_types_of_cells_are_read():
    data = make_workbook(
        ["text", "whole", "float", "yes", "none", "day", "moment", "clock", "length", "formula"],
        ["x", 1, 2.5, True, None, date(2026, 1, 31), moment(2026, 1, 31, 12, 30, 5), time(12, 30), timedelta(hours=30), "=1+1"],
        [None] * 10,
        ["y"],
    )
    rows = read(data)
    assert rows[0] == {
        "text": "x",
        "whole": 1,
        "float": 2.5,
        "yes": True,
        "none": None,
        "day": "2026-01-31",
        "moment": "2026-01-31T12:30:05Z",
        "clock": "12:30:00",
        "length": "1d6h",
        "formula": None,
    }
    assert len(rows) == 2
    assert isinstance(rows[0], dict)
    assert type(rows[0]["whole"]) is int


def test_a_sheet_is_named_or_numbered():
    workbook = openpyxl.Workbook()
    workbook.create_sheet("Second").append(["a"])
    held = io.BytesIO()
    workbook.save(held)
    assert read(held.getvalue(), sheet="Second", header=False) == [["a"]]
    assert read(held.getvalue(), sheet=1, header=False) == [["a"]]
    assert read(held.getvalue(), sheet=0) == []
    assert "'Second'" in fault_of(lambda: read(held.getvalue(), sheet="Third")).message
    assert fault_of(lambda: read(held.getvalue(), sheet=2)).code == "xlsx_invalid"


def test_names_of_columns_can_be_given():
    data = make_workbook(["x", "x"], [1, 2])
    assert read(data, columns=["a", "b"]) == [{"a": 1, "b": 2}]
    assert read(data, columns=["a", "b"], header=False) == [{"a": "x", "b": "x"}, {"a": 1, "b": 2}]
    assert read(data, header=False) == [["x", "x"], [1, 2]]


def test_times_are_in_the_zone_that_is_given():
    data = make_workbook(["at"], [moment(2026, 7, 1, 12)], [moment(2026, 10, 25, 2, 30)])
    assert read(data, timezone="Europe/Berlin") == [{"at": "2026-07-01T12:00:00+02:00"}, {"at": "2026-10-25T02:30:00+02:00"}]


READ_FAULTS: dict[str, tuple[bytes, JsonObject, str | None]] = {
    "a time that does not exist": (make_workbook(["at"], [moment(2026, 3, 29, 2, 30)]), {"timezone": "Europe/Berlin"}, "A2"),
    "two columns of one name": (make_workbook(["a", "b", "a"], [1, 2, 3]), {}, "C1"),
    "a value without a column": (make_workbook(["a", None], [1, 2]), {}, "B2"),
    "unknown zone": (make_workbook(["a"]), {"timezone": "Nowhere/Land"}, None),
    "zone that is a path": (make_workbook(["a"]), {"timezone": "../../etc/passwd"}, None),
    "no workbook": (b"no zip at all", {}, None),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, {}, None),
    "cut short": (make_workbook(["a"], [1])[:-200], {}, None),
}


@pytest.mark.parametrize(("data", "options", "cell"), READ_FAULTS.values(), ids=READ_FAULTS.keys())
def test_a_broken_workbook_is_told(data: bytes, options: JsonObject, cell: str | None):
    error = fault_of(lambda: list(read_xlsx_file(io.BytesIO(data), XlsxOptions.model_validate(options), Limits())))
    assert (error.code, error.details) == ("xlsx_invalid", {"cell": cell})


WRITE_FAULTS: dict[str, tuple[list[JsonValue], JsonObject, str | None]] = {
    "a date that does not exist": ([{"due": "2026-01-31"}, {"due": "2026-02-30"}], {"dates": ["due"]}, "A3"),
    "a time that does not exist": ([{"due": "2026-01-31T25:00:00Z"}], {"dates": ["due"]}, "A2"),
    "a time without a zone": ([{"due": "2026-01-31T12:00:00"}], {"dates": ["due"]}, "A2"),
    "a date before Excel": ([{"due": "1899-12-31"}], {"dates": ["due"]}, "A2"),
    "no date": ([{"a": 1, "due": 5}], {"dates": ["due"]}, "B2"),
    "a text that is too long": ([{"a": "x" * 32_768}], {}, "A2"),
    "a row that is none": ([{"a": 1}, "x"], {}, "A3"),
    "too many columns": ([cast("JsonValue", [1] * 16_385)], {}, "A1"),
    "a character that is none": ([{"a": "\ufffe"}], {}, "A2"),
    "a sheet's name": ([{"a": 1}], {"sheet": "a/b"}, None),
}


@pytest.mark.parametrize(("rows", "options", "cell"), WRITE_FAULTS.values(), ids=WRITE_FAULTS.keys())
def test_what_no_sheet_holds_is_told_with_its_cell(rows: list[JsonValue], options: JsonObject, cell: str | None):
    error = fault_of(lambda: write(rows, **options))
    assert (error.code, error.details) == ("xlsx_invalid", {"cell": cell})


def pack(entries: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"[Content_Types].xml": b"", "xl/workbook.xml": b"", **entries}.items():
            archive.writestr(name, data)
    return held.getvalue()


def test_a20_bombs_are_refused_before_they_are_read():
    small = Limits(zip_entries=5, zip_total_bytes=2 * 2**20)
    bomb = pack({"xl/worksheets/sheet1.xml": b"0" * (40 * 2**20)})
    assert len(bomb) < 2**16
    assert fault_of(lambda: read(bomb)).code == "zip_ratio"
    large = pack({"xl/worksheets/sheet1.xml": b"".join(str(n).encode() for n in range(600_000))})
    assert fault_of(lambda: read(large, small)).code == "zip_total"
    assert fault_of(lambda: read(pack({f"x{n}": b"" for n in range(5)}), small)).code == "zip_entries"


def test_a20_a_part_that_is_larger_than_it_says_is_refused():
    data = bytearray(pack({"xl/worksheets/sheet1.xml": b"0" * 100_000}))
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(b"xl/worksheets"))
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    assert fault_of(lambda: read(bytes(data))).code == "xlsx_invalid"


def test_a20_parts_over_one_another_are_refused():
    data = bytearray(pack({"a": b"x" * 100, "b": b"y" * 100}))
    place = data.rindex(b"PK\x01\x02")
    first = data.rindex(b"PK\x01\x02", 0, place)
    data[place + 42 : place + 46] = data[first + 42 : first + 46]
    assert fault_of(lambda: read(bytes(data))).code == "zip_overlap"


def test_a20_a_workbook_with_entities_gives_nothing_of_them():
    data = make_workbook(["a"], ["x"])
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(held, "w") as target:
        for entry in source.infolist():
            text = source.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                text = text.replace(b"<worksheet", b'<!DOCTYPE w [<!ENTITY e SYSTEM "file:///etc/hostname">]><worksheet', 1)
            target.writestr(entry, text)
    try:
        rows = read(held.getvalue())
    except FatalError as error:
        rows = [error.code]
    assert rows in ([{"a": "x"}], ["xlsx_invalid"])


def test_a_workbook_goes_through_a_text_in_base64():
    rows: JsonValue = [{"name": "bolt", "pieces": 12}]
    text = call_pure(convert, {"data": rows, "to": "xlsx"})
    assert isinstance(text, str)
    assert b64decode(text).startswith(b"PK")
    assert call_pure(convert, {"data": text, "from": "xlsx"}) == rows
    assert call_pure(convert, {"data": text, "from": "xlsx", "to": "csv"}) == "name,pieces\nbolt,12\n"
    with pytest.raises(FatalError) as caught:
        call_pure(convert, {"data": "§", "from": "xlsx"})
    assert caught.value.code == "base64_invalid"


def test_cells_have_names():
    assert [name_cell(1, 0), name_cell(3, 25), name_cell(2, 26), name_cell(1, 16_383)] == ["A1", "Z3", "AA2", "XFD1"]
