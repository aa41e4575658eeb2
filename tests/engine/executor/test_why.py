"""One true sentence for each cause of waiting."""

from typing import cast

import orjson
import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab, Started

from flowforge.engine.why import explain_state, say_why
from flowforge.kit.values import JsonObject


def why(lab: Lab, started: Started) -> str:
    """The sentence for a run in memory, or for one that was released."""
    live = lab.engine.lives.get(started.run_no)
    if live is not None:
        return say_why(explain_state(live.state), lab.clock.now_ms())
    glance = lab.store.glance(started.run_no)
    assert glance is not None
    assert glance.why is not None
    return say_why(cast("JsonObject", orjson.loads(glance.why)), lab.clock.now_ms())


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("uses: flow.wait, with: {for: 2h}", "The step a waits for the time "),
        ("uses: flow.wait, with: {signal: paid, key: '7'}", "The step a waits for the signal paid with the key 7."),
        ("uses: flow.wait, with: {signal: paid, expires: 2h}", "The step a waits for the signal paid, until "),
        (
            "uses: test.record, with: {name: a, failures: 1}, retry: {attempts: 2, initial: 2h, max: 3h}",
            "The step a failed with broken and is tried again in ",
        ),
        (
            "uses: test.record, with: {name: a, failures: 1}, on_error: ask",
            "The step a waits for a person (its last attempt failed)",
        ),
        ("uses: flow.call, with: {workflow: callee}", "The step a waits for the run run_"),
    ],
)
async def test_released_run_says_what_it_waits_for(lab: Lab, step: str, sentence: str):
    lab.define(make_document("- {id: w, uses: flow.wait, with: {signal: never}}\n", name="callee"))
    started = await lab.start(make_document(f"- {{id: a, {step}}}\n"))
    assert (await lab.finish(started)).status == "waiting"
    await lab.until(lambda: started.run_no not in lab.engine.lives)

    assert why(lab, started).startswith(sentence)


async def test_f58_step_that_an_open_circuit_breaker_puts_off_names_the_host(lab: Lab):
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a, postponed: 1, after_ms: 60000}}\n"))
    await lab.until(lambda: started.run_no not in lab.engine.lives)

    assert why(lab, started).startswith(
        "The step a waits for shop.example:443, which failed too often: its circuit breaker is open"
    )


async def test_run_in_flight_says_what_runs(lab: Lab):
    lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
    await lab.until(lambda: lab.book.names() == ["a"])

    assert why(lab, started).startswith("The step a runs, attempt 1, since ")


async def test_step_that_waits_for_a_place_says_so(lab: Lab):
    lab.book.gate("a")
    pinned = lab.define(make_document("- {id: a, uses: test.record, with: {name: a}, limit: {key: erp, concurrency: 1}}\n"))
    await lab.start(pinned)
    await lab.until(lambda: lab.book.names() == ["a"])
    second = await lab.start(pinned)
    await lab.until(lambda: any(event["type"] == "step.waiting" for event in lab.events(second.run_no)))

    assert why(lab, second) == "The step a waits for a place: its limit erp is reached."


async def test_paused_run_says_so(lab: Lab):
    started = await lab.start(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n"))
    await lab.finish(started)
    await lab.send(started, "pause")
    await lab.finish(started)

    assert why(lab, started).startswith("The run is paused by a person")


async def test_loop_that_pauses_says_so(lab: Lab):
    document = make_document(
        """
- id: again
  uses: flow.repeat
  with: {until: false, every: 2h}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}}
"""
    )
    started = await lab.start(document)
    assert (await lab.finish(started)).status == "waiting"

    assert why(lab, started).startswith("The loop again begins its next iteration in ")


async def test_interrupted_step_says_that_nobody_knows(lab: Lab):
    lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}, on_interrupt: ask}\n"))
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.crash()
    await lab.restart()
    await lab.finish(started)

    assert "nobody knows whether its effect took place" in why(lab, started)


async def test_run_that_waits_for_several_things_counts_the_others(lab: Lab):
    document = make_document(
        "- {id: a, after: [], uses: flow.wait, with: {signal: x}}\n- {id: b, after: [], uses: flow.wait, with: {signal: y}}\n"
    )
    started = await lab.start(document)
    await lab.finish(started)

    assert why(lab, started) == "The step a waits for the signal x. 1 more step waits besides."
