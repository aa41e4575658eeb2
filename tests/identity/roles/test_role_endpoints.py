"""`/roles` and `/role-assignments`: who gives what to whom."""

from typing import Any

import pytest
from tests.identity.roles.conftest import PROJECT_ID
from tests.support.people import DEFAULT_WORKSPACE, enter, find_caller, give_role, make_group, make_person, make_workspace
from tests.support.web_lab import WebLab

from flowforge.identity.rights import find_rights
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_id
from flowforge.web.callers import CredentialKind, Rights

ROLES = "/api/v1/roles"
ASSIGNMENTS = "/api/v1/role-assignments"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


async def make_role(lab: WebLab, name: str = "release-manager", *permissions: str) -> Any:
    return await lab.client.post(ROLES, json={"name": name, "permissions": permissions or ["workflow:read", "workflow:publish"]})


async def test_built_in_roles_are_listed_first_and_cannot_be_changed(lab: WebLab):
    await enter(lab, "owner")
    assert (await make_role(lab)).status_code == 201
    rows = (await lab.client.get(ROLES)).json()["data"]
    assert [row["name"] for row in rows] == [
        "viewer",
        "requester",
        "approver",
        "operator",
        "builder",
        "auditor",
        "admin",
        "owner",
        "release-manager",
    ]
    assert [row["built_in"] for row in rows] == [True] * 8 + [False]
    refused = await lab.client.patch(f"{ROLES}/viewer", json={"description": "x"}, headers={"if-match": "*"})
    assert code(refused) == (409, "role_built_in")
    assert code(await lab.client.delete(f"{ROLES}/owner")) == (409, "role_built_in")


async def test_roles_come_in_pages(lab: WebLab):
    await enter(lab, "owner")
    for name in ("aaa", "bbb", "ccc"):
        await make_role(lab, name)
    names: list[str] = []
    query = "limit=3"
    while True:
        page = (await lab.client.get(f"{ROLES}?{query}")).json()
        names += [row["name"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=3&cursor={page['next_cursor']}"
    assert names[-4:] == ["owner", "aaa", "bbb", "ccc"]
    assert len(names) == len(set(names)) == 11


async def test_a_role_of_ones_own_is_changed_by_the_etag_that_was_read(lab: WebLab):
    await enter(lab, "owner")
    made = await make_role(lab)
    address, etag = made.headers["location"], made.headers["etag"]
    assert (await lab.client.patch(address, json={"permissions": []})).status_code == 428
    changed = await lab.client.patch(address, json={"permissions": ["run:read"]}, headers={"if-match": etag})
    assert changed.json()["permissions"] == ["run:read"]
    assert changed.json()["description"] == ""
    stale = await lab.client.patch(address, json={"name": "other"}, headers={"if-match": etag})
    assert stale.status_code == 412
    assert stale.headers["etag"] == changed.headers["etag"]
    assert (await lab.client.delete(address)).status_code == 204
    assert code(await lab.client.get(address)) == (404, "role_unknown")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "a", "permissions": ["workflow:fly"]}, (422, "permission_unknown")),
        ({"name": "A B", "permissions": []}, (422, "format")),
        ({"name": "owner", "permissions": []}, (409, "name_taken")),
        ({"name": "a", "permissions": [], "is_superuser": True}, (422, "field_unknown")),
        ({"name": "a", "permissions": "workflow:read"}, (422, "type")),
    ],
)
async def test_bad_roles_are_refused(body: Any, expected: tuple[int, str], lab: WebLab):
    await enter(lab, "owner")
    assert code(await lab.client.post(ROLES, json=body)) == expected


async def test_unknown_permission_is_told_with_those_that_are_near_and_where_all_are(lab: WebLab):
    await enter(lab, "owner")
    answer = await lab.client.post(ROLES, json={"name": "a", "permissions": ["runs:read", "run:read"]})
    (detail,) = answer.json()["error"]["details"]
    assert detail["suggestion"] == "run:read"
    assert all(told in detail["message"] for told in ("'runs:read'", "did you mean run:read", "GET /roles/owner"))


async def test_the_same_name_twice_is_refused(lab: WebLab):
    await enter(lab, "owner")
    await make_role(lab)
    assert code(await make_role(lab)) == (409, "name_taken")


async def test_a_custom_role_holds_what_it_says_and_stays_while_somebody_has_it(lab: WebLab):
    await enter(lab, "owner")
    role = (await make_role(lab)).json()
    person = await make_person(lab.parts.database)
    given = await lab.client.post(ASSIGNMENTS, json={"principal": person, "role": "release-manager", "scope": "installation"})
    assert given.status_code == 201
    assert (await find_caller(lab.parts.database, person)).rights == Rights(frozenset({"workflow:read", "workflow:publish"}))
    assert code(await lab.client.delete(f"{ROLES}/{role['id']}")) == (409, "role_in_use")
    rows = (await lab.client.get(f"{ASSIGNMENTS}?role=release-manager&principal={person}")).json()["data"]
    assert [(row["role"], row["scope"]) for row in rows] == [("release-manager", "installation")]
    assert (await lab.client.get(given.headers["location"])).json() == rows[0]
    assert (await lab.client.delete(given.headers["location"])).status_code == 204
    assert (await find_caller(lab.parts.database, person)).rights == Rights()


async def test_a_role_is_given_in_a_workspace_or_a_project(lab: WebLab):
    await enter(lab, "owner")
    person = await make_person(lab.parts.database)
    other = await make_workspace(lab.parts.database)
    for scope in (f"workspace:{other}", f"project:{PROJECT_ID}"):
        given = await lab.client.post(ASSIGNMENTS, json={"principal": person, "role": "viewer", "scope": scope})
        assert (given.status_code, given.json()["scope"]) == (201, scope)
    async with lab.parts.database.read() as session:
        assert (await find_rights(session, person, other)).allow("run:read")
        here = await find_rights(session, person, DEFAULT_WORKSPACE_ID)
    assert not here.allow("run:read")
    assert here.allow("run:read", PROJECT_ID)
    found = (await lab.client.get(f"{ASSIGNMENTS}?scope=project:{PROJECT_ID}")).json()["data"]
    assert [row["principal"] for row in found] == [person]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"principal": "usr_" + "1" * 26}, (404, "user_unknown")),
        ({"principal": "grp_" + "1" * 26}, (404, "group_unknown")),
        ({"principal": "me"}, (422, "principal_invalid")),
        ({"role": "emperor"}, (404, "role_unknown")),
        ({"scope": "everywhere"}, (422, "scope_invalid")),
        ({"scope": "workspace:ws_" + "1" * 26}, (404, "workspace_unknown")),
        ({"scope": "project:prj_" + "2" * 26}, (404, "project_unknown")),
    ],
)
async def test_bad_assignments_are_refused(change: dict[str, str], expected: tuple[int, str], lab: WebLab):
    person = await enter(lab, "owner")
    body = {"principal": person, "role": "viewer", "scope": "installation"} | change
    assert code(await lab.client.post(ASSIGNMENTS, json=body)) == expected


async def test_nobody_gives_rights_that_he_does_not_have(lab: WebLab):
    person = await enter(lab, "admin")
    for principal in (person, await make_person(lab.parts.database)):
        refused = await lab.client.post(ASSIGNMENTS, json={"principal": principal, "role": "owner"})
        assert code(refused) == (403, "rights_exceeded")
    assert (await lab.client.post(ASSIGNMENTS, json={"principal": person, "role": "builder"})).status_code == 201
    assert code(await make_role(lab, "cleaner", "workspace:delete")) == (403, "rights_exceeded")


async def test_nobody_takes_rights_that_he_does_not_have(lab: WebLab):
    database = lab.parts.database
    first = await make_person(database, "owner")
    second = await make_person(database)
    assignment = await give_role(database, second, "owner")
    await enter(lab, "admin")
    assert code(await lab.client.delete(f"{ASSIGNMENTS}/{assignment}")) == (403, "rights_exceeded")
    lab.gate.caller = await find_caller(database, first)
    assert (await lab.client.delete(f"{ASSIGNMENTS}/{assignment}")).status_code == 204


async def test_a_key_gives_no_more_than_it_may_itself(lab: WebLab):
    database = lab.parts.database
    owner = await make_person(database, "owner")
    caller = await find_caller(database, owner, kind=CredentialKind.KEY)
    lab.gate.caller = caller.__class__(
        caller.actor, owner, caller.kind, "key:key_1", caller.workspace_id, Rights(frozenset({"access:manage"})), "127.0.0.1"
    )
    body = {"principal": await make_person(database), "role": "viewer"}
    assert code(await lab.client.post(ASSIGNMENTS, json=body)) == (403, "rights_exceeded")


async def test_the_last_owner_stays(lab: WebLab):
    database = lab.parts.database
    owner = await enter(lab, "owner")
    mine = (await lab.client.get(f"{ASSIGNMENTS}?principal={owner}")).json()["data"][0]["id"]
    assert code(await lab.client.delete(f"{ASSIGNMENTS}/{mine}")) == (409, "last_owner")
    assert (await lab.client.get(f"{ASSIGNMENTS}/{mine}")).status_code == 200
    group = await make_group(database, await make_person(database))
    await give_role(database, group, "owner")
    assert (await lab.client.delete(f"{ASSIGNMENTS}/{mine}")).status_code == 204


async def test_an_owner_of_a_workspace_alone_is_no_owner_of_the_installation(lab: WebLab):
    owner = await enter(lab, "owner")
    await make_person(lab.parts.database, "owner", scope=DEFAULT_WORKSPACE)
    mine = (await lab.client.get(f"{ASSIGNMENTS}?principal={owner}")).json()["data"][0]["id"]
    assert code(await lab.client.delete(f"{ASSIGNMENTS}/{mine}")) == (409, "last_owner")


async def test_the_same_role_twice_is_refused(lab: WebLab):
    owner = await enter(lab, "owner")
    assert code(await lab.client.post(ASSIGNMENTS, json={"principal": owner, "role": "owner"})) == (409, "assignment_exists")


async def test_an_unknown_assignment_is_not_found(lab: WebLab):
    await enter(lab, "owner")
    assert code(await lab.client.delete(f"{ASSIGNMENTS}/{make_id('ras')}")) == (404, "assignment_unknown")
    assert code(await lab.client.get(f"{ASSIGNMENTS}/nonsense")) == (422, "id_invalid")


async def test_every_change_is_in_the_audit_log(lab: WebLab):
    await enter(lab, "owner")
    person = await make_person(lab.parts.database)
    made = await make_role(lab)
    await lab.client.patch(
        made.headers["location"], json={"permissions": ["run:read"]}, headers={"if-match": made.headers["etag"]}
    )
    given = await lab.client.post(ASSIGNMENTS, json={"principal": person, "role": "release-manager"})
    await lab.client.delete(given.headers["location"])
    await lab.client.delete(made.headers["location"])
    assert await list_actions(lab) == ["role.created", "role.changed", "role.assigned", "role.unassigned", "role.deleted"]


async def list_actions(lab: WebLab) -> list[str]:
    from sqlalchemy import select

    from flowforge.audit.models import AuditRow

    async with lab.parts.database.read() as session:
        return [row.action for row in await session.scalars(select(AuditRow).order_by(AuditRow.no))]
