"""`/workspaces`: nothing crosses their borders."""

from typing import Any

import pytest
from tests.support.people import Scoped, enter, find_caller, make_person, make_workspace
from tests.support.web_lab import WebLab

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_id
from flowforge.vault.models import VariableRow
from flowforge.web.callers import CredentialKind

WORKSPACES = "/api/v1/workspaces"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


async def test_a_workspace_is_made_changed_deleted_and_restored(lab: WebLab):
    await enter(lab, "owner")
    made = await lab.client.post(WORKSPACES, json={"name": "finance", "description": "Money"})
    assert made.status_code == 201
    assert made.json()["title"] == "finance"
    address = made.headers["location"]
    changed = await lab.client.patch(address, json={"title": "Finance", "description": None})
    assert (changed.json()["title"], changed.json()["description"], changed.json()["name"]) == ("Finance", "", "finance")
    assert (await lab.client.get(f"{WORKSPACES}/finance")).json() == changed.json()
    assert (await lab.client.delete(address)).status_code == 204
    assert code(await lab.client.get(address)) == (404, "workspace_unknown")
    assert [row["name"] for row in (await lab.client.get(WORKSPACES)).json()["data"]] == ["default"]
    shown = (await lab.client.get(f"{WORKSPACES}?include_deleted=true")).json()["data"]
    assert [row["deleted_at"] is None for row in shown] == [True, False]
    assert (await lab.client.post(f"{address}/restore")).json()["deleted_at"] is None
    assert (await lab.client.get(address)).status_code == 200


async def test_names_are_unique_among_the_living(lab: WebLab):
    await enter(lab, "owner")
    first = await lab.client.post(WORKSPACES, json={"name": "finance"})
    assert code(await lab.client.post(WORKSPACES, json={"name": "finance"})) == (409, "name_taken")
    await lab.client.delete(first.headers["location"])
    assert (await lab.client.post(WORKSPACES, json={"name": "finance"})).status_code == 201
    assert code(await lab.client.post(f"{first.headers['location']}/restore")) == (409, "name_taken")


async def test_a_workspace_goes_for_good_only_when_it_is_empty(lab: WebLab):
    await enter(lab, "owner")
    workspace = await make_workspace(lab.parts.database, "finance")
    await make_person(lab.parts.database, "viewer", scope=Scoped(workspace))
    variable = VariableRow(id=make_id("var"), workspace_id=workspace, name="A", value="1", version=1, updated_at=1)
    async with lab.parts.database.write.begin() as session:
        session.add(variable)
    refused = await lab.client.delete(f"{WORKSPACES}/{workspace}?permanent=true")
    assert code(refused) == (409, "workspace_not_empty")
    assert "variables" in refused.text
    async with lab.parts.database.write.begin() as session:
        await session.delete(variable)
    assert (await lab.client.delete(f"{WORKSPACES}/{workspace}?permanent=true")).status_code == 204
    assert code(await lab.client.post(f"{WORKSPACES}/{workspace}/restore")) == (404, "workspace_unknown")


async def test_the_default_workspace_stays(lab: WebLab):
    await enter(lab, "owner")
    for suffix in ("", "?permanent=true"):
        assert code(await lab.client.delete(f"{WORKSPACES}/default{suffix}")) == (409, "workspace_default")


async def test_a11_a_workspace_is_unseen_from_another(lab: WebLab):
    database = lab.parts.database
    mine, other = await make_workspace(database, "dag-a"), await make_workspace(database, "aaaa-target")
    person = await make_person(database, "admin", scope=Scoped(mine))
    lab.gate.caller = await find_caller(database, person, mine)
    assert [row["id"] for row in (await lab.client.get(WORKSPACES)).json()["data"]] == [mine]
    for foreign in (other, "aaaa-target", DEFAULT_WORKSPACE_ID, "default", make_id("ws"), "aaaa", "dag-", "dag-a ", "DAG-A"):
        assert code(await lab.client.get(f"{WORKSPACES}/{foreign}")) == (404, "workspace_unknown")
        assert code(await lab.client.patch(f"{WORKSPACES}/{foreign}", json={"title": "x"})) == (404, "workspace_unknown")
    assert (await lab.client.patch(f"{WORKSPACES}/dag-a", json={"title": "x"})).status_code == 200


async def test_a11_who_sees_a_workspace_may_not_yet_change_it(lab: WebLab):
    database = lab.parts.database
    mine, other = await make_workspace(database), await make_workspace(database)
    person = await make_person(database, "owner", scope=Scoped(mine))
    lab.gate.caller = await find_caller(database, person, mine)
    await lab.client.get(WORKSPACES)
    viewer = await make_person(database, "viewer", scope=Scoped(other))
    caller = await find_caller(database, viewer, other)
    lab.gate.caller = caller.__class__(
        caller.actor, viewer, caller.kind, caller.credential, mine, lab.gate.caller.rights, caller.address
    )
    assert (await lab.client.delete(f"{WORKSPACES}/{other}")).status_code == 403


async def test_a_key_sees_its_own_workspace_alone(lab: WebLab):
    database = lab.parts.database
    other = await make_workspace(database)
    owner = await make_person(database, "owner")
    lab.gate.caller = await find_caller(database, owner, kind=CredentialKind.KEY)
    assert [row["id"] for row in (await lab.client.get(WORKSPACES)).json()["data"]] == [DEFAULT_WORKSPACE_ID]
    assert code(await lab.client.get(f"{WORKSPACES}/{other}")) == (404, "workspace_unknown")


@pytest.mark.parametrize("name", ["", "Finance", "a_b", "1a", "a" * 64, "é", "a b"])
async def test_bad_names_are_refused(name: str, lab: WebLab):
    await enter(lab, "owner")
    assert (await lab.client.post(WORKSPACES, json={"name": name})).status_code == 422


async def test_a22_a_workspace_takes_no_fields_that_it_does_not_have(lab: WebLab):
    await enter(lab, "owner")
    for body in ({"id": DEFAULT_WORKSPACE_ID}, {"deleted_at": None}, {"owner": "me"}):
        assert code(await lab.client.patch(f"{WORKSPACES}/default", json=body)) == (422, "field_unknown")
