"""Pages of other origins: A16."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.web.bodies import Answer
from flowforge.web.calls import CallIn
from flowforge.web.cors import Cors
from flowforge.web.frame import App
from flowforge.web.routing import Router

ALLOWED = "https://app.example.com"
pages = Router("pages", "/pages")


class PageAnswer(Answer):
    name: str


@pages.get("", "page:read")
async def get_page(call: CallIn) -> PageAnswer:
    return PageAnswer(name="a")


async def list_origins() -> set[str]:
    return {ALLOWED}


def allow_origins(app: App) -> App:
    return Cors(app, list_origins)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    async with open_web_lab(tmp_path, [pages], layers=[allow_origins]) as lab:
        yield lab


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://app.example.com.evil.example",
        "https://evilapp.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "*",
    ],
)
async def test_a16_another_origin_gets_no_header(origin: str, lab: WebLab):
    for answer in (
        await lab.client.get("/api/v1/pages", headers={"origin": origin}),
        await lab.client.options("/api/v1/pages", headers={"origin": origin, "access-control-request-method": "POST"}),
    ):
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"


async def test_an_allowed_origin_may_call_with_credentials(lab: WebLab):
    answer = await lab.client.get("/api/v1/pages", headers={"origin": ALLOWED})
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    asked = {"origin": ALLOWED, "access-control-request-method": "PUT", "access-control-request-headers": "x-csrf-token"}
    preflight = await lab.client.options("/api/v1/pages", headers=asked)
    assert preflight.status_code == 204
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "X-CSRF-Token" in preflight.headers["access-control-allow-headers"]
