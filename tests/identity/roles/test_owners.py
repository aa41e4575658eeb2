"""The installation keeps an owner, and what was taken is gone at the next request."""

import asyncio
from pathlib import Path

import pytest
from tests.support.accounts_lab import open_accounts_lab
from tests.support.databases import Kind
from tests.support.people import make_person
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.identity.assignments import assign_role, unassign_role
from flowforge.identity.errors_roles import LastOwnerError
from flowforge.identity.owners import list_owner_ids
from flowforge.kit.database.session import Database


@pytest.mark.parametrize("kind", KINDS)
async def test_two_owners_do_not_remove_each_other_at_once(kind: Kind, tmp_path: Path):
    async with open_database_sessions(kind, tmp_path) as database:
        owners = [await make_person(database, "owner") for _ in range(2)]
        done = await asyncio.gather(*(take(database, owner) for owner in owners), return_exceptions=True)
        assert {type(result) for result in done} == {LastOwnerError, str}
        async with database.read() as session:
            assert len(await list_owner_ids(session)) == 1


async def take(database: Database, owner: str) -> str | None:
    async with database.write.begin() as session:
        return await unassign_role(session, owner, "owner")


async def test_an_installation_without_owner_may_change_its_roles(tmp_path: Path):
    async with open_database_sessions("sqlite", tmp_path) as database:
        person = await make_person(database, "viewer")
        async with database.write.begin() as session:
            assert await unassign_role(session, person, "viewer") is not None
            assert await unassign_role(session, person, "viewer") is None
            assert await assign_role(session, person, "viewer", at_ms=1, actor="system") is not None
            assert await assign_role(session, person, "viewer", at_ms=1, actor="system") is None


async def test_what_was_taken_is_gone_at_the_next_request(tmp_path: Path):
    async with open_accounts_lab(tmp_path) as lab:
        owner = await lab.enter("owner@example.com", "owner")
        ann = await lab.enter("ann@example.com", "auditor")
        assert (await ann.get("/role-assignments")).status_code == 200
        rows = (await owner.get(f"/role-assignments?principal={ann.user_id}")).json()["data"]
        assert (await owner.send("DELETE", f"/role-assignments/{rows[0]['id']}")).status_code == 204
        assert (await ann.get("/role-assignments")).status_code == 403
        group = (await owner.post("/groups", {"name": "Audit"})).json()["id"]
        given = await owner.post("/role-assignments", {"principal": group, "role": "auditor"})
        assert given.status_code == 201, given.text
        assert (await owner.send("PUT", f"/groups/{group}/members/{ann.user_id}")).status_code == 204
        assert (await ann.get("/role-assignments")).status_code == 200
        denied = await owner.send("PUT", f"/users/{ann.user_id}/overrides", {"deny": ["access:read"]})
        assert denied.status_code == 200, denied.text
        assert (await ann.get("/role-assignments")).status_code == 403


async def test_a_deleted_workspace_is_not_found_at_the_next_request(tmp_path: Path):
    async with open_accounts_lab(tmp_path) as lab:
        owner = await lab.enter("owner@example.com", "owner")
        made = (await owner.post("/workspaces", {"name": "finance"})).json()["id"]
        assert (await owner.get("/me/permissions", x_workspace="finance")).json()["workspace_id"] == made
        assert (await owner.send("DELETE", "/workspaces/finance")).status_code == 204
        assert (await owner.get("/me/permissions", x_workspace="finance")).status_code == 404
        assert (await owner.get("/me/permissions")).json()["workspace_id"] != made
