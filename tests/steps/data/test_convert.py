from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.convert import convert
from flowforge.steps.data.yaml_text import NODES_MAX, parse_yaml, write_yaml

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def call(**parameters: JsonValue) -> JsonValue:
    if "from_" in parameters:
        parameters["from"] = parameters.pop("from_")
    return call_pure(convert, parameters)


def fault_of(**parameters: JsonValue) -> FatalError:
    with pytest.raises(FatalError) as caught:
        call(**parameters)
    return caught.value


def place_of(error: FatalError) -> tuple[JsonValue, JsonValue]:
    assert isinstance(error.details, dict)
    return error.details["line"], error.details["column"]


CSV_CASES: dict[str, tuple[str, JsonObject, JsonValue]] = {
    "header": ("a,b\n1,2\n", {}, [{"a": "1", "b": "2"}]),
    "no last line end": ("a\n1", {}, [{"a": "1"}]),
    "crlf": ("a,b\r\n1,2\r\n", {}, [{"a": "1", "b": "2"}]),
    "byte order mark": ("\ufeffa\n1\n", {}, [{"a": "1"}]),
    "quotes": ('a,b\n"x ""y"", z","1\n2"\n', {}, [{"a": 'x "y", z', "b": "1\n2"}]),
    "empty lines": ("a\n\n1\n\n", {}, [{"a": "1"}]),
    "empty text": ("", {}, []),
    "header alone": ("a,b\n", {}, []),
    "delimiter": ("a;b\n1;2,5\n", {"delimiter": ";"}, [{"a": "1", "b": "2,5"}]),
    "tab": ("a\tb\n1\t2\n", {"delimiter": "\t"}, [{"a": "1", "b": "2"}]),
    "quote": ("a,b\n'1,1',2\n", {"quote": "'"}, [{"a": "1,1", "b": "2"}]),
    "without header": ("1,2\n3,4\n", {"header": False}, [["1", "2"], ["3", "4"]]),
    "columns without header": ("1,2\n", {"header": False, "columns": ["x", "y"]}, [{"x": "1", "y": "2"}]),
    "columns instead of header": ("a,a\n1,2\n", {"columns": ["x", "y"]}, [{"x": "1", "y": "2"}]),
    "auto": (
        "a,b,c,d,e,f,g\n1,-2.5,true,,007,1e3,NaN\n",
        {"types": "auto"},
        [{"a": 1, "b": -2.5, "c": True, "d": None, "e": "007", "f": 1000.0, "g": "NaN"}],
    ),
    "auto keeps what is no number of ours": (
        "a,b,c,d\n9223372036854775807,9223372036854775808,1_000,+1\n",
        {"types": "auto"},
        [{"a": INTEGER_MAX, "b": "9223372036854775808", "c": "1_000", "d": "+1"}],
    ),
    "types by column": (
        'a,b,c,d,e\n1,2.5,yes,"{""x"": 1}",07\n,,,,\n',
        {"types": {"a": "integer", "b": "number", "c": "boolean", "d": "json"}},
        [{"a": 1, "b": 2.5, "c": True, "d": {"x": 1}, "e": "07"}, {"a": None, "b": None, "c": None, "d": None, "e": ""}],
    ),
}


@pytest.mark.parametrize(("text", "options", "rows"), CSV_CASES.values(), ids=CSV_CASES.keys())
def test_csv_is_read(text: str, options: JsonObject, rows: JsonValue):
    assert call(data=text, from_="csv", csv=options) == rows


CSV_FAULTS: dict[str, tuple[str, JsonObject, int, str | None]] = {
    "too few cells": ("a,b\n1,2\n3\n", {}, 3, None),
    "too many cells": ("a,b\n1,2,3\n", {}, 2, None),
    "line after a cell of two lines": ('a,b\n"x\ny",1\n2\n', {}, 4, None),
    "two columns of one name": ("a,b,a\n1,2,3\n", {}, 1, "a"),
    "no integer": ("a,n\nx,1\ny,1.5\n", {"types": {"n": "integer"}}, 3, "n"),
    "no number": ("n\nten\n", {"types": {"n": "number"}}, 2, "n"),
    "infinite": ("n\n1e999\n", {"types": {"n": "number"}}, 2, "n"),
    "no boolean": ("b\nmaybe\n", {"types": {"b": "boolean"}}, 2, "b"),
    "no json": ("j\n{\n", {"types": {"j": "json"}}, 2, "j"),
    "open quote": ('a\n1\n"x\n', {}, 3, None),
    "text behind a quote": ('a\n"x"y\n', {}, 2, None),
    "other number of columns": ("a,b\n1,2\n", {"columns": ["x"]}, 1, None),
}


@pytest.mark.parametrize(("text", "options", "line", "column"), CSV_FAULTS.values(), ids=CSV_FAULTS.keys())
def test_broken_csv_is_told_with_its_place(text: str, options: JsonObject, line: int, column: str | None):
    error = fault_of(data=text, from_="csv", csv=options)
    assert error.code == "csv_invalid"
    assert place_of(error) == (line, column)
    assert f"Line {line}" in error.message


def test_csv_is_written():
    rows: JsonValue = [{"a": 1, "b": 'x "y", z'}, {"a": True, "c": [1, {"d": None}], "b": None}]
    assert call(data=rows, to="csv") == 'a,b,c\n1,"x ""y"", z",\ntrue,,"[1,{""d"":null}]"\n'
    assert (
        call(data=rows, to="csv", csv={"columns": ["c", "a"], "delimiter": ";", "line_end": "crlf"})
        == 'c;a\r\n;1\r\n"[1,{""d"":null}]";true\r\n'
    )
    assert call(data=[["x", 1.5], ["y", None]], to="csv", csv={"header": False}) == "x,1.5\ny,\n"
    assert call(data=[], to="csv") == ""


@pytest.mark.parametrize("value", [{"a": 1}, "x", 3, None, [1], [{"a": 1}, "x"]])
def test_what_is_no_list_of_rows_is_not_written_as_csv(value: JsonValue):
    assert fault_of(data=value, to="csv").code == "csv_invalid"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@example([["", "\r"]])
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5))
def test_csv_comes_back_as_it_was_written(rows: list[list[str]]):
    written = call(data=[[*row] for row in rows], to="csv", csv={"header": False, "formulas": "keep"})
    assert call(data=written, from_="csv", csv={"header": False}) == rows


@pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not beside the repository")
def test_real_countries_are_read():
    text = (DATA / "country-codes.csv").read_text("utf-8")
    rows = call(data=text, from_="csv")
    assert isinstance(rows, list)
    assert len(rows) == 249
    assert {len(row) for row in rows if isinstance(row, dict)} == {len(rows[0]) if isinstance(rows[0], dict) else 0}
    assert call(data=call(data=rows, to="csv"), from_="csv") == rows


YAML_CASES: dict[str, tuple[str, JsonValue]] = {
    "1.2 words": (
        "[no, on, yes, off, y, 12:30, 1_000, 0o17, 0x1f, 017]",
        ["no", "on", "yes", "off", "y", "12:30", "1_000", 15, 31, 17],
    ),
    "core words": ("[true, False, null, ~, 1, -2.5, 1e3, .5]", [True, False, None, None, 1, -2.5, 1000.0, 0.5]),
    "quoted": ("['1', \"true\", !!str 3]", ["1", "true", "3"]),
    "empty": ("", None),
    "keys": ("1: a\ntrue: b\nnull: c\n", {"1": "a", "true": "b", "null": "c"}),
    "anchors": ("a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
    "block": ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
    "date": ("2026-01-02", "2026-01-02"),
    "merge key is a key": ("<<: 1", {"<<": 1}),
}


@pytest.mark.parametrize(("text", "value"), YAML_CASES.values(), ids=YAML_CASES.keys())
def test_yaml_is_read(text: str, value: JsonValue):
    assert call(data=text, from_="yaml") == value


YAML_FAULTS: dict[str, tuple[str, tuple[int, int]]] = {
    "syntax": ("a: 1\nb: ]", (2, 4)),
    "tab": ("a:\n\t- b", (2, 1)),
    "two keys of one name": ("a: 1\nb: 2\na: 3", (3, 1)),
    "two documents": ("a\n---\nb", (2, 1)),
    "A13 tag": ("a: !!python/object/apply:os.system ['x']", (1, 4)),
    "unknown alias": ("a: *x", (1, 4)),
    "alias of itself": ("a: &x [*x]", (1, 8)),
    "list as key": ("[a]: 1", (1, 1)),
    "infinite": ("[1, .inf]", (1, 5)),
    "not a number": (".nan", (1, 1)),
    "beyond 64 bits": ("x: 9223372036854775808", (1, 4)),
    "A20 deep": ("[" * 100, (1, 65)),
}


@pytest.mark.parametrize(("text", "place"), YAML_FAULTS.values(), ids=YAML_FAULTS.keys())
def test_broken_yaml_is_told_with_its_place(text: str, place: tuple[int, int]):
    error = fault_of(data=text, from_="yaml")
    assert (error.code, place_of(error)) == ("yaml_invalid", place)


def test_a20_a_bomb_of_aliases_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    error = fault_of(data="\n".join(lines), from_="yaml")
    assert error.code == "yaml_invalid"
    assert str(NODES_MAX) in error.message


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029\x85"), max_size=12)
    | st.sampled_from(
        [
            "no",
            "1e3",
            "0o17",
            "0x1f",
            "12:30",
            "1_000",
            "~",
            "null",
            ".5",
            "-",
            "=",
            "<<",
            "2026-01-02",
            " x",
            "x: y",
            "#",
            "",
            "+1",
        ]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc01: -", max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_yaml_comes_back_as_it_was_written(value: JsonValue):
    assert parse_yaml(write_yaml(value)) == value


def test_json_is_read_and_written():
    assert call(data='{"a": [1]}', from_="json") == {"a": [1]}
    assert call(data={"a": [1]}, to="json") == '{"a":[1]}'
    assert call(data={"a": 1}, to="json", pretty=True) == '{\n  "a": 1\n}'
    error = fault_of(data='{"a":\n oops}', from_="json")
    assert error.code == "json_invalid"
    assert "line 2" in error.message
    assert fault_of(data="[99999999999999999999]", from_="json").code == "number_range"


def test_a_value_passes_through_untouched():
    assert call(data={"x": "a: 1"}) == {"x": "a: 1"}
    assert call(data="a: 1", to="json") == '"a: 1"'


@pytest.mark.parametrize(
    "parameters", [{"data": [1], "from": "csv"}, {"data": None, "from": "yaml"}, {"from": "json"}, {"data": "x", "from": "html"}]
)
def test_what_is_no_text_cannot_be_read(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(convert, parameters)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"delimiter": "\n"},
        {"columns": []},
        {"types": "number"},
        {"types": {"a": "money"}},
    ],
)
def test_a_dialect_that_cannot_be_is_refused(options: JsonObject):
    with pytest.raises(InvalidParametersError):
        call(data="a", from_="csv", csv=options)
