"""Settings and feature flags over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.sessions import KINDS
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.configuration.endpoints import ROUTERS
from flowforge.configuration.ports import OnSettingsChanged
from flowforge.configuration.types import RuntimeSettings

CHANGED: list[RuntimeSettings] = []


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    CHANGED.clear()
    async with open_web_lab(tmp_path, ROUTERS, ports={OnSettingsChanged: CHANGED.append}) as lab:
        yield lab


async def test_settings_are_read_changed_and_audited(lab: WebLab):
    present = await lab.client.get("/api/v1/settings")
    assert present.status_code == 200
    assert present.json()["cors_origins"] == []
    etag = present.headers["etag"]
    change = {"announcement": "Maintenance at six.", "cors_origins": ["https://app.example.com"]}
    changed = await lab.client.patch("/api/v1/settings", json=change, headers={"if-match": etag})
    assert changed.status_code == 200
    assert changed.json()["announcement"] == "Maintenance at six."
    assert CHANGED[-1].cors_origins == ["https://app.example.com"]
    back = await lab.client.patch("/api/v1/settings", json={"announcement": None}, headers={"if-match": changed.headers["etag"]})
    assert back.json()["announcement"] == ""
    assert back.json()["cors_origins"] == ["https://app.example.com"]


@pytest.mark.parametrize("kind", KINDS)
async def test_api_32_33_a_change_of_an_older_state_is_refused(kind: str, tmp_path: Path):
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports={OnSettingsChanged: CHANGED.append}) as lab:  # pyright: ignore[reportArgumentType]
        assert (await lab.client.patch("/api/v1/settings", json={"announcement": "a"})).status_code == 428
        etag = (await lab.client.get("/api/v1/settings")).headers["etag"]
        answers = await asyncio.gather(
            *(
                lab.client.patch("/api/v1/settings", json={"announcement": text}, headers={"if-match": etag})
                for text in ("one", "two")
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        stale = next(answer for answer in answers if answer.status_code == 412)
        present = await lab.client.get("/api/v1/settings")
        assert present.json()["announcement"] in {"one", "two"}
        again = await lab.client.patch("/api/v1/settings", json={"announcement": "x"}, headers={"if-match": etag})
        assert again.headers["etag"] == present.headers["etag"]
        assert stale.json()["error"]["code"] == "PRECONDITION_FAILED"


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "https://a.example/", "https://A.example", "ftp://a.example", "https://*.example", "https://a.example:0x1"],
)
async def test_a16_an_origin_that_is_none_is_refused(origin: str, lab: WebLab):
    etag = (await lab.client.get("/api/v1/settings/cors")).headers["etag"]
    refused = await lab.client.put("/api/v1/settings/cors", json={"origins": [origin]}, headers={"if-match": etag})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"][0]["field"] == "origins[0]"
    assert CHANGED == []


async def test_a_provider_of_sign_in_holds_no_secret_but_its_name(lab: WebLab):
    etag = (await lab.client.get("/api/v1/settings")).headers["etag"]
    provider = {"name": "company", "title": "Company", "issuer": "https://login.example.com", "client_id": "flowforge"}
    for wrong in ({"client_secret": "x"}, {"name": "default"}, {"issuer": "login.example.com"}):
        refused = await lab.client.patch(
            "/api/v1/settings", json={"oidc_providers": [provider | wrong]}, headers={"if-match": etag}
        )
        assert refused.status_code == 422, wrong
    taken = await lab.client.patch("/api/v1/settings", json={"oidc_providers": [provider]}, headers={"if-match": etag})
    assert taken.json()["oidc_providers"][0]["client_secret_name"] is None


async def test_flags_are_made_and_changed(lab: WebLab):
    url = "/api/v1/feature-flags/new-inbox"
    assert (await lab.client.get(url)).status_code == 404
    made = await lab.client.put(url, json={"enabled": True, "workspaces": ["ws_1"]})
    assert made.status_code == 200
    assert (await lab.client.put(url, json={"enabled": False})).status_code == 428
    changed = await lab.client.put(url, json={"enabled": False}, headers={"if-match": made.headers["etag"]})
    assert changed.json()["enabled"] is False
    listed = await lab.client.get("/api/v1/feature-flags")
    assert [flag["name"] for flag in listed.json()["data"]] == ["new-inbox"]
    assert (await lab.client.put("/api/v1/feature-flags/NEW", json={"enabled": True})).status_code == 422


async def test_a_viewer_changes_nothing(lab: WebLab):
    lab.gate.caller = make_caller("settings:read")
    assert (await lab.client.get("/api/v1/settings")).status_code == 200
    assert (await lab.client.patch("/api/v1/settings", json={})).status_code == 403
    assert (await lab.client.put("/api/v1/feature-flags/x", json={"enabled": True})).status_code == 403
