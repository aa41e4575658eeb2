"""YAML and JSON to plain values, with the place of everything."""

import pytest

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import Sink, format_path
from flowforge.language.positions import Path, Place, Positions
from flowforge.language.reading.document_reader import DocumentFormat, Reading, read_document
from flowforge.language.reading.json_reader import JsonReader
from flowforge.language.reading.scalars import NumberOutOfRangeError, resolve_plain
from flowforge.language.reading.yaml_reader import YamlReader


def read(source: bytes | str, text_format: DocumentFormat = DocumentFormat.YAML) -> Reading:
    return read_document(source, Limits(), text_format)


def locate(text: str, path: Path, offset: int | None = None) -> Place:
    positions = Positions(text)
    YamlReader(text, positions, Limits(), Sink(positions)).read()
    return positions.find_value(path, offset)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("", None), ("~", None), ("null", None), ("Null", None), ("nULL", "nULL")),
        *(("true", True), ("True", True), ("FALSE", False), ("yes", "yes"), ("on", "on"), ("No", "No"), ("y", "y")),
        *(("0", 0), ("-0", 0), ("+12", 12), ("007", 7), ("0o17", 15), ("0x1f", 31), ("0b1", "0b1"), ("1_000", "1_000")),
        *(("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("-1.5E-1", -0.15), ("1e", "1e"), (".", "."), ("-", "-"), ("+", "+")),
        *(("12:30:00", "12:30:00"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("=", "="), ("<<", "<<")),
        *(("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))),
    ],
)
def test_a_plain_word_means_what_the_core_schema_says(word: str, value: JsonValue):
    assert resolve_plain(word) == value
    assert type(resolve_plain(word)) is type(value)


@pytest.mark.parametrize(
    "word", ["9223372036854775808", "-9223372036854775809", "9" * 5000, "0x" + "f" * 17, "1e999", ".inf", "-.INF", ".NaN"]
)
def test_a_number_that_json_cannot_hold_is_refused(word: str):
    with pytest.raises(NumberOutOfRangeError):
        resolve_plain(word)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            '{"a": [1, -0, 2.5, 1e2, true, null, "x\\u00e9\\n\\ud83d\\ude00\\/"]}',
            {"a": [1, 0, 2.5, 100.0, True, None, "xé\n😀/"]},
        ),
        ("[]", []),
        (' {"a" : { } , "b":[ ]}\n', {"a": {}, "b": []}),
        ('"text"', "text"),
    ],
)
def test_json_is_read_as_it_is_written(text: str, value: JsonValue):
    assert read(text, DocumentFormat.JSON).value == value


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{'a': 1}", 2),
        ('{"a" 1}', 6),
        ('{"a": 1,}', 9),
        ("[1 2]", 4),
        ("[01]", 3),
        ('{"a": tru}', 7),
        ('["a\nb"]', 2),
        ("[1] 2", 5),
        ("[", 2),
    ],
)
def test_a_fault_of_json_is_told_at_its_column(text: str, column: int):
    faults = read(text, DocumentFormat.JSON).sink.list_errors()
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [("json_syntax", 1, column)]


def test_json_faults_that_need_not_stop_the_reader_are_all_told():
    text = '{"a": 1, "a": 99999999999999999999, "b": "\\ud800", "c": 1e400, "d": {"e": 1, "e": 2}}'
    faults = read(text, DocumentFormat.JSON).sink.list_errors()
    assert [(fault.code, fault.field) for fault in faults] == [
        ("yaml_duplicate_key", "a"),
        ("number_range", "a"),
        ("control_char", "b"),
        ("number_range", "c"),
        ("yaml_duplicate_key", "d.e"),
    ]


def test_json_deeper_than_the_bound_is_refused_where_it_becomes_too_deep():
    faults = read("[" * 100_000, DocumentFormat.JSON).sink.list_errors()
    assert [(fault.code, fault.column) for fault in faults] == [("nest_max", 21)]


TEXT = """\
plain: some é😀 text
single: 'it''s here'
double: "a\\tb\\u0041c"
literal: |
  first
    second

  third
indented: |2
    two more
folded: >-
  one
  two
multi: plain over
  two lines
list:
  - a
  - {b: c}
"""


@pytest.mark.parametrize(
    ("path", "offset", "place"),
    [
        (("plain",), None, (1, 8)),
        (("plain",), 7, (1, 15)),
        (("single",), 0, (2, 10)),
        (("single",), 3, (2, 14)),
        (("double",), 1, (3, 11)),
        (("double",), 3, (3, 14)),
        (("double",), 4, (3, 20)),
        (("literal",), 0, (5, 3)),
        (("literal",), 8, (6, 5)),
        (("literal",), 16, (8, 3)),
        (("folded",), 4, (13, 3)),
        (("multi",), 11, (15, 3)),
        (("list",), None, (17, 3)),
        (("list", 1, "b"), None, (18, 9)),
        (("nothing", "there"), None, (1, 1)),
        (("list", 1, "missing"), None, (18, 5)),
    ],
)
def test_a_character_of_a_value_is_found_in_the_text(path: Path, offset: int | None, place: tuple[int, int]):
    found = locate(TEXT, path, offset)
    assert (found.line, found.column) == place


def test_a_character_of_a_json_string_is_found_behind_escapes():
    text = '{"a": "x\\ud83d\\ude00\\n\\"y"}'
    positions = Positions(text)
    JsonReader(text, positions, Limits(), Sink(positions)).read()
    assert positions.find_value(("a",), 4) == Place(1, text.index("y") + 1)


def test_lines_end_with_any_of_the_three_line_ends():
    assert locate("a: 1\r\nb: 2\rc: 3\nd: 4", ("d",)) == Place(4, 4)


def test_an_offset_beyond_the_text_stands_at_its_end():
    assert locate("a: 'xyz'", ("a",), 50) == Place(1, 8)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("steps", 2, "with", "url"), "steps[2].with.url"),
        (("headers", "X-Trace"), "headers.X-Trace"),
        (("headers", "a b"), 'headers["a b"]'),
        (("$ref",), '["$ref"]'),
        ((0,), "[0]"),
    ],
)
def test_a_path_is_shown_dotted(path: Path, text: str):
    assert format_path(path) == text


def test_a_name_that_is_no_text_keeps_its_value_out_of_the_document():
    reading = read("a: 1\n1: {b: [1, 2]}\n[c]: x\n? {d: e}\n: {f: g}\nh: 2\n")
    assert reading.value == {"a": 1, "h": 2}
    assert [fault.code for fault in reading.sink.list_errors()] == ["yaml_key"] * 3


def test_the_first_of_two_equal_fields_counts():
    assert read("a: 1\na: {b: 2}\n").value == {"a": 1}


def test_an_anchor_inside_a_refused_field_is_told_too():
    assert [fault.code for fault in read("a: 1\na: {b: &x 2}\n").sink.list_errors()] == ["yaml_duplicate_key", "yaml_alias"]


def test_values_that_no_text_could_give_are_refused():
    source: JsonObject = {"a": float("nan"), "b": 2**63, "c": "\0", "d": float("inf"), "e\0": 1}
    faults = read_document(source, Limits()).sink.list_errors()
    assert [(fault.code, fault.field, fault.line) for fault in faults] == [
        ("number_range", "a", None),
        ("number_range", "b", None),
        ("control_char", "c", None),
        ("number_range", "d", None),
        ("yaml_key", "", None),
    ]


def test_values_larger_or_deeper_than_the_bounds_are_refused():
    deep: JsonValue = 1
    for _ in range(25):
        deep = [deep]
    faults = read_document({"a": "x" * 2**19, "b": deep}, Limits()).sink.list_errors()
    assert {fault.code for fault in faults} == {"def_max", "nest_max"}


def test_yaml_with_a_version_directive_is_read_and_a_strange_one_is_refused():
    assert read("%YAML 1.2\n---\na: no\n").value == {"a": "no"}
    assert [fault.code for fault in read("%YAML 3.0\n---\na: 1\n").sink.list_errors()] == ["yaml_syntax"]
