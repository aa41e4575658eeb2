"""Overrides, and who may do what, and why."""

from typing import Any

import pytest
from sqlalchemy import update
from tests.support.people import (
    DEFAULT_WORKSPACE,
    Scoped,
    enter,
    find_caller,
    give_role,
    make_group,
    make_person,
    make_workspace,
    override,
)
from tests.support.web_lab import WebLab

from flowforge.identity.models_accounts import UserRow
from flowforge.kit.ids import make_id

EXPLAIN = "/api/v1/access/explain"
WHO_CAN = "/api/v1/access/who-can"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


async def explain(lab: WebLab, user: str, permission: str, place: str = "") -> Any:
    suffix = f"&object={place}" if place else ""
    return (await lab.client.get(f"{EXPLAIN}?user={user}&permission={permission}{suffix}")).json()


async def test_access_is_explained_by_role_group_and_scope(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "auditor")
    person = await make_person(database, "operator", scope=DEFAULT_WORKSPACE)
    group = await make_group(database, person, name="Finance")
    await give_role(database, group, "builder")
    told = await explain(lab, person, "workflow:start")
    assert told["allowed"] is True
    assert [(row["effect"], row["role"], row["scope"]) for row in told["because"]] == [
        ("allow", "operator", f"workspace:{DEFAULT_WORKSPACE.workspace_id}"),
        ("allow", "builder", "installation"),
    ]
    assert told["because"][1]["group"] == {"id": group, "name": "Finance"}
    assert "Finance" in told["because"][1]["sentence"]


async def test_what_speaks_against_it_is_told(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "auditor")
    person = await make_person(database, "operator")
    nothing = await explain(lab, person, "workflow:publish")
    assert nothing["allowed"] is False
    assert nothing["because"][0]["effect"] == "deny"
    await override(database, person, allow=("workflow:publish",), deny=("run:cancel",))
    denied = await explain(lab, person, "run:cancel")
    assert denied["allowed"] is False
    assert [row["effect"] for row in denied["because"]] == ["allow", "deny"]
    assert (await explain(lab, person, "workflow:publish"))["allowed"] is True
    async with database.write.begin() as session:
        await session.execute(update(UserRow).values(disabled_at=1))
    assert (await explain(lab, person, "workflow:publish"))["allowed"] is False


async def test_access_in_another_workspace_is_another_matter(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "auditor")
    other = await make_workspace(database)
    person = await make_person(database, "admin", scope=Scoped(other))
    assert (await explain(lab, person, "run:delete"))["allowed"] is False
    assert (await explain(lab, person, "run:delete", f"workspace:{other}"))["allowed"] is True
    assert (await explain(lab, person, "user:manage", f"workspace:{other}"))["allowed"] is False


async def test_who_can_names_everybody_with_the_reason(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "auditor")
    by_role = await make_person(database, "builder")
    by_group = await make_person(database)
    await give_role(database, await make_group(database, by_group), "builder")
    by_override = await make_person(database)
    await override(database, by_override, allow=("workflow:publish",))
    denied = await make_person(database, "builder")
    await override(database, denied, deny=("workflow:publish",))
    told = (await lab.client.get(f"{WHO_CAN}?permission=workflow:publish")).json()
    assert told["allowed"] is True
    assert {row["user_id"] for row in told["because"]} == {by_role, by_group, by_override}
    walked, cursor = list[str](), ""
    while cursor is not None:
        page = (await lab.client.get(f"{WHO_CAN}?permission=workflow:publish&limit=1{cursor}")).json()
        assert page["allowed"] is True
        walked += [row["user_id"] for row in page["because"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert walked == sorted({by_role, by_group, by_override})
    nobody = (await lab.client.get(f"{WHO_CAN}?permission=workspace:delete")).json()
    assert nobody == {"allowed": False, "because": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("permission=a:b&user=usr_" + "1" * 26, (422, "permission_unknown")),
        ("permission=run:read&user=me", (422, "id_invalid")),
        ("permission=run:read&user=usr_" + "1" * 26, (404, "user_unknown")),
        ("permission=run:read&user=usr_" + "1" * 26 + "&object=moon", (422, "scope_invalid")),
        ("permission=run:read", (422, "field_missing")),
    ],
)
async def test_bad_questions_are_refused(query: str, expected: tuple[int, str], lab: WebLab):
    await enter(lab, "auditor")
    assert code(await lab.client.get(f"{EXPLAIN}?{query}")) == expected


async def test_overrides_are_replaced_and_read(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "admin")
    person = await make_person(database, "viewer")
    address = f"/api/v1/users/{person}/overrides"
    assert (await lab.client.get(address)).json() == {"allow": [], "deny": []}
    answer = await lab.client.put(address, json={"allow": ["workflow:start"], "deny": ["run:read"]})
    assert answer.json() == {"allow": ["workflow:start"], "deny": ["run:read"]} == (await lab.client.get(address)).json()
    rights = (await find_caller(database, person)).rights
    assert rights.allow("workflow:start")
    assert not rights.allow("run:read")


async def test_overrides_give_nothing_that_the_giver_has_not(lab: WebLab):
    me = await enter(lab, "admin")
    answer = await lab.client.put(f"/api/v1/users/{me}/overrides", json={"allow": ["workspace:delete"]})
    assert code(answer) == (403, "rights_exceeded")


async def test_an_owner_is_denied_nothing(lab: WebLab):
    database = lab.parts.database
    other = await make_person(database, "owner")
    await enter(lab, "owner")
    answer = await lab.client.put(f"/api/v1/users/{other}/overrides", json={"deny": ["access:manage"]})
    assert code(answer) == (409, "owner_denied")
    denied = await make_person(database, "viewer")
    await override(database, denied, deny=("run:read",))
    answer = await lab.client.post("/api/v1/role-assignments", json={"principal": denied, "role": "owner"})
    assert code(answer) == (409, "owner_denied")


async def test_overrides_of_nobody_are_not_found(lab: WebLab):
    await enter(lab, "admin")
    assert code(await lab.client.put(f"/api/v1/users/{make_id('usr')}/overrides", json={})) == (404, "user_unknown")


async def test_a_person_sees_what_it_may(lab: WebLab):
    await enter(lab, "viewer")
    told = (await lab.client.get("/api/v1/me/permissions")).json()
    assert "workflow:read" in told["permissions"]
    assert "workflow:start" not in told["permissions"]
    assert told["projects"] == {}
