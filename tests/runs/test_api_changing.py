"""`PATCH /runs/*`: what a person changes of a run beside its input."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.runs.api_lab import QUICK, WAITING, ApiLab, ids_of, read_code
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.audit.models import AuditRow
from flowforge.engine.tables import jobs, queue, run_labels, runs
from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.kit.ids import make_id
from flowforge.runs.changing import change_run
from flowforge.runs.service import get_run


async def patch(lab: ApiLab, run_id: str, body: Any, code: int = 200, **options: Any) -> Any:
    answer = await lab.client.patch(f"/api/v1/runs/{run_id}", json=body, **options)
    assert answer.status_code == code, answer.text
    return answer


async def test_labels_and_subject_are_merged_and_lists_find_the_run_by_them(lab: ApiLab):
    run = await lab.start(QUICK, labels={"region": "north", "team": "a"}, subject="order-1")
    changed = (await patch(lab, run.run_id, {"labels": {"region": "south", "team": None}, "subject": None})).json()
    assert (changed["labels"], changed["subject"], changed["priority"]) == ({"region": "south"}, None, 5)
    assert ids_of(await lab.get("/runs", where="labels.region:eq:south")) == [run.run_id]
    assert ids_of(await lab.get("/runs", where="labels.team:eq:a")) == []
    async with lab.web.call().read() as session:
        (row,) = (await session.scalars(select(AuditRow))).all()
    assert (row.action, row.entity_id) == ("run.updated", run.run_id)
    assert '"team":"a"' in str(row.before)
    assert "team" not in str(row.after)


async def test_change_of_another_state_is_refused_and_names_the_present_one(lab: ApiLab):
    run = await lab.start(WAITING)
    etag = (await lab.client.get(f"/api/v1/runs/{run.run_id}")).headers["etag"]
    after = await patch(lab, run.run_id, {"priority": 1}, headers={"If-Match": etag})
    stale = await patch(lab, run.run_id, {"priority": 2}, 412, headers={"If-Match": etag})
    assert stale.headers["etag"] == after.headers["etag"] != etag
    assert (await lab.get(f"/runs/{run.run_id}"))["priority"] == 1


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"priority": 10}, "priority", "range"),
        ({"priority": None}, "priority", "type"),
        ({"labels": {"a": ""}}, "labels.a", "length"),
        ({"labels": {f"n{number}": "x" for number in range(50)}}, "labels", "items"),
        ({"status": "failed"}, "status", "field_unknown"),
    ],
)
async def test_what_a_start_would_refuse_is_refused(lab: ApiLab, body: Any, field: str, code: str):
    run = await lab.start(WAITING, labels={"one": "more"})
    (detail,) = (await patch(lab, run.run_id, body, 422)).json()["error"]["details"]
    assert (detail["field"], detail["code"]) == (field, code)


async def test_priority_of_an_ended_run_is_past_changing(lab: ApiLab):
    run = await lab.start(QUICK)
    assert read_code(await patch(lab, run.run_id, {"priority": 1}, 409)) == "run_ended"


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database


async def test_run_that_waits_moves_in_its_queues_on_every_database(database: Database):
    run_id = make_id("run")
    given = {"workflow_id": "wf_1", "workflow_name": "order", "digest": "d", "actor": "user:ann"}
    counts = {"epoch": 1, "mail": 0, "crashes": 0, "events": 1, "bytes": 1, "counted_seq": 1}
    place = {"workspace_id": WORKSPACE, "priority": 5}
    async with database.write.begin() as session:
        await session.execute(insert(runs).values(no=1, id=run_id, status="queued", started_at=1, **place, **given, **counts))
        await session.execute(insert(queue).values(run_no=1, suspect=0, due_at=1, cause="due", since=1, **place))
        await session.execute(
            insert(jobs).values(run_no=1, key="s", attempt=1, queue="heavy", status="queued", at=1, epoch=0, params="{}", **place)
        )
        await session.execute(insert(run_labels).values(run_no=1, key="a", value="1", workspace_id=WORKSPACE, started_at=1))
    async with database.write.begin() as session:
        found = await get_run(session, WORKSPACE, run_id)
        change = {"priority": 2, "labels": {"b": "2"}, "subject": "x"}
        before, after = await change_run(session, found, change, if_match=None)  # type: ignore[arg-type]
    assert after == replace(before, priority=2, labels={"a": "1", "b": "2"}, subject="x")
    async with database.read() as session:
        assert await get_run(session, WORKSPACE, run_id) == after
        assert [await session.scalar(select(table.c.priority)) for table in (runs, queue, jobs)] == [2, 2, 2]
