"""The API of templates: kept, previewed, used."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.web_lab import make_caller
from tests.workflows.api_lab import ApiLab, code_of, open_api_lab, write_yaml

MAIL = {
    "subject": "Order {{ id }}",
    "text": "Dear {{ name }},\n{% for item in goods %}- {{ item }}\n{% endfor %}",
    "html": "<p>Dear {{ name }}</p>",
    "sample": {"id": 7, "name": "Ada", "goods": ["pen"]},
}


async def make(lab: ApiLab, kind: str, content: dict[str, Any], name: str = "first") -> dict[str, Any]:
    answer = await lab.ask("POST", "/templates", {"kind": kind, "name": name, "content": content})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", KINDS)
async def test_templates_are_made_changed_deleted_and_restored(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        made = await make(lab, "mail", MAIL)
        await make(lab, "step", {"step": {"uses": "flow.stop"}})
        assert (await lab.ask("POST", "/templates", {"kind": "mail", "name": "first", "content": MAIL})).status_code == 409
        assert [row["kind"] for row in (await lab.ask("GET", "/templates?kind=step")).json()["data"]] == ["step"]
        page = (await lab.ask("GET", "/templates?limit=1")).json()
        rest = (await lab.ask("GET", f"/templates?limit=1&cursor={page['next_cursor']}")).json()
        assert {row["kind"] for row in (*page["data"], *rest["data"])} == {"mail", "step"}
        assert (await lab.ask("GET", "/templates/first?kind=step")).json()["kind"] == "step"
        changed = await lab.ask("PATCH", f"/templates/{made['id']}", {"content": MAIL | {"subject": "Hi"}, "category": "Shop"})
        assert (changed.json()["content"]["subject"], changed.json()["category"]) == ("Hi", "Shop")
        assert (await lab.ask("DELETE", f"/templates/{made['id']}")).status_code == 204
        assert (await lab.ask("GET", "/templates/first?kind=mail")).status_code == 404
        assert (await lab.ask("POST", f"/templates/{made['id']}/restore")).status_code == 200
        assert (await lab.ask("DELETE", f"/templates/{made['id']}?permanent=true")).status_code == 204
        assert (await lab.ask("GET", f"/templates/{made['id']}?include_deleted=true")).status_code == 404
        told = [action.removeprefix("template.") for action in await lab.list_audited()]
        assert told == ["created", "created", "updated", "deleted", "restored", "purged"]


@pytest.mark.parametrize(
    ("kind", "content", "field", "code"),
    [
        ("workflow", {}, "content", "document_missing"),
        ("workflow", {"yaml": "x", "document": {}}, "content", "document_missing"),
        ("step", {"step": "x"}, "content.step", "type"),
        ("step", {"step": {"uses": "x"}, "more": 1}, "content.more", "field_unknown"),
        ("mail", {"subject": "x"}, "content.text", "field_missing"),
        ("mail", {"subject": "x", "text": 1}, "content.text", "type"),
        ("mail", {"subject": "x", "text": "a\n{% if %}"}, "content.text", "template_invalid"),
        ("mail", {"subject": "x", "text": "{{ x | nothing }}"}, "content.text", "template_invalid"),
        ("mail", {"subject": "x", "text": "y", "sample": []}, "content.sample", "type"),
        (
            "mail",
            {"subject": "x", "text": "{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}"},
            "content.text",
            "template_too_long",
        ),
    ],
)
async def test_template_that_cannot_be_used_is_refused(lab: ApiLab, kind: str, content: dict[str, Any], field: str, code: str):
    answer = await lab.ask("POST", "/templates", {"kind": kind, "name": "x", "content": content})
    detail = answer.json()["error"]["details"][0]
    assert (answer.status_code, detail["field"], detail["code"]) == (422, field, code)
    assert ("line" in detail) == (code == "template_invalid")


async def test_preview_of_a_mail_takes_its_sample_or_other_data(lab: ApiLab):
    await make(lab, "mail", MAIL)
    own = (await lab.ask("POST", "/templates/first/preview")).json()["mail"]
    assert own == {"subject": "Order 7", "text": "Dear Ada,\n- pen\n", "html": "<p>Dear Ada</p>"}
    given = (await lab.ask("POST", "/templates/first/preview", {"data": {"name": "<b>"}})).json()["mail"]
    assert given == {"subject": "Order", "text": "Dear <b>,\n", "html": "<p>Dear &lt;b&gt;</p>"}
    unsaved = {"content": MAIL | {"text": "New {{ name }}"}}
    assert (await lab.ask("POST", "/templates/first/preview", unsaved)).json()["mail"]["text"] == "New Ada"
    assert (await lab.ask("POST", "/templates/first/preview", {"content": {"subject": "x"}})).status_code == 422


async def test_data_of_a_mail_are_never_taken_for_a_template(lab: ApiLab):
    await make(lab, "mail", {"subject": "{{ a }}", "text": "{{ a }}", "html": "{{ a }}"})
    data = {"a": "{{ 7 * 7 }}{% raw %}\nBcc: all@example.com"}
    mail = (await lab.ask("POST", "/templates/first/use", {"data": data})).json()["mail"]
    assert mail["text"] == data["a"]
    assert "49" not in mail["subject"] + mail["html"]
    assert "\n" not in mail["subject"]


async def test_mail_that_needs_data_is_kept_without_a_sample_and_refused_with_a_bad_one(lab: ApiLab):
    content = {"subject": "x", "text": "{{ 1 / amount }}"}
    await make(lab, "mail", content)
    answer = await lab.ask("POST", "/templates", {"kind": "mail", "name": "x", "content": content | {"sample": {"amount": "b"}}})
    assert (answer.status_code, code_of(answer)) == (422, "template_failed")


async def test_use_of_a_mail_names_what_the_data_lack(lab: ApiLab):
    await make(lab, "mail", MAIL)
    answer = await lab.ask("POST", "/templates/first/use", {"data": {"id": 1}})
    assert (answer.status_code, code_of(answer)) == (422, "template_failed")


async def test_use_of_a_workflow_gives_what_creating_takes(lab: ApiLab):
    await make(lab, "workflow", {"yaml": "# A sample.\n" + write_yaml("sample")})
    used = (await lab.ask("POST", "/templates/first/use", {"name": "mine"})).json()
    assert used["yaml"] == "# A sample.\n" + write_yaml("mine")
    assert (await lab.ask("POST", "/workflows", {"yaml": used["yaml"]})).status_code == 201
    assert (await lab.ask("POST", "/templates/first/use", {"name": "No_Name"})).status_code == 422
    shown = (await lab.ask("POST", "/templates/first/preview")).json()
    assert shown["document"]["name"] == "sample"
    assert "```mermaid" in shown["markdown"]


async def test_name_in_another_style_is_found_too(lab: ApiLab):
    await make(lab, "workflow", {"yaml": '{"flowforge": 1, "name": "sample", "steps": [{"id": "a", "uses": "flow.stop"}]}'})
    used = (await lab.ask("POST", "/templates/first/use", {"name": "mine"})).json()
    assert (used["document"]["name"], used["faults"]) == ("mine", [])


async def test_use_of_a_step_fills_in_parameters(lab: ApiLab):
    await make(lab, "step", {"step": {"id": "call", "uses": "http.request", "with": {"url": "https://a", "method": "GET"}}})
    used = (await lab.ask("POST", "/templates/first/use", {"id": "mine", "with": {"url": "https://b"}})).json()
    assert used["step"] == {"id": "mine", "uses": "http.request", "with": {"url": "https://b", "method": "GET"}}
    assert (await lab.ask("POST", "/templates/first/preview")).json()["step"]["id"] == "call"


async def test_reading_is_enough_to_use_a_template_and_not_to_change_it(lab: ApiLab):
    made = await make(lab, "mail", MAIL)
    lab.become(make_caller("template:read"))
    assert (await lab.ask("POST", "/templates/first/use", {"data": MAIL["sample"]})).status_code == 200
    for method, path in (("POST", ""), ("PATCH", "/first"), ("DELETE", "/first"), ("POST", "/first/restore")):
        assert (await lab.ask(method, f"/templates{path}", {})).status_code == 403
    lab.become(make_caller(workspace_id="ws_" + "1" * 26))
    assert (await lab.ask("GET", f"/templates/{made['id']}")).status_code == 404
    for path in ("/templates/wf_x", "/templates/UPPER"):
        assert (await lab.ask("GET", path)).status_code == 422
