"""`GET /runs/*` and what belongs to a run, over HTTP, of runs that a real engine made."""

import asyncio

from tests.runs.api_lab import QUICK, WAITING, ApiLab, read_code
from tests.support.web_lab import ANONYMOUS, make_caller

OTHER_WORKSPACE = "ws_" + "1" * 26
CALLER = """
flowforge: 1
name: parent
steps:
  - id: ask
    uses: flow.call
    with: {workflow: order}
"""
LOOP = """
flowforge: 1
name: loop
steps:
  - id: items
    uses: flow.foreach
    with: {items: [1, 2, 3]}
    steps:
      - id: note
        uses: test.record
        with: {name: "n${{ item }}", value: "${{ item }}"}
"""
GATED = """
flowforge: 1
name: gated
steps:
  - id: pay
    uses: test.record
    with: {name: pay}
"""
ASKING = """
flowforge: 1
name: asking
steps:
  - id: pay
    uses: test.record
    with: {name: pay, failures: -1, fatal: true}
    on_error: ask
"""


async def test_run_that_waits_shows_what_it_waits_for(lab: ApiLab):
    run = await lab.start(WAITING, {}, labels={"env": "test"}, subject="order-7")
    shown = await lab.get(f"/runs/{run.run_id}")
    assert shown["status"] == "waiting"
    wait = shown["waiting_for"][0]
    assert (wait["kind"], wait["ref"]["step"], wait["ref"]["name"]) == ("signal", "approve", "approved")
    progress = shown["progress"]
    assert progress["completed"] == 0
    assert progress["total"] == 2
    assert progress["current"] == ["approve"]
    assert (shown["labels"], shown["subject"], shown["triggered_by"]) == ({"env": "test"}, "order-7", "user:tester")
    assert shown["last_seq"] >= 1
    assert shown["started_at"].endswith("Z")
    assert shown["output"] is None


async def test_ended_run_shows_its_output(lab: ApiLab):
    run = await lab.start(QUICK)
    shown = await lab.get(f"/runs/{run.run_id}")
    assert (shown["status"], shown["output"], shown["waiting_for"]) == ("completed", {"n": 1}, [])
    assert shown["progress"]["percentage"] == 100
    assert shown["progress"]["estimated_end_at"] is None


async def test_answer_waits_for_the_end_of_the_run(lab: ApiLab):
    pinned = lab.engine.define(GATED)
    gate = lab.engine.book.gate("pay")
    run = await lab.engine.start(pinned)
    asked = asyncio.create_task(lab.get(f"/runs/{run.run_id}", wait="20s"))
    await lab.engine.until(lambda: lab.engine.book.names() == ["pay"])
    assert not asked.done()
    gate.set()
    assert (await asked)["status"] == "completed"
    answer = await lab.client.get(f"/api/v1/runs/{run.run_id}?wait=2m")
    assert (answer.status_code, read_code(answer)) == (422, "wait")


async def test_end_is_estimated_by_earlier_runs_of_the_version(lab: ApiLab):
    pinned = lab.engine.define(WAITING)
    first = await lab.start(pinned)
    lab.engine.advance(60_000)
    await lab.engine.send(first, "signal", name="approved", payload=None)
    assert (await lab.finish(first)).status == "completed"
    second = await lab.start(pinned)
    assert (await lab.get(f"/runs/{second.run_id}"))["progress"]["estimated_end_at"] is not None


async def test_api_20_id_of_a_run(lab: ApiLab):
    run = await lab.start(QUICK)
    for wrong in ("wf_" + run.run_id[4:], run.run_id[:-1], run.run_id[:-1] + "u", "0190163d-8694-739b-aea5-966c26f8ad91"):
        answer = await lab.client.get(f"/api/v1/runs/{wrong}")
        assert (answer.status_code, read_code(answer)) == (422, "id_invalid"), wrong
    assert (await lab.client.get("/api/v1/runs/run_" + "0" * 26)).status_code == 404
    assert (await lab.get(f"/runs/{run.run_id.upper()}"))["id"] == run.run_id


async def test_api_21_run_of_another_workspace_is_an_unknown_one(lab: ApiLab):
    run = await lab.start(WAITING)
    unknown = "run_" + "0" * 26
    lab.web.gate.caller = make_caller(workspace_id=OTHER_WORKSPACE)
    for tail in ("", "/steps", "/steps/approve", "/logs", "/effects", "/tree", "/why", "/diagnose", "/export"):
        found = await lab.client.get(f"/api/v1/runs/{run.run_id}{tail}")
        missing = await lab.client.get(f"/api/v1/runs/{unknown}{tail}")
        assert found.status_code == missing.status_code == 404
        assert found.json()["error"]["message"] == missing.json()["error"]["message"].replace(unknown, run.run_id)


async def test_whoever_started_a_run_sees_it_without_run_read(lab: ApiLab):
    run = await lab.start(QUICK, actor="user:usr_" + "1" * 26)
    other = await lab.start(QUICK)
    lab.web.gate.caller = make_caller("workflow:start")
    assert (await lab.get(f"/runs/{run.run_id}"))["id"] == run.run_id
    assert (await lab.client.get(f"/api/v1/runs/{other.run_id}")).status_code == 404
    assert (await lab.client.get("/api/v1/runs")).status_code == 403
    lab.web.gate.caller = ANONYMOUS
    assert (await lab.client.get(f"/api/v1/runs/{run.run_id}")).status_code == 401


async def test_steps_are_listed_in_pages_with_filters(lab: ApiLab):
    run = await lab.start(LOOP)
    path = f"/runs/{run.run_id}/steps"
    whole = await lab.get(path, counts=True, buckets=2)
    assert [(step["iteration"], step["id"]) for step in whole["data"]] == [
        ("", "items"),
        ("items.0", "note"),
        ("items.1", "note"),
        ("items.2", "note"),
    ]
    assert whole["counts"] == {"completed": 4}
    assert whole["buckets"] == ["completed", "completed"]
    seen: list[str] = []
    cursor = None
    while True:
        page = await lab.get(path, limit=3, container="items", **({} if cursor is None else {"cursor": cursor}))
        seen += [step["iteration"] for step in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["items.0", "items.1", "items.2"]
    assert len((await lab.get(path, step="note", iteration="items.1"))["data"]) == 1
    assert (await lab.get(path, status="failed"))["data"] == []
    first = await lab.get(path, limit=1)
    answer = await lab.client.get(f"/api/v1{path}", params={"cursor": first["next_cursor"], "step": "note"})
    assert (answer.status_code, read_code(answer)) == (422, "cursor_invalid")


async def test_step_shows_its_values_whole(lab: ApiLab):
    run = await lab.start(LOOP)
    shown = await lab.get(f"/runs/{run.run_id}/steps/note", iteration="items.1")
    attempt = shown["attempts"][0]
    assert attempt["input"]["value"] == 2
    assert attempt["input"]["name"] == "n2"
    assert attempt["output"] == shown["output"]
    answer = await lab.client.get(f"/api/v1/runs/{run.run_id}/steps/nothing")
    assert (answer.status_code, read_code(answer)) == (404, "step_unknown")


async def test_effects_are_listed_in_pages(lab: ApiLab):
    run = await lab.start(LOOP)
    first = await lab.get(f"/runs/{run.run_id}/effects", limit=2)
    second = await lab.get(f"/runs/{run.run_id}/effects", limit=2, cursor=first["next_cursor"])
    effects = [*first["data"], *second["data"]]
    assert [effect["iteration"] for effect in effects] == ["items.0", "items.1", "items.2"]
    assert {effect["state"] for effect in effects} == {"confirmed"}
    assert second["next_cursor"] is None


async def test_tree_shows_callers_and_called(lab: ApiLab):
    lab.engine.define(WAITING)
    parent = await lab.start(CALLER)
    tree = await lab.get(f"/runs/{parent.run_id}/tree")
    assert [(row["depth"], row["workflow"]) for row in tree["data"]] == [(0, "parent"), (1, "order")]
    child = tree["data"][1]
    assert child["parent"] == parent.run_id
    below = await lab.get(f"/runs/{child['id']}/tree")
    assert [(row["depth"], row["id"]) for row in below["data"]] == [(-1, parent.run_id), (0, child["id"])]
    paged = await lab.get(f"/runs/{parent.run_id}/tree", limit=1)
    rest = await lab.get(f"/runs/{parent.run_id}/tree", limit=1, cursor=paged["next_cursor"])
    assert rest["data"][0]["id"] == child["id"]
    assert rest["next_cursor"] is None


async def test_why_and_diagnosis_of_a_run_that_asks_a_person(lab: ApiLab):
    run = await lab.start(ASKING)
    why = await lab.get(f"/runs/{run.run_id}/why")
    assert "waits for a person" in why["sentence"]
    diagnosis = await lab.get(f"/runs/{run.run_id}/diagnose")
    assert diagnosis["failing_step"] == "pay"
    assert diagnosis["error"]["code"] == "broken"
    requests = [suggestion["request"] for suggestion in diagnosis["suggestions"]]
    assert f"POST /api/v1/runs/{run.run_id}/steps/pay/retry" in requests


async def test_diagnosis_of_a_failed_run_counts_those_that_failed_alike(lab: ApiLab):
    document = ASKING.replace("    on_error: ask\n", "")
    await lab.start(document)
    run = await lab.start(document)
    diagnosis = await lab.get(f"/runs/{run.run_id}/diagnose")
    assert (diagnosis["failing_step"], diagnosis["same_error"]) == ("pay", 2)
    assert diagnosis["suggestions"]


async def test_export_is_one_document(lab: ApiLab):
    run = await lab.start(QUICK)
    answer = await lab.client.get(f"/api/v1/runs/{run.run_id}/export")
    assert answer.headers["content-disposition"] == f'attachment; filename="{run.run_id}.json"'
    document = answer.json()
    assert document["run"]["id"] == run.run_id
    assert document["journal"]
    assert document["definition"]["name"] == "quick"
