"""data.query and data.jsonata."""

import json
import time
from pathlib import Path

import pytest
from tests.steps.data.stored_files import StoredFiles
from tests.steps.data.world import open_world

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.data.jsonata import ask_jsonata
from flowforge.steps.data.query import query_data

SHOP: JsonObject = {
    "shop": {
        "books": [
            {"title": "Bolts", "price": 8.95, "isbn": "1-23", "tags": ["a", "b"]},
            {"title": "Nuts", "price": 12, "tags": []},
            {"title": "Gears", "price": 8.99, "isbn": "9-99"},
        ],
        "bike": {"colour": "red", "price": 399, "no": 2**62 + 1},
    },
    "limit": 10,
    "flags": [True, 1, 0, False, None, "1", 1.0],
}


def ask(query: str, data: JsonValue = SHOP, language: str = "jmespath", **parameters: JsonValue) -> JsonValue:
    return call_pure(query_data, {"data": data, "query": query, "language": language, **parameters})


def fault_of(query: str, data: JsonValue = SHOP, language: str = "jmespath") -> FatalError:
    with pytest.raises(FatalError) as caught:
        ask(query, data, language)
    return caught.value


JMESPATH: dict[str, JsonValue] = {
    "shop.bike.no": 2**62 + 1,
    "shop.books[*].title": ["Bolts", "Nuts", "Gears"],
    "shop.books[?price < `10`].title | [0]": "Bolts",
    "shop.books[-1].isbn": "9-99",
    "shop.books[].tags[]": ["a", "b"],
    "shop.books[*].{t: title, p: price}": [{"t": "Bolts", "p": 8.95}, {"t": "Nuts", "p": 12}, {"t": "Gears", "p": 8.99}],
    "shop.*.price": [399],
    "length(shop.books)": 3,
    "sum(shop.books[*].price)": 8.95 + 12 + 8.99,
    "sort_by(shop.books, &price)[*].title": ["Bolts", "Gears", "Nuts"],
    "max_by(shop.books, &price).title": "Nuts",
    "join('-', shop.books[*].title)": "Bolts-Nuts-Gears",
    "nothing.here": None,
    "shop.books[?isbn].title": ["Bolts", "Gears"],
    "flags[?@ == `1`]": [1, 1.0],
    "flags[?@ == `true`]": [True],
    "shop.books[0:2].title": ["Bolts", "Nuts"],
    "shop.books[::-1].title": ["Gears", "Nuts", "Bolts"],
    "type(@)": "object",
    "contains(shop.books[0].tags, 'a')": True,
    "not_null(nothing, limit)": 10,
    "map(&title, shop.books)": ["Bolts", "Nuts", "Gears"],
    "`[1, 2.5, 9223372036854775807]`": [1, 2.5, 2**63 - 1],
    "'raw'": "raw",
}


@pytest.mark.parametrize(("query", "result"), JMESPATH.items())
def test_jmespath(query: str, result: JsonValue):
    found = ask(query)
    assert found == result
    assert json.dumps(found) == json.dumps(result), "also 1 and true, 1 and 1.0"


JMESPATH_FAULTS: dict[str, tuple[str, int]] = {
    "shop.[": ("query_invalid", 7),
    "shop..books": ("query_invalid", 6),
    "foo(@)": ("query_invalid", 4),
    "length(@, @)": ("query_invalid", 1),
    "a ~ b": ("query_invalid", 3),
    "(" * 3_000: ("query_invalid", 1),
}


@pytest.mark.parametrize(("query", "fault"), JMESPATH_FAULTS.items(), ids=[query[:20] for query in JMESPATH_FAULTS])
def test_a_broken_jmespath_is_told_with_its_position(query: str, fault: tuple[str, int]):
    error = fault_of(query)
    assert (error.code, error.details) == (fault[0], {"position": fault[1]})


@pytest.mark.parametrize(
    "query",
    [
        "sum(shop.books)",
        "to_number('1e999')",
        "&shop",
        "keys(limit)",
        'avg(`[9223372036854775807, "x"]`)',
        "sum([`9223372036854775807`, `1`])",
    ],
)
def test_what_a_jmespath_cannot_do_is_told(query: str):
    assert fault_of(query).code == "query_failed"


@pytest.mark.parametrize(
    "query",
    [
        "|".join(["[@,@]"] * 100),
        "|".join(["join('',[@,@])"] * 60),
        "|".join(["{a:@,b:@}"] * 80),
        "|".join(["[@,@][]"] * 80),
        "[" + ",".join(["to_string(@)"] * 200) + "] | length(@)",
        "|".join(["[@,@]"] * 30) + "|to_string(@)",
    ],
)
def test_a20_a_jmespath_that_multiplies_is_stopped(query: str):
    data: JsonValue = "x" * 200_000 if "join" in query or "to_string" in query else [1]
    begun = time.perf_counter()
    assert fault_of(query, data).code == "query_limit"
    assert time.perf_counter() - begun < 10


JSONPATH: dict[str, JsonValue] = {
    "$": [SHOP],
    "$.shop.bike.no": [2**62 + 1],
    "$.shop.books[*].title": ["Bolts", "Nuts", "Gears"],
    "$..price": [8.95, 12, 8.99, 399],
    "$.shop.books[-1].title": ["Gears"],
    "$.shop.books[5]": [],
    "$.shop.books[0,2].title": ["Bolts", "Gears"],
    "$.shop.books[:2].title": ["Bolts", "Nuts"],
    "$.shop.books[::-1].title": ["Gears", "Nuts", "Bolts"],
    "$.shop.books[::0]": [],
    "$.shop.books[?@.price < $.limit].title": ["Bolts", "Gears"],
    "$.shop.books[?@.isbn].title": ["Bolts", "Gears"],
    "$.shop.books[?!@.isbn].title": ["Nuts"],
    "$.shop.books[?@.isbn && (@.price > 8.96 || @.title == 'x')].title": ["Gears"],
    "$.shop.books[?length(@.title) == 5].title": ["Bolts", "Gears"],
    "$.shop.books[?count(@.tags[*]) == 2].title": ["Bolts"],
    "$.shop.books[?value(@..colour) == 'red']": [],
    "$.shop[?@.colour == 'red'].price": [399],
    "$.shop.books[?match(@.isbn, '[0-9]-2.')].title": ["Bolts"],
    "$.shop.books[?search(@.title, '[ou]t')].title": ["Nuts"],
    "$.shop.books[?match(@.title, '[')]": [],
    "$.shop.books[?search(@.price, '8')]": [],
    "$.shop.books[?@.none == @.nothing].title": ["Bolts", "Nuts", "Gears"],
    "$.shop.books[?@.none <= @.nothing].title": ["Bolts", "Nuts", "Gears"],
    "$.shop.books[?@.title < 5]": [],
    "$.flags[?@ == 1]": [1, 1.0],
    "$.flags[?@ == true]": [True],
    "$.flags[?@ == null]": [None],
    "$.flags[?@ >= 1]": [1, 1.0],
    "$['shop']['bike'][\"colour\"]": ["red"],
    "$.shop.books[0].title[0]": [],
    "$.shop.books[0].title[*]": [],
    "$.shop.books[0].title[0:2]": [],
    "$.shop.books[?count($..*) > 3].title": ["Bolts", "Nuts", "Gears"],
}


@pytest.mark.parametrize(("query", "result"), JSONPATH.items())
def test_jsonpath(query: str, result: JsonValue):
    found = ask(query, language="jsonpath")
    assert json.dumps(found) == json.dumps(result)


def test_a_text_at_the_root_is_a_text():
    assert ask("$", '{"a": 1}', "jsonpath") == ['{"a": 1}']
    assert ask("$.a", '{"a": 1}', "jsonpath") == []


def test_jsonpath_gives_what_is_asked_for():
    data: JsonValue = {"a'b": [1, {"\n\\": 2}]}
    assert ask("$..*", data, "jsonpath", give="paths") == [
        "$['a\\'b']",
        "$['a\\'b'][0]",
        "$['a\\'b'][1]",
        "$['a\\'b'][1]['\\n\\\\']",
    ]
    assert ask("$..[0]", data, "jsonpath", give="nodes") == [{"path": "$['a\\'b'][0]", "value": 1}]
    assert ask("$..[0]", data, "jsonpath", give="first") == 1
    assert ask("$.none", data, "jsonpath", give="first") is None
    found = ask("$..*", data, "jsonpath", give="paths")
    assert isinstance(found, list)
    assert all(ask(str(path), data, "jsonpath", give="paths") == [path] for path in found)


JSONPATH_FAULTS: dict[str, int] = {
    "shop": 1,
    "$.": 2,
    "$[": 3,
    "$.a[?@.b = 1]": 10,
    "$.a[?foo(@)]": 6,
    "$[?@.a == 'x]": 11,
    "$.a[?length(@.*) > 1]": 6,
    "$[01]": 3,
    "$.a ": 4,
    "$[?@.* == 1]": 8,
    "$.~": 3,
    "$[?@.a =~ /x/]": 8,
    "$" + ".a" * 2_000: 1,
    "$[?" + "(" * 2_000: 1,
    "$[?" + "!" * 3_000 + "@.a]": 1,
}


@pytest.mark.parametrize("query", JSONPATH_FAULTS, ids=[query[:20] for query in JSONPATH_FAULTS])
def test_a_broken_jsonpath_is_told_with_its_position(query: str):
    error = fault_of(query, language="jsonpath")
    assert error.code == "query_invalid"
    assert isinstance(error.details, dict)
    position = error.details["position"]
    assert isinstance(position, int)
    assert 1 <= position <= len(query) + 1
    assert abs(position - JSONPATH_FAULTS[query]) <= 2


def test_a20_patterns_take_time_in_proportion_to_the_text():
    begun = time.perf_counter()
    assert ask("$[?search(@, '(a+)+$')]", ["a" * 50_000 + "b"], "jsonpath") == []
    assert ask("$[?match(@, '(a|a)*b')]", ["a" * 50_000], "jsonpath") == []
    assert ask("$[?match(@, '((((a{1,100}){1,100}){1,100}){1,100})')]", ["aaa"], "jsonpath") == []
    assert time.perf_counter() - begun < 5


def nest(levels: int) -> JsonValue:
    value: JsonValue = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("$" + "[*,*]" * 50 + "[?@.x]", nest(55)),
        ("$" + "[0,0,0,0]" * 20 + ".x", nest(55)),
        ("$" + "..*" * 40, nest(60)),
        ("$..[?count(@..*) > 1000000]", [[n] for n in range(200_000)]),
        ("$[?search(@, 'x')]", ["y" * 2**20] * 64),
    ],
)
def test_a20_a_jsonpath_that_multiplies_is_stopped(query: str, data: JsonValue):
    begun = time.perf_counter()
    assert fault_of(query, data, "jsonpath").code == "query_limit"
    assert time.perf_counter() - begun < 15


def test_jsonata_is_another_operation():
    error = fault_of("a", language="jsonata")
    assert error.code == "language"
    assert "data.jsonata" in error.message


@pytest.mark.parametrize(
    "parameters",
    [{"query": "a"}, {"data": 1, "query": ""}, {"data": 1, "query": "a" * 5_000}, {"data": 1, "query": "a", "give": "paths"}],
)
def test_parameters_that_cannot_be_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        call_pure(query_data, parameters)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", '[{"a":"1"},{"a":"2"}]'),
        ("x.ndjson", '{"a":"1"}\n{"a":"2"}\n'),
        ("x.csv", "a\n1\n2\n"),
        ("x.yaml", "- a: '1'\n- a: '2'\n"),
    ],
)
async def test_files_are_asked(tmp_path: Path, name: str, text: str):
    files = StoredFiles(tmp_path)
    file = files.put(text, name)
    assert await files.attempts.call(query_data, {"file": file, "query": "[1].a"}) == "2"
    assert await files.attempts.call(query_data, {"file": file, "query": "$..a", "language": "jsonpath"}) == ["1", "2"]


async def test_jsonata_runs_in_the_sandbox(tmp_path: Path):
    async with open_world(tmp_path) as attempts:
        assert await attempts.call(ask_jsonata, {"data": SHOP, "query": "$sum(shop.books.price) > 20"}) is True
        assert await attempts.call(ask_jsonata, {"data": SHOP, "query": "nothing"}) is None
        with pytest.raises(FatalError) as caught:
            await attempts.call(ask_jsonata, {"data": SHOP, "query": "shop.["})
    assert caught.value.code == "jsonata_invalid"
