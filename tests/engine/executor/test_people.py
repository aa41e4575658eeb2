"""What people may do to a run: retry, skip, resolve, pause, edit, cancel."""

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab, Outcome

ASK = """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.x }}", failures: 1}, on_error: ask}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.a.output }}"}}
"""


async def interrupt(lab: Lab, policy: str, rest: str = "") -> Outcome:
    """A run whose worker dies while the effect `a` is in flight."""
    lab.book.gate("a")
    step = f"- {{id: a, uses: test.record, with: {{name: a}}, on_interrupt: {policy}}}\n"
    started = await lab.start(make_document(step + "- {id: b, after: a, uses: test.record, with: {name: b}}\n" + rest))
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.crash()
    lab.book.gates.clear()
    await lab.restart()
    return await lab.finish(started)


async def test_failed_step_that_asks_is_parked_and_retried_by_a_person(lab: Lab):
    started = await lab.start(make_document(ASK), {"x": 1})
    assert (await lab.finish(started)).status == "waiting"

    await lab.send(started, "retry", step="a")

    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert lab.book.names() == ["a", "a", "b"]
    assert len(lab.book.keys_of("a")) == 1


async def test_failed_step_that_asks_is_skipped_with_an_output(lab: Lab):
    started = await lab.start(make_document(ASK), {"x": 1})
    await lab.finish(started)

    await lab.send(started, "skip", step="a", output={"by": "hand"})

    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert lab.book.entries()[-1].value == {"by": "hand"}
    assert outcome.of("step.bypassed", "a")[0]["by"] == "user:tester"


async def test_failed_step_that_continues_leaves_by_done(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, failures: -1}, on_error: continue}
- {id: b, uses: test.record, with: {name: b, value: "${{ [steps.a.status, steps.a.output, steps.a.error.code] }}"}}
"""
    )

    assert (await lab.run(document)).status == "completed"
    assert lab.book.entries()[-1].value == ["failed", None, "broken"]


async def test_corrected_input_is_seen_by_the_retry(lab: Lab):
    started = await lab.start(make_document(ASK), {"x": 1})
    await lab.finish(started)

    await lab.send(started, "edit", input={"x": 2})
    await lab.send(started, "retry", step="a")

    assert (await lab.finish(started)).status == "completed"
    assert [entry.value for entry in lab.book.entries()][:2] == [1, 2]


async def test_interrupted_step_repeats_under_the_same_key(lab: Lab):
    outcome = await interrupt(lab, "repeat")

    assert outcome.status == "completed"
    assert [event["attempt"] for event in outcome.of("step.planned", "a")] == [1, 2]
    assert len(lab.book.keys_of("a")) == 1
    assert not outcome.of("step.failed")


async def test_interrupted_step_fails_when_told(lab: Lab):
    outcome = await interrupt(lab, "fail")

    assert (outcome.status, outcome.error["code"]) == ("failed", "outcome_unknown")
    assert lab.book.names() == ["a"]


@pytest.mark.parametrize(("happened", "names"), [(True, ["a", "b"]), (False, ["a", "a", "b"])])
async def test_interrupted_step_that_asks_is_resolved_by_a_person(lab: Lab, happened: bool, names: list[str]):
    outcome = await interrupt(lab, "ask")
    assert outcome.status == "waiting"
    assert outcome.of("step.parked", "a")[0]["reason"] == "outcome_unknown"
    assert lab.book.names() == ["a"]

    await lab.send(outcome.started, "resolve", step="a", happened=happened, output={"told": True})

    assert (await lab.finish(outcome.started)).status == "completed"
    assert lab.book.names() == names
    assert len(lab.book.keys_of("a")) == 1


async def test_paused_run_plans_nothing_and_keeps_outcomes(lab: Lab):
    gate = lab.book.gate("a")
    started = await lab.start(
        make_document("- {id: a, uses: test.record, with: {name: a}}\n- {id: b, uses: test.record, with: {name: b}}\n")
    )
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.send(started, "pause")
    await lab.until(lambda: any(event["type"] == "run.mail" for event in lab.events(started.run_no)))
    gate.set()

    outcome = await lab.finish(started)
    assert outcome.status == "paused"
    assert outcome.ports() == {"a": "done"}

    await lab.send(started, "resume")
    assert (await lab.finish(started)).status == "completed"
    assert lab.book.names() == ["a", "b"]


async def test_timer_of_a_paused_run_fires_when_it_resumes(lab: Lab):
    started = await lab.start(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n"))
    await lab.finish(started)
    await lab.send(started, "pause")
    await lab.finish(started)
    lab.advance(7_200_000)
    assert (await lab.finish(started)).status == "paused"

    await lab.send(started, "resume")

    assert (await lab.finish(started)).status == "completed"


async def test_waiting_retry_comes_at_once_when_a_person_says_so(lab: Lab):
    step = "- {id: a, uses: test.record, with: {name: a, failures: 1}, retry: {attempts: 2, initial: 1h, max: 2h}}\n"
    started = await lab.start(make_document(step))
    assert (await lab.finish(started)).status == "waiting"

    await lab.send(started, "retry", step="a")

    assert (await lab.finish(started)).status == "completed"


async def test_message_about_a_step_that_is_over_changes_nothing(lab: Lab):
    started = await lab.start(
        make_document("- {id: a, uses: test.record, with: {name: a}}\n- {id: w, uses: flow.wait, with: {signal: go}}\n")
    )
    await lab.finish(started)

    for kind in ("retry", "skip", "resolve"):
        await lab.send(started, kind, step="a")
        await lab.send(started, kind, step="nothing")
    await lab.send(started, "signal", name="go")

    assert (await lab.finish(started)).status == "completed"
    assert lab.book.names() == ["a"]


async def test_cancel_of_a_parked_run_ends_it(lab: Lab):
    started = await lab.start(make_document(ASK), {"x": 1})
    await lab.finish(started)

    await lab.send(started, "cancel")

    assert (await lab.finish(started)).status == "cancelled"


async def test_cancel_ends_a_paused_run(lab: Lab):
    started = await lab.start(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n"))
    await lab.finish(started)
    await lab.send(started, "pause")
    await lab.finish(started)

    await lab.send(started, "cancel")

    assert (await lab.finish(started)).status == "cancelled"


async def test_other_branches_wait_while_a_step_is_parked(lab: Lab):
    slow = lab.book.gate("slow")
    document = make_document(
        """
- {id: a, after: [], uses: test.record, with: {name: a, failures: 1}, on_error: ask}
- {id: slow, after: [], uses: test.record, with: {name: slow}}
- {id: next, uses: test.record, with: {name: next}}
"""
    )
    started = await lab.start(document)
    await lab.until(lambda: any(event["type"] == "step.failed" for event in lab.events(started.run_no)))
    slow.set()
    assert (await lab.finish(started)).status == "waiting"

    assert "next" not in lab.book.names()
    await lab.send(started, "retry", step="a")
    assert (await lab.finish(started)).status == "completed"
    assert "next" in lab.book.names()
