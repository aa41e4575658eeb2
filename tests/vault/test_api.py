"""Secrets and variables over HTTP: a value goes in and never comes out."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.web_lab import WebLab, make_caller, open_web_lab

from flowforge.vault.endpoints import ROUTERS
from flowforge.vault.ports import FindUses, ReencryptMore, Use

CANARY = "canary-value-of-a-secret"


async def find_uses(session: object, workspace_id: str, root: str, name: str) -> list[Use]:
    return [Use("wf_1", "orders", 3), Use("wf_1", "orders", None)]


async def reencrypt_nothing(session: object, keyring: object) -> int:
    """There is nothing above the vault here."""
    return 0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    async with open_web_lab(tmp_path, ROUTERS, ports={FindUses: find_uses, ReencryptMore: reencrypt_nothing}) as lab:
        yield lab


async def test_api_41_a_secret_is_set_and_its_value_is_nowhere(lab: WebLab):
    made = await lab.client.put("/api/v1/secrets/SHOP_TOKEN", json={"value": CANARY, "hosts": ["api.example.com"]})
    assert made.status_code == 200
    assert made.json() == {
        "name": "SHOP_TOKEN",
        "set": True,
        "hosts": ["api.example.com"],
        "version": 1,
        "updated_at": made.json()["updated_at"],
    }
    again = await lab.client.put("/api/v1/secrets/SHOP_TOKEN", json={"value": CANARY + "2"})
    assert again.json()["version"] == 2
    listed = await lab.client.get("/api/v1/secrets")
    assert CANARY not in made.text + again.text + listed.text
    async with lab.parts.database.read() as session:
        rows = (await session.execute(text("SELECT * FROM audit_rows"))).all()
    assert len(rows) == 2
    assert CANARY not in str(rows)


async def test_uses_of_a_secret_are_told(lab: WebLab):
    assert (await lab.client.get("/api/v1/secrets/SHOP_TOKEN/usage")).status_code == 404
    await lab.client.put("/api/v1/secrets/SHOP_TOKEN", json={"value": "x"})
    uses = await lab.client.get("/api/v1/secrets/SHOP_TOKEN/usage")
    assert [(use["workflow"], use["version"]) for use in uses.json()["data"]] == [("orders", 3), ("orders", None)]


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("lower", {"value": "x"}, "name_invalid"),
        ("GOOD", {"value": ""}, "value_invalid"),
        ("GOOD", {"value": "x" * 70_000}, "value_invalid"),
        ("GOOD", {"value": "x", "hosts": ["a b"]}, "host_invalid"),
        ("GOOD", {"value": 1}, "type"),
        ("GOOD", {"value": "x", "version": 1}, "field_unknown"),
    ],
)
async def test_what_cannot_be_kept_is_refused(name: str, body: dict[str, object], code: str, lab: WebLab):
    refused = await lab.client.put(f"/api/v1/secrets/{name}", json=body)
    assert (refused.status_code, refused.json()["error"]["details"][0]["code"]) == (422, code)


async def test_variables_are_listed_page_by_page(lab: WebLab):
    for number in range(5):
        assert (await lab.client.put(f"/api/v1/variables/V{number}", json={"value": {"n": number}})).status_code == 200
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await lab.client.get(f"/api/v1/variables?limit=2{cursor}")).json()
        seen += [row["name"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"V{number}" for number in range(5)]
    for query, names in {
        "sort=-name&limit=2": ["V4", "V3"],
        "where=name:in:V1,V3": ["V1", "V3"],
        "q=v2": ["V2"],
        "where=name:ne:V0&where=name:starts_with:v&limit=1": ["V1"],
        "where=updated_at:lt:2020-01-01T00:00:00Z": [],
    }.items():
        assert [row["name"] for row in (await lab.client.get(f"/api/v1/variables?{query}")).json()["data"]] == names, query
    refused = (await lab.client.get("/api/v1/variables?where=updated_at:lt:soon")).json()["error"]["details"][0]
    assert refused["code"] == "where_invalid"
    assert (await lab.client.delete("/api/v1/variables/V1")).status_code == 204
    assert (await lab.client.delete("/api/v1/variables/V1")).status_code == 404


async def test_another_workspace_sees_nothing(lab: WebLab):
    await lab.client.put("/api/v1/secrets/SHOP_TOKEN", json={"value": "x"})
    lab.gate.caller = make_caller(workspace_id="ws_" + "2" * 26)
    assert (await lab.client.get("/api/v1/secrets")).json()["data"] == []
    assert (await lab.client.delete("/api/v1/secrets/SHOP_TOKEN")).status_code == 404


async def test_reencryption_tells_what_it_did(lab: WebLab):
    await lab.client.put("/api/v1/secrets/SHOP_TOKEN", json={"value": "x"})
    done = await lab.client.post("/api/v1/keyring/reencrypt")
    assert done.json() == {"total": 1, "rotated": 0, "skipped": 1, "failed": []}
