"""F01-F16: workers die, stall, come back, and leave in order."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab, Started, open_lab
from tests.support.soundness import assert_sound

from flowforge.engine.executor import Engine
from flowforge.engine.executor.settling import settle
from flowforge.engine.store import ClaimRequest, NewMail

EFFECT = "- {id: a, uses: test.record, with: {name: a}}\n"
TWO = EFFECT + "- {id: b, uses: test.record, with: {name: b}}\n"


def row(lab: Lab, started: Started) -> tuple[str, int, int]:
    """Status, epoch, crashes of a run."""
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute("SELECT status, epoch, crashes FROM runs WHERE no=?", (started.run_no,)).fetchone()


async def in_flight(lab: Lab, document: str, name: str = "a") -> Started:
    """A run whose effect waits at its gate."""
    lab.book.gate(name)
    started = await lab.start(document)
    await lab.until(lambda: name in lab.book.names())
    return started


def test_f01_run_of_a_worker_that_died_after_its_claim_runs_once(tmp_path_factory: pytest.TempPathFactory):
    async def main() -> None:
        lab = Lab(tmp_path_factory.mktemp("lab"))
        await lab.engine.open()
        await lab.engine.close(100)
        lab.engine = lab.make_engine(runs_max=0)
        await lab.engine.open()
        started = await lab.start(make_document(EFFECT))
        await lab.engine.close(100)
        dead = lab.store.register("dead", 300)
        [claimed] = lab.store.claim(ClaimRequest(dead, 10))
        lab.store.close()

        await lab.restart()
        outcome = await lab.finish(started)
        await lab.close()

        claims = outcome.of("run.claimed")
        assert (claimed.epoch, outcome.status) == (1, "completed")
        assert [(claim["epoch"], claim["why"]) for claim in claims] == [(1, "due"), (2, "expired")]
        assert [event["attempt"] for event in outcome.of("step.planned")] == [1]
        assert len(lab.book.entries()) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("policy", "requests", "status"), [("repeat", 2, "completed"), ("ask", 1, "waiting"), ("fail", 1, "failed")]
)
async def test_f02_effect_without_its_outcome_goes_by_on_interrupt(lab: Lab, policy: str, requests: int, status: str):
    started = await in_flight(lab, make_document(f"- {{id: a, uses: test.record, with: {{name: a}}, on_interrupt: {policy}}}\n"))
    await lab.crash()
    lab.book.gates.clear()
    await lab.restart()

    outcome = await lab.finish(started)

    assert outcome.status == status
    assert len(lab.book.entries()) == requests
    assert len(lab.book.keys_of("a")) == 1
    assert len(outcome.of("step.completed", "a")) == (1 if status == "completed" else 0)


async def test_f03_step_whose_outcome_was_committed_does_not_run_again(lab: Lab):
    started = await in_flight(lab, make_document(TWO), "b")
    await lab.crash()
    lab.book.gates.clear()
    await lab.restart()

    assert (await lab.finish(started)).status == "completed"
    assert lab.book.names() == ["a", "b", "b"]


async def test_f06_step_in_flight_ends_within_the_grace(lab: Lab):
    started = await in_flight(lab, make_document(TWO))
    asyncio.get_running_loop().call_later(0.1, lab.book.gate("a").set)

    await lab.engine.close(5_000)
    lab.store.close()
    await lab.restart()

    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert lab.book.names() == ["a", "b"]
    assert row(lab, started)[2] == 0


async def test_f06_large_outcome_that_comes_within_the_grace_is_kept(lab: Lab):
    started = await in_flight(lab, make_document("- {id: a, uses: test.record, with: {name: a, size: 400000}}\n"))
    asyncio.get_running_loop().call_later(0.1, lab.book.gate("a").set)

    await lab.engine.close(5_000)
    lab.store.close()
    await lab.restart()

    assert (await lab.finish(started)).status == "completed"
    assert lab.book.names() == ["a"]


async def test_f06_run_is_released_at_once_when_the_grace_is_over(lab: Lab):
    started = await in_flight(lab, make_document(TWO))

    await lab.engine.close(50)
    lab.store.close()
    assert row(lab, started)[2] == 0
    lab.book.gates.clear()
    await lab.restart()

    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert outcome.of("run.claimed")[0]["why"] == "released"
    assert lab.book.names() == ["a", "a", "b"]
    assert len(lab.book.keys_of("a")) == 1


async def poison(lab: Lab) -> Started:
    started = await in_flight(lab, make_document(EFFECT + "- {id: b, after: a, uses: test.record, with: {name: b}}\n"))
    for crash in range(3):
        await lab.crash()
        await lab.restart()
        await lab.until(lambda crash=crash: row(lab, started)[2] == crash + 1)
        if crash < 2:
            await lab.until(lambda crash=crash: lab.book.names().count("a") == crash + 2)
    assert (await lab.finish(started)).status == "waiting"
    return started


async def test_f07_step_that_kills_its_worker_is_parked_as_poison(lab: Lab):
    started = await poison(lab)

    outcome = lab.read(started)
    assert outcome.of("step.parked", "a")[0]["reason"] == "poison"
    assert not outcome.of("step.failed")
    assert lab.book.names() == ["a", "a", "a"]


async def test_f07_dead_letter_goes_on_under_the_same_key_when_redriven(lab: Lab):
    started = await poison(lab)
    lab.book.gates.clear()

    await lab.send(started, "retry", step="a")

    assert (await lab.finish(started)).status == "completed"
    assert len(lab.book.keys_of("a")) == 1


async def test_f07_dead_letter_that_is_discarded_fails(lab: Lab):
    started = await poison(lab)

    await lab.send(started, "discard")

    outcome = await lab.finish(started)
    assert (outcome.status, outcome.error["code"]) == ("failed", "poison")


async def test_f07_innocent_runs_beside_a_poisonous_one_complete(lab: Lab):
    pinned = lab.define(make_document('- {id: a, uses: test.record, with: {name: "${{ input.name }}"}}\n', name="innocent"))
    others = [await lab.start(pinned, {"name": f"n{number}"}) for number in range(3)]
    started = await poison(lab)

    for other in others:
        assert (await lab.finish(other)).status == "completed"
    assert row(lab, started)[0] == "waiting"


async def take_over(lab: Lab, started: Started, name: str = "other") -> Engine:
    """The first engine stalls (no beat, no lock); another one takes its runs and ends them."""
    lab.engine.pulse.die()
    rival = await lab.open_rival(name=name)
    assert await settle(rival, started.run_no, 5_000) == "completed"
    return rival


@pytest.mark.parametrize("name", ["F08 another", "lab"], ids=["F08", "F09"])
async def test_stalled_worker_that_comes_back_writes_nothing(lab: Lab, name: str):
    """F08, F09: authority is the worker's number and the run's epoch, not a name."""
    started = await in_flight(lab, make_document(TWO))
    number = lab.engine.worker
    await take_over(lab, started, name)
    before = lab.events(started.run_no)

    lab.book.gate("a").set()
    await lab.until(lambda: started.run_no not in lab.engine.lives)

    assert lab.events(started.run_no) == before
    assert b"flowforge_stale_epoch_total 1.0" in lab.metrics.render()
    await asyncio.to_thread(lab.engine.pulse.run_once)
    await lab.until(lambda: lab.engine.worker != number)
    assert (await lab.run(make_document(EFFECT, name="later"))).status == "completed"


async def test_f08_beat_of_a_dead_worker_makes_it_drop_its_runs(lab: Lab):
    started = await in_flight(lab, make_document(TWO))
    number = lab.engine.worker
    await take_over(lab, started)

    await asyncio.to_thread(lab.engine.pulse.run_once)
    await lab.until(lambda: lab.engine.worker != number)

    assert not lab.engine.lives
    assert lab.engine.attempts.in_flight == 0
    assert len(lab.book.keys_of("a")) == 1


async def test_f10_zombie_that_ends_after_the_run_appends_nothing(lab: Lab):
    started = await in_flight(lab, make_document(EFFECT))
    lab.engine.pulse.die()
    rival = await lab.open_rival(runs_max=0)
    await rival.deliver(NewMail(started.run_no, "cancel", b"{}", "user:tester"))
    await rival.close(100)
    lab.rivals[-1][1].close()
    lab.rivals.clear()
    rival = await lab.open_rival()
    assert await settle(rival, started.run_no, 5_000) == "cancelled"

    lab.book.gate("a").set()
    await lab.until(lambda: started.run_no not in lab.engine.lives)

    outcome = lab.read(started)
    assert outcome.last["type"] == "run.finished"
    assert not outcome.of("step.completed")


async def test_f13_all_runs_in_flight_go_on_after_every_worker_died(lab: Lab):
    gate = lab.book.gate("a")
    pinned = lab.define(make_document(TWO))
    runs = [await lab.start(pinned) for _ in range(500)]
    await lab.until(lambda: lab.engine.attempts.in_flight == lab.settings.effects_max)
    await lab.crash()
    gate.set()
    await lab.restart()

    for started in runs:
        assert (await lab.finish(started)).status == "completed"
    assert len(lab.book.keys_of("a")) == len(lab.book.keys_of("b")) == 500
    assert lab.book.names().count("b") == 500


async def test_f16_engines_on_one_database_share_the_runs_and_no_effect_is_doubled(lab: Lab):
    rival = await lab.open_rival()
    pinned = lab.define(make_document(TWO))
    lab.engine.settings = rival.settings
    queued = [await lab.start(pinned) for _ in range(60)]

    for started in queued:
        assert await settle(rival, started.run_no, 5_000) == "completed"
    assert lab.book.names().count("a") == lab.book.names().count("b") == 60


async def test_f16_two_engines_wake_each_sleeper_once(tmp_path: Path):
    # The wall clock jumps an hour: with a shorter expiry each worker would rightly take the other for dead, and repeat what it has in flight.
    async with open_lab(tmp_path, replace(QUICK, expiry_ms=86_400_000)) as lab:
        pinned = lab.define(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n" + EFFECT))
        runs = [await lab.start(pinned) for _ in range(100)]
        for started in runs:
            await lab.finish(started)
        await lab.open_rival()

        lab.advance(3_600_000)

        for started in runs:
            assert (await lab.finish(started)).status == "completed"
        assert len(lab.book.entries()) == 100
    assert_sound(lab)


def test_f19_worker_without_enough_descriptors_retries_and_recovers(tmp_path: Path):
    command = [sys.executable, "-m", "tests.reliability.few_descriptors", str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2_000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["failures"] > 0
    del report["failures"]
    assert report == {"status": "completed", "claims": 0, "later": "completed", "pulses": 2, "is_beating": True}
