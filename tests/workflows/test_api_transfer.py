"""Configuration from one installation into another."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.web_lab import make_caller
from tests.workflows.api_lab import ApiLab, code_of, make_project_caller, open_api_lab, write_yaml

from flowforge.vault.service import set_secret, set_variable

WORKSPACE = "ws_" + "0" * 26
SECRETIVE = (
    "flowforge: 1\nname: secretive\nsteps:\n  - id: a\n    uses: http.request\n"
    '    with: {url: "https://a.example.com", headers: {X-Key: "${{ secrets.TOKEN }}"}}\n'
)


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[ApiLab]:
    (tmp_path / "target").mkdir()
    async with open_api_lab(tmp_path / "target") as lab:
        yield lab


async def fill(lab: ApiLab) -> None:
    project = (await lab.ask("POST", "/projects", {"name": "finance", "title": "Finance"})).json()
    await lab.publish("order", project_id=project["id"], category="Sales", labels={"team": "red"}, public=True)
    await lab.ask("PUT", "/workflows/order/draft", {"yaml": write_yaml("order", 2)}, If_None_Match="*")
    await lab.ask("POST", "/workflows/order/publish", {"note": "second"})
    await lab.ask("POST", "/workflows/order/versions/1/publish")
    await lab.ask("PUT", "/workflows/order/draft", {"yaml": write_yaml("order", 3)}, If_None_Match="*")
    await lab.publish("old")
    await lab.ask("POST", "/workflows/old/deprecate")
    await lab.make("unfinished")
    await lab.ask("POST", "/workflow-sets", {"name": "night", "project_id": project["id"], "workflows": ["order", "old"]})
    content = {"subject": "x", "text": "{{ a }}"}
    await lab.ask("POST", "/templates", {"kind": "mail", "name": "hello", "content": content})


async def export(lab: ApiLab) -> dict[str, Any]:
    answer = await lab.ask("POST", "/export")
    assert answer.status_code == 200, answer.text
    return answer.json()


def list_actions(answer: Any) -> dict[str, str]:
    return {f"{item['kind']} {item['name']}": item["action"] for item in answer.json()["items"]}


async def test_everything_comes_across_and_is_the_same_then(lab: ApiLab, target: ApiLab):
    await fill(lab)
    exported = await export(lab)
    dry = await target.ask("POST", "/import?dry_run=true", exported)
    assert set(list_actions(dry).values()) == {"create"}
    assert (await target.ask("GET", "/workflows")).json()["data"] == []
    assert await target.list_audited() == []
    done = await target.ask("POST", "/import", exported)
    assert (done.status_code, list_actions(done)) == (200, list_actions(dry))
    assert list_actions(await target.ask("POST", "/import?dry_run=true", exported)) == dict.fromkeys(list_actions(dry), "same")
    again = await export(target)
    assert {**again, "exported_at": ""} == {**exported, "exported_at": ""}
    assert await target.list_audited() == ["configuration.imported", "configuration.exported"]
    order = (await target.ask("GET", "/workflows/order")).json()
    assert (order["version"], order["status"], order["has_draft"], order["labels"]) == (1, "published", True, {"team": "red"})
    assert (target.triggers.live["order"] or {})["name"] == "order"
    assert target.triggers.live["old"] is None
    assert len(target.definitions.defined) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_import_works_on_each_database(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        await fill(lab)
        exported = await export(lab)
        for name in ("order", "old", "unfinished"):
            assert (await lab.ask("DELETE", f"/workflows/{name}?permanent=true")).status_code == 204
        actions = list_actions(await lab.ask("POST", "/import", exported))
        assert {name for name, action in actions.items() if action == "create"} == {
            "workflow order",
            "workflow old",
            "workflow unfinished",
        }
        assert actions["workflow_set night"] == "update"
        assert len((await lab.ask("GET", "/workflow-sets/night")).json()["workflows"]) == 2


async def test_newer_versions_are_added_and_settings_follow(lab: ApiLab, target: ApiLab):
    await lab.publish("order")
    await target.ask("POST", "/import", await export(lab))
    await lab.ask("PUT", "/workflows/order/draft", {"yaml": write_yaml("order", 2)}, If_None_Match="*")
    await lab.ask("POST", "/workflows/order/publish")
    await lab.ask("PATCH", "/workflows/order", {"active": False})
    answer = await target.ask("POST", "/import", await export(lab))
    assert list_actions(answer) == {"workflow order": "update"}
    found = (await target.ask("GET", "/workflows/order")).json()
    assert (found["version"], found["active"]) == (2, False)


async def test_what_contradicts_is_told_and_nothing_changes_unless_it_is_left_out(lab: ApiLab, target: ApiLab):
    await lab.publish("order")
    await lab.publish("other")
    await target.publish("order")
    await target.ask("PUT", "/workflows/order/draft", {"yaml": write_yaml("order", 7)}, If_None_Match="*")
    await target.ask("POST", "/workflows/order/publish")
    exported = await export(lab)
    refused = await target.ask("POST", "/import", exported)
    assert (refused.status_code, code_of(refused)) == (409, "import_conflict")
    assert "other versions" in refused.json()["error"]["details"][0]["message"]
    assert (await target.ask("GET", "/workflows/other")).status_code == 404
    answer = await target.ask("POST", "/import?skip_conflicts=true", exported)
    assert list_actions(answer) == {"workflow order": "conflict", "workflow other": "create"}
    assert (await target.ask("GET", "/workflows/order")).json()["version"] == 2
    assert (await target.ask("GET", "/workflows/other")).json()["version"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"current_version": 9}, "not in the file"),
        ({"project": "nowhere"}, "project nowhere"),
        ({"versions": [{"version": 1, "source": "x: ["}], "current_version": 1}, "cannot be used"),
        ({"versions": [{"version": 1, "source": write_yaml("other")}], "current_version": 1}, "document of other"),
        ({"versions": [{"version": 2, "source": "x"}, {"version": 1, "source": "x"}]}, "not in order"),
    ],
)
async def test_workflow_that_cannot_be_brought_in_is_a_conflict(lab: ApiLab, change: dict[str, Any], message: str):
    answer = await lab.ask("POST", "/import?dry_run=true", {"workflows": [{"name": "order"} | change]})
    item = answer.json()["items"][0]
    assert (item["action"], message in item["message"]) == ("conflict", True), item


@pytest.mark.parametrize(
    "body",
    [
        {"format": "other"},
        {"version": 2},
        {"workflows": [{"name": "No"}]},
        {"workflows": "x"},
        {"secrets": {"TOKEN": "x"}},
        {"projects": [{"name": "a", "title": "\x00"}]},
    ],
)
async def test_file_of_another_form_is_refused(lab: ApiLab, body: dict[str, Any]):
    assert (await lab.ask("POST", "/import", body)).status_code == 422


async def test_secrets_and_values_stay_where_they_are_and_are_told_as_missing(lab: ApiLab, target: ApiLab):
    async with lab.web.parts.database.write.begin() as session:
        await set_secret(session, lab.web.parts.keyring, WORKSPACE, "TOKEN", value="hidden-value", at_ms=1)
        await set_variable(session, WORKSPACE, "ZONE", value="private-zone", limits=lab.web.parts.settings.limits, at_ms=1)
    await lab.ask("POST", "/workflows", {"yaml": SECRETIVE})
    await lab.ask("POST", "/workflows/secretive/publish")
    answer = await lab.ask("POST", "/export")
    assert answer.json()["variables"] == ["ZONE"]
    assert "hidden-value" not in answer.text
    assert "private-zone" not in answer.text
    told = (await target.ask("POST", "/import", answer.json())).json()
    assert (told["missing_variables"], told["missing_secrets"]) == (["ZONE"], ["TOKEN"])


async def test_single_workflows_are_exported_with_their_projects(lab: ApiLab):
    await fill(lab)
    part = (await lab.ask("POST", "/export", {"workflows": ["order"]})).json()
    assert [one["name"] for one in part["workflows"]] == ["order"]
    assert [one["name"] for one in part["projects"]] == ["finance"]
    assert (part["templates"], part["variables"]) == ([], [])
    assert (await lab.ask("POST", "/export", {"workflows": ["nobody"]})).status_code == 404


async def test_only_who_manages_the_whole_workspace_may_transfer(lab: ApiLab):
    for caller in (make_caller("workflow:read"), make_project_caller("prj_" + "1" * 26, "workflow:manage")):
        lab.become(caller)
        assert (await lab.ask("POST", "/export")).status_code == 403
        assert (await lab.ask("POST", "/import", {})).status_code == 403
