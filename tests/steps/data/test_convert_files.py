"""data.convert with files, and what it refuses to lose."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.steps.data.stored_files import StoredFiles
from tests.steps.data.test_rows import VALUES

from flowforge.kit.limits import Limits
from flowforge.kit.objects import parse_file
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.convert import convert
from flowforge.steps.data.formats import MEDIA_TYPES, WHOLE_MAX_BYTES, FileFormat

ROWS: list[JsonValue] = [{"name": "bolt", "note": 'ä; "x"'}, {"name": "nut", "note": "a,b\nc"}]
ROW_FORMATS = ["json", "ndjson", "csv", "xlsx"]
FORMATS = [*ROW_FORMATS, "yaml"]


@pytest.fixture
def files(tmp_path: Path) -> StoredFiles:
    return StoredFiles(tmp_path)


async def call(files: StoredFiles, file: JsonValue, **parameters: JsonValue) -> JsonValue:
    if "from_" in parameters:
        parameters["from"] = parameters.pop("from_")
    return await files.attempts.call(convert, {"file": file, **parameters})


async def fault_of(files: StoredFiles, file: JsonValue, **parameters: JsonValue) -> FatalError:
    before = files.count()
    with pytest.raises(FatalError) as caught:
        await call(files, file, **parameters)
    assert files.count() == before, "nothing half written"
    return caught.value


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
async def test_rows_survive_every_pair_of_formats(files: StoredFiles, source: str, target: str):
    first = await call(files, files.put(json.dumps(ROWS), "rows.json"), to=source)
    second = await call(files, first, to=target)
    file = parse_file(second)
    assert (file.name, file.media_type) == (f"rows.{target}", MEDIA_TYPES[cast("FileFormat", target)])
    assert await call(files, second) == ROWS


async def test_xml_is_converted_too(files: StoredFiles):
    value: JsonValue = {"rows": {"row": [{"@id": "1", "name": "bolt"}, {"@id": "2", "name": "nut"}]}}
    written = await call(files, files.put(json.dumps(value), "rows.json"), to="xml", pretty=True, name="out.xml")
    assert parse_file(written).name == "out.xml"
    assert await call(files, written) == value
    assert (await fault_of(files, written, to="csv")).code == "rows_expected"


async def test_one_value_of_json_becomes_json_again(files: StoredFiles):
    file = files.put('\n {"a":[1,2]}', "x.json")
    assert files.read(await call(files, file, to="json", pretty=True)) == b'{\n  "a": [\n    1,\n    2\n  ]\n}'
    assert (await fault_of(files, file, to="ndjson")).code == "rows_expected"


async def test_indented_rows_are_those_of_the_value_form(files: StoredFiles):
    written = files.read(await call(files, files.put(json.dumps(ROWS), "x.json"), to="json", pretty=True)).decode()
    assert written == f"{call_pure(convert, {'data': ROWS, 'to': 'json', 'pretty': True})}\n"


async def test_one_dialect_of_csv_becomes_another(files: StoredFiles):
    file = files.put("name;price\nbolt;1,5\n".encode("windows-1252"), "x.csv")
    written = await call(
        files,
        file,
        to="csv",
        csv={"delimiter": ";", "encoding": "windows-1252"},
        to_csv={"encoding": "utf-8-sig", "line_end": "crlf"},
    )
    assert files.read(written) == b'\xef\xbb\xbfname,price\r\nbolt,"1,5"\r\n'


FAULTS: dict[str, tuple[str, bytes, JsonObject, str, str]] = {
    "beyond 64 bits in ndjson": ("x.ndjson", b'{"a":1}\n{"a":9223372036854775808}\n', {}, "number_range", "Line 2"),
    "beyond 64 bits in json": ("x.json", b'[1,\n{"id":99999999999999999999}]', {}, "number_range", "line 2"),
    "beyond 64 bits in one value of json": ("x.json", b'{"id":99999999999999999999}', {"to": "yaml"}, "number_range", "64 bits"),
    "beyond 64 bits in csv": (
        "x.csv",
        b"id\n1\n9223372036854775808\n",
        {"csv": {"types": {"id": "integer"}}},
        "csv_invalid",
        "Line 3, column 'id'",
    ),
    "beyond 64 bits in yaml": ("x.yaml", b"a: 1\nid: 9223372036854775808\n", {}, "yaml_invalid", "line 2, column 5"),
    "a date that does not exist": (
        "x.csv",
        b"due\n2026-02-30\n",
        {"csv": {"types": {"due": "date"}}},
        "csv_invalid",
        "Line 2, column 'due'",
    ),
    "a time that does not exist": (
        "x.csv",
        b"at\n2026-01-01T25:00:00Z\n",
        {"csv": {"types": {"at": "datetime"}}},
        "csv_invalid",
        "column 'at'",
    ),
    "a broken encoding in csv": ("x.csv", b"a\n1\n\xff\n", {}, "encoding", "Line 3"),
    "a broken encoding in ndjson": ("x.ndjson", b'"a"\n"\xff"\n', {}, "encoding", "Line 2"),
    "a broken encoding in json": ("x.json", b'["a",\n"\xff"]', {}, "encoding", "line 2"),
    "a broken encoding in yaml": ("x.yaml", b"a: 1\nb: \xff\n", {}, "encoding", "Line 2"),
    "a broken encoding in xml": ("x.xml", b"<a>\n\xff</a>", {"to": "json"}, "xml_invalid", "line 2"),
    "half of a surrogate pair in json": ("x.json", b'["\\ud800"]', {}, "encoding", "surrogate"),
    "half of a surrogate pair in yaml": ("x.yaml", b'- "\\ud800"', {}, "yaml_invalid", "line 1"),
    "A20 entities": ("x.xml", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', {"to": "json"}, "xml_forbidden", "DTD"),
    "too few cells": ("x.csv", b"a,b\n1,2\n3\n", {}, "csv_invalid", "Line 3"),
    "an unknown format": ("x.bin", b"1", {}, "format_unknown", "file:"),
    "A20 a bomb": ("x.xlsx", b"", {}, "zip_ratio", "100 times"),
}


@pytest.mark.parametrize(("name", "data", "parameters", "code", "place"), FAULTS.values(), ids=FAULTS.keys())
async def test_what_cannot_be_held_is_told_and_nothing_is_written(
    files: StoredFiles, name: str, data: bytes, parameters: JsonObject, code: str, place: str
):
    if name.endswith(".xlsx"):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
                archive.writestr(part, b"0" * (10 * 2**20))
        data = held.getvalue()
    error = await fault_of(files, files.put(data, name), **{"to": "ndjson", **parameters})
    assert error.code == code
    assert place in error.message


async def test_a_file_that_is_read_whole_has_a_bound(files: StoredFiles):
    file = files.put(b'"x"\n' * (WHOLE_MAX_BYTES // 4 + 1), "x.ndjson")
    assert (await fault_of(files, file, to="yaml")).code == "file_too_large"
    assert (await fault_of(files, files.put(b" " * (WHOLE_MAX_BYTES + 1), "x.yaml"), to="json")).code == "file_too_large"


async def test_a_value_that_is_no_file_is_refused(files: StoredFiles):
    assert (await fault_of(files, {"id": "x"}, to="json")).code == "file_invalid"
    gone = cast("JsonObject", files.put(b"1", "x.json")["$file"])
    assert (await fault_of(files, {"$file": {**gone, "id": "file_01jz0000000000000000000000"}}, to="json")).code == "file_missing"


@pytest.mark.parametrize(
    "parameters",
    [
        {"data": "x", "file": {}},
        {},
        {"file": {}, "from": "value"},
        {"data": 1, "from": "xml"},
        {"data": 1, "xlsx": {"formulas": "keep"}},
        {"data": 1, "csv": {"encoding": "utf-7"}},
    ],
)
def test_parameters_that_contradict_themselves_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(convert, parameters)


def test_a_file_is_no_part_of_an_expression():
    with pytest.raises(FatalError) as caught:
        call_pure(convert, {"file": {}, "to": "json"})
    assert caught.value.code == "file_in_expression"


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "--", "+49 170 1"]
)
def test_formulas_are_neutralised_in_csv(text: str):
    written = call_pure(convert, {"data": [{text: text}], "to": "csv"})
    back = call_pure(convert, {"data": written, "from": "csv"})
    assert back == [{f"'{text}": f"'{text}"}]
    kept = call_pure(convert, {"data": [{text: text}], "to": "csv", "csv": {"formulas": "keep"}})
    assert call_pure(convert, {"data": kept, "from": "csv"}) == [{text: text}]


def test_numbers_are_no_formulas():
    rows: JsonValue = [{"a": -5, "b": "-5", "c": "+1.5", "d": "-1,5", "e": -2.5e300, "f": ["=1"]}]
    assert call_pure(convert, {"data": rows, "to": "csv"}) == 'a,b,c,d,e,f\n-5,-5,+1.5,"-1,5",-2.5e+300,"[""=1""]"\n'


@given(st.lists(VALUES, max_size=4))
def test_ndjson_in_a_text_comes_back(rows: list[JsonValue]):
    text = call_pure(convert, {"data": rows, "to": "ndjson"})
    assert call_pure(convert, {"data": text, "from": "ndjson"}) == rows


@given(VALUES)
def test_json_in_a_text_comes_back(value: JsonValue):
    for pretty in (False, True):
        text = call_pure(convert, {"data": value, "to": "json", "pretty": pretty})
        assert call_pure(convert, {"data": text, "from": "json"}) == value


def test_rows_are_expected_where_rows_are_written():
    for target in ("ndjson", "xlsx"):
        with pytest.raises(FatalError) as caught:
            call_pure(convert, {"data": {"a": 1}, "to": target})
        assert caught.value.code == "rows_expected"


@pytest.mark.slow(60)
async def test_memory_does_not_grow_with_the_file(files: StoredFiles):
    line = b"1,customer,customer@example.com,some town\n"
    small = files.put(b"id,name,email,town\n" + line * 60_000, "x.csv")
    large = files.put(b"id,name,email,town\n" + line * 240_000, "x.csv")
    peaks: list[int] = []
    for file in (small, large):
        tracemalloc.start()
        await call(files, file, to="ndjson")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20
    assert Limits().parser_mem_bytes > peaks[1]
