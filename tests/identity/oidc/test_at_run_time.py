"""A provider that was set while the server runs: requirement I06."""

from pathlib import Path

import httpx2
from tests.identity.oidc.provider import CLIENT_ID, CLIENT_SECRET, StubProvider
from tests.support.server_lab import ServerLab, open_server_lab
from tests.support.servers import serve_http

LOGIN = "/api/v1/auth/oidc/company"


async def set_provider(lab: ServerLab, stub: StubProvider) -> None:
    host = stub.issuer.removeprefix("http://")
    secret = await lab.client.put("/api/v1/secrets/COMPANY", json={"value": CLIENT_SECRET, "hosts": [host]})
    assert secret.status_code == 200, secret.text
    etag = (await lab.client.get("/api/v1/settings")).headers["etag"]
    provider = {
        "name": "company",
        "title": "Company",
        "issuer": stub.issuer,
        "client_id": CLIENT_ID,
        "client_secret_name": "COMPANY",
    }
    changes = {"oidc_providers": [provider], "default_role": "viewer"}
    changed = await lab.client.patch("/api/v1/settings", json=changes, headers={"if-match": etag})
    assert changed.status_code == 200, changed.text


async def test_i06_a_further_provider_signs_people_in_with_its_secret_and_role_and_its_states_are_its_own(tmp_path: Path):
    async with serve_http() as server, open_server_lab(tmp_path, egress_allow="127.0.0.1", oidc_client_id=CLIENT_ID) as lab:
        stub = StubProvider(server)
        async with httpx2.AsyncClient(base_url=lab.url) as browser:
            assert (await browser.get(f"{LOGIN}/login")).status_code == 404
            await set_provider(lab, stub)
            began = await browser.get(f"{LOGIN}/login")
            assert began.status_code == 302, began.text
            query = stub.authorize(began.headers["location"])
            # Another provider's callback does not take it.
            mixed = await browser.get(f"/api/v1/auth/oidc/default/callback?{query}")
            assert (mixed.status_code, mixed.json()["error"]["details"][0]["code"]) == (400, "state")
            query = stub.authorize((await browser.get(f"{LOGIN}/login")).headers["location"])
            assert (await browser.get(f"{LOGIN}/callback?{query}")).status_code == 303
            assert (await browser.get("/api/v1/runs")).status_code == 200
            assert (await browser.get("/api/v1/settings")).status_code == 403
        rows = (await lab.client.get("/api/v1/audit?limit=200")).json()["data"]
        assert {"user.created", "role.assigned", "user.signed_in"} <= {row["action"] for row in rows}
