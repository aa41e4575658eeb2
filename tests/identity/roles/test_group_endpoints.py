"""`/groups`: what a group was given, its members have."""

from typing import Any

from tests.support.people import enter, find_caller, give_role, make_group, make_person
from tests.support.web_lab import WebLab

from flowforge.kit.ids import make_id

GROUPS = "/api/v1/groups"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["details"][0]["code"]


async def test_a_group_is_made_changed_and_removed(lab: WebLab):
    await enter(lab, "admin")
    made = await lab.client.post(GROUPS, json={"name": "Finance"})
    assert made.status_code == 201
    assert made.json()["members"] == 0
    assert code(await lab.client.post(GROUPS, json={"name": "Finance"})) == (409, "name_taken")
    changed = await lab.client.patch(made.headers["location"], json={"description": "Money"})
    assert (changed.json()["name"], changed.json()["description"]) == ("Finance", "Money")
    assert (await lab.client.get(f"{GROUPS}/Finance")).json() == changed.json()
    assert [row["name"] for row in (await lab.client.get(f"{GROUPS}?q=fin")).json()["data"]] == ["Finance"]
    assert (await lab.client.get(f"{GROUPS}?q=%25")).json()["data"] == []
    assert (await lab.client.delete(made.headers["location"])).status_code == 204
    assert code(await lab.client.get(made.headers["location"])) == (404, "group_unknown")


async def test_members_have_what_the_group_was_given(lab: WebLab):
    database = lab.parts.database
    await enter(lab, "admin")
    person, group = await make_person(database), await make_group(database)
    await give_role(database, group, "builder")
    address = f"{GROUPS}/{group}/members/{person}"
    assert (await lab.client.put(address)).status_code == 204
    assert (await lab.client.put(address)).status_code == 204
    assert (await find_caller(database, person)).rights.allow("workflow:publish")
    assert [row["user_id"] for row in (await lab.client.get(f"{GROUPS}/{group}/members")).json()["data"]] == [person]
    assert (await lab.client.get(f"{GROUPS}/{group}")).json()["members"] == 1
    assert (await lab.client.delete(address)).status_code == 204
    assert (await lab.client.delete(address)).status_code == 204
    assert not (await find_caller(database, person)).rights.allow("workflow:publish")


async def test_nobody_reaches_rights_by_way_of_a_group(lab: WebLab):
    database = lab.parts.database
    me = await enter(lab, "admin")
    group = await make_group(database, await make_person(database))
    await give_role(database, group, "owner")
    assert code(await lab.client.put(f"{GROUPS}/{group}/members/{me}")) == (403, "rights_exceeded")
    assert code(await lab.client.delete(f"{GROUPS}/{group}")) == (403, "rights_exceeded")


async def test_the_last_owner_stays_in_the_group_that_makes_him_one(lab: WebLab):
    database = lab.parts.database
    person = await make_person(database)
    group = await make_group(database, person)
    await give_role(database, group, "owner")
    lab.gate.caller = await find_caller(database, person)
    assert code(await lab.client.delete(f"{GROUPS}/{group}/members/{person}")) == (409, "last_owner")
    assert code(await lab.client.delete(f"{GROUPS}/{group}")) == (409, "last_owner")


async def test_unknown_people_and_groups_are_not_found(lab: WebLab):
    await enter(lab, "admin")
    group = await make_group(lab.parts.database)
    assert code(await lab.client.put(f"{GROUPS}/{group}/members/{make_id('usr')}")) == (404, "user_unknown")
    assert code(await lab.client.put(f"{GROUPS}/{make_id('grp')}/members/{make_id('usr')}")) == (404, "group_unknown")
    assert code(await lab.client.put(f"{GROUPS}/{group}/members/me")) == (422, "id_invalid")


async def test_a22_a_group_takes_no_fields_that_it_does_not_have(lab: WebLab):
    await enter(lab, "admin")
    group = await make_group(lab.parts.database)
    for body in ({"id": make_id("grp")}, {"role": "owner"}, {"__proto__": {"admin": True}}):
        assert code(await lab.client.patch(f"{GROUPS}/{group}", json=body)) == (422, "field_unknown")
