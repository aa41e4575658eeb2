"""docs/expressions.md says what is true."""

import json
import re
from pathlib import Path

import pytest

from flowforge.kit.values import JsonValue
from flowforge.language.expressions import Context, Scope, compile_expression
from flowforge.language.expressions.functions.reference import render_function_table

GUIDE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text(encoding="utf-8")
RUN = json.loads(re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1])  # type: ignore[index]
EXAMPLES = [tuple(line.split("→")) for block in re.findall(r"```cel\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize(("source", "value"), EXAMPLES, ids=[source.strip() for source, _ in EXAMPLES])
def test_an_example_of_the_guide_has_the_value_it_shows(source: str, value: str):
    result: JsonValue = compile_expression(source, Scope(frozenset(RUN))).evaluate(Context(RUN))

    assert result == json.loads(value)


def test_the_guide_has_the_table_of_all_functions():
    assert render_function_table() in GUIDE
