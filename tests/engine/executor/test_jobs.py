"""Jobs: one engine owns the runs, others make their attempts. All on one database, as several machines would be."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support import heavy_operations
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab, open_lab
from tests.support.soundness import assert_sound

from flowforge.engine.executor import Engine, Started
from flowforge.engine.executor.settling import settle
from flowforge.engine.queueing import Lost, report_lost
from flowforge.engine.store import NewMail, TakenJob
from flowforge.kit.errors import InvariantError, StorageError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject


class Bells:
    """Hears who is rung."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, int]] = []

    def ring(self, queue: str, run_no: int, epoch: int) -> None:
        assert epoch >= 0
        self.rung.append((queue, run_no))

    @property
    def queues(self) -> set[str]:
        return {queue for queue, _ in self.rung}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Its first engine hands jobs out and makes none."""
    async with open_lab(tmp_path, replace(QUICK, hands_out_jobs=True, linger_ms=50)) as opened:
        opened.registry.register_module(heavy_operations, "the tests")
        yield opened
    assert_sound(opened)


async def open_worker(lab: Lab, *queues: str, **changes: Any) -> Engine:
    """A worker that makes jobs and owns no runs. Its effects pass the gates of the lab's own book."""
    worker = await lab.open_rival(job_queues=queues or ("heavy", "io"), claims_runs=False, **changes)
    cast("Any", worker.parts.services)[type(lab.book)].gates = lab.book.gates
    return worker


async def kill(lab: Lab, worker: Engine) -> None:
    """The worker's process dies: nothing of it is told any more, and its file lock is free."""
    lab.rivals = [(engine, store) for engine, store in lab.rivals if engine is not worker]
    await worker.intake.stop()
    await worker.jobs.stop()
    worker.jobs.drop_all()
    await worker.jobs.quiet()
    worker.pulse.die()
    await worker.attempts.close()
    worker.committer.close()
    worker.store.close()


def query(lab: Lab, text: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute(text).fetchall()


def jobs_of(lab: Lab) -> list[tuple[str, int, str]]:
    return query(lab, "SELECT key, attempt, status FROM jobs ORDER BY run_no, key, attempt")


def one(more: str = "", *, name: str = "x", on: str = "io") -> str:
    return make_document(f"- {{id: a, uses: test.record, queue: {on}, with: {{name: {name}, value: 1}}{more}}}\n")


def heavy(how: str, more: str = "", path: Path | None = None) -> str:
    return make_document(f"- {{id: a, uses: test.break, with: {{how: {how}, path: '{path or ''}'}}{more}}}\n")


async def out_of_memory(lab: Lab, started: Started) -> None:
    """The run has left the memory of its engine."""
    await lab.until(lambda: started.run_no not in lab.engine.lives)


async def test_named_queue_and_heavy_operations_are_made_by_those_who_serve_them(lab: Lab):
    worker = await open_worker(lab)
    steps = "- {id: a, uses: test.record, queue: io, with: {name: x, value: 1}}\n- {id: b, uses: test.count, with: {up_to: 5}}\n"

    outcome = await lab.run(make_document(steps))

    assert outcome.status == "completed"
    assert [plan.get("job") for plan in outcome.of("step.planned")] == ["io", "heavy"]
    assert outcome.of("step.completed", "a")[0]["output"] == {"value": 1, "key": outcome.of("step.planned")[0]["key"], "times": 1}
    assert cast("JsonObject", outcome.of("step.completed", "b")[0]["output"])["process"] != os.getpid()
    assert query(lab, "SELECT level, message, step, attempt, fields FROM step_logs") == [
        ("info", "counted", "b", 1, '{"total":10}')
    ]
    assert "logs" not in str(outcome.of("run.mail")), "lines of a step are in the run's log, not in its journal"
    assert (jobs_of(lab), worker.lives) == ([], {})


async def test_run_leaves_memory_and_waits_for_a_worker_as_long_as_there_is_none(lab: Lab):
    started = await lab.start(one())
    await out_of_memory(lab, started)

    (status, why) = query(lab, "SELECT r.status, q.why FROM runs r JOIN queue q ON q.run_no=r.no")[0]
    assert status == "running"
    assert json.loads(why)["causes"][0]["ref"] == {"queue": "io", "attempt": 1}
    assert jobs_of(lab) == [("a", 1, "queued")]
    assert lab.book.entries() == []

    await open_worker(lab)
    assert (await lab.finish(started)).status == "completed"


async def test_engine_that_hands_nothing_out_makes_all_itself(tmp_path: Path):
    async with open_lab(tmp_path) as lab:
        outcome = await lab.run(one())

    assert outcome.status == "completed"
    assert "job" not in outcome.of("step.planned")[0]


async def test_a_worker_takes_only_what_its_queues_hold(lab: Lab):
    await open_worker(lab, "gpu")
    started = await lab.start(one())
    other = await lab.run(one(on="gpu"))

    assert other.status == "completed"
    assert jobs_of(lab) == [("a", 1, "queued")]
    await open_worker(lab)
    await lab.finish(started)


async def test_error_of_a_job_is_retried_as_the_step_says(lab: Lab):
    await open_worker(lab)
    document = make_document(
        "- {id: a, uses: test.record, queue: io, with: {name: x, failures: 2, after_ms: 20}, retry: {attempts: 3, initial: 10ms}}\n"
    )

    outcome = await lab.run(document)

    failures = outcome.of("step.failed")
    assert outcome.status == "completed"
    assert [cast("JsonObject", failure["error"])["code"] for failure in failures] == ["broken", "broken"]
    assert [plan["attempt"] for plan in outcome.of("step.planned")] == [1, 2, 3]


async def test_fatal_error_and_one_that_is_no_job_of_this_version(lab: Lab):
    await open_worker(lab)
    fatal = await lab.run(make_document("- {id: a, uses: test.break, with: {how: fatal}}\n"))
    assert fatal.error["code"] == "broken"

    started = await lab.start(one(on="later"))
    await lab.until(lambda: bool(jobs_of(lab)))
    with closing(sqlite3.connect(lab.database)) as connection:
        connection.execute("UPDATE jobs SET params='[]'")
        connection.commit()
    await open_worker(lab, "later")

    assert (await lab.finish(started)).error["code"] == "engine_fault"


async def test_large_output_goes_by_way_of_the_object_store(tmp_path: Path):
    settings = replace(QUICK, hands_out_jobs=True, limits=Limits().model_copy(update={"step_out_inline_bytes": 1_000}))
    async with open_lab(tmp_path, settings) as lab:
        await open_worker(lab)
        steps = (
            "- {id: a, uses: test.record, queue: io, with: {name: x, size: 5000}}\n"
            '- {id: b, uses: flow.set, with: {values: {size: "${{ size(steps.a.output.value) }}"}}}\n'
        )
        outcome = await lab.run(make_document(steps, 'output: "${{ steps.b.output.size }}"\n'))

        completed = outcome.of("step.completed", "a")[0]
        assert (outcome.output, "output" in completed) == (5_000, False)
        mail = cast("JsonObject", outcome.of("run.mail")[0]["body"])
        assert mail["blob"] == completed["blob"]
        assert query(lab, "SELECT count(*) FROM run_blobs") == [(1,)]
    assert_sound(lab)


async def test_secrets_stand_in_jobs_by_name_only(lab: Lab):
    lab.shelf.secrets["TOKEN"] = "canary-4711"
    steps = (
        '- {id: a, uses: test.tell, queue: io, with: {secret: "key ${{ secrets.TOKEN }}"}}\n'
        '- {id: b, uses: test.whisper, with: {secret: "${{ secrets.TOKEN }}"}}\n'
    )
    started = await lab.start(make_document(steps))
    await lab.until(lambda: bool(jobs_of(lab)))
    assert "TOKEN" in query(lab, "SELECT params FROM jobs")[0][0]
    assert "canary" not in query(lab, "SELECT params FROM jobs")[0][0]
    await open_worker(lab)

    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert [entry.value for entry in lab.book.entries()] == [len("key canary-4711")]
    for path in (lab.database, lab.database.with_name(lab.database.name + "-wal")):
        assert b"canary" not in path.read_bytes()


async def test_secret_that_is_missing_where_the_job_is_made_fails_the_step(lab: Lab):
    await open_worker(lab)

    outcome = await lab.run(make_document('- {id: a, uses: test.tell, queue: io, with: {secret: "${{ secrets.NONE }}"}}\n'))

    assert outcome.error["code"] == "secret_missing"


@pytest.mark.parametrize(("on_interrupt", "expected"), [("repeat", "completed"), ("fail", "failed"), ("ask", "waiting")])
async def test_job_of_a_dead_worker_is_an_unknown_outcome(lab: Lab, on_interrupt: str, expected: str):
    gate = lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one(f", on_interrupt: {on_interrupt}"))
    await lab.until(lambda: len(lab.book.entries()) == 1)

    await kill(lab, worker)
    gate.set()
    await open_worker(lab)
    outcome = await lab.finish(started)

    assert outcome.status == expected
    assert [body["lost"] for body in bodies(outcome.of("run.mail")) if "lost" in body] == ["expired"]
    assert len({entry.key for entry in lab.book.entries()}) == 1
    assert len(lab.book.entries()) == (2 if on_interrupt == "repeat" else 1)


def bodies(mails: list[JsonObject]) -> list[JsonObject]:
    return [cast("JsonObject", mail["body"]) for mail in mails]


async def test_job_goes_on_when_the_owner_of_its_run_dies(lab: Lab):
    gate = lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)

    await lab.crash()
    await lab.restart()
    gate.set()
    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert [plan["attempt"] for plan in outcome.of("step.planned")] == [1]
    assert len(lab.book.entries()) == 1
    assert worker.parts.metrics.jobs_ended._value.get() == 1  # pyright: ignore[reportPrivateUsage]


async def test_f07_job_that_kills_its_workers_is_a_dead_letter_and_can_be_redriven(lab: Lab):
    gate = lab.book.gate("x")
    started = await lab.start(one(", retry: {attempts: 2, initial: 10ms}"))
    for number in range(3):
        worker = await open_worker(lab)
        await lab.until(lambda number=number: len(lab.book.entries()) == number + 1)
        await kill(lab, worker)
        lab.engine.pulse.run_once()
    outcome = await lab.finish(started)

    assert outcome.status == "waiting"
    assert outcome.of("step.parked")[0]["reason"] == "poison"
    assert outcome.of("step.failed") == [], "user retries are not consumed"
    assert lab.metrics.dead_letters._value.get() == 1  # pyright: ignore[reportPrivateUsage]

    gate.set()
    await open_worker(lab)
    assert (await lab.run(one(name="innocent"))).status == "completed"
    await lab.send(started, "retry", step="a")
    await lab.until(lambda: lab.engine.watch.ended.get(started.run_no) is not None)
    assert lab.read(started).last["status"] == "completed"
    assert len({entry.key for entry in lab.book.entries() if entry.name == "x"}) == 1


async def test_f37_copy_finds_a_live_owner_and_is_dropped(lab: Lab):
    gate = lab.book.gate("x")
    await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)
    other = await open_worker(lab)

    for _ in range(5):
        other.jobs.poke()
        await other.jobs.look()
    (job,) = query(lab, "SELECT run_no, key, attempt, queue, epoch FROM jobs")
    stale = TakenJob(job[0], started.run_id, job[1], job[2], "", job[3], job[4], b"")
    assert not other.store.end_job(other.worker, stale, report_lost(job[0], "a", 1, Lost.ABORTED))
    gate.set()

    assert (await lab.finish(started)).status == "completed"
    assert len(lab.book.entries()) == 1


async def test_cancel_drops_a_job_that_nobody_has_taken_at_once(lab: Lab):
    started = await lab.start(one())
    await lab.until(lambda: bool(jobs_of(lab)))

    await lab.send(started, "cancel")
    outcome = await lab.finish(started)

    assert outcome.status == "cancelled"
    assert jobs_of(lab) == []


async def test_cancel_stops_a_job_that_works(lab: Lab):
    lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)

    await lab.send(started, "cancel")
    outcome = await lab.finish(started)

    assert outcome.status == "cancelled"
    await lab.until(lambda: worker.jobs.in_flight == 0)
    assert jobs_of(lab) == []


async def test_cancel_kills_the_process_of_a_heavy_job(lab: Lab, tmp_path: Path):
    await open_worker(lab)
    started = await lab.start(heavy("spin", path=tmp_path / "process"))
    await lab.until(lambda: (tmp_path / "process").exists() and (tmp_path / "process").read_text() != "")
    process = int((tmp_path / "process").read_text())

    await lab.send(started, "cancel")
    assert (await lab.finish(started)).status == "cancelled"

    await lab.until(lambda: not is_alive(process))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_time_of_an_attempt_counts_from_when_its_job_is_taken(lab: Lab):
    gate = lab.book.gate("x")
    started = await lab.start(one(", timeout: 400ms"))
    await asyncio.sleep(0.6)
    assert jobs_of(lab) == [("a", 1, "queued")]
    await open_worker(lab)
    await lab.until(lambda: len(lab.book.entries()) == 1)

    outcome = await lab.finish(started)

    assert outcome.error["code"] == "timeout"
    gate.set()


async def test_time_out_of_the_run_stops_its_jobs(lab: Lab):
    lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one() + "timeout: 300ms\n")

    outcome = await lab.finish(started)

    assert outcome.status == "timed_out"
    await lab.until(lambda: worker.jobs.in_flight == 0)
    assert jobs_of(lab) == []


async def test_worker_that_closes_ends_its_jobs_within_the_grace(lab: Lab):
    gate = lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)
    asyncio.get_running_loop().call_later(0.1, gate.set)

    await worker.close(2_000)
    lab.rivals.clear()
    outcome = await lab.finish(started)
    worker.store.close()

    assert outcome.status == "completed"
    assert [plan["attempt"] for plan in outcome.of("step.planned")] == [1]


async def test_worker_that_closes_gives_back_what_does_not_end(lab: Lab):
    gate = lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)

    await worker.close(50)
    lab.rivals.clear()
    worker.store.close()
    gate.set()
    await open_worker(lab)
    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert [body.get("lost") for body in bodies(outcome.of("run.mail"))] == ["released", None]


async def test_worker_that_was_declared_dead_stops_its_jobs_and_goes_on_under_another_number(lab: Lab):
    gate = lab.book.gate("x")
    worker = await open_worker(lab)
    started = await lab.start(one())
    await lab.until(lambda: len(lab.book.entries()) == 1)
    before = worker.worker

    lab.store.expire([before])
    gate.set()
    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert worker.worker != before
    assert len({entry.key for entry in lab.book.entries()}) == 1


async def test_who_is_rung_for_what(lab: Lab):
    bells = lab.engine.bells._doorbell = Bells()  # pyright: ignore[reportPrivateUsage]
    started = await lab.start(one())
    await lab.until(lambda: "io" in bells.queues)
    assert ("io", started.run_no) in bells.rung

    await out_of_memory(lab, started)
    await lab.send(started, "cancel")
    assert ("default", started.run_no) in bells.rung
    await lab.finish(started)

    rung = len(bells.rung)
    await lab.run(make_document("- {id: a, uses: test.record, with: {name: y}}\n"))
    assert bells.rung[rung:] == [], "nobody is told of what this process does itself"


async def test_worker_rings_when_a_job_has_ended(lab: Lab):
    worker = await open_worker(lab)
    bells = worker.bells._doorbell = Bells()  # pyright: ignore[reportPrivateUsage]

    outcome = await lab.run(one())

    assert ("default", outcome.started.run_no) in bells.rung


async def test_engine_without_runs_starts_queued_ones_and_rings(lab: Lab):
    starter = await lab.open_rival(claims_runs=False)
    bells = starter.bells._doorbell = Bells()  # pyright: ignore[reportPrivateUsage]
    first, lab.engine = lab.engine, starter
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: y}}\n"))
    lab.engine = first

    assert started.run_no not in starter.lives
    assert bells.rung == [("default", started.run_no)]
    assert await settle(lab.engine, started.run_no, 5_000) == "completed"


async def test_heavy_jobs_are_taken_one_a_core(lab: Lab, tmp_path: Path):
    cores = os.cpu_count() or 1
    steps = "".join(
        f"- {{id: s{number}, after: [], uses: test.break, with: {{how: spin, path: '{tmp_path}/p{number}'}}}}\n"
        for number in range(cores + 2)
    )
    started = await lab.start(make_document(steps))
    worker = await open_worker(lab)
    await lab.until(lambda: worker.jobs.in_flight == cores)
    await asyncio.sleep(0.2)

    assert [status for _, _, status in jobs_of(lab)].count("running") == cores
    await lab.send(started, "cancel")
    await lab.finish(started)


async def test_f07_heavy_operation_whose_process_dies_is_retried_and_kills_no_worker(lab: Lab, tmp_path: Path):
    worker = await open_worker(lab)

    outcome = await lab.run(heavy("'die once'", ", retry: {attempts: 2, initial: 10ms}", tmp_path / "died"))

    assert outcome.status == "completed"
    assert cast("JsonObject", outcome.of("step.failed")[0]["error"])["code"] == "worker_died"
    assert signal.Signals.SIGKILL.name in str(outcome.of("step.failed")[0]["error"])
    assert worker.worker in lab.store.alive()


async def test_outcome_waits_until_the_database_takes_it(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    worker = await open_worker(lab)
    end, refusals = worker.store.end_job, [StorageError("The database is away.")]

    def refuse(*arguments: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return end(*arguments)

    monkeypatch.setattr(worker.store, "end_job", refuse)
    monkeypatch.setattr("flowforge.engine.executor.jobs._RETRY_S", 0.05)

    assert (await lab.run(one())).status == "completed"
    assert len(lab.book.entries()) == 1


@pytest.mark.parametrize(("refusals", "status"), [(1, "completed"), (2, "failed")])
async def test_outcome_that_the_database_refuses_is_told_with_less(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, refusals: int, status: str
):
    worker = await open_worker(lab)
    end, told = worker.store.end_job, list[bytes]()

    def refuse(number: int, job: TakenJob, mail: NewMail, blobs: Sequence[str]) -> bool:
        told.append(mail.body)
        if len(told) <= refusals:
            raise InvariantError("The database refused a statement: it is larger than max_allowed_packet.")
        return end(number, job, mail, blobs)

    monkeypatch.setattr(worker.store, "end_job", refuse)

    outcome = await lab.run(make_document("- {id: b, uses: test.count, with: {up_to: 5}}\n"))
    assert outcome.status == status
    assert [b"counted" in body for body in told] == [True, *[False] * refusals]
    assert jobs_of(lab) == []


async def test_look_that_failed_by_a_fault_of_ours_is_not_the_last(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    worker = await open_worker(lab)
    faults = 0

    def fail(*_: object) -> list[TakenJob]:
        nonlocal faults
        faults += 1
        raise KeyError(7)

    with monkeypatch.context() as patched:
        patched.setattr(worker.store, "take_jobs", fail)
        patched.setattr(lab.engine.store, "next_due", fail)
        await lab.until(lambda: faults > 3)

    assert (await lab.run(one())).status == "completed"


async def test_heavy_jobs_of_a_named_queue_are_not_hoarded_by_the_first_who_looks(lab: Lab):
    flag = lab.folder / "flag"
    pinned = lab.define(make_document(f"- {{id: a, uses: test.break, queue: gpu, with: {{how: hang, path: '{flag}'}}}}\n"))
    for _ in range(20):
        await lab.start(pinned)
    await lab.until(lambda: len(jobs_of(lab)) == 20)
    worker = await open_worker(lab, "gpu")
    await lab.until(lambda: worker.jobs.in_flight > 0)
    await asyncio.sleep(3 * lab.settings.poll_ms / 1_000)
    assert worker.jobs.in_flight == os.cpu_count()
