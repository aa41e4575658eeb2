"""What the language promises beyond CEL's own cases, and how a checker sees an expression."""

import pytest
from tests.support.expressions import ROOTS, evaluate, fail

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import (
    FUNCTIONS,
    Context,
    ExpressionError,
    ExpressionFault,
    Function,
    Limits,
    Scope,
    compile_expression,
)
from flowforge.operations.definition import FatalError

VALUES: "list[tuple[str, JsonValue]]" = [
    ("1 + 1.5", 2.5),
    ("2 == 2.0", True),
    ("7 / 2", 3.5),
    ("6 / 2", 3),
    ("1.5 + 1.5", 3),
    ("7.0", 7),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("7.0 % 2", 1),
    ("true == 1", False),
    ("[1, true] == [1.0, true]", True),
    ("[true] == [1]", False),
    ("{'a': 1} == {'a': 1.0}", True),
    ("1 in [true, 1.0]", True),
    ("true in [1]", False),
    ("{true: 'a', 1: 'b'}[1]", "b"),
    ("'b' > 'a'", True),
    ("string(2.0) + string(2.5)", "22.5"),
    ("1e30 > 9223372036854775807", True),
    ("9223372036854775807 == 9223372036854775808.0", False),
    ("now()", "2026-03-01T08:00:00Z"),
    ("now() + duration('1d')", "2026-03-02T08:00:00Z"),
    ("now() - timestamp('2026-03-01T06:30:00Z')", "1h30m"),
    ("timestamp(1.5)", "1970-01-01T00:00:01.500Z"),
    ("duration(-90)", "-1m30s"),
    ("duration('7d') == duration('1w')", True),
    ("duration('-1500ms').getSeconds()", -1),
    ("now().getHours('Asia/Kathmandu')", 13),
    ("type('x') == string && type(1) == double && type(null) == null_type", True),
    ("[type(now()), type({}), type(optional.none()), type(type(1))]", ["timestamp", "object", "optional", "type"]),
    ("input.?note", None),
    ("input.?id", "A-17"),
    ("input.?empty.?x.orValue('none')", "none"),
    ("input.empty.?x.orValue('none')", "none"),
    ("input.empty[?'x'].orValue('none')", "none"),
    ("input.tags[?7].orValue('none')", "none"),
    ("input.?note.orValue(1 / 0 > 0 ? 'a' : 'b') == 'x' || true", True),
    ("input.?id.orValue(1 / 0)", "A-17"),
    ("has(input.note) || has(input.empty.x) || has(input.note.x.y)", False),
    ("has(input.empty)", True),
    ("has(input.customer.name)", True),
    ("has(input.tags[9].x)", False),
    ("{1: 'a', true: 'b', 'c': null}", {"1": "a", "true": "b", "c": None}),
    ("[?input.?note, ?input.?id]", ["A-17"]),
    ("{?'a': input.?note, ?'b': input.?id}", {"b": "A-17"}),
    ("input.tags.map(t, t + '!')", ["a!", "b!"]),
    ("input.tags.map(t, t != 'a', t)", ["b"]),
    ("input.customer.map(k, k)", ["name"]),
    ("input.tags.transformMap(i, t, string(i) + t)", {"0": "0a", "1": "1b"}),
    ("['b', 'a'].sortBy(t, t)", ["a", "b"]),
    ("[3, 1.5, 2].sort()", [1.5, 2, 3]),
    ("[now(), timestamp(0)].sort()[0]", "1970-01-01T00:00:00Z"),
    ("[[1], [1.0], {'a': [2]}, {'a': [2]}, true, 1].distinct()", [[1], {"a": [2]}, True, 1]),
    ("cel.bind(input, 5, input + 1)", 6),
    ("json('{\"a\": [1, 2.5, null]}').a[1]", 2.5),
    ("to_json({'b': now(), 'a': 2.0})", '{"b":"2026-03-01T08:00:00Z","a":2}'),
    ("base64.decode(base64.encode('größe'))", "größe"),
    ("'größe'.matches('^gr.ß.$')", True),
    ("x.matches('^' + 'te')", True),
    ("'a\\u00e9\\x41\\101'", "aéAA"),
    ('r"\\d"', "\\d"),
    ("'''a\n'b'''.size()", 4),
    ("1 // a comment\n + 1", 2),
    ("math.bitShiftLeft(1, 63)", -(2**63)),
    ("false ? 1 : true ? 2 : 3", 2),
]


@pytest.mark.parametrize(("source", "value"), VALUES, ids=[source for source, _ in VALUES])
def test_an_expression_has_its_value(source: str, value: JsonValue):
    result = evaluate(source, x="text")

    assert result == value
    assert type(result) is type(value)


ERRORS = [
    ("1 && true", "type_mismatch"),
    ("true && input.id", "type_mismatch"),
    ("input.id ? 1 : 2", "type_mismatch"),
    ("!input.id", "type_mismatch"),
    ("-input.id", "type_mismatch"),
    ("1.5 % 1", "type_mismatch"),
    ("null < null", "type_mismatch"),
    ("now() > '2026-01-01T00:00:00Z'", "type_mismatch"),
    ("'a' in 'abc'", "type_mismatch"),
    ("1 in null", "type_mismatch"),
    ("int('1.5')", "type_mismatch"),
    ("int('9223372036854775808')", "number_range"),
    ("int(1e30)", "number_range"),
    ("double('NaN')", "type_mismatch"),
    ("string([1])", "type_mismatch"),
    ("size(1)", "type_mismatch"),
    ("input.tags.join(1)", "type_mismatch"),
    ("[1].join()", "type_mismatch"),
    ("[1, 'a'].sort()", "type_mismatch"),
    ("'x'.substring(2)", "index"),
    ("'%s'.format([])", "index"),
    ("'%d'.format(['a'])", "type_mismatch"),
    ("'%.101f'.format([1])", "number_range"),
    ("math.sqrt(-1)", "number_range"),
    ("math.bitShiftLeft(1, -1)", "number_range"),
    ("optional.none().value()", "missing_field"),
    ("input.id.orValue(1)", "type_mismatch"),
    ("input.id.name", "type_mismatch"),
    ("input.tags.name", "type_mismatch"),
    ("has(input.id.name)", "type_mismatch"),
    ("input['a']['b']", "missing_field"),
    ("{}[1.5]", "type_mismatch"),
    ("{input.id: 1, 'A-17': 2}", "type_mismatch"),
    ("{input.empty: 1}", "type_mismatch"),
    ("[?input.id]", "type_mismatch"),
    ("input.amount.map(x, x)", "type_mismatch"),
    ("[1].map(x, x, x)", "type_mismatch"),
    ("[0, 1].all(x, 1 / x == 1)", "division_by_zero"),
    ("json('{')", "type_mismatch"),
    ("json('[NaN]')", "type_mismatch"),
    ("json('[1e999]')", "number_range"),
    ("json('[9223372036854775808]')", "number_range"),
    ("json('\"\\\\ud800\"')", "type_mismatch"),
    ("base64.decode('/w==')", "type_mismatch"),
    ("timestamp('2026-03-01')", "type_mismatch"),
    ("duration('1y')", "type_mismatch"),
    ("duration(1e18)", "date_range"),
    ("timestamp(1e18)", "date_range"),
    ("trigger", "missing_field"),
    ("lists.range(-1)[0]", "index"),
]


@pytest.mark.parametrize(("source", "code"), ERRORS, ids=[source for source, _ in ERRORS])
def test_an_expression_fails_with_its_code(source: str, code: str):
    failure = fail(source)

    assert (failure.code, failure.is_static) == (code, False)


FAULTS = [
    ("1u", "expr_syntax"),
    ("b'x'", "expr_syntax"),
    ("'a", "expr_syntax"),
    ("'\\q'", "expr_syntax"),
    ("'\\ud800'", "expr_syntax"),
    ("1 +", "expr_syntax"),
    ("(1", "expr_syntax"),
    ("input.", "expr_syntax"),
    ("input[1", "expr_syntax"),
    ("{'a'}", "expr_syntax"),
    ("{'a': 1, 'a': 2}", "expr_syntax"),
    ("a ? b", "expr_syntax"),
    ("Message{a: 1}", "expr_syntax"),
    ("x & 1", "expr_syntax"),
    ("${{ x }}", "expr_syntax"),
    ("size()", "function_arguments"),
    ("size(1, 2)", "function_arguments"),
    ("x.trim(1)", "function_arguments"),
    ("has(x)", "function_arguments"),
    ("has(x[0])", "function_arguments"),
    ("x.map(1, 2)", "function_arguments"),
    ("x.map(a.b, 2)", "function_arguments"),
    ("x.all(a, a, true)", "function_arguments"),
    ("cel.bind(1, 2, 3)", "function_arguments"),
    ("trim(x)", "function_unknown"),
    ("math.foo(1)", "function_unknown"),
    ("math.pi", "name_unknown"),
]


@pytest.mark.parametrize(("source", "code"), FAULTS, ids=[source for source, _ in FAULTS])
def test_an_expression_is_refused_with_its_code(source: str, code: str):
    failure = fail(source)

    assert (failure.code, failure.is_static) == (code, True)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_the_example_of_a_function_has_the_value_it_says(function: Function):
    value = evaluate(function.example.expression)

    assert value == function.example.gives
    assert function.name.split(".")[-1] in function.example.expression
    assert function.name in function.signature


def test_a_checker_learns_what_an_expression_reads_and_calls():
    source = "steps.fetch.output['body'].items[0].x + input.?a.b + size(steps[x].y) + [1].map(x, x.foo)[0]"

    compiled = compile_expression(source, Scope(ROOTS))

    assert [
        (reference.path, source[reference.offset : reference.end], reference.is_optional, reference.is_exact)
        for reference in compiled.references
    ] == [
        (("steps", "fetch", "output", "body", "items"), "steps.fetch.output['body'].items", False, False),
        (("input", "a", "b"), "input.?a.b", True, True),
        (("steps",), "steps", False, False),
        (("x",), "x", False, True),
    ]
    assert compiled.functions == ("map", "size")
    assert compiled.path is None


@pytest.mark.parametrize(
    ("source", "path", "kind"),
    [
        (" input.a.b ", ("input", "a", "b"), None),
        ("input", ("input",), None),
        ("input.?a", None, "optional"),
        ("input.a[0]", None, None),
        ("has(input.a)", None, "boolean"),
        ("input.a == 1", None, "boolean"),
        ("'text'", None, "string"),
        ("input.a * 2", None, "number"),
        ("input.a + 2", None, None),
        ("true ? 'a' : 'b'", None, "string"),
        ("x.map(a, a)", None, "list"),
        ("{'a': x}", None, "object"),
    ],
)
def test_a_checker_learns_path_and_kind(source: str, path: tuple[str, ...] | None, kind: str | None):
    compiled = compile_expression(source, Scope(ROOTS))

    assert compiled.path == path
    assert (compiled.type.value if compiled.type else None) == kind


def test_a_pure_operation_is_called_by_its_dotted_name():
    def add(parameters: JsonObject) -> JsonValue:
        return {"sum": sum(value for value in parameters.values() if isinstance(value, int))}

    def refuse(_parameters: JsonObject) -> JsonValue:
        raise FatalError("The parameter is wrong.", code="bad_parameter")

    functions = {"math.add": add, "data.refuse": refuse}
    scope = Scope(ROOTS)

    compiled = compile_expression("math.add({'a': 1, 'b': input.amount}).sum + math.abs(-1)", scope, functions)
    assert compiled.functions == ("math.abs", "math.add")
    assert compiled.evaluate(Context({"input": {"amount": 2}})) == 4
    with pytest.raises(ExpressionError) as caught:
        compile_expression("1 + data.refuse({})", scope, functions).evaluate(Context({}))
    assert (caught.value.code, caught.value.offset) == ("bad_parameter", 4)
    with pytest.raises(ExpressionError) as caught:
        compile_expression("data.refuse(1)", scope, functions).evaluate(Context({}))
    assert caught.value.code == "type_mismatch"
    with pytest.raises(ExpressionFault) as refused:
        compile_expression("data.refsue({})", scope, functions)
    assert (refused.value.code, refused.value.suggestion) == ("function_unknown", "data.refuse")


def test_what_is_handed_on_by_its_path_does_not_count():
    big: JsonValue = [{"text": "x" * 1_000} for _ in range(1_000)]
    assert evaluate("x", x=big) is big
    assert evaluate("{'items': x, 'more': x.filter(i, true)}", x=big) == {"items": big, "more": big}
    assert fail("[x, x]", x=big).code == "expression_budget"
    assert fail("x.map(i, i.text + '!')", x=big).code == "expression_budget"


def test_limits_are_handed_in():
    scope = Scope(ROOTS)
    tight = Limits(source_bytes=20, depth=1, nodes=5, ticks=10, result_bytes=16)

    for source, code in [("x" * 21, "expr_src"), ("((1))", "expr_depth"), ("1+1+1+1", "expr_nodes")]:
        with pytest.raises(ExpressionFault) as refused:
            compile_expression(source, scope, limits=tight)
        assert refused.value.code == code
    for source in ("lists.range(9)", "'123456789' + x"):
        with pytest.raises(ExpressionError) as caught:
            compile_expression(source, scope, limits=tight).evaluate(Context({"x": "y" * 90}))
        assert caught.value.code == "expression_budget"


def test_a_budget_is_not_absorbed_by_or():
    assert fail("lists.range(1000000).size() > 0 || true").code == "expression_budget"
    assert fail("[1].exists(x, lists.range(1000000).size() > 0) || true").code == "expression_budget"


def test_results_are_the_callers_own():
    compiled = compile_expression("[[1], {'a': x}]", Scope(ROOTS))
    context = Context({"x": 1})
    first = compiled.evaluate(context)
    assert isinstance(first, list)
    first.append("changed")

    assert compiled.evaluate(context) == [[1], {"a": 1}]
