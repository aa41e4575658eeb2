"""The API of workflows: made, listed, looked at, changed, deleted, restored."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.web_lab import ANONYMOUS, make_caller
from tests.workflows.api_lab import ApiLab, code_of, make_project_caller, open_api_lab, write_yaml

from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, IdSource, make_id
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers.event_rows import add_held, add_requests
from flowforge.triggers.models import TriggerEventRow, TriggerRequestRow, TriggerRow
from flowforge.triggers.repository import list_of_workflow
from flowforge.triggers.schedule_models import ScheduleRow
from flowforge.triggers.service import replace_triggers
from flowforge.triggers.types import HeldEvent, RequestRecord
from flowforge.web.callers import CredentialKind
from flowforge.workflows.types import RecentRun

UNKNOWN = IdSource(SystemClock()).make_id("wf")


async def test_creating_makes_workflow_and_draft(lab: ApiLab):
    text = write_yaml("order", more="title: Orders\n")
    answer = await lab.ask("POST", "/workflows", {"yaml": text, "category": "Sales", "labels": {"team": "a"}, "public": True})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/workflows/{made['id']}"
    assert (made["name"], made["title"], made["status"], made["category"]) == ("order", "Orders", "draft", "Sales")
    assert (made["labels"], made["public"], made["version"]) == ({"team": "a"}, True, None)
    assert (made["draft"]["yaml"], made["draft"]["faults"]) == (text, [])
    assert await lab.list_audited() == ["workflow.created"]
    assert await lab.list_events() == ["workflow.created"]


async def test_document_as_a_value_is_kept_as_yaml(lab: ApiLab):
    document = {"steps": [{"id": "go", "uses": "flow.stop"}], "name": "order", "flowforge": 1}
    made = (await lab.ask("POST", "/workflows", {"document": document})).json()
    assert made["draft"]["yaml"] == "flowforge: 1\nname: order\nsteps:\n  - id: go\n    uses: flow.stop\n"
    assert made["draft"]["document"] == document


async def test_creating_tells_all_faults_at_once_with_their_places(lab: ApiLab):
    answer = await lab.ask("POST", "/workflows", {"yaml": "flowforge: 1\nname: x\nstepz: []\nsteps:\n  - uses: flow.nothing\n"})
    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert len(details) >= 2
    assert all(detail["line"] and detail["column"] for detail in details)
    assert (await lab.ask("GET", "/workflows/x")).status_code == 404
    kept = await lab.ask("POST", "/workflows?allow_faults=true", {"yaml": "flowforge: 1\nname: x\nsteps: []\n"})
    assert kept.status_code == 201
    assert kept.json()["draft"]["faults"]


@pytest.mark.parametrize(
    "body", [{}, {"yaml": write_yaml(), "document": {}}, {"yaml": ""}, {"document": {}}, {"yaml": "a: [\x07"}]
)
async def test_body_without_one_readable_document_is_refused(lab: ApiLab, body: dict[str, Any]):
    answer = await lab.ask("POST", "/workflows?allow_faults=true", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]


async def test_name_that_is_taken_is_refused_and_free_again_after_deleting(lab: ApiLab):
    await lab.make("order")
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("order")})).status_code == 409
    assert (await lab.ask("DELETE", "/workflows/order")).status_code == 204
    assert (await lab.ask("POST", "/workflows", {"yaml": write_yaml("order")})).status_code == 201


async def test_api_16_titles_and_names(lab: ApiLab):
    await lab.make("order")

    async def change(title: str) -> tuple[int, str]:
        answer = await lab.ask("PATCH", "/workflows/order", {"title": title})
        return answer.status_code, "" if answer.status_code == 200 else code_of(answer)

    assert await change("x") == (200, "")
    assert await change("x" * 255) == (200, "")
    assert await change("x" * 256) == (422, "length")
    assert await change("   ") == (422, "blank")
    assert (await change("\u200b\u200c"))[0] == 422
    assert code_of(await lab.ask("POST", "/workflows", {"yaml": write_yaml("no_name")})) == "name_invalid"


async def test_api_20_ids_of_the_wrong_form_are_refused_and_unknown_ones_not_found(lab: ApiLab):
    made = await lab.make("order")
    tail = made["id"].removeprefix("wf_")
    for wrong in (f"run_{tail}", f"wf_{tail[:-1]}", f"wf_{tail[:-1]}u", "0190a8b0-5a3b-7c4d-8e9f-0a1b2c3d4e5f"):
        answer = await lab.ask("GET", f"/workflows/{wrong}")
        assert (answer.status_code, code_of(answer)) == (422, "id_invalid"), wrong
    for unknown in ("wf_" + "0" * 26, UNKNOWN, "nobody"):
        assert (await lab.ask("GET", f"/workflows/{unknown}")).status_code == 404
    assert (await lab.ask("GET", f"/workflows/{made['id'].upper()}")).json()["id"] == made["id"]
    assert (await lab.ask("GET", "/workflows/order")).json()["id"] == made["id"]


async def test_api_21_workflow_of_another_workspace_is_unknown(lab: ApiLab):
    made = await lab.make("order")
    lab.become(make_caller(workspace_id=IdSource(SystemClock()).make_id("ws")))
    theirs, nothing = [await lab.ask("GET", f"/workflows/{subject}") for subject in (made["id"], UNKNOWN)]
    assert theirs.status_code == nothing.status_code == 404
    assert theirs.text.replace(made["id"], "").split("requestId")[0] == nothing.text.replace(UNKNOWN, "").split("requestId")[0]
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/restore"), ("POST", "/publish"), ("GET", "/draft")):
        assert (await lab.ask(method, f"/workflows/{made['id']}{path}", {})).status_code == 404


async def test_api_22_fields_that_nobody_sets_are_refused_by_name(lab: ApiLab):
    await lab.make("order")
    for field in ("workspace_id", "created_by", "version", "role"):
        answer = await lab.ask("PATCH", "/workflows/order", {field: "x", "category": "y"})
        assert answer.status_code == 422
        assert answer.json()["error"]["details"][0] == {
            "field": field,
            "message": f"{field} cannot be set.",
            "code": "field_read_only",
        }
    assert code_of(await lab.ask("PATCH", "/workflows/order", {"colour": "red"})) == "field_unknown"
    assert (await lab.ask("GET", "/workflows/order")).json()["category"] == ""


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=201", "limit"),
        ("limit=1000000000", "limit"),
        ("limit=abc", "limit"),
        ("cursor=forged", "cursor_invalid"),
        ("offset=1", "parameter_unknown"),
        ("sort=name;drop table x", "sort_unknown"),
        ("sort=password_hash", "sort_unknown"),
        ("where=password_hash:eq:x", "where_unknown"),
        ("where=name:like:x", "where_unknown"),
        ("where=name", "where_invalid"),
        ("where=active:eq:yes", "where_invalid"),
        ("where=status:eq:gone", "where_invalid"),
        ("where=project_id:eq:1", "id_invalid"),
        ("q=%00", "control_char"),
        ("limit=1&limit=99", "parameter_repeated"),
    ],
)
async def test_api_23_24_26_lists_refuse_what_they_do_not_know(lab: ApiLab, query: str, code: str):
    answer = await lab.ask("GET", f"/workflows?{query}")
    assert (answer.status_code, code_of(answer)) == (422, code)


@pytest.mark.parametrize("kind", KINDS)
async def test_api_18_25_search_is_literal_and_titles_come_back_as_they_were_sent(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        titles = {
            "a": "100% sure",
            "b": "under_score",
            "c": "back\\slash",
            "d": "it's",
            "e": 'a ") b',
            "f": "plain \U0001f600 \U0001d54f",
        }
        for name, title in titles.items():
            await lab.make(name)
            await lab.ask("PATCH", f"/workflows/{name}", {"title": title})
        for name, text in {"a": "%", "b": "_", "c": "\\", "d": "'", "e": '")', "f": "PLAIN"}.items():
            for parameters in ({"q": text}, {"where": f"title:contains:{text}"}):
                answer = await lab.web.client.get("/api/v1/workflows", params=parameters)
                found = [(row["name"], row["title"]) for row in answer.json()["data"]]
                assert found == [(name, titles[name])], (text, parameters)


@pytest.mark.parametrize("kind", KINDS)
async def test_list_is_filtered_sorted_and_paged(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        await lab.publish("alpha", labels={"team": "red", "zone": 'x"y'}, category="Sales")
        await lab.make("beta", labels={"team": "redder"}, category="HR")
        await lab.publish("gamma", labels={"other": 'team":"red'}, category="Sales", active=False)
        await lab.publish("delta")
        await lab.ask("POST", "/workflows/delta/deprecate")
        await lab.make("omega")
        await lab.ask("DELETE", "/workflows/omega")

        async def names(query: str) -> list[str]:
            found: list[str] = []
            cursor = ""
            while True:
                answer = await lab.ask("GET", f"/workflows?limit=2&{query}{cursor}")
                assert answer.status_code == 200, answer.text
                found += [row["name"] for row in answer.json()["data"]]
                if answer.json()["next_cursor"] is None:
                    return found
                cursor = f"&cursor={answer.json()['next_cursor']}"

        assert await names("") == ["alpha", "beta", "delta", "gamma"]
        assert await names("sort=-name") == ["gamma", "delta", "beta", "alpha"]
        assert sorted(await names("sort=-updated_at")) == ["alpha", "beta", "delta", "gamma"]
        assert await names("include_deleted=true") == ["alpha", "beta", "delta", "gamma", "omega"]
        assert await names("where=status:in:published,draft") == ["alpha", "beta"]
        assert await names("where=status:eq:inactive") == ["gamma"]
        assert await names("where=status:eq:deprecated") == ["delta"]
        assert await names("where=status:eq:deleted&include_deleted=true") == ["omega"]
        assert await names("where=labels.team:eq:red") == ["alpha"]
        assert await names("where=labels.team:starts_with:red") == ["alpha", "beta"]
        assert await names("where=labels.team:in:red,redder,blue") == ["alpha", "beta"]
        assert await names("where=labels.team:eq:RED") == []
        assert await names('where=labels.zone:eq:x"y') == ["alpha"]
        assert await names("where=category:eq:Sales&where=active:eq:false") == ["gamma"]
        assert await names("where=name:starts_with:BE") == ["beta"]


async def test_cursor_of_another_list_is_refused(lab: ApiLab):
    for name in ("a", "b"):
        await lab.make(name)
    cursor = (await lab.ask("GET", "/workflows?limit=1")).json()["next_cursor"]
    assert (await lab.ask("GET", f"/workflows?limit=1&cursor={cursor}")).json()["data"][0]["name"] == "b"
    answer = await lab.ask("GET", f"/workflows?limit=1&cursor={cursor}&where=category:eq:x")
    assert (answer.status_code, code_of(answer)) == (422, "cursor_invalid")


async def test_rows_carry_the_last_runs_and_no_document_is_compiled(lab: ApiLab, monkeypatch: pytest.MonkeyPatch):
    made = await lab.publish("order")
    lab.runs.recent[made["id"]] = [RecentRun(f"run_{number}", "completed", number) for number in range(30)]
    monkeypatch.setattr("flowforge.entrypoints.wiring.Toolbox.check_source", None)
    row = (await lab.ask("GET", "/workflows")).json()["data"][0]
    assert len(row["recent_runs"]) == 20
    assert row["recent_runs"][1] == {"id": "run_1", "status": "completed", "started_at": "1970-01-01T00:00:00.001Z"}


async def test_labels_and_title_that_were_set_outlive_publishing(lab: ApiLab):
    await lab.make("order")
    await lab.ask("PATCH", "/workflows/order", {"title": "Ours", "labels": {"team": "red", "gone": None}})
    more = "title: Theirs\nlabels: {team: blue, gone: x, kept: y}\n"
    draft = (await lab.ask("GET", "/workflows/order/draft")).json()
    text = write_yaml("order", more=more)
    put = await lab.ask("PUT", "/workflows/order/draft", {"yaml": text}, If_Match=f'"{draft["etag"]}"')
    assert put.status_code == 200, put.text
    await lab.ask("POST", "/workflows/order/publish")
    found = (await lab.ask("GET", "/workflows/order")).json()
    assert (found["title"], found["labels"]) == ("Ours", {"team": "red", "kept": "y"})
    await lab.ask("PATCH", "/workflows/order", {"labels": {"team": None}})
    assert (await lab.ask("GET", "/workflows/order")).json()["labels"] == {"kept": "y"}


async def test_change_takes_an_etag_if_it_is_given_one(lab: ApiLab):
    await lab.make("order")
    etag = (await lab.ask("GET", "/workflows/order")).headers["etag"]
    first = await lab.ask("PATCH", "/workflows/order", {"active": False}, If_Match=etag)
    assert first.status_code == 200
    stale = await lab.ask("PATCH", "/workflows/order", {"active": True}, If_Match=etag)
    assert (stale.status_code, stale.headers["etag"]) == (412, first.headers["etag"])
    assert (await lab.ask("GET", "/workflows/order")).json()["active"] is False
    assert (await lab.ask("PATCH", "/workflows/order", {})).headers["etag"] == first.headers["etag"]
    assert await lab.list_audited() == ["workflow.created", "workflow.updated"]


@pytest.mark.parametrize("kind", KINDS)
async def test_api_33_of_two_changes_with_one_etag_one_is_refused(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        await lab.make("order")
        etag = (await lab.ask("GET", "/workflows/order")).headers["etag"]
        changes = [lab.ask("PATCH", "/workflows/order", {"category": text}, If_Match=etag) for text in ("a", "b")]
        assert sorted(answer.status_code for answer in await asyncio.gather(*changes)) == [200, 412]


async def test_deleting_with_open_runs_is_refused_or_forced(lab: ApiLab):
    made = await lab.publish("order")
    lab.runs.open_runs[made["id"]] = 2
    refused = await lab.ask("DELETE", "/workflows/order")
    assert (refused.status_code, code_of(refused), lab.runs.cancelled) == (409, "open_runs", [])
    assert (await lab.ask("DELETE", "/workflows/order?force=true")).status_code == 204
    assert set(lab.runs.cancelled) == {made["id"]}
    assert lab.triggers.live == {"order": None}
    assert (await lab.ask("GET", "/workflows/order")).status_code == 404
    assert (await lab.ask("GET", "/workflows/order?include_deleted=true")).json()["status"] == "deleted"


async def test_restoring_brings_back_the_triggers_too(lab: ApiLab):
    await lab.publish("order")
    await lab.ask("DELETE", "/workflows/order")
    restored = await lab.ask("POST", "/workflows/order/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "published")
    assert lab.triggers.live["order"] is not None
    assert await lab.list_events() == [f"workflow.{what}" for what in ("created", "published", "deleted", "restored")]
    assert (await lab.ask("POST", "/workflows/order/restore")).status_code == 200
    assert await lab.list_audited() == [f"workflow.{what}" for what in ("created", "published", "deleted", "restored")]


async def test_restoring_is_refused_while_another_has_the_name(lab: ApiLab):
    first = await lab.make("order")
    await lab.ask("DELETE", "/workflows/order")
    await lab.make("order")
    answer = await lab.ask("POST", f"/workflows/{first['id']}/restore")
    assert (answer.status_code, code_of(answer)) == (409, "name_taken")


@pytest.mark.parametrize("kind", KINDS)
async def test_permanent_deletion_leaves_nothing_and_needs_more(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        made = await lab.publish("order")
        await add_triggers(lab, made["id"])
        await lab.ask("POST", "/workflow-sets", {"name": "all", "workflows": ["order"]})
        lab.become(make_caller("workflow:read", "workflow:delete"))
        assert (await lab.ask("DELETE", "/workflows/order?permanent=true")).status_code == 403
        assert (await lab.ask("DELETE", "/workflows/order")).status_code == 204
        lab.become(make_caller())
        assert (await lab.ask("DELETE", f"/workflows/{made['id']}?permanent=true")).status_code == 204
        assert (await lab.ask("POST", f"/workflows/{made['id']}/restore")).status_code == 404
        assert (await lab.ask("GET", "/workflow-sets/all")).json()["workflows"] == []
        async with lab.web.parts.database.read() as session:
            for table in (TriggerRow, TriggerRequestRow, TriggerEventRow, ScheduleRow):
                assert (await session.scalars(select(table))).all() == [], table.__tablename__


async def add_triggers(lab: ApiLab, workflow_id: str) -> None:
    """A schedule, and a webhook that was called and holds an event."""
    with_: list[JsonObject] = [{"path": "in", "auth": "none"}, {"cron": "0 7 * * *"}]
    triggers: list[JsonValue] = [
        {"id": uses, "uses": uses, "with": value} for uses, value in zip(("webhook", "schedule"), with_, strict=True)
    ]
    async with lab.web.parts.database.write.begin() as session:
        await replace_triggers(session, "user:x", DEFAULT_WORKSPACE_ID, workflow_id, "order", {"triggers": triggers}, 1)
        rows = await list_of_workflow(session, DEFAULT_WORKSPACE_ID, workflow_id)
        assert len(rows) == 2
        for row in rows:
            await add_held(
                session, DEFAULT_WORKSPACE_ID, HeldEvent(make_id("evt"), row.id, DEFAULT_WORKSPACE_ID, 1, None, "", {})
            )
            await add_requests(session, [RequestRecord(row.id, DEFAULT_WORKSPACE_ID, 1, 202)])


async def test_who_may_what(lab: ApiLab):
    await lab.publish("order")
    lab.become(ANONYMOUS)
    for method, path in (("GET", ""), ("GET", "/order"), ("POST", ""), ("DELETE", "/order"), ("GET", "/order/docs")):
        assert (await lab.ask(method, f"/workflows{path}")).status_code == 401
    lab.become(make_caller("workflow:read"))
    assert (await lab.ask("GET", "/workflows/order")).status_code == 200
    forbidden = (("PATCH", ""), ("DELETE", ""), ("POST", "/restore"), ("POST", "/publish"), ("POST", "/deprecate"))
    for method, path in (*forbidden, ("PUT", "/draft"), ("DELETE", "/draft"), ("POST", "/revert")):
        assert (await lab.ask(method, f"/workflows/order{path}", {})).status_code == 403, path
    assert (await lab.ask("POST", "/workflows", {})).status_code == 403


async def test_public_workflows_are_for_all_who_are_signed_in(lab: ApiLab):
    await lab.publish("open", public=True)
    await lab.publish("closed")
    lab.become(make_caller("task:read"))
    assert [row["name"] for row in (await lab.ask("GET", "/workflows")).json()["data"]] == ["open"]
    for path in ("", "/versions", "/versions/1", "/docs", "/graph", "/start-form"):
        assert (await lab.ask("GET", f"/workflows/open{path}")).status_code == 200, path
        assert (await lab.ask("GET", f"/workflows/closed{path}")).status_code == 404, path
    assert (await lab.ask("GET", "/workflows/open/draft")).status_code == 403
    assert (await lab.ask("GET", "/workflows/open/docs?version=draft")).status_code == 403
    lab.become(make_project_caller("prj_" + "1" * 26, "task:read", kind=CredentialKind.KEY))
    assert (await lab.ask("GET", "/workflows/open")).status_code == 404


async def test_failure_of_the_triggers_undoes_the_publication(lab: ApiLab):
    await lab.make("order")
    lab.triggers.fails = True
    assert (await lab.ask("POST", "/workflows/order/publish")).status_code == 500
    found = (await lab.ask("GET", "/workflows/order")).json()
    assert (found["status"], found["has_draft"]) == ("draft", True)
    assert await lab.list_audited() == ["workflow.created"]
