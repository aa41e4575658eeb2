"""`GET /runs` and `GET /runs/groups` over HTTP."""

from dataclasses import replace
from typing import Any

import pytest
from tests.runs.api_lab import QUICK, WAITING, ApiLab, ids_of, read_code
from tests.support.lab import WORKSPACE
from tests.support.web_lab import make_caller

from flowforge.web.callers import Rights
from flowforge.workflows.models import WorkflowRow

FAILING = """
flowforge: 1
name: failing
steps:
  - id: pay
    uses: test.record
    with: {name: pay, failures: -1, fatal: true}
"""


async def test_runs_are_listed_the_newest_first_without_what_only_one_run_shows(lab: ApiLab):
    runs = [await lab.start(QUICK) for _ in range(3)]
    page = await lab.get("/runs")
    assert ids_of(page) == [run.run_id for run in reversed(runs)]
    assert not {"progress", "waiting_for", "input", "output"} & page["data"][0].keys()
    rising = await lab.get("/runs", sort="started_at")
    assert ids_of(rising) == [run.run_id for run in runs]


async def test_list_goes_on_where_the_page_before_ended(lab: ApiLab):
    runs = [await lab.start(QUICK) for _ in range(5)]
    seen: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = await lab.get("/runs", **query)
        seen += ids_of(page)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [run.run_id for run in reversed(runs)]


async def test_runs_are_found_by_every_filter(lab: ApiLab):
    trigger = "trg_" + "3" * 26
    done = (await lab.start(QUICK, subject="order-1", labels={"env": "prod"}, actor=f"trigger:{trigger}")).run_id
    waiting = (await lab.start(WAITING, subject="order-2", labels={"env": "test"})).run_id
    failed = (await lab.start(FAILING)).run_id
    row = next(row for row in (await lab.get("/runs"))["data"] if row["id"] == waiting)
    expected_by_filter: dict[str, set[str]] = {
        "status:eq:waiting": {waiting},
        "status:in:completed,failed": {done, failed},
        "subject:eq:order-1": {done},
        "subject:starts_with:order-": {done, waiting},
        "labels.env:eq:prod": {done},
        "labels.env:in:prod,test": {done, waiting},
        "labels.env:starts_with:te": {waiting},
        f"trigger_id:eq:{trigger}": {done},
        "error_code:eq:broken": {failed},
        "version:eq:1": {done, waiting, failed},
        "version:eq:2": set(),
        f"started_at:ge:{row['started_at']}": {waiting, failed},
        f"started_at:lt:{row['started_at']}": {done},
        "finished_at:gt:2020-01-01T00:00:00Z": {done, failed},
        f"id:eq:{failed}": {failed},
    }
    for where, expected in expected_by_filter.items():
        found = ids_of(await lab.get("/runs", where=where))
        assert set(found) == expected, where


async def test_all_filters_hold_together(lab: ApiLab):
    await lab.start(QUICK, subject="order-1", labels={"env": "prod"})
    wanted = await lab.start(QUICK, subject="order-2", labels={"env": "prod"})
    await lab.start(WAITING, subject="order-2", labels={"env": "prod"})
    where = ["status:eq:completed", "subject:eq:order-2", "labels.env:eq:prod"]
    assert ids_of(await lab.get("/runs", where=where)) == [wanted.run_id]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=201", "limit"),
        ("limit=1e9", "limit"),
        ("limit=abc", "limit"),
        ("cursor=forged", "cursor_invalid"),
        ("cursor=WzEsMiwzXQ==", "cursor_invalid"),
        ("offset=1", "parameter_unknown"),
    ],
)
async def test_api_23_list_parameters(lab: ApiLab, query: str, code: str):
    answer = await lab.client.get(f"/api/v1/runs?{query}")
    assert (answer.status_code, read_code(answer)) == (422, code)


async def test_api_23_cursor_of_another_filter(lab: ApiLab):
    for _ in range(2):
        await lab.start(QUICK)
    cursor = (await lab.get("/runs", limit=1))["next_cursor"]
    answer = await lab.client.get("/api/v1/runs", params={"cursor": cursor, "where": "status:eq:failed"})
    assert (answer.status_code, read_code(answer)) == (422, "cursor_invalid")
    lab.web.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    answer = await lab.client.get("/api/v1/runs", params={"cursor": cursor})
    assert (answer.status_code, read_code(answer)) == (422, "cursor_invalid")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sort=name;drop table x", "sort_unknown"),
        ("sort=password_hash", "sort_unknown"),
        ("sort=finished_at", "sort_unknown"),
        ("where=password_hash:eq:x", "where_unknown"),
        ("where=status:contains:a", "where_unknown"),
        ("where=subject:ne:a", "where_unknown"),
        ("where=status:eq:broken", "where_invalid"),
        ("where=started_at:ge:yesterday", "where_invalid"),
        ("where=version:eq:9999999999999", "where_invalid"),
        ("where=workflow_id:eq:' OR 1=1", "where_invalid"),
        ("where=status", "where_invalid"),
        ("q=x", "parameter_unknown"),
    ],
)
async def test_api_24_unknown_fields_and_ops(lab: ApiLab, query: str, code: str):
    answer = await lab.client.get(f"/api/v1/runs?{query}")
    assert (answer.status_code, read_code(answer)) == (422, code)


@pytest.mark.parametrize(
    "at",
    [
        "2026-02-30T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-02-01T00:00:00",
        "2026-02-01",
        "2026-02-01T25:00Z",
    ],
)
async def test_api_36_a_time_that_is_none(lab: ApiLab, at: str):
    answer = await lab.client.get("/api/v1/runs", params={"where": f"started_at:ge:{at}"})
    assert (answer.status_code, read_code(answer)) == (422, "where_invalid")


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '")', "a:b:c"])
async def test_api_25_values_are_literal(lab: ApiLab, text: str):
    await lab.start(QUICK, subject="order", labels={"env": "prod"})
    run = await lab.start(QUICK, subject=f"{text}1", labels={"env": f"{text}1"})
    for where in (f"subject:starts_with:{text}", f"subject:eq:{text}1", f"labels.env:starts_with:{text}"):
        assert ids_of(await lab.get("/runs", where=where)) == [run.run_id], where


async def test_api_26_repeated_parameter(lab: ApiLab):
    answer = await lab.client.get("/api/v1/runs?limit=1&limit=99")
    assert (answer.status_code, read_code(answer)) == (422, "parameter_repeated")


async def test_api_21_list_holds_no_run_of_another_workspace(lab: ApiLab):
    run = await lab.start(QUICK, labels={"env": "prod"}, subject="order")
    lab.web.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    for where in (
        None,
        f"id:eq:{run.run_id}",
        "labels.env:eq:prod",
        "subject:starts_with:o",
        "status:eq:completed",
        "version:eq:1",
    ):
        page = await lab.get("/runs", **({} if where is None else {"where": where}))
        assert page == {"data": [], "next_cursor": None}, where
    assert (await lab.get("/runs/groups", by="status"))["data"] == []


async def test_groups_count_what_runs_have_in_common(lab: ApiLab):
    for _ in range(2):
        await lab.start(FAILING)
    await lab.start(QUICK)
    await lab.start(WAITING)
    by_error = (await lab.get("/runs/groups", by="error_key"))["data"]
    assert [(group["key"], group["count"]) for group in by_error] == [("pay:broken", 2)]
    by_status = (await lab.get("/runs/groups", by="status"))["data"]
    assert {group["key"]: group["count"] for group in by_status} == {"failed": 2, "completed": 1, "waiting": 1}
    first = await lab.get("/runs/groups", by="status", limit=1)
    second = await lab.get("/runs/groups", by="status", limit=2, cursor=first["next_cursor"])
    assert [group["key"] for group in [*first["data"], *second["data"]]] == ["failed", "completed", "waiting"]
    only = await lab.get("/runs/groups", by="workflow_id", where="status:eq:failed")
    assert [(group["key"], group["count"]) for group in only["data"]] == [("wf_failing", 2)]
    answer = await lab.client.get("/api/v1/runs/groups", params={"by": "subject"})
    assert (answer.status_code, read_code(answer)) == (422, "choice")


async def test_a11_rights_in_one_project_show_and_change_its_runs_alone(lab: ApiLab):
    mine, theirs, placeless = (
        await lab.start(WAITING),
        await lab.start(WAITING.replace("order", "foreign")),
        await lab.start(QUICK),
    )
    async with lab.web.call().change() as session:
        for name, project_id in (("order", "prj_mine"), ("foreign", "prj_theirs")):
            told: dict[str, Any] = {"name": name, "title": name, "description": "", "labels": "{}", "project_id": project_id}
            told |= {"created_at": 0, "created_by": "x", "updated_at": 0, "updated_by": "x", "workspace_id": WORKSPACE}
            session.add(WorkflowRow(id=f"wf_{name}", **told))
    rights = Rights(projects={"prj_mine": frozenset({"run:read", "run:operate", "run:cancel"})})
    lab.web.gate.caller = replace(make_caller("nothing:at_all"), rights=rights)
    assert ids_of(await lab.get("/runs")) == [mine.run_id]
    assert [row["count"] for row in (await lab.get("/runs/groups", by="workflow_id"))["data"]] == [1]
    assert (await lab.get(f"/runs/{mine.run_id}"))["id"] == mine.run_id
    for foreign in (theirs, placeless):
        assert (await lab.client.get(f"/api/v1/runs/{foreign.run_id}")).status_code == 404
        assert (await lab.post(f"/runs/{foreign.run_id}/cancel")).status_code == 404
        assert (await lab.post("/runs/bulk", {"action": "cancel", "ids": [foreign.run_id]})).status_code == 404
    told = (await lab.post("/runs/bulk", {"action": "cancel", "where": ["status:eq:waiting"], "dry_run": True})).json()
    assert told["matched"] == 1
    assert (await lab.post("/signals", {"name": "approved"})).status_code == 403
    assert lab.engine.read(theirs).of("run.mail") == []
