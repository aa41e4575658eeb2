"""CEL's own conformance cases. What differs is listed beside this file, each with its reason; the list is exact."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, ExpressionError, ExpressionFault, Scope, compile_expression

CASES_FILE = Path(__file__).parents[4] / "shared" / "data" / "cel-cases.jsonl"
DIFFERENCES_FILE = Path(__file__).with_name("cel_differences.json")


class DifferentCase(BaseModel):
    case: str
    expr: str


class Difference(BaseModel):
    reason: str
    cases: list[DifferentCase]


DIFFERENCES = TypeAdapter(list[Difference]).validate_json(DIFFERENCES_FILE.read_text(encoding="utf-8"))
EXPECTED = {(case.case, case.expr) for difference in DIFFERENCES for case in difference.cases}


def read_cases() -> list[JsonObject]:
    if not CASES_FILE.exists():
        pytest.skip("the conformance cases (shared/data/cel-cases.jsonl) are not beside this repository")
    return [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]


def key_of(case: JsonObject) -> tuple[str, str]:
    return f"{case['file']}/{case['section']}/{case['name']}", str(case["expr"])


def passes(case: JsonObject) -> bool:
    bindings = case.get("bindings", {})
    assert isinstance(bindings, dict)
    try:
        compiled = compile_expression(str(case["expr"]), Scope(frozenset(bindings)))
        value = compiled.evaluate(Context(bindings))
    except (ExpressionError, ExpressionFault):
        return "error" in case
    return "value" in case and is_same(value, case["value"])


def is_same(left: JsonValue, right: JsonValue) -> bool:
    """Equal as JSON: 2 and 2.0 are, true and 1 are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    return left == right


def test_every_conformance_case_passes_but_for_the_named_differences():
    failed = {key_of(case) for case in read_cases() if not passes(case)}

    assert sorted(failed - EXPECTED) == []
    assert sorted(EXPECTED - failed) == []


def test_each_difference_has_a_reason_and_stands_once():
    listed = [(case.case, case.expr) for difference in DIFFERENCES for case in difference.cases]

    assert len(listed) == len(set(listed)) == 60
    assert all(difference.reason.endswith(".") and difference.cases for difference in DIFFERENCES)
