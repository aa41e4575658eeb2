"""Random expressions give data, an error or a fault: never anything of the host, never another exception."""

from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.expressions import ROOTS, Fields, sample_input

from flowforge.kit.values import JsonValue
from flowforge.language.expressions import (
    FUNCTIONS,
    Context,
    ExpressionError,
    ExpressionFault,
    Lazy,
    Scope,
    compile_expression,
    compile_template,
)

EXPRESSIONS = 10_000
ATOMS = [
    "input", "input.amount", "input.id", "input.empty", "input.tags", "input._id", "steps", "steps.a", "steps.a.output", "steps.?b", "x",
    "y", "null", "true", "false", "0", "1", "-3", "2.5", "7.0", "9223372036854775807", "1e300", "''", "'text'", "'%s %d'", "'__class__'",
    "timestamp('2026-03-01T08:00:00Z')", "duration('90m')", "'Europe/Berlin'", "now()", "uuid()", "optional.none()", "lists.range(5)",
    "int",
]  # fmt: skip
BINARY = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "in"]
FIELDS = ["__class__", "__dict__", "a", "output", "amount", "find", "plain", "ns", "value", "items", "`content-type`"]
TOKENS = [
    *ATOMS,
    *BINARY,
    *FIELDS,
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ".?",
    "?",
    ":",
    ",",
    "'",
    '"',
    "\\",
    "!",
    "//",
    "secrets",
    "in",
    "has(",
    "r'",
]


def write_expression(random: Random, depth: int) -> str:
    """One expression that the grammar allows; its types need not fit."""
    if depth == 0:
        return random.choice(ATOMS)
    parts = [write_expression(random, depth - 1) for _ in range(3)]
    match random.randrange(12):
        case 0 | 1 | 2:
            return f"({parts[0]} {random.choice(BINARY)} {parts[1]})"
        case 3:
            return f"({parts[0]} ? {parts[1]} : {parts[2]})"
        case 4:
            return f"[{parts[0]}, {random.choice(['', '?'])}{parts[1]}]"
        case 5:
            return f"{{'a': {parts[0]}, {parts[1]}: {parts[2]}}}"
        case 6:
            return f"{parts[0]}{random.choice(['.', '.?'])}{random.choice(FIELDS)}"
        case 7:
            return f"{parts[0]}[{random.choice(['', '?'])}{parts[1]}]"
        case 8:
            return f"{random.choice(['!', '-'])}{parts[0]}"
        case 9:
            return write_macro(random, parts)
        case _:
            return write_call(random, parts)


def write_macro(random: Random, parts: list[str]) -> str:
    name = random.choice([name for name, function in FUNCTIONS.items() if function.is_macro])
    variables = random.choice(["x, ", "x, y, ", ""])
    if name == "has":
        return f"has({parts[0]}.{random.choice(FIELDS)})"
    if name == "cel.bind":
        return f"cel.bind(x, {parts[0]}, {parts[1]})"
    return f"{parts[0]}.{name}({variables}{', '.join(parts[1 : random.choice([2, 2, 3])])})"


def write_call(random: Random, parts: list[str]) -> str:
    name, function = random.choice([item for item in FUNCTIONS.items() if not item[1].is_macro])
    arguments = [random.choice(parts) for _ in range(max(len(function.takes), 1))][: random.choice([1, 2, 3])]
    if function.is_member:
        return f"{arguments[0]}.{name}({', '.join(arguments[1:])})"
    return f"{name}({', '.join(arguments[: len(function.takes)])})"


def make_context() -> Context:
    step = Fields({"output": {"a": [1, 2.5, "text", None]}, "status": "completed"})
    steps = Fields({"a": step})
    return Context({"input": sample_input(), "steps": steps, "x": "text"}, now_ms=1_772_352_000_000)


def evaluate_safely(source: str) -> tuple[JsonValue, str]:
    """The value, and the code of the fault or error, whose place lies in the source."""
    try:
        return compile_expression(source, Scope(ROOTS)).evaluate(make_context()), ""
    except (ExpressionFault, ExpressionError) as error:
        return None, error.code if 0 <= error.offset <= len(source) else "misplaced"


def is_data(value: object) -> bool:
    if type(value) is list:
        return all(is_data(item) for item in cast("list[object]", value))
    if type(value) is dict:
        return all(type(key) is str and is_data(item) for key, item in cast("dict[object, object]", value).items())
    return value is None or type(value) in {bool, int, float, str}


def test_a01_random_expressions_give_only_data():
    random = Random(20_260_301)
    with_value = 0
    for _ in range(EXPRESSIONS):
        source = write_expression(random, random.randrange(1, 5))
        value, code = evaluate_safely(source)
        assert is_data(value), source
        assert code != "misplaced", source
        with_value += not code

    assert with_value > EXPRESSIONS // 20


def test_a01_random_tokens_give_only_data_or_a_fault():
    random = Random(42)
    for _ in range(EXPRESSIONS):
        source = random.choice(["", " "]).join(random.choices(TOKENS, k=random.randrange(1, 12)))
        value, code = evaluate_safely(source)
        assert is_data(value), source
        assert code != "misplaced", source


@given(st.text(max_size=60))
@settings(deadline=None)
def test_a01_any_text_gives_only_data_or_a_fault(source: str):
    assert is_data(evaluate_safely(source)[0])


@given(
    st.recursive(
        st.text(max_size=20) | st.sampled_from(["${{ input }}", "${{", "a ${{ x }} b", "}}"]),
        lambda inner: st.lists(inner, max_size=3),
    )
)
@settings(deadline=None)
def test_a01_any_template_gives_only_data_or_faults(value: JsonValue):
    check = compile_template(value, Scope(ROOTS))

    assert (check.template is None) == bool(check.faults)
    if check.template is not None:
        assert is_data(check.template.evaluate(make_context()))


@pytest.mark.parametrize(
    "pattern",
    ["!({})", "-(1 * (1 + (1 < ({}))))", "(1 || 1 && 1 == 1 + 1 * -({}))", "[{{'a': ({})}}]", "size([({})].map(y, {}))"],
)
@pytest.mark.parametrize("levels", [5, 13, 20, 39, 41, 60])
def test_exp_16_deep_mixtures_never_exhaust_the_interpreter(pattern: str, levels: int):
    source = "1"
    for _ in range(levels):
        source = pattern.replace("{}", source, 1).replace("{}", "1").replace("{{", "{").replace("}}", "}")

    value, code = evaluate_safely(source)

    assert is_data(value)
    assert code in {"", "type_mismatch", "expr_depth", "expr_src", "expr_nodes"}


def test_lazy_objects_are_read_field_by_field_and_handed_on_as_data():
    step = Fields({"output": 7})
    steps = Fields({"fetch": step})
    roots: dict[str, JsonValue | Lazy] = {"steps": steps}
    scope = Scope(ROOTS)

    assert compile_expression("steps.fetch.output + 1", scope).evaluate(Context(roots)) == 8
    assert (steps.read, step.read) == (["fetch"], ["output"])
    assert compile_expression("steps['fetch']['output']", scope).evaluate(Context(roots)) == 7
    assert compile_expression("has(steps.fetch.error)", scope).evaluate(Context(roots)) is False
    assert compile_expression("steps.?other.?output.orValue(0)", scope).evaluate(Context(roots)) == 0
    assert compile_expression("steps", scope).evaluate(Context(roots)) == {"fetch": {"output": 7}}
    assert compile_expression("[steps.fetch, {'a': steps}]", scope).evaluate(Context(roots)) == [
        {"output": 7},
        {"a": {"fetch": {"output": 7}}},
    ]
    assert compile_expression("steps.map(id, id)", scope).evaluate(Context(roots)) == ["fetch"]
    assert compile_expression("'fetch' in steps && steps == {'fetch': {'output': 7.0}}", scope).evaluate(Context(roots)) is True
