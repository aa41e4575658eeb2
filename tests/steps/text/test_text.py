"""Patterns, cases, slugs, splitting and comparing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.steps.text.case import change_case
from flowforge.steps.text.regex import match_regex
from flowforge.steps.text.similarity import compare_texts
from flowforge.steps.text.slug import make_slug
from flowforge.steps.text.split import split_text


def test_a20_pattern_that_would_take_for_ever_elsewhere_is_linear():
    # Counted by its result: with a backtracking engine this line would not come to an end.
    data: JsonObject = {"data": "a" * 200_000 + "!", "pattern": "^(a+)+$", "action": "test"}
    assert call_pure(match_regex, data) is False


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "(a)\\1", "[z-a]", "a{1,100000}"])
def test_pattern_that_cannot_be_used_is_told(pattern: str):
    with pytest.raises(FatalError, match=r"^pattern: ") as caught:
        call_pure(match_regex, {"data": "a", "pattern": pattern})
    assert caught.value.code == "regex_invalid"


@pytest.mark.parametrize(
    ("given_parameters", "expected"),
    [
        ({"action": "test", "pattern": "B", "data": "abc"}, False),
        ({"action": "test", "pattern": "B", "data": "abc", "flags": ["ignore_case"]}, True),
        ({"action": "test", "pattern": "^b$", "data": "a\nb", "flags": ["multiline"]}, True),
        ({"action": "test", "pattern": "a.b", "data": "a\nb", "flags": ["dot_all"]}, True),
        ({"action": "find", "pattern": "x", "data": "abc"}, None),
        ({"action": "split", "pattern": "[,;] *", "data": "a, b;c"}, ["a", "b", "c"]),
        ({"action": "replace", "pattern": "(?P<a>.)(.)", "data": "abcd", "replacement": "\\2\\g<a>"}, "badc"),
        ({"action": "replace", "pattern": "a", "data": "aaa", "replacement": "b", "limit": 2}, "bba"),
        ({"action": "find_all", "pattern": "a", "data": "aaa", "limit": 2}, 2),
    ],
)
def test_actions_of_a_pattern(given_parameters: JsonObject, expected: JsonValue):
    result = call_pure(match_regex, given_parameters)
    assert (len(result) if isinstance(result, list) and isinstance(expected, int) else result) == expected


def test_positions_count_characters():
    result = call_pure(match_regex, {"data": "größe 7", "pattern": "[0-9]", "action": "find"})
    assert result == {"match": "7", "start": 6, "end": 7, "groups": [], "names": {}}


def test_group_that_took_no_part_is_null():
    result = call_pure(match_regex, {"data": "b", "pattern": "(a)?b", "action": "find"})
    assert isinstance(result, dict)
    assert result["groups"] == [None]


@pytest.mark.parametrize("replacement", ["\\3", "\\g<no>"])
def test_replacement_by_a_group_that_is_not_there_is_told(replacement: str):
    with pytest.raises(FatalError) as caught:
        call_pure(match_regex, {"data": "a", "pattern": "(a)", "action": "replace", "replacement": replacement})
    assert caught.value.code == "replacement_invalid"


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("snake", "http_server_error_code_2_größe"),
        ("kebab", "http-server-error-code-2-größe"),
        ("camel", "httpServerErrorCode2Größe"),
        ("pascal", "HttpServerErrorCode2Größe"),
        ("constant", "HTTP_SERVER_ERROR_CODE_2_GRÖSSE"),
    ],
)
def test_names_of_programs(to: str, expected: str):
    assert call_pure(change_case, {"data": "HTTPServer error-code_2 größe", "to": to}) == expected


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("lower", "it's o'neill-smith"),
        ("upper", "IT'S O'NEILL-SMITH"),
        ("title", "It's O'neill-Smith"),
        ("sentence", "It's o'neill-smith"),
    ],
)
def test_cases_of_sentences(to: str, expected: str):
    assert call_pure(change_case, {"data": "it's O'Neill-smith", "to": to}) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"data": "Ça va?  Œuvre"}, "ca-va-oeuvre"),
        ({"data": "don\u2019t stop"}, "dont-stop"),
        ({"data": "one two three", "max_length": 8}, "one-two"),
        ({"data": "extraordinary", "max_length": 5}, "extra"),
        ({"data": "a b", "separator": ""}, "ab"),
        ({"data": "日本 語"}, ""),
        ({"data": "日本 語", "allow_unicode": True}, "日本-語"),
        ({"data": "../../etc/passwd"}, "etc-passwd"),
    ],
)
def test_slugs(parameters: JsonObject, expected: str):
    assert call_pure(make_slug, parameters) == expected


@given(st.text(max_size=200))
def test_slug_of_a_slug_is_itself(text: str):
    slug = call_pure(make_slug, {"data": text})
    assert call_pure(make_slug, {"data": slug}) == slug


@given(st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), max_size=5), min_size=1))
def test_what_is_joined_is_split(parts: list[str]):
    given_parameters: JsonObject = {"data": ",".join(parts), "trim": False, "keep_empty": True}
    assert call_pure(split_text, given_parameters) == parts


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"data": "a,b,c", "limit": 2}, ["a", "b,c"]),
        ({"data": " a \r\n\n b", "by": "lines"}, ["a", "b"]),
        ({"data": "abcde", "by": "length", "length": 2}, ["ab", "cd", "e"]),
        ({"data": "", "keep_empty": True}, [""]),
    ],
)
def test_splits(parameters: JsonObject, expected: list[str]):
    assert call_pure(split_text, parameters) == expected


@pytest.mark.parametrize(
    ("method", "one", "other", "expected"),
    [
        ("levenshtein", "kitten", "sitting", 1 - 3 / 7),
        ("damerau", "ca", "ac", 0.5),
        ("jaro_winkler", "MARTHA", "MARHTA", 0.9611),
        ("words", "Smith John", "john smith", 1.0),
        ("contains", "gmbh", "Acme GmbH & Co", 1.0),
        ("levenshtein", "", "", 1.0),
        ("levenshtein", "abc", "xyz", 0.0),
    ],
)
def test_measures_give_the_published_figures(method: str, one: str, other: str, expected: float):
    result = call_pure(compare_texts, {"data": one, "to": other, "method": method})
    assert result == {"similarity": round(expected, 4), "best": None, "index": None}


def test_case_matters_where_it_is_asked_for():
    result = call_pure(compare_texts, {"data": "AB", "to": "ab", "ignore_case": False})
    assert result == {"similarity": 0.0, "best": None, "index": None}


@pytest.mark.parametrize(
    ("operation", "parameters", "field"),
    [
        (compare_texts, {"data": "a"}, ""),
        (compare_texts, {"data": "a" * 50_000, "choices": ["b" * 1_001]}, ""),
        (split_text, {"data": "a", "by": "length"}, ""),
        (match_regex, {"data": "a", "pattern": "a", "action": "replace"}, ""),
        (match_regex, {"data": "a", "pattern": "a" * 4_097}, "pattern"),
        (change_case, {"data": "a", "to": "loud"}, "to"),
        (make_slug, {"data": "a", "separator": "/"}, "separator"),
    ],
)
def test_faulty_parameters_are_named(operation: object, parameters: JsonObject, field: str):
    from flowforge.operations import Operation

    assert isinstance(operation, Operation)
    with pytest.raises(InvalidParametersError) as caught:
        call_pure(operation, parameters)
    assert field in {fault.field for fault in caught.value.faults}
