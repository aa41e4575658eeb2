"""How runs end: compensation, on_failure, finally, run time-outs, cancelling."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from tests.support.documents import make_document
from tests.support.lab import Lab

from flowforge.kit.values import JsonObject

ENDS = """on_failure:
  - {id: told, uses: test.record, with: {name: told, value: "${{ [run.status, run.error.code, run.error.step] }}"}}
finally:
  - {id: last, uses: test.record, with: {name: last, value: "${{ run.status }}"}}
"""


def undoable(step: str, fields: str = "") -> str:
    undo = f'compensate: {{uses: test.record, with: {{name: undo_{step}, value: "${{{{ steps.{step}.output.times }}}}"}}}}'
    return f"- {{id: {step}, uses: test.record, with: {{name: {step}}}, {undo}{fields}}}\n"


async def test_compensation_goes_backwards_then_on_failure_then_finally(lab: Lab):
    document = make_document(
        undoable("a") + undoable("b") + "- {id: c, uses: test.record, with: {name: c, failures: -1, fatal: true}}\n", ENDS
    )

    outcome = await lab.run(document)

    assert outcome.status == "failed"
    assert lab.book.names() == ["a", "b", "c", "undo_b", "undo_a", "told", "last"]
    assert [entry.value for entry in lab.book.entries()][3:] == [1, 1, ["failed", "broken", "c"], "failed"]


async def test_code_that_is_too_long_to_be_found_by_is_cut(lab: Lab, tmp_path: Path):
    outcome = await lab.run(make_document('- {id: a, uses: flow.fail, with: {code: "${{ input.x }}"}}\n'), {"x": "c" * 300})

    assert outcome.error["code"] == "c" * 300
    with closing(sqlite3.connect(tmp_path / "flowforge.db")) as connection:
        found = connection.execute("SELECT length(error_code), error_key FROM runs").fetchone()
    assert found == (200, "a:" + "c" * 200)


async def test_compensation_covers_iterations_of_loops(lab: Lab):
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [1, 2]}
  compensate: {uses: test.record, with: {name: undo_each}}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}, compensate: {uses: test.record, with: {name: undo_mark, value: "${{ item }}"}}}
- {id: c, uses: test.record, with: {name: c, failures: -1, fatal: true}}
"""
    )

    await lab.run(document)

    undone = [(entry.name, entry.value) for entry in lab.book.entries()][3:]
    assert undone == [("undo_each", None), ("undo_mark", 2), ("undo_mark", 1)]


async def test_late_outcome_of_an_aborted_attempt_is_undone_too(lab: Lab):
    lab.book.gate("slow")
    document = make_document(
        """
- {id: slow, after: [], uses: test.record, with: {name: slow, stubborn: true}, compensate: {uses: test.record, with: {name: undo_slow}}}
- {id: bad, after: [], uses: test.record, with: {name: bad, failures: -1, fatal: true}}
"""
    )

    outcome = await lab.run(document)

    assert outcome.status == "failed"
    assert lab.book.names() == ["slow", "bad", "undo_slow"]


async def test_aborted_attempt_that_does_not_answer_stays_unknown(lab: Lab):
    lab.book.gate("slow")
    document = make_document(
        """
- {id: slow, after: [], uses: test.record, with: {name: slow}, compensate: {uses: test.record, with: {name: undo_slow}}}
- {id: bad, after: [], uses: test.record, with: {name: bad, failures: -1, fatal: true}}
"""
    )

    outcome = await lab.run(document)

    assert outcome.status == "failed"
    assert lab.book.names() == ["slow", "bad"]
    assert not outcome.of("step.completed", "slow")
    assert not outcome.of("step.failed", "slow")


async def test_failed_compensation_is_listed_and_the_rest_goes_on(lab: Lab):
    bad_undo = "compensate: {uses: test.record, with: {name: undo_b, failures: -1}, retry: {attempts: 2, initial: 1ms}}"
    document = make_document(
        undoable("a")
        + f"- {{id: b, uses: test.record, with: {{name: b}}, {bad_undo}}}\n"
        + "- {id: c, uses: flow.fail, with: {code: stop}}\n"
    )

    outcome = await lab.run(document)

    assert lab.book.names() == ["a", "b", "undo_b", "undo_b", "undo_a"]
    (listed,) = cast("list[JsonObject]", outcome.last["uncompensated"])
    assert listed["step"] == "b"
    assert outcome.error["code"] == "stop"


async def test_compensation_is_not_for_handled_errors_cancel_and_stop(lab: Lab):
    handled = make_document(
        undoable("a")
        + "- {id: b, uses: flow.fail, with: {code: stop}}\n- {id: c, after: b.error, uses: flow.stop, with: {output: 1}}\n"
    )
    cancelled = make_document(undoable("a") + "- {id: w, uses: flow.wait, with: {signal: never}}\n", ENDS)

    assert (await lab.run(handled)).output == 1
    started = await lab.start(cancelled)
    await lab.finish(started)
    await lab.send(started, "cancel")
    assert (await lab.finish(started)).status == "cancelled"

    assert lab.book.names() == ["a", "a", "last"]


async def test_failing_finally_fails_a_completed_run_only(lab: Lab):
    bad_end = "finally:\n  - {id: last, uses: flow.fail, with: {code: unclean}}\n"

    well = await lab.run(make_document("- {id: a, uses: flow.set, with: {values: {}}}\n", bad_end))
    badly = await lab.run(make_document("- {id: a, uses: flow.fail, with: {code: first}}\n", bad_end))

    assert (well.status, well.error["code"]) == ("failed", "unclean")
    assert (badly.status, badly.error["code"]) == ("failed", "first")


async def test_failing_on_failure_changes_nothing(lab: Lab):
    ends = "on_failure:\n  - {id: told, uses: flow.fail, with: {code: second}}\nfinally:\n  - {id: last, uses: test.record, with: {name: last}}\n"

    outcome = await lab.run(make_document("- {id: a, uses: flow.fail, with: {code: first}}\n", ends))

    assert (outcome.status, outcome.error["code"]) == ("failed", "first")
    assert lab.book.names() == ["last"]


async def test_output_is_evaluated_before_finally(lab: Lab):
    outcome = await lab.run(make_document(undoable("a"), f'output: "${{{{ steps.a.output.times }}}}"\n{ENDS}'))

    assert (outcome.status, outcome.output) == ("completed", 1)
    assert lab.book.names() == ["a", "last"]


async def test_run_that_takes_too_long_is_undone_and_timed_out(lab: Lab):
    document = make_document(undoable("a") + "- {id: w, uses: flow.wait, with: {signal: never}}\n", "timeout: 1h\n" + ENDS)
    started = await lab.start(document)
    assert (await lab.finish(started)).status == "waiting"

    lab.advance(3_600_000)

    outcome = await lab.finish(started)
    assert (outcome.status, outcome.error["code"]) == ("timed_out", "run_timeout")
    assert lab.book.names() == ["a", "undo_a", "told", "last"]


async def test_run_timeout_stops_an_effect_in_flight(lab: Lab):
    lab.book.gate("a")

    outcome = await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n", "timeout: 150ms\n"))

    assert outcome.status == "timed_out"


async def test_f66_cancel_during_an_effect_leaves_it_unknown_and_runs_finally(lab: Lab):
    lab.book.gate("a")
    document = make_document(
        "- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.record, with: {name: b}}\n", ENDS
    )
    started = await lab.start(document)
    await lab.until(lambda: lab.book.names() == ["a"])

    await lab.send(started, "cancel")

    outcome = await lab.finish(started)
    assert outcome.status == "cancelled"
    assert lab.book.names() == ["a", "last"]
    assert not outcome.of("step.completed", "a")


async def test_f66_outcome_within_the_grace_is_kept_after_a_cancel(lab: Lab):
    lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a, stubborn: true}}\n"))
    await lab.until(lambda: lab.book.names() == ["a"])

    await lab.send(started, "cancel")

    outcome = await lab.finish(started)
    assert outcome.status == "cancelled"
    assert len(outcome.of("step.completed", "a")) == 1


async def test_cancel_while_it_compensates_lists_what_stays(lab: Lab):
    gate = lab.book.gate("undo_b")
    document = make_document(undoable("a") + undoable("b") + "- {id: c, uses: flow.fail, with: {code: stop}}\n", ENDS)
    started = await lab.start(document)
    await lab.until(lambda: "undo_b" in lab.book.names())

    await lab.send(started, "cancel")

    outcome = await lab.finish(started)
    assert outcome.status == "cancelled"
    assert [entry["step"] for entry in cast("list[JsonObject]", outcome.last["uncompensated"])] == ["b", "a"]
    assert not gate.is_set()
