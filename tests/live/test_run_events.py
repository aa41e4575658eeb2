"""The events of a run over HTTP: pages, and streams that can be taken up again."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from tests.support.server_lab import NOTE, WAIT, ServerLab, open_server_lab, read_json

FINISHED = ["run.started", "step.started", "step.completed", "run.finished"]
BRANCHES = {
    "flowforge": 1,
    "name": "branches",
    "steps": [
        {"id": "check", "uses": "flow.if", "with": {"condition": True}},
        {"id": "say", "after": "check.true", "uses": "log.write", "with": {"message": "hi"}},
        {"id": "other", "after": "check.false", "uses": "log.write", "with": {"message": "no"}},
    ],
}
SSE = {"accept": "text/event-stream"}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[ServerLab]:
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        yield lab


async def run_note(lab: ServerLab) -> str:
    return (await lab.start({"workflow": "note"}, "?wait=10s")).json()["id"]


async def read_stream(lab: ServerLab, run_id: str, **headers: str) -> list[tuple[str, str]]:
    """Id and type of each event, until the stream ends."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    async with lab.client.stream("GET", f"/api/v1/runs/{run_id}/events", headers=SSE | told) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join([part async for part in answer.aiter_text()])
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if "id: " in block]
    for block in blocks:
        assert read_json(block["data"])["seq"] == int(block["id"])
    return [(block["id"], block["event"]) for block in blocks]


async def test_a_page_goes_on_where_the_last_one_ended(lab: ServerLab):
    run_id = await run_note(lab)
    seen: list[str] = []
    after, has_ended = "0", False
    while not has_ended:
        page = (await lab.client.get(f"/api/v1/runs/{run_id}/events", params={"after": after, "limit": 1})).json()
        seen += [event["type"] for event in page["data"]]
        after, has_ended = page["next_cursor"], page["has_ended"]
    assert seen == FINISHED


async def test_a_page_waits_for_news(lab: ServerLab):
    await lab.publish(WAIT)
    run = (await lab.start({"workflow": "patient"}, "?wait=10s")).json()
    path = f"/api/v1/runs/{run['id']}/events"
    last = (await lab.client.get(path)).json()["data"][-1]["seq"]
    waiting = asyncio.create_task(lab.client.get(path, params={"after": last, "wait": "10s"}))
    await asyncio.sleep(0)
    signalled = await lab.client.post(f"/api/v1/runs/{run['id']}/signals", json={"name": "go"})
    assert signalled.status_code == 202, signalled.text
    assert (await waiting).json()["data"][0]["type"] == "step.completed"


async def test_a_stream_tells_a_run_to_its_end(lab: ServerLab):
    await lab.publish(WAIT)
    run = (await lab.start({"workflow": "patient"}, "?wait=10s")).json()
    reading = asyncio.create_task(read_stream(lab, run["id"]))
    await lab.client.post(f"/api/v1/runs/{run['id']}/signals", json={"name": "go"})
    events = await asyncio.wait_for(reading, 10)
    assert [kind for _, kind in events] == ["run.started", "step.waiting", "run.waiting", "step.completed", "run.finished"]


async def test_a_stream_is_taken_up_without_loss_and_repeat(lab: ServerLab):
    await lab.publish(BRANCHES)
    run_id = (await lab.start({"workflow": "branches"}, "?wait=10s")).json()["id"]
    whole = await read_stream(lab, run_id)
    steps = ["step.completed", "step.started", "step.skipped", "step.completed"]
    assert [kind for _, kind in whole] == ["run.started", *steps, "run.finished"]
    page = (await lab.client.get(f"/api/v1/runs/{run_id}/events")).json()["data"]
    assert [(str(event["seq"]), event["type"]) for event in page] == whole
    for place, (seq, _) in enumerate(whole):
        assert await read_stream(lab, run_id, last_event_id=seq) == whole[place + 1 :]


async def test_a_run_that_another_process_carries_is_followed(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    """What the engine of this process does not tell is found in the journal."""

    def hear_nothing(_run_no: int, _listener: object) -> None:
        """As an engine to which the run does not belong."""

    monkeypatch.setattr(lab.engine, "listen", hear_nothing)
    await lab.publish(WAIT)
    run = (await lab.start({"workflow": "patient"}, "?wait=10s")).json()
    reading = asyncio.create_task(read_stream(lab, run["id"]))
    await lab.client.post(f"/api/v1/runs/{run['id']}/signals", json={"name": "go"})
    assert (await asyncio.wait_for(reading, 10))[-1][1] == "run.finished"


async def test_what_cannot_be_asked(lab: ServerLab):
    run_id = await run_note(lab)
    path = f"/api/v1/runs/{run_id}/events"
    assert (await lab.client.get(path, params={"after": "-1"})).status_code == 422
    assert (await lab.client.get(path, headers={"last-event-id": "x"})).status_code == 422
    assert (await lab.client.get("/api/v1/runs/run_0000000000000000000000000z/events")).status_code == 404
    assert (await lab.client.get("/api/v1/runs/nothing/events")).status_code == 422
    async with httpx2.AsyncClient(base_url=lab.url) as anonymous:
        assert (await anonymous.get(path)).status_code == 401
        assert (await anonymous.get(path, headers=SSE)).status_code == 401


async def test_a06_a_stream_ends_when_its_key_is_revoked(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.live.streaming.RENEW_S", 0.05)
    monkeypatch.setattr("flowforge.live.admission._SHARED_S", 0.0)
    monkeypatch.setattr("flowforge.identity.gate.KEY_LAG_S", 0.0)
    await lab.publish(WAIT)
    run = (await lab.start({"workflow": "patient"}, "?wait=10s")).json()
    key = await lab.make_key("run:read")
    async with (
        httpx2.AsyncClient(base_url=lab.url, headers={"authorization": f"Bearer {key}", **SSE}) as reader,
        reader.stream("GET", f"/api/v1/runs/{run['id']}/events") as answer,
    ):
        parts = answer.aiter_text()
        assert "retry" in await anext(parts)
        keys = (await lab.client.get("/api/v1/keys")).json()["data"]
        mine = next(found for found in keys if key.startswith(found["prefix"]))
        assert (await lab.client.delete(f"/api/v1/keys/{mine['id']}")).status_code == 204
        async with asyncio.timeout(10):
            async for _ in parts:
                continue
