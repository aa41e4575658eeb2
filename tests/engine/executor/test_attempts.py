"""Attempts that are stopped in the very moment in which they are launched."""

from dataclasses import replace

from tests.support.documents import make_document
from tests.support.lab import Lab

from flowforge.engine.executor.live import LiveRun
from flowforge.engine.machine.work import Abort, Effect


async def start_gated(lab: Lab) -> tuple[LiveRun, Effect]:
    """A run whose only attempt waits at its gate."""
    lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
    await lab.until(lambda: lab.book.names() == ["a"])
    live = lab.engine.lives[started.run_no]
    return live, live.flights["a"].work


async def test_attempt_aborted_before_its_first_step_does_not_run_and_frees_its_place(lab: Lab):
    live, work = await start_gated(lab)
    attempts = lab.engine.attempts

    attempts.start(live, replace(work, key="b"))
    attempts.abort(live, Abort("b"))

    await lab.until(lambda: attempts.in_flight == 1)
    assert list(live.flights) == ["a"]
    assert lab.book.names() == ["a"]


async def test_attempt_dropped_before_its_first_step_does_not_run_and_frees_its_place(lab: Lab):
    live, work = await start_gated(lab)
    attempts = lab.engine.attempts

    attempts.start(live, replace(work, key="b"))
    attempts.drop(live)

    await attempts.quiet()
    assert attempts.in_flight == 0
    assert lab.book.names() == ["a"]
