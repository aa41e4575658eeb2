"""What expressions may read, and where they and secrets may stand."""

from collections.abc import Mapping, Sequence
from typing import cast

import pytest
from tests.support.language_catalog import compile_text

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, SecretText
from flowforge.language.graph import Call, Workflow


def make_document(steps: Sequence[JsonObject], fields: Mapping[str, object]) -> JsonObject:
    return cast("JsonObject", {"flowforge": 1, "name": "sample", "steps": [*steps], **fields})


def a_step(step_id: str, value: object = None, **fields: object) -> JsonObject:
    return cast("JsonObject", {"id": step_id, "uses": "flow.set", "with": {"values": {"v": value}}, **fields})


def a_loop(step_id: str, steps: Sequence[JsonObject], **fields: object) -> JsonObject:
    return cast("JsonObject", {"id": step_id, "uses": "flow.foreach", "with": {"items": [1]}, "steps": steps, **fields})


def a_request(**parameters: object) -> JsonObject:
    return cast("JsonObject", {"id": "a", "uses": "http.request", "with": {"url": "https://x.example", **parameters}})


def list_faults(steps: Sequence[JsonObject], **fields: object) -> list[tuple[str, str]]:
    compilation = compile_text(make_document(steps, fields))
    return [(fault.code, fault.field) for fault in compilation.errors]


def compile_steps(steps: Sequence[JsonObject]) -> Workflow:
    compilation = compile_text(make_document(steps, {}))
    assert compilation.workflow is not None, compilation.errors
    return compilation.workflow


READ_A = "${{ steps.a.output }}"


def test_a_step_reads_what_comes_before_it_on_some_path():
    steps: list[JsonObject] = [a_step("a"), a_step("x", after="a.error"), a_step("b", READ_A, after=["x"])]
    assert list_faults(steps) == []


def test_a_step_reads_neither_itself_nor_a_parallel_branch_nor_a_later_step():
    place = "with.values.v"
    assert list_faults([a_step("a", READ_A)]) == [("ref_order", f"steps[0].{place}")]
    assert list_faults([a_step("a"), a_step("b", READ_A, after=[])]) == [("ref_order", f"steps[1].{place}")]
    assert list_faults([a_step("b", READ_A), a_step("a")]) == [("ref_order", f"steps[0].{place}")]


def test_a_step_in_a_loop_reads_what_comes_before_the_loop_and_not_the_loop_itself():
    assert list_faults([a_step("a"), a_loop("l", [a_step("x", READ_A)])]) == []
    assert list_faults([a_step("a"), a_loop("l", [a_step("x", READ_A)], after=[])]) == [
        ("ref_order", "steps[1].steps[0].with.values.v")
    ]
    own = "${{ steps.l.output }}"
    assert list_faults([a_loop("l", [a_step("x", own)])]) == [("ref_order", "steps[0].steps[0].with.values.v")]


def test_an_inner_step_hides_an_outer_one_even_where_it_has_not_run_yet():
    inner: list[JsonObject] = [a_step("x", READ_A), a_step("a")]
    assert list_faults([a_step("a"), a_loop("l", inner)]) == [("ref_order", "steps[1].steps[0].with.values.v")]


def test_the_output_and_break_of_a_loop_read_all_its_steps_and_its_items_do_not():
    steps: list[JsonObject] = [a_step("x")]
    read_x = "${{ steps.x.output.v }}"
    assert list_faults([a_loop("l", steps, output=read_x, **{"break": "${{ steps.x.output.v == index }}"})]) == []
    items = a_loop("l", steps, **{"with": {"items": read_x}})
    assert list_faults([items]) == [("ref_unknown", "steps[0].with.items")]


def test_until_of_a_repeat_reads_its_steps_and_the_value_of_the_iteration():
    until = "${{ steps.x.status == 'completed' && output != null && previous == null }}"
    repeat = a_loop("r", [a_step("x")], uses="flow.repeat", output=1, **{"with": {"until": until}})
    assert list_faults([repeat]) == []


def test_item_is_that_of_the_nearest_loop_with_items_also_inside_a_repeat():
    repeat = a_loop("r", [a_step("x", "${{ item }}")], uses="flow.repeat", **{"with": {"until": True}})
    assert list_faults([a_loop("l", [repeat])]) == []
    assert list_faults([repeat]) == [("name_unknown", "steps[0].steps[0].with.values.v")]


def test_previous_needs_a_loop_with_concurrency_1():
    def with_concurrency(value: object) -> JsonObject:
        return a_loop("l", [a_step("x", "${{ previous }}")], **{"with": {"items": [1], "concurrency": value}})

    assert list_faults([with_concurrency(1)]) == []
    for value in (2, "unlimited"):
        assert list_faults([with_concurrency(value)]) == [("previous_parallel", "steps[0].steps[0].with.values.v")]


def test_a_compensation_reads_its_own_step():
    undo: JsonObject = {"uses": "http.request", "with": {"url": "https://x.example", "text": READ_A}}
    assert list_faults([a_step("a", compensate=undo)]) == []
    later: JsonObject = {"uses": "http.request", "with": {"url": "https://x.example", "text": "${{ steps.b.output }}"}}
    assert list_faults([a_step("a", compensate=later), a_step("b")]) == [("ref_order", "steps[0].compensate.with.text")]


@pytest.mark.parametrize("handler", ["on_failure", "finally"])
def test_a_handler_reads_all_steps_and_how_the_run_ended(handler: str):
    steps: list[JsonObject] = [a_step("a"), a_step("b", after=[])]
    reading = [a_step("h", "${{ [steps.a.output, steps.b.error, run.status, run.error.code] }}")]
    assert list_faults(steps, **{handler: reading}) == []
    assert list_faults([a_step("a", "${{ run.status }}")]) == [("expr_unknown_member", "steps[0].with.values.v")]
    unknown = [a_step("h", "${{ steps.nobody.output }}")]
    assert list_faults(steps, **{handler: unknown}) == [("ref_unknown", f"{handler}[0].with.values.v")]


def test_the_output_of_the_document_reads_all_steps_and_labels_read_none():
    assert list_faults([a_step("a"), a_step("b", after=[])], output={"a": READ_A, "b": "${{ steps.b.port }}"}) == []
    assert list_faults([a_step("a")], labels={"x": READ_A}) == [("name_unknown", "labels.x")]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("steps.a.output.status + 1", None),
        ("steps.a.output.body.any.thing", None),
        ("steps.a.output.headers['x-id']", None),
        ("steps.a.output.statsu", "expr_unknown_member"),
        ("steps.a.output['statsu']", "expr_unknown_member"),
        ("has(steps.a.output.statsu)", None),
        ("steps.a.output.?statsu.orValue(1)", None),
        ("steps.a.output['sta' + 'tus']", None),
        ("steps.a.attempts", None),
        ("steps.a.attemps", "expr_unknown_member"),
        ("steps.a.error.details.anything", None),
        ("steps.a.error.stack", "expr_unknown_member"),
        ("steps['__class__']", "ref_unknown"),
        ("steps['__cl' + 'ass__']", None),
        ("''.__class__.__mro__", "expr_unknown_member"),
        ("input['const' + 'ructor']", None),
        ("input.foo()", "function_unknown"),
        ("env.PATH", "name_unknown"),
        ("vars[input.name]", "vars_computed"),
    ],
)
def test_a_01_what_an_expression_reads_is_checked_as_far_as_it_is_known(expression: str, code: str | None):
    faults = list_faults([a_request(), a_step("b", f"${{{{ {expression} }}}}")])
    assert faults == ([] if code is None else [(code, "steps[1].with.values.v")])


def test_all_faults_of_one_text_are_told_each_at_its_column():
    source = (
        'flowforge: 1\nname: a\nsteps:\n  - {id: a, uses: flow.set, with: {values: {v: "${{ one }} and ${{ two + steps.x }}"}}}\n'
    )
    line = source.splitlines()[3]
    errors = compile_text(source).errors
    assert [(fault.code, fault.column) for fault in errors] == [
        ("name_unknown", line.index("one") + 1),
        ("name_unknown", line.index("two") + 1),
    ]


def test_exp_30_an_expression_inside_a_json_body_given_as_text_is_refused():
    assert list_faults([a_request(text='{"a": "${{ input.a }}"}')]) == [("body_template", "steps[0].with.text")]
    assert list_faults([a_request(text="${{ to_json(input) }}")]) == []
    assert list_faults([a_request(json={"a": "${{ input.a }}"})]) == []


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"headers": {"A": "Bearer ${{ secrets.A }}"}}, None),
        ({"auth": {"kind": "bearer", "token": "${{ secrets.A }}"}}, None),
        ({"query": {"a": "${{ secrets.A }}"}}, "query.a"),
        ({"json": "${{ secrets.A }}"}, "json"),
        ({"url": "https://x.example/${{ secrets.A }}"}, "url"),
        ({"auth": {"kind": "basic", "user": "${{ secrets.A }}", "password": "${{ secrets.B }}"}}, "auth.user"),
        ({"headers": {"A": "${{ secrets.A == 'x' }}"}}, "headers.A"),
        ({"headers": {"A": "${{ to_json(secrets) }}"}}, "headers.A"),
    ],
)
def test_exp_13_a_secret_stands_only_in_parameters_that_are_marked_for_it(parameters: JsonObject, field: str | None):
    assert list_faults([a_request(**parameters)]) == ([] if field is None else [("secret_context", f"steps[0].with.{field}")])


def test_a_field_whose_name_holds_a_dot_does_not_pass_for_a_place_of_secrets():
    parameters: JsonObject = {"url": "https://x.example", "auth.token": "${{ secrets.A }}"}
    faults = list_faults([{"id": "a", "uses": "http.request", "with": parameters}])
    assert ("secret_context", 'steps[0].with["auth.token"]') in faults


def evaluate_parameters(workflow: Workflow, roots: dict[str, JsonValue]) -> JsonObject:
    action = workflow.graph.steps[0].action
    assert isinstance(action, Call)
    made = action.parameters.evaluate(Context({**roots}))
    assert isinstance(made, dict)
    return made


def test_a_url_encodes_what_is_inserted_and_the_other_parameters_keep_values_and_order():
    parameters: JsonObject = {
        "query": {"n": "${{ input.n }}"},
        "json": ["${{ input.id }}"],
        "headers": {"A": "${{ secrets.KEY }}"},
    }
    workflow = compile_steps(
        [{"id": "a", "uses": "http.request", "with": {"url": "${{ input.base }}/a/${{ input.id }}", **parameters}}]
    )
    made = evaluate_parameters(workflow, {"input": {"base": "https://x.example", "id": "../b?c", "n": 5}})
    assert made["url"] == "https://x.example/a/..%2Fb%3Fc"
    assert (made["query"], made["json"]) == ({"n": 5}, ["../b?c"])
    assert made["headers"] == {"A": SecretText(((True, "KEY"),))}
    assert list(made) == ["url", "query", "json", "headers"]


def test_a_02_a_value_from_outside_is_never_evaluated_again():
    workflow = compile_steps([a_request(text="Hello ${{ trigger.body.name }}")])
    for name in ("${{ secrets.API }}", "=1+1", "{{7*7}}", "${7*7}", "%%WM%%"):
        made = evaluate_parameters(workflow, {"trigger": {"body": {"name": name}}})
        assert made["text"] == f"Hello {name}"


def test_an_expression_stands_nowhere_but_where_the_language_allows_it():
    mark = "${{ input.x }}"
    fields: list[tuple[dict[str, object], str]] = [
        ({"title": mark}, "steps[0].title"),
        ({"timeout": mark}, "steps[0].timeout"),
        ({"retry": {"attempts": mark}}, "steps[0].retry.attempts"),
        ({"on_error": mark}, "steps[0].on_error"),
        ({"mock": {"output": [mark]}}, "steps[0].mock.output[0]"),
        ({"limit": {"key": "k", "concurrency": mark}}, "steps[0].limit.concurrency"),
    ]
    for extra, field in fields:
        assert list_faults([cast("JsonObject", {**a_request(), **extra})]) == [("expr_not_allowed", field)]
    assert list_faults([{**a_request(), "limit": {"key": mark, "rate": "5/m"}}]) == []


@pytest.mark.parametrize("queries", ["${{ input.queries }}", ["${{ input.first }}"], [{"code": "${{ input.code }}"}]])
def test_a12_expression_that_would_bring_code_along_is_refused(queries: object):
    (fault,) = list_faults([a_request(queries=queries)])
    assert fault[0] == "expr_not_allowed"
    assert list_faults([a_request(queries=[{"code": "SELECT ?", "values": "${{ input.values }}"}])]) == []


def test_a02_expression_in_code_is_refused():
    assert list_faults([a_request(code="SELECT '${{ input.name }}'")]) == [("expr_not_allowed", "steps[0].with.code")]
    assert list_faults([a_request(code="SELECT :name, `${1}`")]) == []
