"""Operations over HTTP: the same result as a step's, and errors with a step's codes."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.entrypoints.calls import call_operation
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.files.endpoints import ROUTERS as FILE_ROUTERS
from flowforge.files.links import FileLinks
from flowforge.kit.errors import NotPermittedError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import Operation
from flowforge.operations.registry import Registry
from flowforge.toolbox.endpoints import ROUTERS
from flowforge.toolbox.ports import CallOperation


class Caller:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    async def __call__(self, operation: Operation, value: JsonValue, *, workspace_id: str, may_use_secrets: bool) -> JsonValue:
        def ignore(level: str, message: str, fields: JsonObject) -> None:
            del level, message, fields

        return await call_operation(
            self.installation, operation, value, ignore, workspace_id=workspace_id, may_use_secrets=may_use_secrets
        )


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    installation = open_installation(Settings(data=tmp_path / "data"))
    ports: dict[type, object] = {
        Registry: installation.registry,
        CallOperation: Caller(installation),
        ObjectStore: installation.objects,
        FileLinks: FileLinks(b"k" * 32),
    }
    async with open_web_lab(
        tmp_path, [*ROUTERS, *FILE_ROUTERS], ports=ports, settings={"limits": {"upload_max_bytes": 10_000}}
    ) as lab:
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
