"""XML to values and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.operations.calling import call_pure
from flowforge.steps.data.convert import convert
from flowforge.steps.data.xml_options import DEPTH_MAX, XmlOptions
from flowforge.steps.data.xml_text import parse_xml, write_xml


def call(**parameters: JsonValue) -> JsonValue:
    if "from_" in parameters:
        parameters["from"] = parameters.pop("from_")
    return call_pure(convert, parameters)


READ_CASES: dict[str, tuple[str, JsonObject, JsonObject]] = {
    "text": ("<a>x</a>", {}, {"a": "x"}),
    "empty": ("<a/>", {}, {"a": None}),
    "white space alone": ("<a> \n</a>", {}, {"a": None}),
    "attributes": ('<a b="1" c="&lt;2"/>', {}, {"a": {"@b": "1", "@c": "<2"}}),
    "attributes and text": ('<a b="1">x</a>', {}, {"a": {"@b": "1", "#text": "x"}}),
    "children": ("<a><b>1</b><c>2</c></a>", {}, {"a": {"b": "1", "c": "2"}}),
    "repeated": ("<a><b>1</b><c/><b>2</b><b/></a>", {}, {"a": {"b": ["1", "2", None], "c": None}}),
    "list by force": ("<a><b>1</b></a>", {"force_list": ["b", "a"]}, {"a": {"b": ["1"]}}),
    "mixed": ("<a>one <b>two</b> three</a>", {}, {"a": {"b": "two", "#text": "one  three"}}),
    "trimmed": ("<a>\n  x y\n</a>", {}, {"a": "x y"}),
    "not trimmed": ("<a>\n  <b> x </b></a>", {"trim": False}, {"a": {"b": " x "}}),
    "prefixes": ('<d:a xmlns:d="urn:u"><d:b>1</d:b></d:a>', {}, {"d:a": {"@xmlns:d": "urn:u", "d:b": "1"}}),
    "comments and instructions": ("<?x y?><a><!-- no -->1<?z?></a>", {}, {"a": "1"}),
    "cdata": ("<a><![CDATA[<b>&amp;]]></a>", {}, {"a": "<b>&amp;"}),
    "references": ("<a>&#228;&#x20AC;&amp;</a>", {}, {"a": "ä€&"}),
    "declaration of another encoding": ('<?xml version="1.0" encoding="utf-16"?><a>ä</a>', {}, {"a": "ä"}),
    "numbers stay texts": ("<a>007</a>", {}, {"a": "007"}),
}


@pytest.mark.parametrize(("text", "options", "value"), READ_CASES.values(), ids=READ_CASES.keys())
def test_xml_is_read(text: str, options: JsonObject, value: JsonObject):
    assert call(data=text, from_="xml", xml=options) == value


READ_FAULTS: dict[str, tuple[str, tuple[int, int]]] = {
    "open element": ("<a>\n<b></a>", (2, 6)),
    "attribute twice": ('<a b="1" b="2"/>', (1, 10)),
    "unknown entity": ("<a>&x;</a>", (1, 4)),
    "empty": ("", (1, 1)),
    "two roots": ("<a/>\n<b/>", (2, 1)),
    "text alone": ("x", (1, 1)),
    "character that XML has not": ("<a>\x01</a>", (1, 4)),
    "A20 deep": ("<a>" * 70 + "</a>" * 70, (1, 3 * DEPTH_MAX + 1)),
}


@pytest.mark.parametrize(("text", "place"), READ_FAULTS.values(), ids=READ_FAULTS.keys())
def test_broken_xml_is_told_with_its_place(text: str, place: tuple[int, int]):
    with pytest.raises(FatalError) as caught:
        call(data=text, from_="xml")
    assert caught.value.code == "xml_invalid"
    assert caught.value.details == {"line": place[0], "column": place[1]}


def test_a20_lists_inside_lists_count_as_levels():
    with pytest.raises(FatalError) as caught:
        call(data="<a><a/><a/>" * 40 + "</a>" * 40, from_="xml")
    assert caught.value.code == "json_depth"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><a>&l9;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "{canary}">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "{canary}"> %x;]><a/>',
        '<!DOCTYPE a SYSTEM "{canary}"><a/>',
        '<!DOCTYPE a PUBLIC "-//x" "http://127.0.0.1:9/x.dtd"><a/>',
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a [<!ATTLIST a b CDATA "1">]><a/>',
    ],
)
def test_a20_document_types_and_entities_are_refused(text: str, tmp_path: Path):
    canary = tmp_path / "canary.txt"
    canary.write_text("CANARY")
    with pytest.raises(FatalError) as caught:
        call(data=text.replace("{canary}", canary.as_uri()), from_="xml")
    assert caught.value.code == "xml_forbidden"
    assert "CANARY" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('<?xml version="1.0" encoding="iso-8859-1"?><a>ä</a>'.encode("latin-1"), None),
        ("<a>ä</a>".encode("utf-16"), None),
        (b"<a>\xe4</a>", "xml_invalid"),
        (b'<?xml version="1.0" encoding="shift_jis"?><a/>', "xml_invalid"),
        (b'<?xml version="1.0" encoding="zlib"?><a/>', "xml_invalid"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "xml_invalid"),
    ],
)
def test_bytes_are_read_in_the_encoding_that_they_declare(data: bytes, code: str | None):
    if code is None:
        assert parse_xml(data, XmlOptions()) == {"a": "ä"}
        return
    with pytest.raises(FatalError) as caught:
        parse_xml(data, XmlOptions())
    assert caught.value.code == code


HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
WRITE_CASES: dict[str, tuple[JsonValue, JsonObject, str]] = {
    "scalars": ({"a": {"b": 1, "c": 2.5, "d": True, "e": None}}, {}, "<a><b>1</b><c>2.5</c><d>true</d><e/></a>"),
    "attributes": ({"a": {"@x": '"1" <', "#text": "<&>"}}, {}, '<a x="&quot;1&quot; &lt;">&lt;&amp;&gt;</a>'),
    "lists": ({"a": {"b": [1, {"c": 2}, None]}}, {}, "<a><b>1</b><b><c>2</c></b><b/></a>"),
    "list in a list": ({"a": {"b": [[1, 2]]}}, {}, "<a><b><item>1</item><item>2</item></b></a>"),
    "root for a list": ([{"b": 1}, 2], {"root": "rows", "item": "row"}, "<rows><row><b>1</b></row><row>2</row></rows>"),
    "root for fields": ({"b": 1, "c": 2}, {"root": "a"}, "<a><b>1</b><c>2</c></a>"),
    "no field": ({"a": {}}, {}, "<a/>"),
    "carriage return": ({"a": "x\r\ny"}, {}, "<a>x&#13;\ny</a>"),
}


@pytest.mark.parametrize(("value", "options", "text"), WRITE_CASES.values(), ids=WRITE_CASES.keys())
def test_xml_is_written(value: JsonValue, options: JsonObject, text: str):
    assert call(data=value, to="xml", xml=options) == HEAD + text


def test_pretty_xml_is_the_same_value():
    value: JsonObject = {"a": {"@x": "1", "b": [{"c": "1"}, "2"], "d": {"#text": "mixed", "e": None}}}
    text = write_xml(value, XmlOptions(), pretty=True)
    assert text.splitlines()[2] == "  <b>"
    assert parse_xml(text, XmlOptions()) == value


WRITE_FAULTS: dict[str, tuple[JsonValue, JsonObject, str]] = {
    "no root": ({"a": 1, "b": 2}, {}, ""),
    "list": ([1], {}, ""),
    "list as root": ({"a": [1, 2]}, {}, ""),
    "name": ({"a": {"1b": 1}}, {}, "a.1b"),
    "name that would be markup": ({"a": {"b><c": 1}}, {}, "a.b><c"),
    "root's name": (1, {"root": "x y"}, "x y"),
    "attribute's name": ({"a": {"@b c": 1}}, {}, "a.@b c"),
    "attribute is a list": ({"a": {"@b": [1]}}, {}, "a.@b"),
    "text is an object": ({"a": {"#text": {}}}, {}, "a.#text"),
    "character": ({"a": {"b": ["x", "\x00"]}}, {}, "a.b[1]"),
}


@pytest.mark.parametrize(("value", "options", "path"), WRITE_FAULTS.values(), ids=WRITE_FAULTS.keys())
def test_what_cannot_be_xml_is_told_with_its_path(value: JsonValue, options: JsonObject, path: str):
    with pytest.raises(FatalError) as caught:
        call(data=value, to="xml", xml=options)
    assert (caught.value.code, caught.value.details) == ("xml_invalid", {"path": path})


TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\r\n", exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=8,
)
NAMES = st.sampled_from(["a", "b", "ns:c", "ä", "_x-1."])
LEAVES = st.none() | TEXTS.filter(lambda text: text.strip(" \t\r\n") != "")


def make_elements(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    children = st.dictionaries(NAMES, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=3)
    attributes = st.dictionaries(NAMES.map(lambda name: f"@{name}"), TEXTS, max_size=2)
    return st.tuples(attributes, children).map(lambda both: {**both[0], **both[1]})


@given(st.recursive(LEAVES, make_elements, max_leaves=8))
def test_xml_comes_back_as_it_was_written(value: JsonValue):
    options = XmlOptions(trim=False)
    assert parse_xml(write_xml({"root": value}, options), options) == {"root": value}
