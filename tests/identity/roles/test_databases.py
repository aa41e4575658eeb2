"""Groups, roles, workspaces and explanations on each of the databases."""

from pathlib import Path
from typing import Any

import pytest
from tests.identity.roles.conftest import ROUTERS, KnownProjects
from tests.support.databases import Kind
from tests.support.people import enter, find_caller, make_person
from tests.support.sessions import KINDS
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.identity.places import ProjectPlaces


async def list_names(lab: WebLab, path: str, key: str = "name", query: str = "limit=2") -> list[str]:
    """Page by page, two rows at a time unless the query says otherwise."""
    names: list[str] = []
    further = ""
    while True:
        page = (await lab.client.get(f"/api/v1/{path}?{query}{further}")).json()
        names += [row[key] for row in page["data"]]
        if page["next_cursor"] is None:
            return names
        further = f"&cursor={page['next_cursor']}"


async def post(lab: WebLab, path: str, **body: Any) -> Any:
    answer = await lab.client.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_works_on_every_database(kind: Kind, tmp_path: Path):
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports={ProjectPlaces: KnownProjects()}) as lab:
        await enter(lab, "owner")
        person = await make_person(lab.parts.database)
        group = (await post(lab, "groups", name="Größe"))["id"]
        await post(lab, "groups", name="grösse")
        finance = (await post(lab, "workspaces", name="finance"))["id"]
        await post(lab, "workspaces", name="sales")
        await post(lab, "roles", name="starter", permissions=["workflow:start"])
        assert (await lab.client.put(f"/api/v1/groups/{group}/members/{person}")).status_code == 204
        for role, scope in (("starter", "installation"), ("viewer", f"workspace:{finance}"), ("viewer", "installation")):
            await post(lab, "role-assignments", principal=group, role=role, scope=scope)
        twice = await lab.client.post("/api/v1/role-assignments", json={"principal": group, "role": "starter"})
        assert twice.status_code == 409
        assert await list_names(lab, "workspaces") == ["default", "finance", "sales"]
        assert sorted(await list_names(lab, "groups")) == ["Größe", "grösse"]
        await post(lab, "groups", name="Finance")
        assert await list_names(lab, "groups", query="sort=-created_at&limit=1") == ["Finance", "grösse", "Größe"]
        # Those that were made in one millisecond too.
        assert sorted(await list_names(lab, "groups", query="sort=updated_at&limit=1")) == ["Finance", "Größe", "grösse"]
        assert await list_names(lab, "groups", query="where=name:contains:INAN&where=name:ne:grösse") == ["Finance"]
        assert await list_names(lab, "workspaces", query="where=name:in:sales,default&sort=-name&limit=1") == ["sales", "default"]
        assert await list_names(lab, "roles", query="where=built_in:eq:false") == ["starter"]
        assert len(await list_names(lab, "role-assignments", "role")) == 4
        assert (await list_names(lab, "roles"))[-1] == "starter"
        assert (await find_caller(lab.parts.database, person)).rights.allow("workflow:start")
        told = (await lab.client.get("/api/v1/access/who-can?permission=workflow:start")).json()
        assert [row["role"] for row in told["because"] if row["user_id"] == person] == ["starter"]
        gone = await lab.client.delete(f"/api/v1/workspaces/{finance}?permanent=true")
        assert gone.status_code == 204, gone.text
        assert (await lab.client.delete(f"/api/v1/groups/{group}")).status_code == 204
        assert not (await find_caller(lab.parts.database, person)).rights.allow("workflow:start")
