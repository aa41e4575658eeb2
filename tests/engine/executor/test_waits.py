"""Waits for times and for signals."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, WORKSPACE, Lab

from flowforge.engine.store import NewEvent, Turn, TurnResult
from flowforge.kit.border import encode
from flowforge.kit.values import JsonValue
from flowforge.language.times import format_timestamp_ms

ASK = """
- {id: ask, uses: flow.wait, with: {signal: go}}
- {id: b, uses: test.record, with: {name: b, value: "${{ [steps.ask.port, steps.ask.output] }}"}}
"""
OUT = 'output: "${{ steps.b.output.value }}"\n'


async def test_wait_holds_no_memory_and_fires_not_before_its_time(lab: Lab):
    started = await lab.start(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n"))

    assert (await lab.finish(started)).status == "waiting"
    assert not lab.engine.lives
    lab.advance(3_590_000)
    assert (await lab.finish(started)).status == "waiting"
    lab.advance(10_000)
    outcome = await lab.finish(started)
    fired = outcome.of("timer.fired")[0]
    assert outcome.status == "completed"
    assert outcome.of("step.waiting", "nap")[0]["until"] == fired["due"]


async def test_a_wait_that_begins_during_a_look_at_the_queue_is_kept(tmp_path: Path):
    """It came too late to be found, and nobody looks again for an hour."""
    lab = Lab(tmp_path, replace(QUICK, poll_ms=3_600_000))
    looks, loop, find = asyncio.Semaphore(0), asyncio.get_running_loop(), lab.store.next_due

    def look() -> int | None:
        due = find()
        if looks.locked():  # the first one
            loop.call_soon_threadsafe(lab.engine.intake.expect, lab.clock.now_ms() + 50)
        loop.call_soon_threadsafe(looks.release)
        return due

    setattr(lab.store, "next_due", look)  # noqa: B010 (a store is a protocol)
    await lab.engine.open()
    async with asyncio.timeout(5):
        assert await looks.acquire()
        assert await looks.acquire()
    await lab.close()


async def test_wait_until_a_time(lab: Lab):
    until = format_timestamp_ms(lab.clock.now_ms() + 86_400_000)
    started = await lab.start(make_document('- {id: nap, uses: flow.wait, with: {until: "${{ input.at }}"}}\n'), {"at": until})

    assert (await lab.finish(started)).status == "waiting"
    lab.advance(86_400_000)
    assert (await lab.finish(started)).status == "completed"


async def test_wait_until_a_past_time_goes_at_once(lab: Lab):
    outcome = await lab.run(make_document('- {id: nap, uses: flow.wait, with: {until: "2020-01-01T00:00:00Z"}}\n'))

    assert outcome.status == "completed"
    assert not outcome.of("step.waiting")


async def test_wait_for_what_is_no_duration_is_a_type_mismatch(lab: Lab):
    outcome = await lab.run(make_document('- {id: nap, uses: flow.wait, with: {for: "${{ input.x }}"}}\n'), {"x": "soon"})

    assert outcome.error["code"] == "type_mismatch"


@pytest.mark.parametrize(
    ("given", "value", "code"),
    [
        ('signal: "${{ input.x }}"', "x" * 201, "length"),
        ('signal: go, key: "${{ input.x }}"', "x" * 201, "length"),
    ],
)
async def test_signal_by_which_nothing_could_be_found_is_refused(lab: Lab, given: str, value: JsonValue, code: str):
    outcome = await lab.run(make_document(f"- {{id: hold, uses: flow.wait, with: {{{given}}}}}\n"), {"x": value})

    assert outcome.error["code"] == code


async def test_short_wait_passes_in_memory(lab: Lab):
    outcome = await lab.run(make_document("- {id: nap, uses: flow.wait, with: {for: 40ms}}\n"))

    assert outcome.status == "completed"
    assert not outcome.of("run.claimed")


async def test_signal_ends_the_wait_with_its_payload(lab: Lab):
    started = await lab.start(make_document(ASK, OUT))
    assert (await lab.finish(started)).status == "waiting"

    assert await lab.send(started, "signal", name="go", payload={"n": 1}) == "delivered"

    assert (await lab.finish(started)).output == ["received", {"n": 1}]


async def test_f72_signal_that_comes_before_its_wait_is_kept(lab: Lab):
    gate = lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}}\n" + ASK, OUT))
    await lab.until(lambda: lab.book.names() == ["a"])

    await lab.send(started, "signal", name="go", payload=5)
    gate.set()

    assert (await lab.finish(started)).output == ["received", 5]


async def test_f72_named_event_before_and_after_the_wait_is_consumed_once(lab: Lab):
    gate = lab.book.gate("a")
    steps = (
        "- {id: a, uses: test.record, with: {name: a}}\n"
        + ASK
        + "- {id: more, uses: flow.wait, with: {signal: go, expires: 300ms}}\n"
    )
    started = await lab.start(make_document(steps, 'output: "${{ [steps.b.output.value[1], steps.more.port] }}"\n'))
    await lab.until(lambda: lab.book.names() == ["a"])

    lab.store.publish(NewEvent(WORKSPACE, "go", None, encode({"name": "go", "payload": 8}), "someone", lab.clock.now_ms()))
    gate.set()

    assert (await lab.finish(started)).output == [8, "expired"]


async def test_f72_named_event_is_found_though_the_run_turns_again_before_its_wait_is_durable(tmp_path: Path):
    lab = Lab(tmp_path, replace(QUICK, commits_inline=False))
    may_commit, is_held, commit = threading.Event(), threading.Event(), lab.store.commit
    may_commit.set()

    def commit_when_told(turns: Sequence[Turn]) -> Sequence[TurnResult]:
        if not may_commit.is_set():
            is_held.set()
            assert may_commit.wait(10)
        return commit(turns)

    setattr(lab.store, "commit", commit_when_told)  # noqa: B010 (a store is a protocol)
    await lab.engine.open()
    gate = lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}}\n" + ASK, OUT))
    await lab.until(lambda: lab.book.names() == ["a"])
    lab.store.publish(NewEvent(WORKSPACE, "go", None, encode({"name": "go", "payload": 8}), "someone", lab.clock.now_ms()))
    (live,) = lab.engine.lives.values()

    may_commit.clear()
    other = asyncio.create_task(lab.start(make_document(ASK)))
    await lab.until(is_held.is_set)
    gate.set()
    await lab.until(lambda: bool(live.state.signal_waits))
    lab.engine.wake(live)
    await lab.until(lambda: not live.is_due)
    may_commit.set()  # what the run has written goes in one transaction now

    assert (await lab.finish(started)).output == ["received", 8]
    await other
    await lab.close()


async def test_named_event_reaches_every_run_that_waits(lab: Lab):
    pinned = lab.define(make_document(ASK, OUT))
    runs = [await lab.start(pinned) for _ in range(3)]
    for run in runs:
        assert (await lab.finish(run)).status == "waiting"

    reached = lab.store.publish(
        NewEvent(WORKSPACE, "go", None, encode({"name": "go", "payload": 1}), "someone", lab.clock.now_ms())
    )

    assert reached == 3
    assert [(await lab.finish(run)).output for run in runs] == [["received", 1]] * 3


async def test_signal_with_another_name_or_key_does_not_end_the_wait(lab: Lab):
    step = '- {id: ask, uses: flow.wait, with: {signal: go, key: "${{ input.no }}"}}\n'
    started = await lab.start(make_document(step, 'output: "${{ steps.ask.output }}"\n'), {"no": 7})
    await lab.send(started, "signal", name="stop", payload=1)
    await lab.send(started, "signal", name="go", key="8", payload=2)
    await lab.send(started, "signal", name="go", payload=3)
    assert (await lab.finish(started)).status == "waiting"

    await lab.send(started, "signal", name="go", key="7", payload=4)

    assert (await lab.finish(started)).output == 4


async def test_wait_that_expires_leaves_by_its_own_port(lab: Lab):
    document = make_document(
        """
- {id: ask, uses: flow.wait, with: {signal: go, expires: 2h}}
- {id: yes, after: ask.received, uses: test.record, with: {name: yes}}
- {id: late, after: ask.expired, uses: test.record, with: {name: late, value: "${{ steps.ask.output }}"}}
"""
    )
    started = await lab.start(document)
    assert (await lab.finish(started)).status == "waiting"

    lab.advance(7_200_000)

    assert (await lab.finish(started)).ports() == {"ask": "expired", "late": "done"}


async def test_wait_with_a_timeout_fails(lab: Lab):
    started = await lab.start(make_document("- {id: ask, uses: flow.wait, with: {signal: go}, timeout: 1h}\n"))
    assert (await lab.finish(started)).status == "waiting"

    lab.advance(3_600_000)

    assert (await lab.finish(started)).error["code"] == "timeout"


async def test_oldest_wait_takes_the_oldest_signal(lab: Lab):
    document = make_document(
        """
- {id: first, after: [], uses: flow.wait, with: {signal: go}}
- {id: second, after: [], uses: flow.wait, with: {signal: go}}
- {id: end, after: [first, second], join: all, uses: flow.set, with: {values: {got: "${{ [steps.first.output, steps.second.output] }}"}}}
""",
        'output: "${{ steps.end.output.got }}"\n',
    )
    started = await lab.start(document)
    assert (await lab.finish(started)).status == "waiting"

    await lab.send(started, "signal", name="go", payload="old")
    await lab.send(started, "signal", name="go", payload="new")

    assert (await lab.finish(started)).output == ["old", "new"]


async def test_message_to_a_run_that_has_ended_is_refused(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: flow.set, with: {values: {}}}\n"))

    assert await lab.send(outcome.started, "signal", name="go") == "finished"


async def test_f77_two_resumes_and_a_skip_at_once_end_a_wait_once(lab: Lab):
    started = await lab.start(make_document(ASK, OUT))
    await lab.finish(started)
    await lab.send(started, "pause")
    assert (await lab.finish(started)).status == "paused"

    for _ in range(2):
        await lab.send(started, "resume")
    await lab.send(started, "skip", step="ask", output="skipped")
    await lab.send(started, "signal", name="go", payload="signalled")

    outcome = await lab.finish(started)
    ends = [*outcome.of("step.completed", "ask"), *outcome.of("step.bypassed", "ask")]
    assert outcome.status == "completed"
    assert len(ends) == 1
    assert len(lab.book.names()) == 1


async def test_f77_signal_and_expiry_at_once_end_a_wait_once(lab: Lab):
    step = "- {id: ask, uses: flow.wait, with: {signal: go, expires: 1h}}\n- {id: b, after: [ask.received, ask.expired], uses: test.record, with: {name: b}}\n"
    pinned = lab.define(make_document(step))
    runs = [await lab.start(pinned) for _ in range(20)]
    for run in runs:
        await lab.finish(run)
    lab.advance(3_599_990)

    for run in runs:
        await lab.send(run, "signal", name="go")

    for run in runs:
        outcome = await lab.finish(run)
        assert len(outcome.of("step.completed", "ask")) == 1
        assert outcome.status == "completed"
    assert len(lab.book.names()) == 20
