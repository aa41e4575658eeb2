"""A document written as YAML: readable, and the same bytes again after reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.language.regenerate_graphs import list_documents
from tests.support.language_catalog import compile_text

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.describing import describe_graph
from flowforge.language.reading.document_reader import read_document
from flowforge.language.serializing import to_yaml

VALID = [document for document in list_documents() if not document.stem.startswith("fault_")]

TRICKY = [
    *("", " ", "yes", "null", "1", "1.5e3", "0x1f", "a: b", "a #b", "- a", "${{ x }}", "a\nb", "a\n\nb\n", "\n", "a ", "…"),
    *("12:30", "2024-01-01", "<<", "*a", "&a", "!t", "%", "@a", "`", "'", '"', "a\tb", "\u2028", "a\n b\n", "---", "...", "~"),
]
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=30
) | st.sampled_from(TRICKY)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def read_back(text: str) -> JsonValue:
    reading = read_document(text, Limits(nest_max=50))
    assert not reading.sink.has_errors, (text, reading.sink.list_errors())
    return reading.value


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_yml_38_any_values_come_back_and_the_second_export_is_the_first(document: JsonObject):
    text = to_yaml(document)
    again = read_back(text)
    assert again == document
    assert isinstance(again, dict)
    assert to_yaml(again) == text


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_yml_38_an_exported_document_means_the_same_and_exports_to_the_same_bytes(path: object):
    first = compile_text(getattr(path, "read_bytes")())  # noqa: B009 - the parameter's type is open
    assert first.workflow is not None
    text = to_yaml(first.workflow.document)
    second = compile_text(text)
    assert second.workflow is not None, second.errors
    assert describe_graph(second.workflow) == describe_graph(first.workflow)
    assert to_yaml(second.workflow.document) == text


def test_fields_come_in_the_order_of_the_language_and_text_stays_readable():
    document: JsonObject = {
        "steps": [
            {
                "with": {"text": "Dear ${{ input.name }},\n\n  thanks.\n", "to": "a@b.example", "subject": "no"},
                "uses": "email.send",
                "id": "tell",
            },
            {
                "uses": "flow.set",
                "id": "note",
                "with": {"values": {"list": [1, "two", {"three": 3.5}], "empty": {}}},
                "after": ["tell"],
            },
        ],
        "name": "sample",
        "flowforge": 1,
        "labels": {"team": "sales", "zip": "01067"},
    }
    assert to_yaml(document) == (
        "flowforge: 1\n"
        "name: sample\n"
        'labels: {team: sales, zip: "01067"}\n'
        "steps:\n"
        "  - id: tell\n"
        "    uses: email.send\n"
        "    with:\n"
        "      text: |\n"
        "        Dear ${{ input.name }},\n"
        "\n"
        "          thanks.\n"
        "      to: a@b.example\n"
        '      subject: "no"\n'
        "  - id: note\n"
        "    uses: flow.set\n"
        "    after: [tell]\n"
        "    with: {values: {list: [1, two, {three: 3.5}], empty: {}}}\n"
    )


def test_yml_38_a_secret_is_exported_by_its_name():
    document: JsonObject = {"a": {"headers": {"Authorization": "Bearer ${{ secrets.KEY }}"}}}
    assert to_yaml(document) == 'a: {headers: {Authorization: "Bearer ${{ secrets.KEY }}"}}\n'
