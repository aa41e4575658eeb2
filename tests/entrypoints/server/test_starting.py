"""`POST /runs` on a whole server: what is taken, what is refused, what comes twice."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.server_lab import NOTE, WAIT, ServerLab, open_server_lab

from flowforge.entrypoints.cli.starting import pin_target

FIELDS = {
    "flowforge": 1,
    "name": "strict",
    "input": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}},
        "required": ["items"],
        "additionalProperties": False,
    },
    "steps": [{"id": "say", "uses": "log.write", "with": {"message": "hi"}}],
    "output": {"count": "${{ size(input.items) }}"},
}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[ServerLab]:
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        yield lab


def code_of(answer: httpx2.Response) -> tuple[int, str, str, str]:
    """Status, code, and field and code of the first detail."""
    error = answer.json()["error"]
    detail = error["details"][0] if error["details"] else {"field": "", "code": ""}
    return answer.status_code, error["code"], detail["field"], detail["code"]


async def test_a_run_is_started_and_waited_for(lab: ServerLab):
    body = {"workflow": "note", "labels": {"region": "north"}, "subject": "order-1", "priority": 2}
    answer = await lab.start(body, "?wait=10s")
    run = answer.json()
    assert answer.status_code == 200
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert (run["status"], run["labels"], run["subject"], run["priority"]) == ("completed", {"region": "north"}, "order-1", 2)
    assert run["progress"]["percentage"] == 100
    shown = (await lab.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert {name: shown[name] for name in run} == run


async def test_an_accepted_run_is_told_as_it_was_born(lab: ServerLab):
    answer = await lab.start({"workflow": "note"})
    assert answer.status_code == 202
    run = answer.json()
    assert run["status"] == "running"
    shown = (await lab.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert shown["status"] in {"running", "completed"}
    assert set(shown) == set(run)


async def test_who_waits_for_a_run_that_needs_a_signal_is_answered_at_once(lab: ServerLab):
    await lab.publish(WAIT)
    answer = await asyncio.wait_for(lab.start({"workflow": "patient"}, "?wait=30s"), 10)
    assert answer.status_code == 202
    assert answer.json()["status"] == "waiting"
    shown = (await lab.client.get(answer.headers["location"])).json()
    assert answer.json()["waiting_for"] == shown["waiting_for"]
    assert shown["waiting_for"][0]["kind"] == "signal"
    assert "/resume/" in shown["waiting_for"][0]["ref"]["resume_url"]


async def test_api_34_the_same_key_gives_the_same_run(lab: ServerLab):
    first = await lab.start({"workflow": "note"}, idempotency_key="order-1")
    again = await lab.start({"workflow": "note"}, "?wait=10s", idempotency_key="order-1")
    other = await lab.start({"workflow": "note", "priority": 1}, idempotency_key="order-1")
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["id"] == first.json()["id"]
    assert code_of(other) == (409, "IDEMPOTENCY_MISMATCH", "Idempotency-Key", "idempotency_mismatch")


async def test_api_34_many_at_once_with_one_key_give_one_run(lab: ServerLab):
    answers = await asyncio.gather(*(lab.start({"workflow": "note"}, idempotency_key="rush") for _ in range(20)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19


async def test_api_34_a_repeat_is_answered_though_the_workflow_takes_no_runs_any_more(lab: ServerLab):
    first = await lab.start({"workflow": "note"}, idempotency_key="late")
    assert (await lab.client.post("/api/v1/workflows/note/deprecate", json={})).status_code == 200
    again = await lab.start({"workflow": "note"}, idempotency_key="late")
    assert again.json()["id"] == first.json()["id"]
    assert code_of(await lab.start({"workflow": "note"}, idempotency_key="new"))[:2] == (409, "CONFLICT")


async def test_a_refused_start_does_not_use_its_key_up(lab: ServerLab):
    await lab.publish(FIELDS)
    refused = await lab.start({"workflow": "strict", "input": {}}, idempotency_key="k")
    assert refused.status_code == 422
    taken = await lab.start({"workflow": "strict", "input": {"items": [{"sku": "a"}]}}, "?wait=10s", idempotency_key="k")
    assert (taken.status_code, taken.json()["output"]) == (200, {"count": 1})


@pytest.mark.parametrize("key", ["", "x" * 300, "a b", "tab\there", "caf\u00e9"])
async def test_api_35_a_key_that_is_none_is_refused(lab: ServerLab, key: str):
    headers: Any = [(b"idempotency-key", key.encode("latin-1")), (b"authorization", f"Bearer {lab.key}".encode())]
    async with httpx2.AsyncClient(base_url=lab.url) as client:
        answer = await client.post("/api/v1/runs", json={"workflow": "note"}, headers=headers)
    assert code_of(answer) == (422, "VALIDATION_ERROR", "Idempotency-Key", "header_invalid")


async def test_a_file_in_the_input_must_be_one_of_the_workspace(lab: ServerLab):
    sent = (await lab.client.post("/api/v1/files", files={"file": ("a.csv", b"a", "text/csv")})).json()
    own, foreign = ({"$file": {"id": file_id}} for file_id in (sent["id"], "file_" + "0" * 26))
    assert (await lab.start({"workflow": "note", "input": {"orders": [own]}}, idempotency_key="kept")).status_code == 202
    refused = await lab.start({"workflow": "note", "input": {"orders": [own, foreign]}}, idempotency_key="other")
    assert code_of(refused) == (422, "VALIDATION_ERROR", "input.orders[1]", "file_unknown")
    # Escaped, it is the same text; in a document that comes along it counts as well.
    escaped = b'{"workflow": "note", "input": {"\\u0024file": {"id": "file_0"}}}'
    headers = {**lab.bearer, "content-type": "application/json"}
    assert code_of(await lab.client.post("/api/v1/runs", content=escaped, headers=headers))[3] == "file_unknown"
    steps = [{"id": "say", "uses": "log.write", "with": {"message": "hi", "fields": {"x": foreign}}}]
    assert code_of(await lab.start({"document": {**NOTE, "steps": steps}}))[2:] == (
        "document.steps[0].with.fields.x",
        "file_unknown",
    )
    # A request that came before gets its run, also where the file is gone.
    assert (await lab.client.delete(f"/api/v1/files/{sent['id']}")).status_code == 204
    again = await lab.start({"workflow": "note", "input": {"orders": [own]}}, idempotency_key="kept")
    assert again.headers["idempotency-replayed"] == "true"


async def test_api_40_an_input_that_does_not_fit_names_the_field(lab: ServerLab):
    await lab.publish(FIELDS)
    answer = await lab.start({"workflow": "strict", "input": {"items": [{"sku": "a"}, {}, {"sku": 3}]}})
    status, code, field, _ = code_of(answer)
    assert (status, code, field) == (422, "VALIDATION_ERROR", "input.items[2].sku")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "VALIDATION_ERROR", "", "field_missing")),
        ({"workflow": "note", "document": NOTE}, (422, "VALIDATION_ERROR", "", "field_missing")),
        ({"workflow": "note", "what": 1}, (422, "VALIDATION_ERROR", "what", "field_unknown")),
        ({"workflow": "note", "priority": 10}, (422, "VALIDATION_ERROR", "priority", "range")),
        ({"workflow": "note", "priority": "5"}, (422, "VALIDATION_ERROR", "priority", "type")),
        ({"workflow": "note", "labels": {"a": "x" * 201}}, (422, "VALIDATION_ERROR", "labels.a", "length")),
        ({"workflow": "note", "subject": "a\u0000b"}, (422, "VALIDATION_ERROR", "subject", "control_char")),
        ({"workflow": "nothing"}, (404, "NOT_FOUND", "workflow", "workflow_unknown")),
        ({"workflow": "note", "version": 9}, (404, "NOT_FOUND", "version", "version_unknown")),
        ({"workflow": "note", "version": "draft"}, (404, "NOT_FOUND", "", "draft_unknown")),
    ],
)
async def test_bodies_that_cannot_be_used(lab: ServerLab, body: dict[str, Any], expected: tuple[int, str, str, str]):
    answer = await lab.start(body)
    assert answer.status_code == expected[0], answer.text
    assert code_of(answer)[:2] == expected[:2]
    assert code_of(answer)[3] == expected[3]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?wait=2m", "wait"),
        ("?wait=soon", "wait"),
        ("?wait=1s&wait=2s", "parameter_repeated"),
        ("?what=1", "parameter_unknown"),
    ],
)
async def test_queries_that_cannot_be_used(lab: ServerLab, query: str, expected: str):
    assert code_of(await lab.start({"workflow": "note"}, query))[3] == expected


async def test_the_guard_comes_before_the_body(lab: ServerLab):
    weak = await lab.make_key("run:read")
    async with httpx2.AsyncClient(base_url=lab.url) as client:
        anonymous = await client.post("/api/v1/runs?what=1", content=b"{")
        without = await client.post("/api/v1/runs", content=b"{", headers={"authorization": f"Bearer {weak}"})
        form = await client.post("/api/v1/runs", content=b"workflow=note", headers=lab.bearer)
        broken = await client.post("/api/v1/runs", content=b"{", headers={**lab.bearer, "content-type": "application/json"})
        empty = await client.post("/api/v1/runs", headers=lab.bearer)
    assert [anonymous.status_code, without.status_code, form.status_code, broken.status_code, empty.status_code] == [
        401,
        403,
        415,
        400,
        422,
    ]


async def test_a04_a_document_and_a_draft_are_run_as_they_are_for_who_may_make_one(lab: ServerLab):
    document = {**NOTE, "name": "adhoc", "output": {"is": "here"}}
    answer = await lab.start({"document": document}, "?wait=10s")
    assert (answer.status_code, answer.json()["output"], answer.json()["version"]) == (200, {"is": "here"}, None)
    made = await lab.client.post("/api/v1/workflows", json={"document": {**document, "name": "sketch"}})
    draft = await lab.start({"workflow": "sketch", "version": "draft"}, "?wait=10s")
    assert (draft.json()["workflow_id"], draft.json()["output"]) == (made.json()["id"], {"is": "here"})
    starter = await lab.make_key("workflow:start", "workflow:read")
    runs = (await lab.client.get("/api/v1/runs")).json()["data"]
    async with httpx2.AsyncClient(base_url=lab.url) as stranger:
        assert (await stranger.post("/api/v1/runs", json={"document": document})).status_code == 401
    async with httpx2.AsyncClient(base_url=lab.url, headers={"authorization": f"Bearer {starter}"}) as client:
        refused = await client.post("/api/v1/runs", json={"document": document})
        assert refused.status_code == 403
        assert (await client.post("/api/v1/runs", json={"workflow": "sketch", "version": "draft"})).status_code == 403
    broken = await lab.start({"document": {"flowforge": 1, "name": "x", "steps": [{"id": "a", "uses": "no.such"}]}})
    assert broken.status_code == 422
    assert (await lab.client.get("/api/v1/runs")).json()["data"] == runs, "what was refused has started nothing"


async def test_the_loop_never_waits_for_the_store(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    """The thread that has the store may wait for a transaction of the loop, which then never ends it: 25 s are lost."""
    store, loop = lab.installation.store, asyncio.get_running_loop()

    def watch(name: str) -> None:
        read = getattr(store, name)

        def read_while_the_loop_goes_on(*given: object) -> object:
            goes_on = threading.Event()
            loop.call_soon_threadsafe(goes_on.set)
            assert goes_on.wait(2), name
            return read(*given)

        monkeypatch.setattr(store, name, read_while_the_loop_goes_on)

    for name in ("definition", "alive"):
        watch(name)
    pinned = await pin_target(lab.installation, "note", None)
    assert pinned.version["name"] == "note"
    assert (await lab.client.get("/api/v1/system/workers")).status_code == 200


async def test_what_is_published_is_started_at_once(lab: ServerLab):
    for number in range(2, 5):
        document = {**NOTE, "output": {"number": number}}
        draft = await lab.client.put("/api/v1/workflows/note/draft", json={"document": document}, headers={"if-none-match": "*"})
        assert draft.status_code in {200, 201}, draft.text
        assert (await lab.client.post("/api/v1/workflows/note/publish", json={})).status_code == 201
        started = await lab.start({"workflow": "note"}, "?wait=10s")
        assert (started.json()["version"], started.json()["output"]) == (number, {"number": number})
