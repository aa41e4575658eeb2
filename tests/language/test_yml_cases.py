"""Bad documents, by the ids of the reliability cases: each is refused with its code, its field and its place."""

from dataclasses import dataclass

import pytest
from tests.support.language_catalog import compile_text

from flowforge.kit.limits import Limits
from flowforge.language.faults import Fault

HEAD = "flowforge: 1\nname: sample\n"
ONE_STEP = HEAD + "steps:\n  - {id: a, uses: flow.set, with: {values: {}}}\n"
REQUEST = 'uses: http.request, with: {url: "https://x.example"}'


@dataclass(frozen=True)
class Case:
    """A document and the codes of its errors, in the order of the text. `field` is that of the first one."""

    id: str
    source: str | bytes
    codes: tuple[str, ...]
    field: str = ""
    place: tuple[int, int] | None = None


def step(fields: str) -> str:
    return f"{HEAD}steps:\n  - {{id: a, {fields}}}\n"


def number_of_steps(count: int) -> str:
    inner = "".join(f"        - {{id: s{index}, uses: flow.set, with: {{values: {{}}}}}}\n" for index in range(count - 1))
    return f"{HEAD}steps:\n  - id: each\n    uses: flow.foreach\n    with: {{items: []}}\n    steps:\n{inner}"


def nested(depth: int) -> str:
    return f"{ONE_STEP}output: {'[' * (depth - 1)}{']' * (depth - 1)}\n"


BOMB = (
    ONE_STEP
    + "a: &a [x, x]\n"
    + "".join(f"{name}: &{name} [{', '.join([f'*{above}'] * 9)}]\n" for above, name in zip("abcdefgh", "bcdefghi", strict=True))
)
DURATION = ("duration",)

CASES = [
    Case("YML-01-empty", "", ("def_empty",), "", (1, 1)),
    Case("YML-01-comments", "# a\n\n# b\n", ("def_empty",), "", (1, 1)),
    Case("YML-02", ONE_STEP + "---\na: 1\n", ("yaml_documents",), "", (5, 1)),
    Case("YML-03-tab", HEAD + "steps:\n\t- id: a\n", ("yaml_syntax",), "", (4, 1)),
    Case("YML-03-indent", HEAD + "steps:\n  - id: a\n uses: b\n", ("yaml_syntax",), "", (5, 2)),
    Case("YML-04", BOMB, ("yaml_alias",) * 81, "a", (5, 4)),
    Case("YML-05-anchor", HEAD + "title: &t x\nsteps: []\n", ("yaml_alias", "required"), "title", (3, 8)),
    Case("YML-05-alias", HEAD + "title: x\nsteps: *t\n", ("yaml_alias",), "steps", (4, 8)),
    Case("YML-05-merge", HEAD + "<<: {a: 1}\n", ("yaml_alias",), "", (3, 1)),
    Case("YML-06", HEAD + "steps: &s [*s]\n", ("yaml_alias", "yaml_alias"), "steps", (3, 8)),
    Case("YML-07", step("uses: !!python/object/apply:os.system [exit]"), ("yaml_tag",), "steps[0].uses", (4, 19)),
    Case("YML-08-binary", HEAD + "title: !!binary aGk=\nsteps: !!set {a}\n", ("yaml_tag", "yaml_tag"), "title", (3, 8)),
    Case("YML-08-custom", HEAD + "title: !mine x\nsteps: !mine [a]\n", ("yaml_tag", "yaml_tag"), "title", (3, 8)),
    Case("YML-09", ONE_STEP + "name: again\n", ("yaml_duplicate_key",), "name", (5, 1)),
    Case("YML-11", ONE_STEP + "1: a\nnull: b\n? [a]\n: c\n", ("yaml_key",) * 3, "", (5, 1)),
    Case("YML-12", nested(21), ("nest_max",), f"output{'[0]' * 19}", (5, 28)),
    Case("YML-13", ONE_STEP + "#" * 2**19, ("def_max",), "", (1, 1)),
    Case("YML-14", number_of_steps(501), ("steps_max",), "steps", (3, 1)),
    Case("YML-15", HEAD + "steps: []\n", ("required",), "steps", (3, 8)),
    Case(
        "YML-16",
        ONE_STEP + "  - {id: a, uses: flow.set, with: {values: {}}}\n  - {id: A, uses: flow.set, with: {values: {}}}\n",
        ("id_duplicate", "id_invalid", "id_duplicate"),
        "steps[1].id",
        (5, 10),
    ),
    Case("YML-18-step", step("uses: flow.set, with: {values: {}}, after: b"), ("ref_unknown",), "steps[0].after", (4, 56)),
    Case("YML-18-port", ONE_STEP + "  - {id: b, after: a.no, uses: flow.stop}\n", ("ref_unknown",), "steps[1].after", (5, 20)),
    Case(
        "YML-19",
        HEAD + "steps:\n  - {id: a, after: b, uses: flow.stop}\n  - {id: b, after: a, uses: flow.stop}\n",
        ("cycle",),
        "steps[0].after",
        (4, 20),
    ),
    Case("YML-20", step("after: a, uses: flow.stop"), ("cycle",), "steps[0].after", (4, 20)),
    Case("YML-21", step("uses: flow.stop") + "  - {id: b, uses: flow.stop}\n", ("unreachable",), "steps[1]", (5, 5)),
    Case("YML-22-kind", step("uses: http.requets"), ("kind_unknown",), "steps[0].uses", (4, 19)),
    Case("YML-22-version", step("uses: http.request@9"), ("kind_unknown",), "steps[0].uses", (4, 19)),
    Case("YML-23", step("uses: flow.stop, colour: red"), ("field_unknown",), "steps[0].colour", (4, 30)),
    *(
        Case(f"YML-24-{value}", step(f"{REQUEST}, timeout: {value}"), DURATION, "steps[0].timeout", (4, 76))
        for value in ("0", "-1", "1e9", "30", '"abc"', "PT0S", "25h")
    ),
    *(
        Case(f"YML-25-{value}", step(f"{REQUEST}, retry: {{attempts: {value}}}"), ("range",), "steps[0].retry.attempts", (4, 85))
        for value in ("0", "-1", "1000000000")
    ),
    *(
        Case(f"YML-26-{value}", step(f"{REQUEST}, retry: {{multiplier: {value}}}"), (code,), "steps[0].retry.multiplier", (4, 87))
        for value, code in (("0", "range"), ("0.5", "range"), (".nan", "number_range"), ("1000", "range"))
    ),
    Case("YML-26-backoff", step(f"{REQUEST}, retry: {{backoff: never}}"), ("choice",), "steps[0].retry.backoff", (4, 84)),
    *(
        Case(
            f"YML-27-{value}",
            step(f"uses: flow.repeat, with: {{until: true, limit: {value}}}, steps: [{{id: b, uses: flow.stop}}]"),
            ("loop_bound",),
            "steps[0].with.limit",
            (4, 59),
        )
        for value in ("0", "100001")
    ),
    Case(
        "YML-27-concurrency",
        step("uses: flow.foreach, with: {items: [], concurrency: 0}, steps: [{id: b, uses: flow.stop}]"),
        ("range",),
        "steps[0].with.concurrency",
        (4, 64),
    ),
    Case(
        "YML-29-later",
        step('uses: flow.set, with: {values: {x: "${{ steps.b.output }}"}}') + "  - {id: b, uses: flow.stop}\n",
        ("ref_order",),
        "steps[0].with.values.x",
        (4, 53),
    ),
    Case(
        "YML-29-unknown",
        step('uses: flow.set, with: {values: {x: "${{ steps.b.output }}"}}'),
        ("ref_unknown",),
        "steps[0].with.values.x",
        (4, 53),
    ),
    Case("YML-32-assignees", step("uses: human.approval, with: {title: t}"), ("required",), "steps[0].with.assignees", (4, 35)),
    Case(
        "YML-32-quorum",
        step("uses: human.approval, with: {assignees: [{role: r}], policy: {quorum: 0}}"),
        ("range",),
        "steps[0].with.policy.quorum",
        (4, 83),
    ),
    Case(
        "YML-33",
        ONE_STEP + 'triggers:\n  - {id: t, uses: webhook, with: {path: "@other/x", auth: none}}\n',
        ("value",),
        "triggers[0].with.path",
        (6, 41),
    ),
    Case(
        "YML-34",
        ONE_STEP + 'triggers:\n  - {id: t, uses: schedule, with: {cron: "* * * *"}}\n',
        ("cron_fields",),
        "triggers[0].with.cron",
        (6, 42),
    ),
    Case("YML-36-latin-1", (ONE_STEP + "title: é\n").encode("latin-1"), ("encoding",), "", (5, 8)),
    Case("YML-36-utf-16", ONE_STEP.encode("utf-16"), ("encoding",), "", (1, 1)),
    Case("YML-36-utf-16-without-mark", ONE_STEP.encode("utf-16-le"), ("encoding",), "", (1, 1)),
    Case("YML-36-utf-32", ONE_STEP.encode("utf-32"), ("encoding",), "", (1, 1)),
    Case("YML-36-mark", "\ufeff" + ONE_STEP, ("encoding",), "", (1, 1)),
    Case("YML-37-nul", ONE_STEP + "title: a\0b\n", ("control_char",), "", (5, 9)),
    Case("YML-37-escaped", ONE_STEP + 'title: "a\\0b"\n', ("control_char",), "title", (5, 8)),
    Case("YML-40-99", "flowforge: 99\nname: a\nsteps: []\n", ("version_unsupported",), "flowforge", (1, 12)),
    Case("YML-40-none", "name: a\nsteps: []\n", ("version_unsupported",), "flowforge", (1, 1)),
    Case("YML-41", ONE_STEP + "layout: {a: {x: 1}}\n", ("field_unknown",), "layout", (5, 1)),
    Case("YML-41-nan", ONE_STEP + "layout: {a: {x: .nan}}\n", ("field_unknown", "number_range"), "layout", (5, 1)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_document_is_refused_with_its_code_field_and_place(case: Case):
    compilation = compile_text(case.source)
    assert compilation.workflow is None
    assert tuple(fault.code for fault in compilation.errors) == case.codes
    first = compilation.errors[0]
    assert first.field == case.field
    assert case.place == (first.line, first.column)


UNREADABLE = {*(f"YML-{number:02}" for number in (*range(1, 10), *range(11, 14), 36, 37))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_only_a_text_that_cannot_be_read_cannot_be_kept_as_a_draft(case: Case):
    assert compile_text(case.source).is_readable == (case.id[:6] not in UNREADABLE)


@pytest.mark.parametrize(
    "name", ["__proto__", "constructor", "trigger", "steps", "", "a" * 300, "a.b", "a b", "a-b", "1a", "Ünder"]
)
def test_yml_17_an_id_that_is_not_allowed_is_refused(name: str):
    compilation = compile_text({"flowforge": 1, "name": "a", "steps": [{"id": name, "uses": "flow.stop"}]})
    assert [(fault.code, fault.field) for fault in compilation.errors] == [("id_invalid", "steps[0].id")]


def test_yml_04_a_bomb_of_aliases_makes_no_value_larger_than_the_text():
    compilation = compile_text(BOMB)
    assert {fault.code for fault in compilation.errors} == {"yaml_alias"}
    assert len(str(compilation.document)) < len(BOMB) * 2


def test_yml_10_words_and_numbers_mean_what_the_core_schema_of_yaml_1_2_says():
    source = step(
        "uses: flow.set, with: {values: {on: yes, no: off, time: 12:30:00, octal: 0o17, grouped: 1_000, hex: 0x1F, f: 1e3}}"
    )
    document = compile_text(source).document
    assert isinstance(document, dict)
    assert document["steps"] == [
        {
            "id": "a",
            "uses": "flow.set",
            "with": {
                "values": {"on": "yes", "no": "off", "time": "12:30:00", "octal": 15, "grouped": "1_000", "hex": 31, "f": 1000.0}
            },
        }
    ]


def test_yml_12_a_document_at_the_bound_of_nesting_is_read():
    assert compile_text(nested(20)).is_valid


def test_yml_13_a_document_at_the_bound_of_its_size_is_read():
    padding = Limits().def_max_bytes - len(ONE_STEP) - 1
    assert compile_text(ONE_STEP + "#" * padding + "\n").is_valid


def test_yml_14_a_document_at_the_bound_of_its_steps_is_compiled():
    compilation = compile_text(number_of_steps(500))
    assert compilation.is_valid
    assert compilation.metadata is not None
    assert compilation.metadata.steps == 500


def test_yml_14_steps_of_handlers_count_too():
    limits = Limits(steps_max=2)
    handlers = (
        "on_failure: [{id: b, uses: flow.set, with: {values: {}}}]\nfinally: [{id: c, uses: flow.set, with: {values: {}}}]\n"
    )
    assert [fault.code for fault in compile_text(ONE_STEP + handlers, limits=limits).errors] == ["steps_max"]


def test_yml_19_a_cycle_is_told_with_its_path():
    source = (
        HEAD
        + "steps:\n"
        + "".join(
            f"  - {{id: {name}, after: {above}, uses: flow.set, with: {{values: {{}}}}}}\n" for name, above in ("ac", "ba", "cb")
        )
    )
    fault = find_only_fault(source)
    assert fault.code == "cycle"
    assert "a → b → c → a" in fault.message


def test_yml_27_a_repeat_without_a_limit_stops_at_100():
    source = step("uses: flow.repeat, with: {until: false}, steps: [{id: b, uses: flow.set, with: {values: {}}}]")
    workflow = compile_text(source).workflow
    assert workflow is not None
    assert getattr(workflow.graph.steps[0].action, "limit", None) == 100


def test_yml_28_a_syntax_error_in_step_37_is_told_with_field_line_and_column():
    steps = "".join(f"  - {{id: s{index}, uses: flow.set, with: {{values: {{}}}}}}\n" for index in range(37))
    bad = '  - id: bad\n    uses: flow.set\n    with:\n      values:\n        sum: "${{ 1 + * 2 }}"\n'
    fault = find_only_fault(f"{HEAD}steps:\n{steps}{bad}")
    assert (fault.code, fault.field) == ("expr_syntax", "steps[37].with.values.sum")
    assert (fault.line, fault.column) == (3 + 37 + 5, len('        sum: "${{ 1 + *'))


def test_yml_31_a_secret_in_plain_text_is_a_warning():
    source = step('uses: http.request, with: {url: "https://x.example", headers: {Authorization: Bearer abcdef}}')
    compilation = compile_text(source)
    assert compilation.is_valid
    assert [(fault.code, fault.field) for fault in compilation.warnings] == [
        ("secret_in_definition", "steps[0].with.headers.Authorization")
    ]
    assert "abcdef" not in compilation.warnings[0].message


def test_yml_37_a_line_separator_in_text_is_data():
    source = HEAD + "title: 'a\u2028b\u2029c\x85d'\nsteps:\n  - {id: a, uses: flow.set, with: {values: {k: a\u2028b}}}\n"
    workflow = compile_text(source).workflow
    assert workflow is not None
    assert workflow.title == "a\u2028b\u2029c\x85d"


def test_yml_42_a_json_document_is_accepted_as_yaml_and_yaml_is_refused_as_json():
    json_text = '{"flowforge": 1, "name": "sample",\n\t"steps": [{"id": "a", "uses": "flow.stop"}]}'
    assert compile_text(json_text).is_valid
    assert compile_text(json_text, as_json=True).is_valid
    refused = compile_text(ONE_STEP, as_json=True)
    assert [(fault.code, fault.line, fault.column) for fault in refused.errors] == [("json_syntax", 1, 1)]
    assert not refused.is_readable


def find_only_fault(source: str) -> Fault:
    errors = compile_text(source).errors
    assert len(errors) == 1
    return errors[0]
