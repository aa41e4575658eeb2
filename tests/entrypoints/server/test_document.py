"""The OpenAPI document, and every route by it: asked things that nobody thought of, and looked at from outside."""

import json
import shutil
import subprocess
import sys
from asyncio import to_thread
from collections.abc import AsyncGenerator
from inspect import getsource
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator
from scripts.openapi_document import TARGET
from tests.architecture.sources import REPOSITORY
from tests.support.server_lab import ServerLab, open_server_lab

from flowforge.entrypoints.server.routers import list_routers
from flowforge.web.application import make_routes

METHODS = ("get", "post", "put", "patch", "delete")
NOT_ASKED = r"(permanent|/live|/events|/auth/logout|/me|/sessions|/users/\{|/batches/)"
"""What would end the session or the person that asks, or answers without an end."""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[ServerLab]:
    async with open_server_lab(tmp_path) as lab:
        yield lab


def read_document() -> dict[str, Any]:
    return json.loads((REPOSITORY / TARGET).read_bytes())


def list_operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    paths: dict[str, dict[str, Any]] = read_document()["paths"]
    return [(method, path, operation) for path, item in paths.items() for method, operation in item.items() if method in METHODS]


def test_the_document_is_one_and_says_of_each_operation_who_may_and_what_it_answers():
    document = read_document()
    assert [str(fault.message) for fault in OpenAPIV31SpecValidator(document).iter_errors()] == []
    ids = [operation["operationId"] for _, _, operation in list_operations()]
    assert len(set(ids)) == len(ids) > 190
    for method, path, operation in list_operations():
        assert operation["x-permission"], path
        assert operation["summary"], path
        assert {"500", "503"} <= set(operation["responses"]), (method, path)
        if operation["x-permission"] != "open":
            assert operation["security"], path
            assert {"401", "403"} <= set(operation["responses"]), (method, path)


def test_whatever_is_made_has_an_address():
    routes = make_routes(list_routers()).routes
    made = [route for route in routes if isinstance(route, APIRoute) and route.status_code == 201]
    assert len(made) > 15
    assert [route.path for route in made if '.headers["location"]' not in getsource(route.endpoint)] == []


def test_what_the_documentation_fills_in_can_be_sent():
    described: set[str] = set()
    for route in make_routes(list_routers()).routes:
        model: Any = route.body_field.field_info.annotation if isinstance(route, APIRoute) and route.body_field else None
        extra: dict[str, Any] = getattr(model, "model_config", cast("dict[str, Any]", {})).get("json_schema_extra") or {}
        for example in extra.get("examples", ()):
            described.add(model.model_validate(example).__class__.__name__)
    assert described >= {"StartBody", "BulkBody", "CreateWorkflowBody", "ValidateBody", "DocumentBody"}


async def test_the_server_gives_its_document_and_a_page_that_needs_nothing_from_elsewhere(lab: ServerLab):
    told = await lab.client.get("/openapi.json")
    assert told.json() == read_document()
    front = await lab.client.get("/")
    assert (front.status_code, front.headers["location"]) == (303, "/docs")
    page = await lab.client.get("/docs")
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js", "docs.css"):
        assert (await lab.client.get(f"/docs/{asset}")).status_code == 200
    assert (await lab.client.get("/docs/../main.py")).status_code == 404


@pytest.mark.slow(240)
async def test_no_operation_answers_what_it_does_not_document_whatever_it_is_asked(lab: ServerLab, tmp_path: Path):
    permissions = {operation["x-permission"] for _, _, operation in list_operations()}
    key = await lab.make_key(*sorted(permission for permission in permissions if ":" in permission))
    program = Path(sys.executable).parent / "schemathesis"
    command = [
        str(program),
        "run",
        f"{lab.url}/openapi.json",
        "-H",
        f"Authorization: Bearer {key}",
        "--exclude-path-regex",
        NOT_ASKED,
    ]
    command += ["--phases", "examples,fuzzing", "--max-examples", "2", "--workers", "1", "--continue-on-failure", "--seed", "1"]
    command += [
        "--checks",
        "not_a_server_error,status_code_conformance,response_schema_conformance",
        "--suppress-health-check",
        "all",
    ]
    assert shutil.which(str(program)) is not None
    done = await to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "Tested: " in done.stdout


@pytest.mark.slow(60)
async def test_a05_tok_01_without_a_credential_nothing_answers_but_what_is_open(lab: ServerLab):
    lab.client.cookies.clear()
    for method, path, operation in list_operations():
        if operation["x-permission"] == "open":
            continue
        address = path.replace("{", "").replace("}", "")
        for variant in (address, f"{address}?x=/health", f"{address}?workspace=ws_1"):
            answer = await lab.client.request(method.upper(), variant)
            assert answer.status_code == 401, (method, variant, answer.text[:200])
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.slow(60)
async def test_every_answer_carries_the_headers_that_keep_browsers_safe(lab: ServerLab):
    for method, path, operation in list_operations():
        if method != "get" or "/events" in path or operation["x-permission"] == "open":
            continue
        answer = await lab.client.get(path.replace("{", "").replace("}", ""))
        assert answer.status_code < 500, (path, answer.text[:300])
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-request-id"], path
        assert "server" not in answer.headers, path
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/runs",
        "/api/./v1/runs",
        "/API/v1/runs",
        "/api/v1/runs/",
        "/api/v1/runs;x",
        "/api/v1/%2e%2e/v1/runs",
        "/api/v1/runs%00",
    ],
)
async def test_api_39_a05_another_spelling_of_a_path_opens_nothing(path: str, lab: ServerLab):
    lab.client.cookies.clear()
    answer = await lab.client.get(path)
    assert answer.status_code in {401, 404}, answer.text


async def test_api_29_30_other_methods_are_not_smuggled_in(lab: ServerLab):
    for method in ("TRACE", "CONNECT", "BREW"):
        refused = await lab.client.request(method, "/api/v1/runs", content=b"canary", headers={"x-canary": "canary"})
        assert refused.status_code in {400, 405, 501}, method
        assert "canary" not in refused.text
    smuggled = await lab.client.post("/api/v1/secrets", headers={"x-http-method-override": "DELETE"})
    assert smuggled.status_code == 405


async def test_m05_a16_pages_of_an_origin_that_was_allowed_while_the_server_runs_may_read_every_answer(lab: ServerLab):
    ours, page = lab.client.headers["origin"], "https://app.example.com"

    async def ask(method: str, path: str) -> dict[str, str | None]:
        answer = await lab.client.request(method, path, headers={"origin": page}, json={} if method == "POST" else None)
        assert answer.headers["vary"] == "Origin"
        return {"allowed": answer.headers.get("access-control-allow-origin"), "status": str(answer.status_code)}

    asked = [("GET", "/api/v1/runs"), ("POST", "/api/v1/runs"), ("GET", "/api/v1/nothing"), ("POST", "/hooks/nothing")]
    assert [(await ask(*one))["allowed"] for one in asked] == [None] * 4
    etag = (await lab.client.get("/api/v1/settings/cors")).headers["etag"]
    changed = await lab.client.put("/api/v1/settings/cors", json={"origins": [page]}, headers={"if-match": etag, "origin": ours})
    assert changed.status_code == 200, changed.text
    # A cookie does not change anything from there, and the page can read why.
    assert [await ask(*one) for one in asked] == [{"allowed": page, "status": status} for status in ("200", "403", "404", "404")]


async def test_api_37_an_error_is_json_whatever_is_accepted(lab: ServerLab):
    answer = await lab.client.get("/api/v1/nothing", headers={"accept": "text/html"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "NOT_FOUND"
