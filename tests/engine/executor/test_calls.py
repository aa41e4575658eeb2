"""flow.call: called runs, their ends, their place under limits."""

import sqlite3
from contextlib import closing

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab

CALL = "- {id: sub, uses: flow.call, with: {workflow: callee, input: {n: 4}}}\n"
OUT = 'output: "${{ steps.sub.output }}"\n'


def callee(steps: str, rest: str = "") -> str:
    return make_document(steps, rest, name="callee")


def statuses(lab: Lab) -> dict[str, str]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return dict(connection.execute("SELECT workflow_name, status FROM runs").fetchall())


async def test_output_of_the_called_run_is_the_steps(lab: Lab):
    lab.define(
        callee(
            '- {id: c, uses: test.record, with: {name: c, value: "${{ input.n * 2 }}"}}\n',
            'output: "${{ steps.c.output.value }}"\n',
        )
    )

    outcome = await lab.run(make_document(CALL, OUT))

    assert (outcome.status, outcome.output) == ("completed", 8)


async def test_failure_of_the_called_run_is_the_steps_error(lab: Lab):
    lab.define(callee("- {id: c, uses: flow.fail, with: {code: empty, message: Nothing left.}}\n"))
    document = make_document(
        CALL + '- {id: b, after: sub.error, uses: test.record, with: {name: b, value: "${{ steps.sub.error }}"}}\n'
    )

    outcome = await lab.run(document)

    error = lab.book.entries()[0].value
    assert outcome.status == "completed"
    assert isinstance(error, dict)
    assert (error["code"], error["message"]) == ("empty", "Nothing left.")


async def test_call_is_retried_as_a_new_run(lab: Lab):
    lab.define(callee("- {id: c, uses: test.record, with: {name: c, failures: -1}}\n"))
    step = "- {id: sub, uses: flow.call, with: {workflow: callee}, retry: {attempts: 3, initial: 10ms}}\n"

    outcome = await lab.run(make_document(step))

    assert outcome.status == "failed"
    assert len({entry.run for entry in lab.book.entries()}) == 3
    assert len(lab.book.keys_of("c")) == 3


async def test_cancel_goes_down(lab: Lab):
    lab.define(callee("- {id: c, uses: flow.wait, with: {signal: never}}\n"))
    started = await lab.start(make_document(CALL))
    assert (await lab.finish(started)).status == "waiting"

    await lab.send(started, "cancel")

    assert (await lab.finish(started)).status == "cancelled"
    await lab.until(lambda: statuses(lab)["callee"] == "cancelled")


async def test_cancelled_child_is_an_error_of_the_step(lab: Lab):
    lab.define(callee("- {id: c, uses: flow.wait, with: {signal: never}}\n"))
    started = await lab.start(make_document(CALL))
    await lab.finish(started)
    child = next(no for no in _run_nos(lab) if no != started.run_no)

    await lab.send(type(started)("", child, started.verdict), "cancel")

    assert (await lab.finish(started)).error["code"] == "child_cancelled"


def _run_nos(lab: Lab) -> list[int]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return [no for (no,) in connection.execute("SELECT no FROM runs")]


async def test_call_that_is_not_waited_for_gives_the_runs_id(lab: Lab):
    lab.define(callee("- {id: c, uses: test.record, with: {name: c}}\n"))
    step = "- {id: sub, uses: flow.call, with: {workflow: callee, wait: false}}\n"

    outcome = await lab.run(make_document(step, OUT))

    assert str(outcome.output).startswith("run_")
    await lab.until(lambda: statuses(lab)["callee"] == "completed")
    assert lab.book.entries()[0].run == outcome.output


async def test_input_of_a_call_is_checked_before_the_run_exists(lab: Lab):
    lab.define(
        callee("- {id: c, uses: test.record, with: {name: c}}\n", "input: {type: object, properties: {n: {type: string}}}\n")
    )

    outcome = await lab.run(make_document(CALL))

    assert (outcome.status, outcome.error["code"]) == ("failed", "invalid_input")
    assert list(statuses(lab)) == ["scenario"]


async def test_workflow_that_is_not_there_is_an_error_of_the_step(lab: Lab):
    outcome = await lab.run(make_document(CALL))

    assert outcome.status == "failed"
    assert outcome.error["step"] == "sub"
    assert "callee" in str(outcome.error["message"])


async def test_calls_end_at_twenty_deep(lab: Lab):
    outcome = await lab.run(make_document("- {id: again, uses: flow.call, with: {workflow: scenario}}\n"))

    with closing(sqlite3.connect(lab.database)) as connection:
        count = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    assert (outcome.status, outcome.error["code"]) == ("failed", "call_depth")
    assert count == 21


async def test_call_with_a_timeout_fails_and_cancels_the_called_run(lab: Lab):
    lab.define(callee("- {id: c, uses: flow.wait, with: {signal: never}}\n"))
    step = "- {id: sub, uses: flow.call, with: {workflow: callee}, timeout: 1h}\n"
    started = await lab.start(make_document(step))
    assert (await lab.finish(started)).status == "waiting"

    lab.advance(3_600_000)

    assert (await lab.finish(started)).error["code"] == "timeout"
    await lab.until(lambda: statuses(lab)["callee"] == "cancelled")


async def test_called_run_passes_the_limit_that_its_caller_holds(lab: Lab):
    document = make_document(
        """
- {id: deeper, when: "${{ input.n > 0 }}", uses: flow.call, with: {workflow: scenario, input: {n: "${{ input.n - 1 }}"}}}
- {id: b, uses: test.record, with: {name: b, value: "${{ input.n }}"}}
""",
        "concurrency: {limit: 1}\n",
    )

    outcome = await lab.run(document, {"n": 3})

    assert outcome.status == "completed"
    assert [entry.value for entry in lab.book.entries()] == [0, 1, 2, 3]


async def test_called_runs_of_a_loop_go_on_after_a_crash(lab: Lab):
    gate = lab.book.gate("c")
    lab.define(
        callee(
            '- {id: c, uses: test.record, with: {name: c, value: "${{ input.n }}"}}\n', 'output: "${{ steps.c.output.value }}"\n'
        )
    )
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: 3}
  steps:
    - {id: sub, uses: flow.call, with: {workflow: callee, input: {n: "${{ item }}"}}}
""",
        'output: "${{ steps.each.output }}"\n',
    )
    started = await lab.start(document)
    await lab.until(lambda: len(lab.book.entries()) == 3)

    await lab.crash()
    gate.set()
    await lab.restart()

    outcome = await lab.finish(started)
    assert outcome.output == [1, 2, 3]
    assert len(lab.book.keys_of("c")) == 3


@pytest.mark.parametrize("size", [300_000])
async def test_large_output_of_a_called_run_is_read_by_its_caller(lab: Lab, size: int):
    lab.define(
        callee(f"- {{id: c, uses: test.record, with: {{name: c, size: {size}}}}}\n", 'output: "${{ steps.c.output.value }}"\n')
    )

    outcome = await lab.run(make_document(CALL, 'output: "${{ size(steps.sub.output) }}"\n'))

    assert outcome.output == size


async def test_pure_step_beside_a_first_call_is_not_forgotten(lab: Lab):
    lab.define(callee("- {id: c, uses: flow.set, with: {values: {}}}\n"))
    document = make_document(
        """
- {id: light, after: [], uses: test.double, with: {number: 21}}
- {id: sub, after: [], uses: flow.call, with: {workflow: callee}}
""",
        'output: "${{ steps.light.output.number }}"\n',
    )

    assert (await lab.run(document)).output == 42
