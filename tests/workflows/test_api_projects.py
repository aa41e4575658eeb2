"""The API of projects and sets of workflows, and rights that hold in single projects."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.web_lab import make_caller
from tests.workflows.api_lab import ApiLab, code_of, make_project_caller, open_api_lab, write_yaml

from flowforge.workflows.projects.places import ProjectPlacing

UNKNOWN = "prj_" + "1" * 26


async def make_project(lab: ApiLab, name: str = "finance") -> dict[str, Any]:
    answer = await lab.ask("POST", "/projects", {"name": name, "title": name.title()})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", KINDS)
async def test_projects_are_made_changed_deleted_and_restored(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        made = await make_project(lab)
        assert (made["name"], made["title"], made["workflows"]) == ("finance", "Finance", 0)
        assert (await lab.ask("POST", "/projects", {"name": "finance"})).status_code == 409
        await make_project(lab, "accounts")
        listed = (await lab.ask("GET", "/projects?limit=1")).json()
        assert [row["name"] for row in listed["data"]] == ["accounts"]
        rest = (await lab.ask("GET", f"/projects?limit=1&cursor={listed['next_cursor']}")).json()
        assert [row["name"] for row in rest["data"]] == ["finance"]
        assert (await lab.ask("PATCH", "/projects/finance", {"name": "accounts"})).status_code == 409
        changed = await lab.ask("PATCH", "/projects/finance", {"title": "Money", "description": "All of it."})
        assert changed.json()["title"] == "Money"
        assert (await lab.ask("DELETE", "/projects/finance")).status_code == 204
        assert (await lab.ask("GET", f"/projects/{made['id']}")).status_code == 404
        assert (await lab.ask("POST", "/projects/finance/restore")).json()["deleted_at"] is None
        assert (await lab.ask("DELETE", "/projects/finance?permanent=true")).status_code == 204
        assert (await lab.ask("POST", f"/projects/{made['id']}/restore")).status_code == 404
        told = [action.removeprefix("project.") for action in await lab.list_audited()]
        assert told == ["created", "created", "updated", "deleted", "restored", "purged"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "with_underscore"}, "name_invalid"),
        ({"name": "Upper"}, "name_invalid"),
        ({"name": ""}, "length"),
        ({"name": "x", "title": " "}, "blank"),
        ({"name": "x", "workspace_id": "y"}, "field_unknown"),
        ({"name": "x", "description": "\x00"}, "control_char"),
    ],
)
async def test_project_with_a_bad_field_is_refused(lab: ApiLab, body: dict[str, str], code: str):
    answer = await lab.ask("POST", "/projects", body)
    assert (answer.status_code, code_of(answer)) == (422, code)
    patched = await lab.ask("PATCH", f"/projects/{UNKNOWN}", {"id": "x"})
    assert code_of(patched) == "field_read_only"


async def test_project_that_holds_something_is_not_deleted(lab: ApiLab):
    project = await make_project(lab)
    await lab.make("order", project_id=project["id"])
    refused = await lab.ask("DELETE", "/projects/finance")
    assert (refused.status_code, code_of(refused)) == (409, "project_not_empty")
    assert (await lab.ask("GET", "/projects/finance")).json()["workflows"] == 1
    await lab.ask("PATCH", "/workflows/order", {"project_id": None})
    assert (await lab.ask("DELETE", "/projects/finance")).status_code == 204


async def test_workflows_move_between_projects(lab: ApiLab):
    first, second = await make_project(lab, "first"), await make_project(lab, "second")
    await lab.make("order", project_id=first["id"])
    moved = await lab.ask("PATCH", "/workflows/order", {"project_id": second["id"]})
    assert moved.json()["project_id"] == second["id"]
    rows = (await lab.ask("GET", f"/workflows?where=project_id:eq:{second['id']}")).json()["data"]
    assert [row["name"] for row in rows] == ["order"]
    assert (await lab.ask("PATCH", "/workflows/order", {"project_id": UNKNOWN})).status_code == 404
    assert (await lab.ask("PATCH", "/workflows/order", {"project_id": "first"})).status_code == 422
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("x"), "project_id": UNKNOWN})).status_code == 404


async def test_rights_in_one_project_show_and_change_that_alone(lab: ApiLab):
    mine, other = await make_project(lab, "mine"), await make_project(lab, "other")
    for name, project in (("ours", mine["id"]), ("theirs", other["id"]), ("nobodys", None)):
        await lab.make(name, project_id=project)
    permissions = ("workflow:read", "workflow:create", "workflow:update", "workflow:publish", "project:read")
    lab.become(make_project_caller(mine["id"], *permissions))
    assert [row["name"] for row in (await lab.ask("GET", "/workflows")).json()["data"]] == ["ours"]
    assert [row["name"] for row in (await lab.ask("GET", "/projects")).json()["data"]] == ["mine"]
    assert (await lab.ask("GET", "/projects/other")).status_code == 404
    for name in ("theirs", "nobodys"):
        assert (await lab.ask("GET", f"/workflows/{name}")).status_code == 404
        assert (await lab.ask("PATCH", f"/workflows/{name}", {"active": False})).status_code == 404
        assert (await lab.ask("POST", f"/workflows/{name}/publish")).status_code == 404
    assert (await lab.ask("POST", "/workflows/ours/publish")).status_code == 201
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("new")})).status_code == 403
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("new"), "project_id": other["id"]})).status_code == 403
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("new"), "project_id": mine["id"]})).status_code == 201
    assert (await lab.ask("PATCH", "/workflows/new", {"project_id": other["id"]})).status_code == 403
    assert (await lab.ask("POST", "/projects", {"name": "x"})).status_code == 403


@pytest.mark.parametrize("kind", KINDS)
async def test_sets_keep_their_workflows_in_order(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        ids = {name: (await lab.make(name))["id"] for name in ("a", "b", "c")}
        made = await lab.ask("POST", "/workflow-sets", {"name": "night", "workflows": ["c", ids["a"]]})
        assert (made.status_code, made.json()["workflows"]) == (201, [ids["c"], ids["a"]])
        changed = await lab.ask("PATCH", "/workflow-sets/night", {"workflows": ["b", "c", "a"], "title": "Night"})
        assert changed.json()["workflows"] == [ids["b"], ids["c"], ids["a"]]
        await lab.ask("DELETE", "/workflows/c")
        assert (await lab.ask("GET", "/workflow-sets/night")).json()["workflows"] == [ids["b"], ids["a"]]
        twice = await lab.ask("PATCH", "/workflow-sets/night", {"workflows": ["a", ids["a"]]})
        assert (twice.status_code, code_of(twice)) == (422, "items")
        assert (await lab.ask("POST", "/workflow-sets", {"name": "x", "workflows": ["nobody"]})).status_code == 404
        assert (await lab.ask("POST", "/workflow-sets", {"name": "night"})).status_code == 409
        assert [row["name"] for row in (await lab.ask("GET", "/workflow-sets")).json()["data"]] == ["night"]
        assert (await lab.ask("DELETE", "/workflow-sets/night")).status_code == 204
        assert (await lab.ask("POST", "/workflow-sets/night/restore")).status_code == 200
        assert (await lab.ask("DELETE", f"/workflow-sets/{made.json()['id']}?permanent=true")).status_code == 204
        assert (await lab.ask("GET", "/workflow-sets?include_deleted=true")).json()["data"] == []


async def test_sets_of_other_projects_are_unknown(lab: ApiLab):
    mine, other = await make_project(lab, "mine"), await make_project(lab, "other")
    for name, project in (("ours", mine["id"]), ("theirs", other["id"])):
        await lab.ask("POST", "/workflow-sets", {"name": name, "project_id": project})
    lab.become(make_project_caller(mine["id"], "project:read", "project:manage"))
    assert [row["name"] for row in (await lab.ask("GET", "/workflow-sets")).json()["data"]] == ["ours"]
    assert (await lab.ask("GET", "/workflow-sets/theirs")).status_code == 404
    assert (await lab.ask("PATCH", "/workflow-sets/ours", {"project_id": other["id"]})).status_code == 403
    assert (await lab.ask("PATCH", "/workflow-sets/ours", {"title": "Ours"})).status_code == 200
    lab.become(make_caller("project:read"))
    assert (await lab.ask("PATCH", "/workflow-sets/ours", {"title": "Theirs"})).status_code == 403


async def test_place_of_a_project_is_known_while_it_lives(lab: ApiLab):
    made = await make_project(lab)
    async with lab.web.parts.database.read() as session:
        assert await ProjectPlacing().find_workspace_id(session, made["id"]) == "ws_" + "0" * 26
        assert await ProjectPlacing().find_workspace_id(session, UNKNOWN) is None
