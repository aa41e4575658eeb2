"""Cases 4.4 of bad input: those that concern an expression alone."""

import tracemalloc

import orjson
import pytest
from tests.support.expressions import ROOTS, evaluate, fail

from flowforge.kit.values import JsonValue
from flowforge.language.expressions import (
    Context,
    ExpressionError,
    ExpressionFault,
    Limits,
    Scope,
    compile_expression,
    compile_template,
)


def double(first: str, pattern: str, last: str = "v37") -> str:
    """A value that is doubled 37 times by `cel.bind`; `pattern` makes two of one."""
    bindings = [f"cel.bind(v{n}, {pattern.replace('v', f'v{n - 1}') if n else first}, " for n in range(38)]
    return "".join(bindings) + last + ")" * 38


DOUBLED = double("'xxxxxxxxxxxxxxxx'", "v + v")
TREE = double("[1]", "[v, v]")

STATIC = [
    ("EXP-01", "", "expr_empty", 0),
    ("EXP-01-spaces", "  \n ", "expr_empty", 0),
    ("EXP-01-comment", "// nothing", "expr_empty", 0),
    ("EXP-03", "''.__class__", "expr_unknown_member", 3),
    ("EXP-03-mro", "''.__class__.__mro__", "expr_unknown_member", 3),
    ("EXP-03-number", "(1 + 2).__class__", "expr_unknown_member", 8),
    ("EXP-03-list", "[1].__len__", "expr_unknown_member", 4),
    ("EXP-06", "`${input}`", "expr_syntax", 0),
    ("EXP-06-backticks", "`input`", "expr_syntax", 0),
    ("EXP-07-this", "this", "name_unknown", 0),
    ("EXP-07-self", "self.x", "name_unknown", 0),
    ("EXP-07-globals", "globals()", "function_unknown", 0),
    ("EXP-07-process", "process.env", "name_unknown", 0),
    ("EXP-07-require", "require('fs')", "function_unknown", 0),
    ("EXP-07-import", "import", "expr_syntax", 0),
    ("EXP-08-arrow", "(x => x)(1)", "expr_syntax", 3),
    ("EXP-08-lambda", "lambda x: x", "expr_syntax", 7),
    ("EXP-08-comprehension", "[x for x in input]", "expr_syntax", 3),
    ("EXP-09-assignment", "x = 1", "expr_syntax", 2),
    ("EXP-09-walrus", "x := 1", "expr_syntax", 3),
    ("EXP-09-increment", "x++", "expr_syntax", 2),
    ("EXP-09-semicolon", "x; x", "expr_syntax", 1),
    ("EXP-10", "x.foo()", "function_unknown", 2),
    ("EXP-11-modulo", '"%s" % secrets', "secret_context", 7),
    ("EXP-11-format", '"%s".format([secrets])', "secret_context", 13),
    ("EXP-12", "secrets", "secret_context", 0),
    ("EXP-12-to-json", "to_json(secrets)", "secret_context", 8),
    ("EXP-12-index", "secrets['API']", "secret_context", 0),
    ("EXP-13", "secrets.API", "secret_context", 0),
    ("EXP-14", "env.PATH", "name_unknown", 0),
    ("EXP-15", "'" + "x" * 4_095 + "'", "expr_src", 0),
    ("EXP-16", "(" * 41 + "1" + ")" * 41, "expr_depth", 41),
    ("EXP-16-2000", "(" * 2_000 + "1" + ")" * 2_000, "expr_depth", 41),
    ("EXP-16-lists", "[" * 41 + "1" + "]" * 41, "expr_depth", 41),
    ("EXP-17", "+".join(["1"] * 2_000), "expr_nodes", 2_000),
    ("EXP-19", "2 ** 2 ** 2", "expr_syntax", 3),
    ("EXP-21-literal", "9223372036854775808", "number_range", 0),
    ("EXP-21-float", "1e999", "number_range", 0),
    ("EXP-23", "x.matches('(')", "regex_invalid", 10),
    ("EXP-23-look-around", "x.matches('(?=a)')", "regex_invalid", 10),
    ("EXP-23-back-reference", r"matches(x, r'(a)\1')", "regex_invalid", 11),
    ("EXP-37-random", "random()", "function_unknown", 0),
    ("EXP-39", "größe", "expr_syntax", 2),
    ("EXP-39-homoglyph", "\u0455teps.a", "expr_syntax", 0),
    ("EXP-40-nul", "x\x00", "control_char", 1),
    ("EXP-40-bom", "\ufeffx", "control_char", 0),
    ("EXP-40-direction", "x == '\u202e'", "control_char", 6),
    ("EXP-41", "secrets.X == input.id", "secret_context", 0),
    ("EXP-41-conditional", "true ? secrets.X : ''", "secret_context", 7),
]


@pytest.mark.parametrize(("source", "code", "offset"), [case[1:] for case in STATIC], ids=[case[0] for case in STATIC])
def test_a_bad_expression_is_refused_when_it_is_checked(source: str, code: str, offset: int):
    failure = fail(source, x="text")

    assert (failure.code, failure.is_static, failure.offset) == (code, True, offset)


AT_RUN_TIME = [
    ("EXP-03-data", "input.__class__", "missing_field", "input.__class__"),
    ("EXP-04", 'steps["__cla" + "ss__"]', "missing_field", "steps.__class__"),
    ("EXP-05", 'input["const" + "ructor"]', "missing_field", "input.constructor"),
    ("EXP-18", DOUBLED, "expression_budget", ""),
    ("EXP-18-list", double("['x']", "v + v"), "expression_budget", ""),
    ("EXP-18-tree", TREE, "expression_budget", ""),
    ("EXP-18-tree-compared", double("[1]", "[v, v]", "v37 == v37"), "expression_budget", ""),
    ("EXP-18-tree-printed", double("[1]", "[v, v]", "'%s'.format([v37])"), "expression_budget", ""),
    ("EXP-18-tree-json", double("[1]", "[v, v]", "to_json(v37)"), "expression_budget", ""),
    ("EXP-18-replace", "x.replace('', x).replace('', x).replace('', x)", "expression_budget", ""),
    ("EXP-20", "1/0", "division_by_zero", ""),
    ("EXP-20-modulo", "1%0", "division_by_zero", ""),
    ("EXP-20-double", "1.0/0.0", "division_by_zero", ""),
    ("EXP-21-sum", "9223372036854775807 + 1", "number_range", ""),
    ("EXP-21-product", "1e308*10", "number_range", ""),
    ("EXP-21-negation", "-(-9223372036854775808)", "number_range", ""),
    ("EXP-23-dynamic", "x.matches('(' + '')", "regex_invalid", ""),
    ("EXP-24", "lists.range(1000000000).map(i, i)", "expression_budget", ""),
    (
        "EXP-24-nested",
        "lists.range(100).map(a, lists.range(100).map(b, lists.range(100).map(c, a * b * c)))",
        "expression_budget",
        "",
    ),
    ("EXP-25", "null.foo.bar", "missing_field", "null.foo"),
    ("EXP-25-null", "input.empty.foo.bar", "missing_field", "input.empty.foo"),
    ("EXP-25-missing", "input.customer.nme.first", "missing_field", "input.customer.nme"),
    ("EXP-26-negative", "input.tags[-1]", "index", "input.tags"),
    ("EXP-26-large", "input.tags[1e10]", "index", "input.tags"),
    ("EXP-26-fraction", "input.tags[1.5]", "type_mismatch", "input.tags"),
    ("EXP-26-text", "input.tags['0']", "type_mismatch", "input.tags['0']"),
    ("EXP-27", '"10" < 9', "type_mismatch", ""),
    ("EXP-28-boolean", "true + 1", "type_mismatch", ""),
    ("EXP-28-containers", "[] + {}", "type_mismatch", ""),
    ("EXP-35", "timestamp('99999-01-01T00:00:00Z')", "date_range", ""),
    ("EXP-35-edge", "timestamp('9999-12-31T23:59:59Z').getHours('+01:00')", "date_range", ""),
    ("EXP-35-zone", "now().getHours('Mars/Base')", "timezone", ""),
    ("EXP-35-path", "now().getHours('../../etc/passwd')", "timezone", ""),
]


@pytest.mark.parametrize(("source", "code", "path"), [case[1:] for case in AT_RUN_TIME], ids=[case[0] for case in AT_RUN_TIME])
def test_an_expression_fails_on_bad_data(source: str, code: str, path: str):
    failure = fail(source, x="text" * 100)

    assert (failure.code, failure.is_static) == (code, False)
    assert failure.path == path
    assert 0 <= failure.offset < len(source)


ALLOWED: "list[tuple[str, str, JsonValue]]" = [
    ("EXP-03-data", "input._id", 5),
    ("EXP-06-field", "{'content-type': 1}.`content-type`", 1),
    ("EXP-10", '"{0.__init__}".format([input])', "{0.__init__}"),
    ("EXP-15", "size('" + "x" * 4_088 + "')", 4_088),
    ("EXP-16", "(" * 40 + "1" + ")" * 40, 1),
    ("EXP-17-100", "+".join(["1"] * 100), 100),
    ("EXP-17-1000", "+".join(["1"] * 1_000), 1_000),
    ("EXP-17-links", "x" + ".trim()" * 400, "text"),
    ("EXP-17-minus", "-" * 1_500 + "x.size()", 4),
    ("EXP-17-conditions", "false ? 1 : " * 300 + "2", 2),
    ("EXP-21", "0.1+0.2", 0.30000000000000004),
    ("EXP-21-exact", "9007199254740992 + 1", 9_007_199_254_740_993),
    ("EXP-21-least", "-9223372036854775808", -(2**63)),
    ("EXP-26", "input.tags[1.0]", "b"),
    ("EXP-34-length", "input.length", 3),
    ("EXP-34-names", "{'keys': 1, 'items': 2, 'get': 3, 'find': 4, 'plain': 5}.items", 2),
    ("EXP-36", "now() == now()", True),
    ("EXP-40-escape", r"size('\u202e')", 1),
]


@pytest.mark.parametrize(("source", "value"), [case[1:] for case in ALLOWED], ids=[case[0] for case in ALLOWED])
def test_what_only_looks_bad_has_a_value(source: str, value: JsonValue):
    assert evaluate(source, x="text") == value


def test_exp_02_an_open_expression_is_a_fault_and_a_stray_end_is_text():
    check = compile_template({"a": "text ${{ x ", "b": "}} {{ x }}"}, Scope(ROOTS))

    assert [(fault.code, fault.path, fault.offset) for fault in check.faults] == [("expr_syntax", "a", 5)]


def test_exp_04_a_literal_key_is_told_as_a_reference():
    compiled = compile_expression('steps["__class__"].output', Scope(ROOTS))

    assert [reference.path for reference in compiled.references] == [("steps", "__class__", "output")]


@pytest.mark.parametrize("source", [DOUBLED, TREE, "lists.range(1000000000)", "x.replace('', x).replace('', x)"])
def test_exp_18_and_24_a_greedy_expression_stays_small(source: str):
    compiled = compile_expression(source, Scope(ROOTS))
    context = Context({"x": "y" * 1_000})
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionError) as caught:
            compiled.evaluate(context)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert caught.value.code == "expression_budget"
    assert peak_bytes < 10 * 2**20


def test_exp_16_no_setting_lets_brackets_exhaust_the_interpreter():
    limits = Limits(depth=1_000, source_bytes=100_000)

    compiled = compile_expression("[1].map(a, " * 60 + "1" + ")" * 60, Scope(ROOTS), limits=limits)
    with pytest.raises(ExpressionFault) as refused:
        compile_expression("(" * 61 + "1" + ")" * 61, Scope(ROOTS), limits=limits)

    assert str(compiled.evaluate(Context({}))) == "[" * 60 + "1" + "]" * 60
    assert refused.value.code == "expr_depth"


def test_exp_22_a_pattern_that_would_backtrack_is_linear():
    compiled = compile_expression("x.matches('(a+)+$')", Scope(ROOTS))
    context = Context({"x": "a" * 102_400 + "!"})

    assert compiled.evaluate(context) is False
    assert context.ticks == 2 + 1 + 102_401 // 64


def test_exp_29_data_that_holds_an_expression_stays_text():
    check = compile_template("Hello ${{ input.name }}", Scope(ROOTS))
    assert check.template is not None

    assert check.template.evaluate(Context({"input": {"name": "${{ secrets.API }}"}})) == "Hello ${{ secrets.API }}"


@pytest.mark.parametrize("text", ["=1+1", "{{ x }}", "${x}", "${{ x }}", "%%WM_x%%", "}}", "${{"])
def test_a02_text_from_outside_is_never_evaluated_again(text: str):
    check = compile_template({"whole": "${{ x }}", "part": "<${{ x }}>", "list": ["${{ [x] }}"]}, Scope(ROOTS))
    assert check.template is not None

    assert check.template.evaluate(Context({"x": text})) == {"whole": text, "part": f"<{text}>", "list": [[text]]}


def test_exp_30_text_with_quotes_keeps_the_shape_of_json():
    check = compile_template({"name": "${{ x }}", "note": "Dear ${{ x }}"}, Scope(ROOTS))
    assert check.template is not None
    hostile = '", "admin": true, "x": "'

    value = check.template.evaluate(Context({"x": hostile}))

    assert orjson.loads(orjson.dumps(value)) == {"name": hostile, "note": f"Dear {hostile}"}


def test_exp_36_and_37_time_and_ids_are_the_same_at_every_replay():
    compiled = compile_expression("[string(now()), uuid(), uuid()]", Scope(ROOTS))

    first = compiled.evaluate(Context({}, now_ms=1_000, seed=b"run/step"))
    second = compiled.evaluate(Context({}, now_ms=1_000, seed=b"run/step"))
    other = compiled.evaluate(Context({}, now_ms=1_000, seed=b"run/other"))

    assert first == second
    assert isinstance(first, list)
    assert first[0] == "1970-01-01T00:00:01Z"
    assert first[1] != first[2]
    assert other != first


def test_exp_38_deep_data_is_printed():
    deep: JsonValue = "core"
    for _ in range(64):
        deep = [deep]

    assert evaluate("to_json(x) + '%s'.format([x])", x=deep) == "[" * 64 + '"core"' + "]" * 64 + "[" * 64 + "core" + "]" * 64
    assert evaluate("x == x", x=deep) is True


def test_exp_38_json_text_that_is_too_deep_is_refused():
    assert fail("json(x)", x="[" * 66 + "]" * 66).code == "type_mismatch"
    assert fail("json(x)", x="[" * 50_000).code == "type_mismatch"


def test_exp_42_a_thousand_expressions_are_checked_at_once():
    value: JsonValue = [f"${{{{ input.amount > {number} && x.contains('{number}') }}}}" for number in range(1_000)]

    check = compile_template(value, Scope(ROOTS))

    assert len(check.expressions) == 1_000
    assert check.faults == ()


def test_all_faults_of_an_expression_are_told_at_once():
    check = compile_template("${{ inptu.a + x.trimm() + random() }}", Scope(ROOTS))

    assert [(fault.code, fault.offset, fault.suggestion) for fault in check.faults] == [
        ("name_unknown", 4, "input"),
        ("function_unknown", 16, "trim"),
        ("function_unknown", 26, None),
    ]


def test_a_message_names_kinds_and_never_values():
    with pytest.raises(ExpressionError) as caught:
        evaluate("input.id + x", x=4_711)

    assert caught.value.message == "+ cannot take a string and a number."
