"""foreach and repeat."""

import itertools
from typing import cast

from tests.support.documents import make_document
from tests.support.lab import Lab

from flowforge.kit.values import JsonObject


def foreach(with_: str, steps: str, more: str = "") -> str:
    body = "\n".join("    " + line for line in steps.strip().splitlines())
    return f"- id: each\n  uses: flow.foreach\n  with: {{{with_}}}\n{more}  steps:\n{body}\n"


MARK = '- {id: mark, uses: test.record, with: {name: mark, value: "${{ item }}"}}'
OUT = 'output: "${{ steps.each.output }}"\n'


async def test_results_stand_in_the_order_of_the_items(lab: Lab):
    steps = """
- {id: mark, uses: test.record, with: {name: "mark", value: "${{ item }}", failures: "${{ item == 1 ? 2 : 0 }}"}, retry: {attempts: 3, initial: 20ms}}
"""
    document = make_document(foreach("items: [1, 2, 3], concurrency: 3", steps, '  output: "${{ [index, item] }}"\n'), OUT)

    outcome = await lab.run(document)

    assert outcome.output == [[0, 1], [1, 2], [2, 3]]


async def test_concurrency_bounds_iterations_in_flight(lab: Lab):
    gate = lab.book.gate("mark")
    started = await lab.start(make_document(foreach("items: [1, 2, 3, 4, 5], concurrency: 2", MARK)))
    await lab.until(lambda: len(lab.book.entries()) == 2)
    live = lab.engine.lives[started.run_no]

    assert sorted(live.flights) == ["each.0/mark", "each.1/mark"]
    gate.set()
    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert len(lab.book.entries()) == 5


async def test_iterations_have_keys_of_their_own(lab: Lab):
    outcome = await lab.run(make_document(foreach("items: [7, 7], concurrency: unlimited", MARK)))

    assert sorted(outcome.plans()) == ["each.0/mark", "each.1/mark"]
    assert len(lab.book.keys_of("mark")) == 2


async def test_empty_list_gives_an_empty_list(lab: Lab):
    assert (await lab.run(make_document(foreach("items: []", MARK), OUT))).output == []


async def test_items_that_are_no_list_are_a_type_mismatch(lab: Lab):
    outcome = await lab.run(make_document(foreach('items: "${{ input.x }}"', MARK)), {"x": 3})

    assert outcome.error["code"] == "type_mismatch"


async def test_failed_item_fails_the_loop_with_its_index(lab: Lab):
    gate = lab.book.gate("slow")
    steps = (
        '- {id: mark, uses: test.record, with: {name: "${{ item }}", fatal: true, failures: "${{ item == \'bad\' ? -1 : 0 }}"}}'
    )
    outcome = await lab.run(make_document(foreach("items: [slow, bad, more], concurrency: 2", steps)))

    assert outcome.status == "failed"
    assert outcome.error["code"] == "broken"
    assert cast("JsonObject", outcome.error["details"])["index"] == 1
    assert "more" not in lab.book.names()
    assert not gate.is_set()


async def test_loop_goes_on_in_spite_of_failed_items_when_told(lab: Lab):
    steps = '- {id: mark, uses: test.record, with: {name: "${{ item }}", value: "${{ item }}", fatal: true, failures: "${{ item == \'bad\' ? -1 : 0 }}"}}'
    document = make_document(
        foreach("items: [a, bad, b], on_item_error: continue", steps, '  output: "${{ steps.mark.output.value }}"\n'),
        'output: ["${{ steps.each.output }}", "${{ steps.each.error.code }}", "${{ steps.each.error.details[0].index }}"]\n',
    )

    outcome = await lab.run(document)

    assert outcome.output == [["a", None, "b"], "item_errors", 1]


async def test_break_ends_the_loop_with_what_there_is(lab: Lab):
    document = make_document(
        foreach("items: [1, 2, 3]", MARK, '  break: "${{ item == 2 }}"\n  output: "${{ item * 10 }}"\n'), OUT
    )

    outcome = await lab.run(document)

    assert outcome.output == [10, 20]
    assert len(lab.book.entries()) == 2


async def test_previous_is_the_value_of_the_iteration_before(lab: Lab):
    steps = '- {id: add, uses: flow.set, with: {values: {sum: "${{ (previous == null ? 0 : previous) + item }}"}}}'

    document = make_document(foreach("items: [1, 2, 3]", steps, '  output: "${{ steps.add.output.sum }}"\n'), OUT)

    assert (await lab.run(document)).output == [1, 3, 6]


async def test_loops_nest_and_look_outwards(lab: Lab):
    inner = """
- id: inner
  uses: flow.foreach
  with: {items: "${{ [item, item + 1] }}"}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ [item, index, steps.base.output.is] }}"}}
  output: "${{ steps.mark.output.value }}"
"""
    document = make_document(
        "- {id: base, uses: flow.set, with: {values: {is: 9}}}\n" + foreach("items: [1, 5], concurrency: 2", inner), OUT
    )

    outcome = await lab.run(document)

    assert outcome.output == [[[1, 0, 9], [2, 1, 9]], [[5, 0, 9], [6, 1, 9]]]
    assert "each.1/inner.0/mark" in outcome.plans()


async def test_repeat_ends_when_until_holds(lab: Lab):
    document = make_document(
        """
- id: again
  uses: flow.repeat
  with: {until: "${{ output >= 8 }}"}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ previous == null ? 1 : previous * 2 }}"}}
  output: "${{ steps.mark.output.value }}"
""",
        'output: "${{ steps.again.output }}"\n',
    )

    assert (await lab.run(document)).output == 8


async def test_repeat_that_reaches_its_limit_is_an_error(lab: Lab):
    document = make_document(
        """
- id: again
  uses: flow.repeat
  with: {until: false, limit: 3}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}}
"""
    )

    outcome = await lab.run(document)

    assert (outcome.status, outcome.error["code"]) == ("failed", "repeat_limit")
    assert len(lab.book.entries()) == 3


async def test_repeat_pauses_between_iterations(lab: Lab):
    document = make_document(
        """
- id: again
  uses: flow.repeat
  with: {until: "${{ index == 2 }}", every: 60ms}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}}
"""
    )

    await lab.run(document)

    times = [entry.at_ms for entry in lab.book.entries()]
    assert len(times) == 3
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))


async def test_loop_that_takes_too_long_is_stopped(lab: Lab):
    lab.book.gate("mark")
    steps = foreach("items: [1, 2]", MARK, "  timeout: 80ms\n")

    outcome = await lab.run(make_document(steps))

    assert (outcome.status, outcome.error["code"]) == ("failed", "timeout")
    assert len(lab.book.entries()) == 1


async def test_large_loop_completes(lab: Lab):
    document = make_document(
        foreach('items: "${{ lists.range(1500) }}", concurrency: unlimited', MARK), 'output: "${{ size(steps.each.output) }}"\n'
    )

    assert (await lab.run(document)).output == 1500
