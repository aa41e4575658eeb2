"""Engines beside each other: of different versions, of different tasks, and under more load than the database bears."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab, open_lab
from tests.support.soundness import assert_sound

from flowforge.engine.errors import OverloadedError
from flowforge.engine.events import EVENTS_FORMAT
from flowforge.engine.executor import Started
from flowforge.engine.executor.settling import settle
from flowforge.engine.machine import folding
from flowforge.engine.why import say_why

WAITING = make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n- {id: a, uses: test.record, with: {name: x}}\n")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as opened:
        yield opened
    assert_sound(opened)


def change(lab: Lab, text: str, *values: Any) -> None:
    with closing(sqlite3.connect(lab.database)) as connection:
        connection.execute(text, values)
        connection.commit()


def queue_row(lab: Lab, run_no: int) -> tuple[Any, ...] | None:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute("SELECT needs, due_at, why FROM queue WHERE run_no=?", (run_no,)).fetchone()


async def start_newer(lab: Lab) -> Started:
    """A run whose journal holds an event that this version does not know."""
    started = await lab.start(WAITING)
    await lab.until(lambda: started.run_no not in lab.engine.lives)
    rows = lab.store.load(started.run_no)
    body = orjson.dumps([{"type": "step.dreamt", "step": "w"}])
    insert = "INSERT INTO journal(run_no, seq, epoch, at, events, body) VALUES (?, ?, ?, ?, 1, ?)"
    change(lab, insert, started.run_no, rows[-1].seq + 1, rows[-1].epoch, rows[-1].at, body.decode())
    return started


async def test_run_of_a_newer_version_is_left_to_a_worker_of_that_version(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    started = await start_newer(lab)

    await lab.send(started, "signal", name="go")
    await lab.until(lambda: (queue_row(lab, started.run_no) or (0,))[0] == EVENTS_FORMAT + 1)
    _, due_at, why = queue_row(lab, started.run_no) or (0, 0, "")
    now_ms = lab.clock.now_ms()
    assert due_at <= now_ms
    assert "newer version" in say_why(orjson.loads(why), now_ms)
    assert await settle(lab.engine, started.run_no, None) == "waiting"
    epochs = [row.epoch for row in lab.store.load(started.run_no)]
    assert max(epochs) == 2, "it is claimed once, not again and again"

    monkeypatch.setitem(folding._HANDLERS, "step.dreamt", lambda _state, _event: None)  # pyright: ignore[reportPrivateUsage]
    await lab.open_rival(events_format=EVENTS_FORMAT + 1)

    await lab.until(lambda: (glance := lab.store.glance(started.run_no)) is not None and glance.status == "completed")
    assert lab.book.names() == ["x"]
    assert lab.metrics.left_to_newer._value.get() == 1  # pyright: ignore[reportPrivateUsage]
    change(lab, "DELETE FROM journal WHERE run_no=?", started.run_no)
    change(lab, "DELETE FROM runs WHERE no=?", started.run_no)
    lab.book.path.unlink()  # what was done for a journal that the checker cannot read


async def test_nothing_is_asked_again_and_again_for_what_is_not_for_us(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    started = await start_newer(lab)
    await lab.send(started, "signal", name="go")
    await lab.until(lambda: (queue_row(lab, started.run_no) or (0,))[0] == EVENTS_FORMAT + 1)
    asked = 0
    next_due = lab.store.next_due

    def count() -> int | None:
        nonlocal asked
        asked += 1
        return next_due()

    monkeypatch.setattr(lab.store, "next_due", count)
    looks = lab.engine.settings.poll_ms
    await asyncio.sleep(0.4)

    assert 1 <= asked <= 3 * 400 / looks
    change(lab, "DELETE FROM queue")
    change(lab, "DELETE FROM journal WHERE run_no=?", started.run_no)
    change(lab, "DELETE FROM runs WHERE no=?", started.run_no)


async def test_runs_only_queue_above_the_backlog_and_starts_are_refused_at_twice_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_lab(tmp_path, replace(QUICK, backlog_max=2)) as lab:
        document = lab.define(make_document("- {id: a, uses: test.record, with: {name: x}}\n"))
        backlog = 3
        monkeypatch.setattr(type(lab.engine.committer), "backlog", property(lambda _: backlog))

        queued = await lab.start(document)
        assert queued.run_no not in lab.engine.lives
        assert not lab.engine.intake.has_room()

        backlog = 4
        with pytest.raises(OverloadedError) as refused:
            await lab.start(document)
        assert refused.value.retry_after_s == 1
        assert "try again in 1 s" in refused.value.message

        backlog = 0
        assert (await lab.finish(queued)).status == "completed"


async def test_the_dead_are_looked_for_at_an_interval_of_its_own(lab: Lab):
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: x}}\n"))
    await lab.finish(started)
    swept: list[object] = []
    rival = await lab.open_rival(beat_ms=60_000, sweep_ms=40)
    expire = rival.store.expire
    rival.store.expire = lambda *given: (swept.append(given), expire(*given))[1]  # type: ignore[method-assign]

    await lab.until(lambda: len(swept) >= 3)
    assert rival.worker in lab.store.alive()


async def test_events_for_the_outside_are_stored_with_their_turn_and_told_once_a_commit(tmp_path: Path):
    async with open_lab(tmp_path, replace(QUICK, writes_outbox=True)) as lab:
        told: list[int] = []
        lab.engine.bells._on_outbox = lambda: told.append(1)  # pyright: ignore[reportPrivateUsage]
        child = make_document("- {id: a, uses: test.record, with: {name: y}}\n", name="child")
        lab.define(child)
        limited = "concurrency: {limit: 1}\n"
        calls = lab.define(make_document("- {id: c, uses: flow.call, with: {workflow: child}}\n", limited))
        gate = lab.book.gate("y")
        first = await lab.start(calls)
        second = await lab.start(calls)
        assert second.verdict == "queued"
        gate.set()
        for started in (first, second):
            assert (await lab.finish(started)).status == "completed"
        await lab.until(lambda: bool(told))

        with closing(sqlite3.connect(lab.database)) as connection:
            rows = connection.execute("SELECT aggregate_id, event_type FROM outbox WHERE event_type!='run.waiting'").fetchall()
    kinds = [kind for _, kind in rows]
    assert (kinds.count("run.started"), kinds.count("run.finished")) == (4, 4)
    assert len({run for run, _ in rows}) == 4


async def test_outbox_stays_empty_where_nobody_reads_it(lab: Lab):
    await lab.run(make_document("- {id: a, uses: test.record, with: {name: x}}\n"))

    with closing(sqlite3.connect(lab.database)) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
