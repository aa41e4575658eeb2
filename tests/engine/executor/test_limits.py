"""Limits of runs and of steps, and priorities."""

import sqlite3
from contextlib import closing

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab

from flowforge.engine.errors import StartRejectedError
from flowforge.engine.store import Verdict

STEP = '- {id: a, uses: test.record, with: {name: "${{ input.name }}"}}\n'


def limited(fields: str) -> str:
    return make_document(STEP, f"concurrency: {{{fields}}}\n")


async def test_queued_runs_start_by_priority_then_age(lab: Lab):
    gate = lab.book.gate("first")
    pinned = lab.define(limited("limit: 1"))
    runs = [await lab.start(pinned, {"name": "first"})]
    for name, priority in (("low", 7), ("mid", 5), ("mid2", 5), ("high", 1)):
        runs.append(await lab.start(pinned, {"name": name}, priority=priority))
    assert [run.verdict for run in runs[1:]] == [Verdict.QUEUED] * 4
    await lab.until(lambda: lab.book.names() == ["first"])

    gate.set()
    for run in runs:
        assert (await lab.finish(run)).status == "completed"

    assert lab.book.names() == ["first", "high", "mid", "mid2", "low"]


async def test_full_limit_rejects_and_stores_nothing(lab: Lab):
    gate = lab.book.gate("first")
    pinned = lab.define(limited("limit: 1, when_full: reject"))
    first = await lab.start(pinned, {"name": "first"})

    with pytest.raises(StartRejectedError, match="1 open runs"):
        await lab.start(pinned, {"name": "second"})

    with closing(sqlite3.connect(lab.database)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] == 1
    gate.set()
    await lab.finish(first)
    assert (await lab.run(pinned, {"name": "third"})).status == "completed"


async def test_newer_run_displaces_the_oldest(lab: Lab):
    lab.book.gate("first")
    pinned = lab.define(limited("limit: 1, when_full: cancel_oldest"))
    first = await lab.start(pinned, {"name": "first"})
    await lab.until(lambda: lab.book.names() == ["first"])

    second = await lab.start(pinned, {"name": "second"})

    assert (await lab.finish(first)).status == "cancelled"
    assert (await lab.finish(second)).status == "completed"


async def test_each_key_has_its_own_places(lab: Lab):
    lab.book.gate("a")
    pinned = lab.define(limited('key: "${{ input.name }}", limit: 1'))
    held = await lab.start(pinned, {"name": "a"})
    await lab.until(lambda: lab.book.names() == ["a"])

    assert (await lab.run(pinned, {"name": "b"})).status == "completed"
    waiting = await lab.start(pinned, {"name": "a"})
    assert waiting.verdict is Verdict.QUEUED
    lab.book.gate("a").set()
    assert (await lab.finish(held)).status == "completed"
    assert (await lab.finish(waiting)).status == "completed"


async def test_place_is_held_while_the_run_waits(lab: Lab):
    pinned = lab.define(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n", "concurrency: {limit: 1}\n"))
    first = await lab.start(pinned)
    await lab.finish(first)
    second = await lab.start(pinned)

    assert second.verdict is Verdict.QUEUED
    await lab.send(second, "cancel")
    assert (await lab.finish(second)).status == "cancelled"
    await lab.send(first, "signal", name="go")
    assert (await lab.finish(first)).status == "completed"


async def test_step_limit_holds_over_all_runs(lab: Lab):
    gate = lab.book.gate("a")
    pinned = lab.define(make_document("- {id: a, uses: test.record, with: {name: a}, limit: {key: erp, concurrency: 2}}\n"))
    runs = [await lab.start(pinned) for _ in range(5)]
    await lab.until(lambda: len(lab.book.entries()) == 2)
    assert lab.engine.attempts.in_flight == 2

    gate.set()
    for run in runs:
        assert (await lab.finish(run)).status == "completed"
    assert len(lab.book.entries()) == 5


async def test_step_limit_is_given_back_while_a_retry_waits(lab: Lab):
    step = '- {id: a, uses: test.record, with: {name: "${{ input.name }}", failures: "${{ input.failures }}"}, retry: {attempts: 2, initial: 150ms, jitter: false}, limit: {key: erp, concurrency: 1}}\n'
    pinned = lab.define(make_document(step))
    slow = await lab.start(pinned, {"name": "slow", "failures": 1})
    quick = await lab.start(pinned, {"name": "quick", "failures": 0})

    assert (await lab.finish(slow)).status == "completed"
    assert (await lab.finish(quick)).status == "completed"
    assert lab.book.names() == ["slow", "quick", "slow"]


async def test_rate_spaces_starts_evenly(lab: Lab):
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: unlimited}
  steps:
    - {id: a, uses: test.record, with: {name: a}, limit: {key: erp, rate: 4/s}}
"""
    )

    assert (await lab.run(document)).status == "completed"
    times = [entry.at_ms for entry in lab.book.entries()]
    # Two spaces of 250 ms; how late the first one was noted down comes off.
    assert len(times) == 3
    assert max(times) - min(times) >= 300


async def test_engine_bounds_effects_in_flight_and_starts_the_others_in_order(lab: Lab):
    await lab.engine.close(100)
    await lab.restart(effects_max=2)
    gate = lab.book.gate("a")
    document = make_document(
        """
- id: each
  uses: flow.foreach
  with: {items: [0, 1, 2, 3, 4], concurrency: unlimited}
  steps:
    - {id: a, uses: test.record, with: {name: a, value: "${{ item }}"}}
"""
    )
    started = await lab.start(document)
    await lab.until(lambda: len(lab.book.entries()) == 2)
    assert lab.engine.attempts.in_flight == 2
    gate.set()

    assert (await lab.finish(started)).status == "completed"
    assert [entry.value for entry in lab.book.entries()] == [0, 1, 2, 3, 4]


async def test_engine_that_is_full_only_queues(lab: Lab):
    await lab.engine.close(100)
    await lab.restart(runs_max=1)
    gate = lab.book.gate("first")
    pinned = lab.define(make_document(STEP))
    first = await lab.start(pinned, {"name": "first"})
    second = await lab.start(pinned, {"name": "second"})
    await lab.until(lambda: lab.book.names() == ["first"])

    assert len(lab.engine.lives) == 1
    gate.set()
    assert (await lab.finish(first)).status == "completed"
    assert (await lab.finish(second)).status == "completed"
