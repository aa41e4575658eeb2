"""Events for the outside: what a turn's commit stores is what the journal tells afterwards, under the same numbers."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, WORKSPACE, Lab, open_lab

from flowforge.engine.executor import Started
from flowforge.runs.events import EventStream
from flowforge.runs.history import History
from flowforge.runs.types import JournalTurn


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, replace(QUICK, writes_outbox=True)) as opened:
        yield opened


def stored(lab: Lab, run_id: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(lab.database)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM outbox WHERE aggregate_id=? ORDER BY no", (run_id,)).fetchall()
    assert all(row["workspace_id"] == WORKSPACE and row["aggregate_type"] == "run" for row in rows)
    return [{"type": row["event_type"], **orjson.loads(row["payload"]), "at": row["created_at"]} for row in rows]


def derived(lab: Lab, run_no: int) -> list[dict[str, Any]]:
    digest = lab.events(run_no)[0]["workflow"]["digest"]  # type: ignore[typeddict-item]
    stream = EventStream(History(lab.engine.programs.find(digest).workflow))  # type: ignore[union-attr]
    turns = [JournalTurn(row.seq, row.at, orjson.loads(row.body)) for row in lab.store.load(run_no)]
    return [
        {"type": event.type, "seq": event.seq, "actor": event.actor, "data": event.data, "at": event.at_ms}
        for turn in turns
        for event in stream.read(turn)
        if event.type.startswith("run.")
    ]


def check_same(lab: Lab, started: Started, *types: str) -> list[dict[str, Any]]:
    events = stored(lab, started.run_id)
    assert events == derived(lab, started.run_no)
    assert [event["type"] for event in events] == [f"run.{kind}" for kind in types]
    return events


async def test_start_and_end_are_told(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
    start, end = check_same(lab, outcome.started, "started", "finished")
    assert start["data"]["triggered_by"] == "user:tester"
    assert end["data"]["status"] == "completed"
    assert end["data"]["duration_ms"] >= 0


async def test_failure_is_told_with_its_step(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: flow.fail, with: {code: no_stock, message: None left.}}\n"))
    _, end = check_same(lab, outcome.started, "started", "finished")
    assert (end["data"]["failed_step"], end["data"]["error"]["code"]) == ("a", "no_stock")


async def test_waiting_is_told_each_time_it_begins_and_not_while_an_attempt_is_under_way(lab: Lab):
    steps = """
- {id: first, uses: flow.wait, with: {signal: go}}
- {id: a, uses: test.record, with: {name: a}}
- {id: second, uses: flow.wait, with: {signal: on}}
"""
    started = await lab.start(make_document(steps))
    await lab.finish(started, 300)
    await lab.send(started, "signal", name="other", payload=1)
    await lab.send(started, "signal", name="go", payload=1)
    await lab.until(lambda: len(stored(lab, started.run_id)) == 3)
    await lab.send(started, "pause")
    await lab.until(lambda: len(stored(lab, started.run_id)) == 4)
    await lab.send(started, "resume")
    await lab.send(started, "signal", name="on", payload=1)
    assert (await lab.finish(started)).status == "completed"
    events = check_same(lab, started, "started", "waiting", "waiting", "paused", "resumed", "finished")
    assert [event["data"]["waiting_for"][0]["ref"]["name"] for event in events[1:3]] == ["go", "on"]
    assert events[3]["actor"] == "user:tester"


async def test_run_that_goes_on_in_another_engine_tells_on_from_where_it_was(lab: Lab):
    started = await lab.start(make_document("- {id: first, uses: flow.wait, with: {signal: go}}\n"))
    await lab.finish(started, 300)
    await lab.crash()
    lab.advance(60_000)
    await lab.restart()
    await lab.send(started, "signal", name="other", payload=1)
    await lab.send(started, "signal", name="go", payload=1)
    await lab.finish(started)
    check_same(lab, started, "started", "waiting", "finished")


async def test_called_run_tells_of_itself_and_its_caller_of_waiting_for_it(lab: Lab):
    lab.define(make_document("- {id: w, uses: flow.wait, with: {signal: go}}\n", name="callee"))
    started = await lab.start(make_document("- {id: sub, uses: flow.call, with: {workflow: callee}}\n", name="caller"))
    await lab.until(lambda: len(stored(lab, started.run_id)) == 2)
    child = stored(lab, started.run_id)[1]["data"]["waiting_for"][0]["ref"]["run"]
    await lab.until(lambda: len(stored(lab, child)) == 2)
    assert [event["type"] for event in stored(lab, child)] == ["run.started", "run.waiting"]
    await lab.send(started, "cancel")
    await lab.until(lambda: len(stored(lab, started.run_id)) == 3)
    events = check_same(lab, started, "started", "waiting", "finished")
    assert events[2]["data"]["status"] == "cancelled"


async def test_retry_and_a_person_are_waited_for(lab: Lab):
    steps = "- {id: a, uses: test.record, with: {name: a, failures: 2}, retry: {attempts: 2, initial: 50ms}, on_error: ask}\n"
    started = await lab.start(make_document(steps))
    await lab.until(lambda: len(stored(lab, started.run_id)) >= 3)
    events = check_same(lab, started, "started", "waiting", "waiting")
    kinds = [event["data"]["waiting_for"][0]["kind"] for event in events[1:]]
    assert kinds == ["retry", "attention"]


async def test_nothing_is_stored_where_nobody_asked_for_it(tmp_path: Path):
    async with open_lab(tmp_path) as quiet:
        outcome = await quiet.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
        assert stored(quiet, outcome.started.run_id) == []
