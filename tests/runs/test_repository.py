from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.engine.store import NewEvent
from flowforge.engine.tables import events, journal, queue, run_labels, runs, step_logs
from flowforge.kit.database.session import read_time_ms
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.repository import insert_event
from flowforge.runs.service import (
    RunFilter,
    find_queue_row,
    get_run,
    list_finished_runs,
    list_logs,
    list_open_runs,
    list_runs,
    load_run,
    read_journal,
)
from flowforge.web.errors import ParameterError

OTHER = "ws_" + "1" * 26


@pytest.fixture(params=KINDS)
async def session(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncSession]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database, database.write() as session:
        yield session


async def put(session: AsyncSession, no: int, *, labels: dict[str, str] | None = None, **fields: Any) -> None:
    """A run's row as the engine's store writes it."""
    row: dict[str, Any] = {
        "no": no,
        "id": f"run_{no}",
        "workspace_id": WORKSPACE,
        "workflow_id": "wf_1",
        "workflow_name": "order",
        "version": 1,
        "digest": "d",
        "status": "completed",
        "priority": 5,
        "actor": "user:ann",
        "epoch": 1,
        "mail": 0,
        "crashes": 0,
        "started_at": 1_000 * no,
        "finished_at": 1_000 * no + 500,
        "events": 1,
        "bytes": 1,
        "counted_seq": 1,
        **fields,
    }
    await session.execute(insert(runs).values(**row))
    for key, value in (labels or {}).items():
        values = {"run_no": no, "key": key, "workspace_id": row["workspace_id"], "value": value, "started_at": row["started_at"]}
        await session.execute(insert(run_labels).values(**values))


async def found(session: AsyncSession, **wanted: Any) -> list[int]:
    return [header.no for header in (await list_runs(session, WORKSPACE, RunFilter(**wanted))).items]


async def test_runs_are_listed_the_newest_first_in_pages(session: AsyncSession):
    for no in range(1, 8):
        await put(session, no, started_at=1_000 * (no // 2))
    seen: list[int] = []
    cursor = None
    while True:
        page = await list_runs(session, WORKSPACE, RunFilter(), cursor=cursor, limit=3)
        seen += [header.no for header in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_every_filter_holds(session: AsyncSession):
    await put(session, 1, labels={"team": "a", "kind": "x"}, subject="order 1")
    await put(session, 2, labels={"team": "b"}, status="failed", error_code="timeout")
    await put(session, 3, labels={"team": "a"}, workflow_id="wf_2", workflow_name="other", version=4)
    await put(session, 4, status="waiting", finished_at=None)
    assert await found(session, statuses=("failed", "waiting")) == [4, 2]
    assert await found(session, statuses=("waiting",)) == [4]
    assert await found(session, workflow="other") == [3]
    assert await found(session, workflow="wf_1") == [4, 2, 1]
    assert await found(session, version=4) == [3]
    assert await found(session, since_ms=2_000, until_ms=4_000) == [3, 2]
    assert await found(session, subject="order 1") == [1]
    assert await found(session, error_codes=("timeout",)) == [2]
    assert await found(session, labels={"team": "a"}) == [3, 1]
    assert await found(session, labels={"team": "a", "kind": "x"}) == [1]
    assert await found(session, labels={"team": "a"}, workflow="order") == [1]


@pytest.mark.parametrize("hostile", ["' OR '1'='1", '") OR 1=1 --', "%", "_", "x'; DROP TABLE runs; --", "\\"])
async def test_a12_what_a_filter_is_given_is_taken_literally(session: AsyncSession, hostile: str):
    await put(session, 1, subject="order 1", labels={"team": "a"})
    await put(session, 2, subject=hostile, labels={"team": hostile})
    assert await found(session, subject=hostile) == [2]
    assert await found(session, labels={"team": hostile}) == [2]
    assert await found(session, labels={hostile: "a"}) == []
    assert await found(session, workflow=hostile) == []
    assert await found(session, error_codes=(hostile,)) == []


async def test_labels_come_with_their_runs(session: AsyncSession):
    await put(session, 1, labels={"b": "2", "a": "1"})
    assert (await get_run(session, WORKSPACE, "run_1")).labels == {"a": "1", "b": "2"}
    assert [header.labels for header in (await list_runs(session, WORKSPACE, RunFilter())).items] == [{"a": "1", "b": "2"}]


async def test_cursor_of_another_list_is_refused(session: AsyncSession):
    for no in (1, 2):
        await put(session, no)
    cursor = (await list_runs(session, WORKSPACE, RunFilter(), limit=1)).cursor
    assert cursor is not None
    for bad, wanted in ((cursor, RunFilter(subject="x")), ("nonsense", RunFilter()), ("e30=", RunFilter()), ("ü", RunFilter())):
        with pytest.raises(ParameterError):
            await list_runs(session, WORKSPACE, wanted, cursor=bad, limit=1)


async def test_open_and_finished_runs_are_told_apart(session: AsyncSession):
    await put(session, 1)
    await put(session, 2, finished_at=None, status="running", owner=7)
    await put(session, 3, finished_at=None, status="queued", workflow_id="wf_2")
    await put(session, 4, finished_at=1_400)
    assert [header.no for header in await list_open_runs(session, WORKSPACE)] == [2, 3]
    assert [header.no for header in await list_open_runs(session, WORKSPACE, workflow_id="wf_2")] == [3]
    assert [header.no for header in await list_finished_runs(session, WORKSPACE, after=(0, 0))] == [4, 1]
    assert [header.no for header in await list_finished_runs(session, WORKSPACE, after=(1_400, 4))] == [1]
    header = await get_run(session, WORKSPACE, "run_2")
    assert (header.owner, header.is_open, header.duration_ms) == (7, True, None)


async def test_other_workspace_sees_nothing(session: AsyncSession):
    await put(session, 1, workspace_id=OTHER, labels={"team": "a"})
    await session.execute(insert(journal).values(run_no=1, seq=1, epoch=1, at=1, events=0, body="[]"))
    theirs = await get_run(session, OTHER, "run_1")
    assert len(await read_journal(session, theirs)) == 1
    with pytest.raises(RunNotFoundError):
        await get_run(session, WORKSPACE, "run_1")
    assert await found(session) == []
    await put(session, 2)
    ours = await get_run(session, WORKSPACE, "run_2")
    assert await read_journal(session, ours) == []


async def test_journal_is_read_from_a_row_on(session: AsyncSession):
    await put(session, 1)
    for seq in (1, 2, 3):
        await session.execute(insert(journal).values(run_no=1, seq=seq, epoch=1, at=10 * seq, events=0, body="[]"))
    header = await get_run(session, WORKSPACE, "run_1")
    assert [(turn.seq, turn.at_ms) for turn in await read_journal(session, header, after_seq=1)] == [(2, 20), (3, 30)]


async def test_log_lines_are_read_on_from_the_last_one(session: AsyncSession):
    await put(session, 1)
    for number in range(3):
        line = {
            "run_no": 1,
            "at": number,
            "level": "info",
            "step": "a",
            "attempt": 1,
            "message": f"m{number}",
            "fields": '{"n": 1}',
        }
        await session.execute(insert(step_logs).values(**line))
    header = await get_run(session, WORKSPACE, "run_1")
    lines, last_no = await list_logs(session, header)
    assert [(line.message, line.fields) for line in lines] == [("m0", {"n": 1}), ("m1", {"n": 1}), ("m2", {"n": 1})]
    assert await list_logs(session, header, after_no=last_no) == ([], last_no)


async def test_queue_row_says_what_the_run_waits_for(session: AsyncSession):
    await put(session, 1, finished_at=None, status="waiting")
    header = await get_run(session, WORKSPACE, "run_1")
    assert await find_queue_row(session, header) is None
    row = {
        "run_no": 1,
        "workspace_id": WORKSPACE,
        "suspect": 0,
        "priority": 5,
        "due_at": 9,
        "cause": "due",
        "why": "{}",
        "since": 3,
    }
    await session.execute(insert(queue).values(**row))
    found = await find_queue_row(session, header)
    assert found is not None
    assert (found.cause, found.due_at_ms, found.why, found.since_ms) == ("due", 9, "{}", 3)


async def test_event_has_no_earlier_time_than_the_server_had_when_it_came(session: AsyncSession):
    async def store(at_ms: int) -> int:
        number = await insert_event(session, WORKSPACE, NewEvent(WORKSPACE, "go", None, b"{}", "someone", at_ms))
        stored = await session.scalar(select(events.c.at).where(events.c.no == number))
        assert stored is not None
        return stored

    server_ms = await read_time_ms(session)

    assert await store(7) >= (server_ms or 7)
    assert await store(9_000_000_000_000) == 9_000_000_000_000


async def test_run_without_its_definition_is_told(session: AsyncSession):
    await put(session, 1)
    with pytest.raises(InvariantError):
        await load_run(session, WORKSPACE, "run_1", compile_definition=lambda _: None)
