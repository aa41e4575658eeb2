"""Streams of rows, and the readers and writers below them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.steps.data.stored_files import StoredFiles

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import AttemptContext, FatalError
from flowforge.steps.data import json_rows, ndjson_rows, text_lines
from flowforge.steps.data.csv_file import read_csv_file, write_csv_file
from flowforge.steps.data.csv_text import CsvOptions
from flowforge.steps.data.json_rows import read_json_rows, write_json_rows
from flowforge.steps.data.ndjson_rows import read_ndjson, write_ndjson
from flowforge.steps.data.rows import RowFormat, read_rows, write_rows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def files(tmp_path: Path) -> StoredFiles:
    return StoredFiles(tmp_path)


def make_context(files: StoredFiles) -> AttemptContext:
    return AttemptContext("run_1", "step", 1, "key", files.attempts.services, lambda _level, _message, _fields: None)


def fault_of(rows: Iterator[JsonValue]) -> FatalError:
    with pytest.raises(FatalError) as caught:
        list(rows)
    return caught.value


@given(st.lists(VALUES, max_size=5))
def test_ndjson_comes_back_as_it_was_written(rows: list[JsonValue]):
    written = io.BytesIO()
    write_ndjson(written.write, rows)
    assert written.getvalue().count(b"\n") == len(rows)
    assert list(read_ndjson(io.BytesIO(written.getvalue()))) == rows


@given(st.lists(VALUES, max_size=5), st.integers(1, 40), st.booleans())
def test_json_rows_come_back_whatever_the_size_of_the_blocks(rows: list[JsonValue], block_bytes: int, is_pretty: bool):
    written = io.BytesIO()
    write_json_rows(written.write, rows, is_pretty=is_pretty)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_BLOCK_BYTES", block_bytes)
        assert list(read_json_rows(io.BytesIO(written.getvalue()))) == rows
        assert list(read_json_rows(io.BytesIO(json.dumps(rows, indent=3).encode()))) == rows


@given(st.lists(st.text("ab\n ", max_size=6), max_size=8), st.integers(1, 9))
def test_lines_of_ndjson_do_not_depend_on_blocks(texts: list[str], block_bytes: int):
    lines = [json.dumps(text) if text.strip() else "" for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson_rows, "_BLOCK_BYTES", block_bytes)
        found = list(read_ndjson(io.BytesIO("\n".join(lines).encode())))
    assert found == [text for text in texts if text.strip()]


def test_blank_lines_and_a_byte_order_mark_are_left_out():
    assert list(read_ndjson(b_stream(b'\xef\xbb\xbf{"a":1}\r\n\r\n  \n[2]'))) == [{"a": 1}, [2]]
    assert list(read_json_rows(b_stream(b'\xef\xbb\xbf [ 1 , {"a": 2} ] \n'))) == [1, {"a": 2}]
    assert list(read_json_rows(b_stream(b"[]"))) == []


def b_stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


NDJSON_FAULTS: dict[str, tuple[bytes, str, int]] = {
    "no json": (b"1\n\n{oops}\n", "json_invalid", 3),
    "beyond 64 bits": (b'{"a":1}\n{"a":9223372036854775808}\n', "number_range", 2),
    "below 64 bits": (b"-9223372036854775809", "number_range", 1),
    "infinite": (b"1\n1e999", "number_range", 2),
    "not a number": (b"NaN", "json_invalid", 1),
    "no UTF-8": (b'"a"\n"\xff"\n', "encoding", 2),
    "half of a surrogate pair": (b'"a"\n"\\ud800"\n', "encoding", 2),
    "A20 deep": (b"1\n" + b"[" * 70 + b"]" * 70, "json_depth", 2),
    "wide": (b'{"a":1}\n' + json.dumps({str(n): n for n in range(10_001)}).encode(), "json_keys", 2),
    "A20 a row that is too large": (b"1\n" + b'"' + b"x" * (11 * 2**20) + b'"\n2', "body_too_large", 2),
    "A20 a row that never ends": (b"1\n" + b'"' + b"x" * (13 * 2**20), "body_too_large", 2),
}


@pytest.mark.parametrize(("data", "code", "line"), NDJSON_FAULTS.values(), ids=NDJSON_FAULTS.keys())
def test_broken_ndjson_is_told_with_its_line(data: bytes, code: str, line: int):
    error = fault_of(read_ndjson(io.BytesIO(data)))
    assert (error.code, error.details) == (code, {"line": line})
    assert f"Line {line} " in error.message


JSON_FAULTS: dict[str, tuple[bytes, str, int]] = {
    "an object": (b'\n{"a":1}', "rows_expected", 2),
    "a word": (b"null", "rows_expected", 1),
    "empty": (b"", "rows_expected", 1),
    "no json": (b"[1,\n oops]", "json_invalid", 2),
    "a fault inside an item": (b'[{"a":1},\n{"a":\n oops}]', "json_invalid", 3),
    "comma missing": (b"[1\n2]", "json_invalid", 2),
    "comma too many": (b"[1,]", "json_invalid", 1),
    "cut short": (b"[1,\n2", "json_invalid", 2),
    "cut short in an item": (b'[1,\n{"a":"x', "json_invalid", 2),
    "text behind": (b"[1]\n[2]", "json_invalid", 2),
    "beyond 64 bits": (b"[1,\n9223372036854775808]", "number_range", 2),
    "thousands of digits": (b"[" + b"1" * 5_000 + b"]", "number_range", 1),
    "infinite": (b"[1e999]", "number_range", 1),
    "not a number": (b"[NaN]", "json_invalid", 1),
    "half of a surrogate pair": (b'["x",\n"\\uD800"]', "encoding", 2),
    "no UTF-8": (b'["x",\n"\xff"]', "encoding", 2),
    "A20 deep": (b"[" * 70 + b"]" * 70, "json_depth", 1),
    "A20 very deep": (b"[" * 100_000, "json_depth", 1),
    "wide": (b"[" + json.dumps({str(n): n for n in range(10_001)}).encode() + b"]", "json_keys", 1),
}


@pytest.mark.parametrize(("data", "code", "line"), JSON_FAULTS.values(), ids=JSON_FAULTS.keys())
def test_broken_json_rows_are_told_with_their_line(data: bytes, code: str, line: int):
    error = fault_of(read_json_rows(io.BytesIO(data)))
    assert (error.code, error.details) == (code, {"line": line})
    assert f"line {line}" in error.message


def test_a20_an_item_without_end_is_refused_before_it_fills_the_memory():
    error = fault_of(read_json_rows(io.BytesIO(b'["' + b"x" * (30 * 2**20))))
    assert error.code == "body_too_large"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5),
    st.integers(1, 30),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_csv_files_come_back_whatever_the_size_of_the_blocks(rows: list[list[str]], block_bytes: int, encoding: str):
    options = CsvOptions.model_validate({"header": False, "formulas": "keep", "encoding": encoding})
    written = io.BytesIO()
    write_csv_file(written.write, [[*row] for row in rows], options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "_BLOCK_BYTES", block_bytes)
        assert list(read_csv_file(io.BytesIO(written.getvalue()), options)) == rows


@given(st.dictionaries(CELLS, SCALARS, min_size=1, max_size=4))
def test_rows_of_csv_keep_their_types(row: JsonObject):
    # A text that looks like a number, true, false or nothing comes back as such; all others are what they were.
    kept: JsonObject = {name: value for name, value in row.items() if not isinstance(value, str)}
    if not kept:
        kept = {"only": 1}
    options = CsvOptions.model_validate({"types": "auto", "formulas": "keep"})
    written = io.BytesIO()
    write_csv_file(written.write, [kept], options)
    found = list(read_csv_file(io.BytesIO(written.getvalue()), options))
    assert found == [kept]


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-8", "a,b\nä,€\n".encode()),
        ("utf-8", "a,b\nä,€\n".encode("utf-8-sig")),
        ("utf-8-sig", "a,b\nä,€\n".encode("utf-8-sig")),
        ("utf-16", "a,b\nä,€\n".encode("utf-16")),
        ("utf-16", b"\xfe\xff" + "a,b\nä,€\n".encode("utf-16-be")),
        ("windows-1252", "a,b\nä,€\n".encode("windows-1252")),
    ],
)
def test_csv_is_read_in_its_encoding(encoding: str, data: bytes):
    options = CsvOptions.model_validate({"encoding": encoding})
    assert list(read_csv_file(io.BytesIO(data), options)) == [{"a": "ä", "b": "€"}]


@pytest.mark.parametrize(
    ("encoding", "data", "line"),
    [
        ("utf-8", b"a,b\n1,2\n\xff,3\n", 3),
        ("utf-8", b"a,b\n1,2\n3,\xc3", 3),
        ("windows-1252", b"a,b\n1,2\n3,\x81\n", 3),
        ("utf-16", "a,b\n1,2\n".encode("utf-16") + b"\x00\xd8\x00\x00", 3),
        ("utf-16", "a,b\n1,2\n3".encode("utf-16") + b"\x33", 3),
    ],
)
def test_a_broken_encoding_is_told_with_its_line(encoding: str, data: bytes, line: int):
    error = fault_of(read_csv_file(io.BytesIO(data), CsvOptions.model_validate({"encoding": encoding})))
    assert (error.code, error.details) == ("encoding", {"line": line})
    assert f"Line {line}" in error.message


def test_a_character_that_the_encoding_lacks_is_told_with_its_line():
    options = CsvOptions.model_validate({"encoding": "latin-1"})
    with pytest.raises(FatalError) as caught:
        write_csv_file(io.BytesIO().write, [{"a": "x"}, {"a": "€"}], options)
    assert (caught.value.code, caught.value.details) == ("encoding", {"line": 3})


def test_a20_csv_without_line_ends_is_refused():
    error = fault_of(read_csv_file(io.BytesIO(b"x" * (12 * 2**20)), CsvOptions()))
    assert error.code == "csv_invalid"


def test_columns_of_later_rows_are_columns_of_all():
    written = io.BytesIO()
    rows: list[JsonValue] = [{"a": 1}, {"b": "x", "a": None}, [7]]
    write_csv_file(written.write, iter(rows), CsvOptions())
    assert written.getvalue() == b"a,b\n1,\n,x\n7\n"


@pytest.mark.parametrize(
    ("to_format", "name"), [("ndjson", "x.ndjson"), ("json", "x.json"), ("csv", "x.csv"), ("xlsx", "x.xlsx")]
)
def test_rows_go_through_a_stored_file(files: StoredFiles, to_format: RowFormat, name: str):
    rows: list[JsonValue] = [{"a": "x", "b": "y"}, {"a": "z", "b": "ä"}]
    context = make_context(files)
    written = write_rows(context, iter(rows), to_format, name=name).to_json()
    assert list(read_rows(context, written)) == rows


@pytest.mark.parametrize("to_format", ["ndjson", "json", "csv", "xlsx"])
def test_a_fault_on_the_way_leaves_no_file(files: StoredFiles, to_format: RowFormat):
    def give_rows() -> Iterator[JsonValue]:
        for _ in range(2_000):
            yield {"a": "x" * 1_000}
        raise FatalError("the source broke", code="broken")

    with pytest.raises(FatalError) as caught:
        write_rows(make_context(files), give_rows(), to_format, name="x")
    assert caught.value.code == "broken"
    assert files.count() == 0


@pytest.mark.parametrize(
    ("name", "media_type", "code"),
    [
        ("x.bin", "application/octet-stream", "format_unknown"),
        ("x.xml", "text/plain", "rows_expected"),
        ("x", "application/yaml", "rows_expected"),
    ],
)
def test_a_file_whose_format_is_not_told_is_refused(files: StoredFiles, name: str, media_type: str, code: str):
    file = files.put("a", name, media_type)
    error = fault_of(read_rows(make_context(files), file, field="source"))
    assert error.code == code
    assert error.message.startswith("source: ")


def test_the_media_type_tells_where_the_name_does_not(files: StoredFiles):
    file = files.put('{"a":1}\n', "rows", "application/x-ndjson")
    assert list(read_rows(make_context(files), file)) == [{"a": 1}]
