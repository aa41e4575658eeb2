"""`POST /runs/bulk` and the batches behind it."""

from typing import Any

from tests.runs.api_lab import QUICK, WAITING, ApiLab, read_code
from tests.support.web_lab import make_caller

from flowforge.engine.executor.engine import Started
from flowforge.kit.ids import make_id
from flowforge.runs.bulk import create_bulk, prepare_bulk
from flowforge.runs.duties import BatchDuty
from flowforge.web.batches.types import BatchKinds


async def start_many(lab: ApiLab, count: int) -> list[Started]:
    pinned = lab.engine.define(WAITING)
    return [await lab.engine.start(pinned) for _ in range(count)]


async def statuses(lab: ApiLab) -> dict[str, int]:
    groups = (await lab.get("/runs/groups", by="status"))["data"]
    return {group["key"]: group["count"] for group in groups}


async def test_named_runs_are_cancelled_together(lab: ApiLab):
    runs = await start_many(lab, 3)
    answer = await lab.post("/runs/bulk", {"action": "cancel", "ids": [run.run_id for run in runs[:2]], "reason": "sale is over"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"action": "cancel", "matched": 2, "changed": 2, "failed": []}
    assert {(await lab.finish(run)).status for run in runs[:2]} == {"cancelled"}
    assert (await lab.get(f"/runs/{runs[2].run_id}"))["status"] in {"running", "waiting"}


async def test_api_45_one_foreign_id_and_nothing_is_done(lab: ApiLab):
    run = (await start_many(lab, 1))[0]
    answer = await lab.post("/runs/bulk", {"action": "cancel", "ids": [run.run_id, make_id("run")]})
    assert (answer.status_code, read_code(answer)) == (404, "run_unknown")
    lab.web.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    answer = await lab.post("/runs/bulk", {"action": "cancel", "ids": [run.run_id]})
    assert (answer.status_code, read_code(answer)) == (404, "run_unknown")
    assert lab.engine.read(run).of("run.mail") == []


async def test_api_45_too_many_ids(lab: ApiLab):
    answer = await lab.post("/runs/bulk", {"action": "cancel", "ids": [make_id("run") for _ in range(1_001)]})
    assert (answer.status_code, read_code(answer)) == (422, "bulk_max")


async def test_dry_run_only_counts(lab: ApiLab):
    runs = await start_many(lab, 2)
    ended = await lab.start(QUICK)
    answer = await lab.post("/runs/bulk", {"action": "cancel", "ids": [ended.run_id, runs[0].run_id], "dry_run": True})
    assert answer.json() == {"action": "cancel", "matched": 2, "changed": 1, "failed": []}
    answer = await lab.post("/runs/bulk", {"action": "cancel", "where": ["version:eq:1"], "dry_run": True})
    assert answer.json() == {"action": "cancel", "matched": 2, "changed": 2, "failed": []}
    assert all(lab.engine.read(run).of("run.mail") == [] for run in runs)


async def test_runs_that_do_not_fit_are_told_of_and_stop_nothing(lab: ApiLab):
    runs = await start_many(lab, 1)
    ended = await lab.start(QUICK)
    answer = await lab.post("/runs/bulk", {"action": "pause", "ids": [ended.run_id, runs[0].run_id]})
    told = answer.json()
    assert (told["matched"], told["changed"]) == (2, 1)
    assert [(fault["id"], fault["code"]) for fault in told["failed"]] == [(ended.run_id, "run_ended")]


async def test_all_that_a_filter_finds_are_deleted(lab: ApiLab):
    for _ in range(3):
        await lab.start(QUICK)
    await start_many(lab, 1)
    answer = await lab.post("/runs/bulk", {"action": "delete", "where": ["started_at:gt:2020-01-01T00:00:00Z"]})
    assert (answer.status_code, answer.json()["changed"]) == (200, 3)
    assert "completed" not in await statuses(lab)
    assert sum((await statuses(lab)).values()) == 1


async def test_bulk_needs_the_permission_of_its_action(lab: ApiLab):
    run = await lab.start(QUICK)
    lab.web.gate.caller = make_caller("run:read", "run:operate")
    answer = await lab.post("/runs/bulk", {"action": "delete", "ids": [run.run_id]})
    assert answer.status_code == 403
    lab.web.gate.caller = make_caller("run:read")
    assert (await lab.post("/runs/bulk", {"action": "pause", "ids": [run.run_id]})).status_code == 403


async def test_bulk_says_which_runs_in_one_way(lab: ApiLab):
    for body in ({"action": "cancel"}, {"action": "cancel", "ids": ["run_" + "0" * 26], "where": ["version:eq:1"]}):
        answer = await lab.post("/runs/bulk", body)
        assert (answer.status_code, read_code(answer)) == (422, "bulk_choice")
    answer = await lab.post("/runs/bulk", {"action": "explode", "ids": ["x"]})
    assert (answer.status_code, read_code(answer)) == (422, "choice")


async def begin_slow_batch(lab: ApiLab, runs: int) -> Any:
    """A batch that has done its first slice, when its caller went away."""
    await start_many(lab, runs)
    answer = await lab.post("/runs/bulk?wait=0s", {"action": "cancel", "where": ["version:eq:1"]})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/batches/{answer.json()['id']}"
    return answer.json()


async def test_batch_goes_on_without_its_caller(lab: ApiLab):
    batch = await begin_slow_batch(lab, 60)
    assert (batch["status"], batch["total"], batch["done"], batch["result"]) == ("running", 60, 50, None)
    await BatchDuty(lab.web.parts).run_once()
    shown = await lab.get(f"/batches/{batch['id']}")
    assert (shown["status"], shown["done"], shown["failed"]) == ("completed", 60, 0)
    assert shown["result"]["changed"] == 60


async def test_batch_is_stopped(lab: ApiLab):
    batch = await begin_slow_batch(lab, 60)
    answer = await lab.post(f"/batches/{batch['id']}/stop")
    assert (answer.status_code, answer.json()["status"]) == (202, "stopped")
    assert answer.json()["done"] == 50
    await BatchDuty(lab.web.parts).run_once()
    assert (await lab.get(f"/batches/{batch['id']}"))["done"] == 50
    again = await lab.post(f"/batches/{batch['id']}/stop")
    assert (again.status_code, read_code(again)) == (409, "batch_ended")


async def test_slice_that_was_done_but_not_written_down_changes_nothing_twice(lab: ApiLab):
    runs = await start_many(lab, 2)
    kind = lab.web.parts.port(BatchKinds).find("runs.bulk")
    assert kind is not None
    call = lab.web.call()
    async with call.read() as session:
        request = await prepare_bulk(session, call, "pause", [run.run_id for run in runs], ())
    async with call.change() as session:
        batch = await create_bulk(session, call, request, None)
    await kind.advance(lab.web.parts, batch)
    await BatchDuty(lab.web.parts).run_once()
    assert (await lab.get(f"/batches/{batch.id}"))["status"] == "completed"
    for run in runs:
        await lab.engine.until(lambda run=run: bool(lab.engine.read(run).of("run.mail")))
        assert len(lab.engine.read(run).of("run.mail")) == 1


async def test_api_21_batch_of_another_workspace_is_an_unknown_one(lab: ApiLab):
    batch = await begin_slow_batch(lab, 51)
    lab.web.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    assert (await lab.client.get(f"/api/v1/batches/{batch['id']}")).status_code == 404
    assert (await lab.post(f"/batches/{batch['id']}/stop")).status_code == 404
    lab.web.gate.caller = make_caller("workflow:start", user_id="usr_" + "2" * 26)
    assert (await lab.client.get(f"/api/v1/batches/{batch['id']}")).status_code == 404
