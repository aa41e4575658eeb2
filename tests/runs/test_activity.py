"""What workflows ask of their runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import insert
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.engine.store import NewMail
from flowforge.engine.tables import runs
from flowforge.kit.database.session import Database
from flowforge.runs.activity import RunActivity
from flowforge.runs.starting import Runner

WORKSPACE = "ws_" + "0" * 26


class FakeRunner:
    def __init__(self) -> None:
        self.delivered: list[NewMail] = []

    async def deliver(self, mail: NewMail) -> None:
        self.delivered.append(mail)


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database


async def fill(database: Database) -> None:
    """Runs 1 to 8, each started in its millisecond: of `a` the odd, of `b` the even; 7 and 8 are open; 9 is another workspace's."""
    row = {
        "workspace_id": WORKSPACE,
        "workflow_name": "x",
        "digest": "",
        "status": "completed",
        "priority": 5,
        "actor": "user:ann",
    }
    numbers = {"epoch": 1, "mail": 0, "crashes": 0, "events": 0, "bytes": 0, "counted_seq": 0}
    rows = [
        row
        | numbers
        | {"no": no, "id": f"run_{no}", "started_at": no, "finished_at": None if no > 6 else no}
        | {"workflow_id": "a" if no % 2 else "b", "status": "running" if no > 6 else "completed"}
        for no in range(1, 10)
    ]
    rows[-1]["workspace_id"] = "ws_" + "1" * 26
    async with database.write.begin() as session:
        await session.execute(insert(runs), rows)


async def test_last_runs_of_each_workflow_the_newest_first(database: Database):
    await fill(database)
    activity = RunActivity(cast("Runner", FakeRunner()), database.read)
    async with database.read() as session:
        found = await activity.list_recent(session, WORKSPACE, ["a", "b", "none"], 3)
        assert await activity.list_recent(session, WORKSPACE, [], 3) == {}
    assert {name: [run.id for run in runs] for name, runs in found.items()} == {
        "a": ["run_7", "run_5", "run_3"],
        "b": ["run_8", "run_6", "run_4"],
    }
    assert (found["a"][0].status, found["a"][0].started_at_ms) == ("running", 7)


async def test_page_of_two_hundred_workflows_is_one_statement(database: Database):
    await fill(database)
    activity = RunActivity(cast("Runner", FakeRunner()), database.read)
    async with database.read() as session:
        names = [*(f"w{number}" for number in range(199)), "a"]
        found = await activity.list_recent(session, WORKSPACE, names, 20)
    assert [run.id for run in found["a"]] == ["run_7", "run_5", "run_3", "run_1"]


async def test_open_runs_are_counted_and_cancelled(database: Database):
    await fill(database)
    runner = FakeRunner()
    activity = RunActivity(cast("Runner", runner), database.read)
    async with database.read() as session:
        assert await activity.count_open(session, WORKSPACE, "a") == 1
        assert await activity.count_open(session, WORKSPACE, "none") == 0
    assert await activity.cancel_open(WORKSPACE, "a", "user:ann") == 1
    assert [(mail.run_no, mail.kind, mail.by) for mail in runner.delivered] == [(7, "cancel", "user:ann")]
