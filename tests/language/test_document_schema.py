"""The JSON Schema that editors use."""

from functools import cache

import jsonschema_rs
import pytest
from tests.language.regenerate_graphs import list_documents
from tests.support.language_catalog import catalog, compile_text

from flowforge.kit.values import JsonObject
from flowforge.language.document_schema import document_schema
from flowforge.language.kinds import FLOW_KINDS

VALID = [document for document in list_documents() if not document.stem.startswith("fault_")]


@cache
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(document_schema(catalog()), offline=True)


def test_it_is_a_json_schema():
    assert jsonschema_rs.meta.is_valid(document_schema(catalog()))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_valid_document_fits(path: object):
    document = compile_text(getattr(path, "read_bytes")()).document  # noqa: B009 - the parameter's type is open
    assert [(error.instance_path, error.message) for error in validator().iter_errors(document)] == []


@pytest.mark.parametrize(
    "step",
    [
        {"id": "a", "uses": "flow.set", "with": {"values": {}}, "tiemout": "5s"},
        {"id": "a", "uses": "flow.set", "with": {"values": {}}, "steps": []},
        {"id": "a", "uses": "flow.if", "with": {"conditon": True}},
        {"id": "a", "uses": "flow.if"},
        {"id": "a", "uses": "flow.foreach", "with": {"items": []}},
        {"id": "a", "uses": "http.request", "with": {"url": "https://x.example", "method": "GTE"}},
        {"id": "a", "uses": "http.request", "with": {"urll": "https://x.example"}},
        {"id": "a", "uses": "no.such"},
        {"id": "A", "uses": "flow.stop"},
    ],
    ids=str,
)
def test_a_faulty_step_does_not_fit(step: JsonObject):
    assert not validator().is_valid({"flowforge": 1, "name": "a", "steps": [step]})


def test_an_expression_may_stand_where_an_operation_takes_a_number():
    step: JsonObject = {"id": "a", "uses": "connector.erp.reserve_stock", "with": {"sku": "x", "quantity": "${{ input.n }}"}}
    assert validator().is_valid({"flowforge": 1, "name": "a", "steps": [step]})
    step["with"] = {"sku": "x", "quantity": "many"}
    assert not validator().is_valid({"flowforge": 1, "name": "a", "steps": [step]})


def test_editors_are_offered_every_kind_with_a_title_and_a_description():
    definitions = document_schema(catalog())["$defs"]
    assert isinstance(definitions, dict)
    step = definitions["step"]
    assert isinstance(step, dict)
    properties = step["properties"]
    assert isinstance(properties, dict)
    uses = properties["uses"]
    assert isinstance(uses, dict)
    offers = uses["oneOf"]
    assert isinstance(offers, list)
    assert {str(offer["const"]) for offer in offers if isinstance(offer, dict)} == {*FLOW_KINDS, *catalog().names()}
    assert all(isinstance(offer, dict) and offer["title"] and offer["description"] for offer in offers)


def test_every_field_has_a_description_and_the_schema_is_the_same_every_time():
    schema = document_schema(catalog())
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert all(isinstance(field, dict) and field.get("description") for field in properties.values())
    assert document_schema(catalog()) == schema
