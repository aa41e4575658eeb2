"""Joins, ports, `when`, switches, sets, mocks: from a document to the journal of a run on SQLite."""

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab


async def test_steps_run_in_the_order_of_the_list_and_hand_values_on(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.x }}"}}
- {id: b, uses: flow.set, with: {values: {twice: "${{ test.double({'number': steps.a.output.value}).number }}"}}}
- {id: c, uses: test.double, with: {number: "${{ steps.b.output.twice }}"}}
- {id: d, uses: test.record, with: {name: d, value: "${{ steps.c.output.number }}"}}
""",
        'output: {sum: "${{ steps.d.output.value + 1 }}"}\n',
    )

    outcome = await lab.run(document, {"x": 3})

    assert (outcome.status, outcome.output) == ("completed", {"sum": 13})
    assert lab.book.names() == ["a", "d"]


async def test_branches_of_the_start_run_at_the_same_time(lab: Lab):
    lab.book.gate("a")
    document = make_document(
        "- {id: a, after: [], uses: test.record, with: {name: a}}\n- {id: b, after: [], uses: test.record, with: {name: b}}\n"
    )
    started = await lab.start(document)

    await lab.until(lambda: sorted(lab.book.names()) == ["a", "b"])
    lab.book.gate("a").set()

    assert (await lab.finish(started)).status == "completed"


async def test_condition_takes_one_branch_and_the_merge_runs_once(lab: Lab):
    document = make_document(
        """
- {id: check, uses: flow.if, with: {condition: "${{ input.x > 3 }}"}}
- {id: high, after: check.true, uses: test.record, with: {name: high}}
- {id: low, after: check.false, uses: test.record, with: {name: low}}
- {id: end, after: [high, low], uses: test.record, with: {name: end, value: "${{ [steps.high.status, steps.low.status] }}"}}
""",
        'output: "${{ steps.end.output.value }}"\n',
    )

    outcome = await lab.run(document, {"x": 4})

    assert outcome.output == ["completed", "skipped"]
    assert lab.book.names() == ["high", "end"]


@pytest.mark.parametrize(("x", "port"), [(1, "small"), (5, "large"), (3, "default")])
async def test_switch_takes_the_first_true_case(lab: Lab, x: int, port: str):
    document = make_document(
        """
- {id: pick, uses: flow.switch, with: {cases: {small: "${{ input.x < 3 }}", large: "${{ input.x > 4 }}", never: "${{ input.x > 3 }}"}}}
- {id: small, after: pick.small, uses: test.record, with: {name: small}}
- {id: large, after: pick.large, uses: test.record, with: {name: large}}
- {id: never, after: pick.never, uses: test.record, with: {name: never}}
- {id: other, after: pick.default, uses: test.record, with: {name: default}}
""",
        'output: "${{ steps.pick.output }}"\n',
    )

    outcome = await lab.run(document, {"x": x})

    assert outcome.output == port
    assert lab.book.names() == [port]


async def test_operation_leaves_by_the_port_that_it_names(lab: Lab):
    document = make_document(
        """
- {id: way, uses: test.route, with: {port: right}}
- {id: l, after: way.left, uses: test.record, with: {name: l}}
- {id: r, after: way.right, uses: test.record, with: {name: r, value: "${{ steps.way.port }}"}}
"""
    )

    outcome = await lab.run(document)

    assert outcome.ports() == {"way": "right", "r": "done"}


async def test_join_all_is_skipped_when_one_edge_is_not_taken(lab: Lab):
    document = make_document(
        """
- {id: a, after: [], uses: test.record, with: {name: a}}
- {id: b, after: [], uses: flow.if, with: {condition: false}}
- {id: both, after: [a, b.true], join: all, uses: test.record, with: {name: both}}
- {id: behind, uses: test.record, with: {name: behind}}
"""
    )

    outcome = await lab.run(document)

    assert outcome.status == "completed"
    assert lab.book.names() == ["a"]


async def test_join_all_waits_for_every_edge(lab: Lab):
    slow = lab.book.gate("b")
    document = make_document(
        """
- {id: a, after: [], uses: test.record, with: {name: a}}
- {id: b, after: [], uses: test.record, with: {name: b}}
- {id: both, after: [a, b], join: all, uses: test.record, with: {name: both}}
"""
    )
    started = await lab.start(document)
    await lab.until(lambda: any(event["type"] == "step.completed" for event in lab.events(started.run_no)))

    assert "both" not in lab.book.names()
    slow.set()
    await lab.finish(started)
    assert lab.book.names()[-1] == "both"


async def test_join_first_starts_once_and_the_others_run_on(lab: Lab):
    slow = lab.book.gate("slow")
    document = make_document(
        """
- {id: quick, after: [], uses: test.record, with: {name: quick}}
- {id: slow, after: [], uses: test.record, with: {name: slow}}
- {id: go, after: [quick, slow], join: first, uses: test.record, with: {name: go, value: "${{ steps.slow.status }}"}}
""",
        'output: "${{ [steps.go.output.value, steps.slow.status] }}"\n',
    )
    started = await lab.start(document)
    await lab.until(lambda: "go" in lab.book.names())
    slow.set()

    outcome = await lab.finish(started)

    assert outcome.output == ["running", "completed"]
    assert lab.book.names().count("go") == 1


async def test_bypassed_step_does_not_cut_the_path_behind_it(lab: Lab):
    document = make_document(
        """
- {id: a, when: "${{ input.x }}", uses: test.record, with: {name: a}}
- {id: b, uses: test.record, with: {name: b, value: "${{ [steps.a.status, steps.a.output] }}"}}
""",
        'output: "${{ steps.b.output.value }}"\n',
    )

    outcome = await lab.run(document, {"x": False})

    assert outcome.output == ["bypassed", None]
    assert lab.book.names() == ["b"]


@pytest.mark.parametrize("field", ['when: "${{ input.x }}"', 'with: {condition: "${{ input.x }}"}'])
async def test_condition_that_is_no_boolean_is_a_type_mismatch(lab: Lab, field: str):
    step = f"- {{id: a, uses: flow.if, {field if field.startswith('with') else field + ', with: {condition: true}'}}}\n"

    outcome = await lab.run(make_document(step), {"x": 1})

    assert outcome.status == "failed"
    assert outcome.error["code"] == "type_mismatch"


async def test_error_in_with_takes_the_error_edge_and_is_not_retried(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.missing.deeper }}"}, retry: {attempts: 5, initial: 1ms}}
- {id: b, after: a.error, uses: test.record, with: {name: b, value: "${{ steps.a.error.code }}"}}
""",
        'output: "${{ steps.b.output.value }}"\n',
    )

    outcome = await lab.run(document)

    assert outcome.output == "missing_field"
    assert len(outcome.of("step.failed", "a")) == 1


async def test_mocks_stand_for_steps_in_a_mocked_run_only(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, value: 1}, mock: {output: {value: 41}}}
- {id: b, uses: test.record, with: {name: b}, mock: {error: {code: gone, message: It is gone.}}}
- {id: c, after: b.error, uses: flow.set, with: {values: {got: "${{ [steps.a.output.value, steps.b.error.code] }}"}}}
""",
        'output: "${{ steps.c.output.got }}"\n',
    )

    mocked = await lab.run(document, mocks=True)
    plain = await lab.run(document)

    assert mocked.output == [41, "gone"]
    assert plain.error["code"] == "missing_field"
    assert lab.book.names() == ["a", "b"]


async def test_stop_ends_the_whole_run_as_completed_from_inside_a_loop(lab: Lab):
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3]}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ item }}"}}
    - {id: halt, when: "${{ item == 2 }}", uses: flow.stop, with: {output: "${{ item }}"}}
- {id: behind, uses: test.record, with: {name: behind}}
""",
        "finally:\n  - {id: last, uses: test.record, with: {name: last}}\n",
    )

    outcome = await lab.run(document)

    assert (outcome.status, outcome.output) == ("completed", 2)
    assert lab.book.names() == ["mark", "mark", "last"]


async def test_fail_gives_its_own_error(lab: Lab):
    document = make_document(
        '- {id: a, uses: flow.fail, with: {code: too_small, message: "only ${{ input.x }}", details: {x: "${{ input.x }}"}}}\n'
    )

    outcome = await lab.run(document, {"x": 1})

    assert outcome.status == "failed"
    assert outcome.error["code"] == "too_small"
    assert outcome.error["message"] == "only 1"
    assert outcome.error["details"] == {"x": 1}
    assert outcome.error["step"] == "a"


async def test_error_in_the_output_fails_the_run(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: flow.set, with: {values: {}}}\n", 'output: "${{ input.no }}"\n'))

    assert (outcome.status, outcome.error["code"]) == ("failed", "missing_field")
