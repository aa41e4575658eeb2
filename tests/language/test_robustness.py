"""Whatever comes in: no exception, and every fault with its place."""

import time
from copy import deepcopy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.language.regenerate_graphs import list_documents
from tests.support.language_catalog import compile_text

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.codes import CODES
from flowforge.language.compiler import Compilation
from flowforge.language.faults import FAULTS_MAX
from flowforge.language.serializing import to_yaml

SOURCES = [document.read_bytes() for document in list_documents()]
WHOLE = next(document for document in list_documents() if document.stem == "whole_example").read_text()
FRAGMENTS = st.sampled_from(
    [
        *(
            "${{",
            "}}",
            "${{ steps.a }}",
            "&a",
            "*a",
            "<<: ",
            "!!",
            ": ",
            "- ",
            "\n",
            "\t",
            "{",
            "}",
            "[",
            "]",
            "'",
            '"',
            "|",
            ">",
            "#",
        ),
        *(
            "\0",
            "\u2028",
            "steps",
            "uses: flow.set",
            "after: [a, b]",
            "null",
            "1e999",
            "---\n",
            "? ",
            "%YAML",
            "\ufeff",
            "\x85",
            "😀",
        ),
    ]
)


def check(compilation: Compilation, *, has_text: bool) -> None:
    assert (compilation.workflow is None) == bool(compilation.errors)
    for fault in (*compilation.errors, *compilation.warnings):
        assert fault.code in CODES
        assert fault.message
        assert (fault.line is not None and fault.column is not None) == (has_text and fault.code != "too_many_faults")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(source: bytes):
    check(compile_text(source), has_text=True)


@given(st.text(max_size=200), st.booleans())
def test_any_text_is_read_or_refused(source: str, as_json: bool):
    check(compile_text(source, as_json=as_json), has_text=True)


@given(st.lists(FRAGMENTS, max_size=30))
def test_any_mixture_of_yaml_is_read_or_refused(fragments: list[str]):
    check(compile_text("flowforge: 1\nname: a\nsteps:\n" + "".join(fragments)), has_text=True)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SOURCES), st.data())
def test_any_edit_of_a_document_is_compiled_or_refused(source: bytes, data: st.DataObject):
    start = data.draw(st.integers(0, len(source)))
    end = min(len(source), start + data.draw(st.integers(0, 20)))
    inserted = data.draw(st.one_of(FRAGMENTS.map(str.encode), st.binary(max_size=5)))
    check(compile_text(source[:start] + inserted + source[end:]), has_text=True)


ATOMS: list[JsonValue] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    "",
    "a",
    "a.b",
    "${{ steps.fetch.output }}",
    "${{",
    "flow.if",
    "5m",
    "done",
]
KEYS = st.sampled_from(["id", "uses", "with", "steps", "after", "x"])
JUNK: st.SearchStrategy[JsonValue] = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_field_replaced_by_anything_is_compiled_or_refused(data: st.DataObject):
    document = compile_text(WHOLE).document
    assert isinstance(document, dict)
    changed = deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        replace_something(changed, data)
    check(compile_text(changed), has_text=False)


def replace_something(value: JsonValue, data: st.DataObject) -> None:
    if isinstance(value, dict) and value:
        key = data.draw(st.sampled_from(list(value)))
        if isinstance(value[key], dict | list) and value[key] and data.draw(st.booleans()):
            replace_something(value[key], data)
        else:
            value[data.draw(st.sampled_from([key, "extra", "with"]))] = data.draw(JUNK)
    elif isinstance(value, list) and value:
        index = data.draw(st.integers(0, len(value) - 1))
        if isinstance(value[index], dict | list) and data.draw(st.booleans()):
            replace_something(value[index], data)
        else:
            value[index] = data.draw(JUNK)


def make_large_document() -> JsonObject:
    steps: list[JsonValue] = []
    for index in range(500):
        before = f"steps.s{index - 1}.output.body" if index else "input.first"
        parameters: JsonObject = {"url": f"https://x.example/${{{{ input.a{index} }}}}", "json": f"${{{{ {before} }}}}"}
        steps.append({"id": f"s{index}", "uses": "http.request", "with": parameters})
    return {"flowforge": 1, "name": "large", "steps": steps}


def test_exp_42_a_document_of_500_steps_and_1000_expressions_is_checked_in_less_than_2_seconds():
    text = to_yaml(make_large_document())
    began = time.process_time()
    compilation = compile_text(text)
    assert time.process_time() - began < 2
    assert compilation.is_valid
    assert compilation.metadata is not None
    assert (compilation.metadata.steps, compilation.metadata.expressions) == (500, 1000)


def test_more_faults_than_anyone_reads_are_counted_only():
    source = "flowforge: 1\nname: a\n" + "".join(f"k{index}: 1\n" for index in range(2_000)) + "steps: []\n"
    errors = compile_text(source).errors
    assert len(errors) == FAULTS_MAX + 1
    assert errors[-1].code == "too_many_faults"
    assert str(2_001 - FAULTS_MAX) in errors[-1].message


def test_exp_15_to_17_an_expression_beyond_the_bounds_is_refused_by_its_bound():
    def find_code(expression: str) -> str:
        steps: list[JsonValue] = [{"id": "a", "uses": "flow.set", "with": {"values": {"v": f"${{{{ {expression} }}}}"}}}]
        return compile_text({"flowforge": 1, "name": "a", "steps": steps}).errors[0].code

    assert find_code("'" + "a" * 4_096 + "'") == "expr_src"
    assert find_code("(" * 41 + "1" + ")" * 41) == "expr_depth"
    assert find_code("(" * 2_000 + "1" + ")" * 2_000) == "expr_depth"
    assert find_code("1" + "+1" * 2_000) == "expr_nodes"


def test_the_limits_that_are_handed_in_hold():
    limits = Limits(attempt_max_ms=60_000, loop_max=10, nest_max=8, expr_nodes=16)
    source = (
        "flowforge: 1\nname: a\nsteps:\n"
        "  - {id: a, uses: crypto.hash, with: {text: a}, timeout: 2m}\n"
        "  - {id: b, uses: flow.repeat, with: {until: true, limit: 11}, steps: [{id: x, uses: flow.set, with: {values: {}}}]}\n"
        f'  - {{id: c, uses: flow.set, with: {{values: {{v: "${{{{ 1{" + 1" * 20} }}}}"}}}}}}\n'
    )
    assert [fault.code for fault in compile_text(source, limits=limits).errors] == ["duration", "loop_bound", "expr_nodes"]
