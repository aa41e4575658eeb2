"""The fixtures that the TypeScript twin reads too."""

import json
from pathlib import Path

import pytest
from tests.language.regenerate_graphs import FOLDER, describe, describe_catalog, expected_path, list_documents
from tests.support.language_catalog import compile_text

from flowforge.language.codes import CODES

DOCUMENTS = list_documents()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_document_gives_exactly_what_its_fixture_pins(document: Path):
    expected = json.loads(expected_path(document).read_text())
    assert describe(compile_text(document.read_bytes())) == expected


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_document_has_errors_exactly_when_its_name_says_so(document: Path):
    compilation = compile_text(document.read_bytes())
    assert compilation.is_valid != document.stem.startswith("fault_")
    assert bool(compilation.errors) != compilation.is_valid


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_fault_has_a_known_code_a_place_and_a_sentence(document: Path):
    compilation = compile_text(document.read_bytes())
    for fault in (*compilation.errors, *compilation.warnings):
        assert fault.code in CODES
        assert CODES[fault.code].is_warning == (fault.severity.value == "warning")
        assert fault.line is not None
        assert fault.column is not None
        assert fault.message.endswith((".", "…"))


def test_every_fixture_has_an_expectation_and_the_other_way_round():
    assert {expected_path(document) for document in DOCUMENTS} == set(FOLDER.glob("*.expected.json"))
    assert len(DOCUMENTS) >= 40


def test_the_catalog_for_the_twin_is_current():
    assert json.loads((FOLDER / "catalog.json").read_text()) == json.loads(json.dumps(describe_catalog()))


def test_the_fixtures_show_every_code_but_those_that_need_large_documents_or_other_limits():
    shown = {
        fault.code
        for document in DOCUMENTS
        for compilation in [compile_text(document.read_bytes())]
        for fault in (*compilation.errors, *compilation.warnings)
    }
    assert set(CODES) - shown == NOT_SHOWN


NOT_SHOWN = {
    *("def_max", "steps_max", "encoding", "json_syntax", "too_many_faults", "cron_length", "format"),
    *("script_syntax", "script_src", "expr_src", "expr_depth", "expr_nodes", "regex_invalid", "function_arguments"),
}
"""Shown by tests of their own."""
