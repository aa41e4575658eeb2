import pytest
from tests.support.expressions import ROOTS, sample_input

from flowforge.kit.values import JsonValue
from flowforge.language.expressions import (
    Context,
    ExpressionError,
    ExpressionFault,
    Limits,
    Scope,
    SecretText,
    Template,
    TemplateFormat,
    compile_template,
    constant_template,
    find_expressions,
    has_expression,
)

SCOPE = Scope(ROOTS)
WITH_SECRETS = Scope(ROOTS, allows_secrets=True)


def make(value: JsonValue, scope: Scope = SCOPE, format_: TemplateFormat = TemplateFormat.JSON) -> Template:
    check = compile_template(value, scope, format=format_)
    assert check.template is not None, check.faults
    return check.template


def fill(
    value: JsonValue, format_: TemplateFormat = TemplateFormat.JSON, scope: Scope = SCOPE, /, **roots: JsonValue
) -> JsonValue:
    return make(value, scope, format_).evaluate(Context({"input": sample_input(), **roots}))


FILLED: "list[tuple[str, JsonValue]]" = [
    ("${{ input.amount }}", 1_500),
    ("  ${{ input.amount }}\n", 1_500),
    ("${{ input.empty }}", None),
    ("${{ input.tags }}", ["a", "b"]),
    ("n: ${{ input.amount }}", "n: 1500"),
    ("${{ input.empty }}!", "!"),
    ("${{ input.tags }}${{ input.customer }}", '["a","b"]{"name":"Ada"}'),
    ("${{ true }}, ${{ 2.0 }}, ${{ 2.5 }}, ${{ x }}", "true, 2, 2.5, 7"),
    ("${{ '${{' }}", "${{"),
    ("${{ '}}' }}", "}}"),
    ("${{ {'a': {'b': 1}}.a.b }}", 1),
    ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
    ("${{ {'a': {'b': {}}}}}", {"a": {"b": {}}}),
    ('${{ "it\'s }}" }}', "it's }}"),
    ("${{ r'\\}}' }}", "\\}}"),
    ('${{ """a}}"b""" }}', 'a}}"b'),
    ("${{ 1 // it's a comment }}", 1),
    ("${{ {'content-type': 1}.`content-type` }}", 1),
    ("no expression }} here", "no expression }} here"),
    ("$ {{ x }}", "$ {{ x }}"),
    ("${{ duration('90m') }} later", "1h30m later"),
]


@pytest.mark.parametrize(("text", "value"), FILLED, ids=[text for text, _ in FILLED])
def test_a_text_is_filled_in(text: str, value: JsonValue):
    assert fill(text, x=7.0) == value


def test_a_value_is_filled_in_at_any_depth_and_keeps_the_order_of_its_fields():
    value: JsonValue = {"z": "${{ x }}", "a": {"constant": [1, {}]}, "m": ["${{ x }}", 2, {"deep": "<${{ x }}>"}], "b": None}

    filled = fill(value, x="v")

    assert filled == {"z": "v", "a": {"constant": [1, {}]}, "m": ["v", 2, {"deep": "<v>"}], "b": None}
    assert isinstance(filled, dict)
    assert list(filled) == ["z", "a", "m", "b"]


def test_a_value_without_expressions_is_constant():
    value: JsonValue = {"a": [1, "text"], "b": {}}
    template = make(value)

    assert template.is_constant
    assert template.constant is value
    assert template.expressions == ()


def test_changing_a_result_does_not_change_the_template():
    for template in (make({"a": [1], "b": "${{ x }}"}), constant_template({"a": [1], "b": 2})):
        first = template.evaluate(Context({"x": 2}))
        assert isinstance(first, dict)
        assert isinstance(first["a"], list)
        first["a"].append("changed")

        assert template.evaluate(Context({"x": 2})) == {"a": [1], "b": 2}


def test_what_is_handed_on_is_the_very_object():
    items: JsonValue = [1, 2]
    filled = fill({"items": "${{ x }}"}, x=items)

    assert isinstance(filled, dict)
    assert filled["items"] is items


def test_a_text_template_gives_strings_only():
    assert fill({"a": "${{ x }}", "b": "${{ input.empty }}", "c": "${{ [1] }}"}, TemplateFormat.TEXT, x=7) == {
        "a": "7",
        "b": "",
        "c": "[1]",
    }


URLS = [
    ("https://h/${{ x }}/items", "/../a b?c#d&é", "https://h/%2F..%2Fa%20b%3Fc%23d%26%C3%A9/items"),
    ("https://h/${{ x }}/items", "..", "https://h/%2E%2E/items"),
    ("https://h/?q=${{ x }}", "a&b=c", "https://h/?q=a%26b%3Dc"),
    ("${{ x }}/orders", "https://h/base", "https://h/base/orders"),
    ("${{ x }}/orders/${{ x }}", "a/b", "a/b/orders/a%2Fb"),
    ("${{ x }}", "https://h/?a=b", "https://h/?a=b"),
    ("https://${{ x }}/", "127.0.0.1", "https://127.0.0.1/"),
]


@pytest.mark.parametrize(("text", "given", "value"), URLS, ids=[f"EXP-32-{number}" for number in range(len(URLS))])
def test_a_value_inside_a_url_is_encoded(text: str, given: str, value: str):
    assert fill(text, TemplateFormat.URL, x=given) == value


def test_a_secret_stays_a_name():
    value: JsonValue = {"token": "${{ secrets.API }}", "header": "Bearer ${{ secrets.API }} for ${{ x }}", "plain": "${{ x }}"}

    template = make(value, WITH_SECRETS)

    assert template.evaluate(Context({"x": "me"})) == {
        "token": SecretText(((True, "API"),)),
        "header": SecretText(((False, "Bearer "), (True, "API"), (False, " for "), (False, "me"))),
        "plain": "me",
    }
    assert [expression.compiled.secret for expression in template.expressions] == ["API", "API", None, None]


@pytest.mark.parametrize(
    "text",
    [
        "${{ 'Bearer ' + secrets.API }}",
        "${{ secrets }}",
        "${{ secrets['API'] }}",
        "${{ secrets.API.x }}",
        "${{ secrets.API == x }}",
        "${{ [secrets.API] }}",
        "${{ secrets.?API }}",
        "${{ has(secrets.API) }}",
        "${{ secrets.API.size() }}",
        "${{ [1].map(a, secrets.API) }}",
    ],
)
def test_exp_41_a_secret_can_only_be_handed_on(text: str):
    check = compile_template(text, WITH_SECRETS)

    assert [fault.code for fault in check.faults] == ["secret_context"]


def test_exp_13_a_secret_is_refused_where_none_may_stand():
    assert [fault.code for fault in compile_template("${{ secrets.API }}", SCOPE).faults] == ["secret_context"]


def test_a_secret_stands_at_the_beginning_of_a_url_only():
    begin = compile_template("${{ secrets.BASE }}/x/${{ x }}", WITH_SECRETS, format=TemplateFormat.URL)
    inside = compile_template("https://h/${{ secrets.KEY }}", WITH_SECRETS, format=TemplateFormat.URL)

    assert begin.template is not None
    assert begin.template.evaluate(Context({"x": "a/b"})) == SecretText(((True, "BASE"), (False, "/x/"), (False, "a%2Fb")))
    assert [(fault.code, fault.offset) for fault in inside.faults] == [("secret_context", 13)]


def test_all_faults_are_told_at_once_with_their_places():
    value: JsonValue = {
        "a": "text ${{ inptu.x }} and ${{ }}",
        "b": [1, {"c": "${{ random() }}"}],
        "k${{ x }}": 1,
        "d": "${{ open",
        "good": "${{ input.amount }}",
    }

    check = compile_template(value, SCOPE)

    assert check.template is None
    assert [(fault.code, fault.path, fault.offset, fault.suggestion) for fault in check.faults] == [
        ("name_unknown", "a", 9, "input"),
        ("expr_empty", "a", 27, None),
        ("function_unknown", "b[1].c", 4, None),
        ("expr_not_allowed", "k${{ x }}", 1, None),
        ("expr_syntax", "d", 0, None),
    ]
    assert [(expression.path, expression.offset) for expression in check.expressions] == [("good", 3)]
    assert check.faults[2].keys == ("b", 1, "c")
    assert check.expressions[0].keys == ("good",)


def test_an_error_names_the_field_of_the_template():
    template = make({"list": [{"name": "Dear ${{ input.nme }}"}]})

    with pytest.raises(ExpressionError) as caught:
        template.evaluate(Context({"input": {}}))

    assert (caught.value.code, caught.value.field, caught.value.path) == ("missing_field", "list[0].name", "input.nme")


def test_a_text_with_half_a_surrogate_pair_is_an_error_with_its_place():
    template = make({"a": "<${{ x }}>"})

    with pytest.raises(ExpressionError) as caught:
        template.evaluate(Context({"x": ["\ud800"]}))

    assert (caught.value.code, caught.value.field, caught.value.offset) == ("type_mismatch", "a", 0)


def test_a_text_is_bounded():
    check = compile_template("${{ x }}${{ x }}", SCOPE, limits=Limits(text_characters=100))
    assert check.template is not None

    with pytest.raises(ExpressionError) as caught:
        check.template.evaluate(Context({"x": "y" * 60}))

    assert caught.value.code == "expression_budget"


def test_expressions_are_found_in_a_text():
    spans = find_expressions("a ${{ x }} b ${{ {'c': '}}'} }}")

    assert [(span.start, span.end, span.source, span.source_start) for span in spans] == [
        (2, 10, " x ", 5),
        (13, 31, " {'c': '}}'} ", 16),
    ]
    assert find_expressions("none }}") == ()
    assert has_expression("a ${{")
    with pytest.raises(ExpressionFault) as caught:
        find_expressions("${{ x }} ${{ {'a': 1 }}")
    assert (caught.value.code, caught.value.offset) == ("expr_syntax", 9)
