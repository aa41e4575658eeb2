"""Operations over HTTP: the same result as a step's, and errors with a step's codes."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from tests.support.lab import ShiftedClock
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.entrypoints.calls import call_operation
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.files.endpoints import ROUTERS as FILE_ROUTERS
from flowforge.files.links import FileLinks
from flowforge.kit.errors import NotPermittedError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    MAY_SECRET,
    AttemptError,
    FatalError,
    FileInput,
    Middleware,
    Nature,
    Operation,
    OperationCall,
    OperationContext,
    StrictModel,
    operation,
)
from flowforge.operations.registry import Registry
from flowforge.toolbox.endpoints import ROUTERS
from flowforge.toolbox.ports import CallOperation


class Caller:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    async def __call__(
        self, operation: Operation, value: JsonValue, *, workspace_id: str, may_use_secrets: bool, key: str | None
    ) -> JsonValue:
        def ignore(level: str, message: str, fields: JsonObject) -> None:
            del level, message, fields

        return await call_operation(
            self.installation, operation, value, ignore, workspace_id=workspace_id, may_use_secrets=may_use_secrets, key=key
        )


@dataclass
class Counter:
    """The operation `test.count` of the lab: how often it was called, with which keys, and what it waits for or fails with."""

    keys: list[str] = field(default_factory=list[str])
    arrived: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue[str])
    gate: asyncio.Event | None = None
    fault: AttemptError | None = None


class CountParameters(StrictModel):
    file: FileInput | None = None
    token: Annotated[str, MAY_SECRET] = ""


@operation("test.count", title="Count", category="test", icon="x", nature=Nature.EFFECT)
async def count(parameters: CountParameters, context: OperationContext) -> JsonValue:
    """How often it was called."""
    del parameters
    counter = context.service(Counter)
    counter.keys.append(context.idempotency_key)
    counter.arrived.put_nowait(context.idempotency_key)
    if counter.gate is not None:
        await counter.gate.wait()
    if counter.fault is not None:
        raise counter.fault
    return len(counter.keys)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter, find = Counter(), Services.__getitem__

    def find_counter(services: Services, kind: type) -> object:
        return counter if kind is Counter else find(services, kind)

    monkeypatch.setattr(Services, "__getitem__", find_counter)
    return counter


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    installation = open_installation(Settings(data=tmp_path / "data"))
    installation.registry.register(count)
    ports: dict[type, object] = {
        Registry: installation.registry,
        CallOperation: Caller(installation),
        ObjectStore: installation.objects,
        FileLinks: FileLinks(b"k" * 32),
    }
    settings = {"limits": {"upload_max_bytes": 10_000}}
    async with open_web_lab(tmp_path, [*ROUTERS, *FILE_ROUTERS], ports=ports, clock=ShiftedClock(), settings=settings) as lab:
        yield lab
    await installation.aclose()


async def test_operations_are_listed_page_by_page_and_found(lab: WebLab):
    first = (await lab.client.get("/api/v1/operations?limit=50")).json()
    second = (await lab.client.get(f"/api/v1/operations?limit=50&cursor={first['next_cursor']}")).json()
    names = [row["name"] for row in first["data"] + second["data"]]
    assert names == sorted(set(names))
    assert len(names) > 80
    found = (await lab.client.get("/api/v1/operations?q=hash")).json()["data"]
    assert "crypto.hash" in [row["name"] for row in found]
    wrong = await lab.client.get(f"/api/v1/operations?q=hash&cursor={first['next_cursor']}")
    assert wrong.status_code == 422


async def test_an_operation_is_described(lab: WebLab):
    told = (await lab.client.get("/api/v1/operations/crypto.hash")).json()
    assert told["nature"] == "pure"
    assert "data" in told["parameters"]["properties"]
    assert (await lab.client.get("/api/v1/operations/crypto.hash/schema")).json()["parameters"] == told["parameters"]
    assert (await lab.client.get("/api/v1/operations/nothing.here")).status_code == 404


async def test_an_operation_is_called(lab: WebLab):
    done = await lab.client.post("/api/v1/operations/crypto.hash", json={"data": "abc"})
    assert done.status_code == 200
    assert done.json()["hash"].startswith("ba7816bf")


async def test_parameters_that_do_not_fit_are_told_by_field(lab: WebLab):
    refused = await lab.client.post("/api/v1/operations/crypto.hash", json={"dat": "abc"})
    assert refused.status_code == 422
    assert "dat" in {detail["field"] for detail in refused.json()["error"]["details"]}
    checked = await lab.client.post("/api/v1/operations/crypto.hash/test", json={"dat": "abc"})
    assert checked.status_code == 200
    assert checked.json()["valid"] is False
    assert (await lab.client.post("/api/v1/operations/crypto.hash/test", json={"data": "a"})).json() == {
        "valid": True,
        "errors": [],
    }


async def test_a_failure_has_the_code_of_a_step(lab: WebLab):
    failed = await lab.client.post("/api/v1/operations/http.request", json={"method": "GET", "url": "http://127.0.0.1:1/"})
    assert failed.status_code == 422
    assert failed.json()["error"]["code"] == "OPERATION_FAILED"
    assert failed.json()["error"]["details"][0]["code"] == "egress_denied"


async def test_a_secret_needs_the_right_to_use_it(lab: WebLab):
    lab.gate.caller = make_caller("operation:call", "operation:read")
    body = {"method": "GET", "url": "https://api.example.com/", "headers": {"Authorization": "${{ secrets.TOKEN }}"}}
    assert (await lab.client.post("/api/v1/operations/http.request", json=body)).status_code == 403
    assert NotPermittedError.code == "FORBIDDEN"


async def test_a_file_comes_as_text_as_a_part_or_by_its_id(lab: WebLab):
    plain = {"from": "csv", "to": "json"}
    by_text = await lab.client.post(
        "/api/v1/operations/crypto.hash", json={"data": "abc"}, headers={"accept": "application/octet-stream"}
    )
    assert by_text.json()["hash"].startswith("ba7816bf")
    foreign = {"$file": {"id": "file_" + "0" * 26, "name": "a", "media_type": "text/csv", "size": 1, "sha256": "0" * 64}}
    refused = await lab.client.post("/api/v1/operations/data.convert", json={**plain, "file": foreign})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"][0]["code"] == "file_unknown"
    broken = await lab.client.post("/api/v1/operations/data.convert", json={**plain, "file": {"$file": {"data": "***"}}})
    assert broken.json()["error"]["details"][0]["code"] == "base64_invalid"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"{", "application/json", 400), (b"x", "text/plain", 415), (b'{"data":1,"data":2}', "application/json", 400)],
)
async def test_a_body_that_cannot_be_read_is_refused(body: bytes, content_type: str, status: int, lab: WebLab):
    answer = await lab.client.post("/api/v1/operations/crypto.hash", content=body, headers={"content-type": content_type})
    assert answer.status_code == status


COUNT = "/api/v1/operations/test.count"


async def test_a_repeated_key_gets_the_first_answer_and_no_other_call(counter: Counter, lab: WebLab):
    headers = {"idempotency-key": "one"}
    first = await lab.client.post(COUNT, json={}, headers=headers)
    again = await lab.client.post(COUNT, json={}, headers=headers)
    assert (first.json(), again.json(), len(counter.keys)) == (1, 1, 1)
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = await lab.client.post(COUNT, json={"token": "x"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert (await lab.client.post(COUNT, json={}, headers={"idempotency-key": "two"})).json() == 2


async def test_a_file_that_is_sent_again_is_the_same_request(counter: Counter, lab: WebLab):
    sent: dict[str, Any] = {"files": {"file": ("a.txt", b"abc", "text/plain")}, "headers": {"idempotency-key": "one"}}
    assert [(await lab.client.post(COUNT, **sent)).json() for _ in range(2)] == [1, 1]
    sent["files"] = {"file": ("a.txt", b"other", "text/plain")}
    assert (await lab.client.post(COUNT, **sent)).status_code == 409


async def test_a_call_that_failed_is_made_anew_with_the_same_key_outside(counter: Counter, lab: WebLab):
    headers = {"idempotency-key": "one"}
    counter.fault = FatalError("No.", code="no")
    assert (await lab.client.post(COUNT, json={}, headers=headers)).status_code == 422
    counter.fault = None
    assert (await lab.client.post(COUNT, json={}, headers=headers)).json() == 2
    assert len(set(counter.keys)) == 1


async def test_a_call_in_flight_is_not_made_twice_and_one_that_nobody_answers_is_taken_over(counter: Counter, lab: WebLab):
    headers = {"idempotency-key": "one"}
    counter.gate = asyncio.Event()
    first = asyncio.create_task(lab.client.post(COUNT, json={}, headers=headers))
    await counter.arrived.get()
    busy = await lab.client.post(COUNT, json={}, headers=headers)
    assert (busy.status_code, busy.json()["error"]["details"][0]["code"]) == (409, "call_in_progress")
    cast("ShiftedClock", lab.parts.clock).advance(lab.parts.settings.limits.step_timeout_ms)
    second = asyncio.create_task(lab.client.post(COUNT, json={}, headers=headers))
    await counter.arrived.get()
    counter.gate.set()
    assert ((await first).status_code, (await second).json()) == (200, 2)


async def test_middlewares_stand_around_a_call_and_see_no_secret(counter: Counter, lab: WebLab):
    seen: list[JsonObject] = []

    async def before(call: OperationCall) -> None:
        seen.append(call.parameters)
        raise FatalError("Not today.", code="closed")

    lab.parts.port(Registry).register_middleware(Middleware("veto", before=before))
    refused = await lab.client.post(COUNT, json={"token": "Bearer ${{ secrets.TOKEN }}"})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"][0]["code"] == "closed"
    assert (seen, counter.keys) == ([{"token": "Bearer ***"}], [])
