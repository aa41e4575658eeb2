"""Triggers over the API: kinds, attached ones, pausing, firing, figures, held events."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.support.web_lab import make_caller
from tests.triggers.hook_lab import HookLab, make_document, open_hook_lab, read_code, read_json

WITH: dict[str, object] = {"path": "extra", "auth": {"hmac": "${{ secrets.SHOP }}"}}
HOOK: dict[str, object] = {"uses": "webhook", "with": WITH}


async def attach(lab: HookLab, **changes: object) -> httpx2.Response:
    return await lab.post("", {"workflow_id": "shop", **HOOK, **changes})


async def read_audit(lab: HookLab) -> list[tuple[str, str]]:
    async with lab.parts.database.read() as session:
        query = text("SELECT action, coalesce(after, '') AS told FROM audit_rows ORDER BY no")
        return [(row.action, row.told) for row in await session.execute(query)]


async def test_b10_the_kinds_are_listed_with_their_schemas(lab: HookLab):
    kinds = {kind["name"]: kind for kind in (await lab.get("/types"))["data"]}
    assert {"webhook", "schedule", "file", "event", "email", "form"} <= kinds.keys()
    webhook = await lab.get("/types/webhook")
    assert webhook == kinds["webhook"]
    assert webhook["schema"]["required"] == ["path", "auth"]
    assert "delivery_id" in webhook["trigger"]
    assert (await lab.client.get("/api/v1/triggers/types/pigeon")).status_code == 404


@pytest.mark.parametrize("kind", ["webhook", "schedule", "file", "event", "email", "form"])
async def test_the_examples_of_a_kind_are_valid(lab: HookLab, kind: str):
    for example in (await lab.get(f"/types/{kind}"))["examples"]:
        answer = read_json(await lab.post("/test", {"uses": kind, "with": example}))
        assert answer["errors"] == [], example


async def test_parameters_are_looked_at_and_nothing_is_stored(lab: HookLab):
    good = read_json(await lab.post("/test", HOOK))
    assert (good["configuration_valid"], good["connection_test"]["successful"]) == (True, None)
    bad = read_json(await lab.post("/test", {"uses": "webhook", "with": {"path": "A B", "auth": {}, "addresses": ["x"]}}))
    assert bad["configuration_valid"] is False
    assert {error["field"] for error in bad["errors"]} == {"with.path", "with.auth", "with.addresses[0]"}
    open_one = read_json(await lab.post("/test", {"uses": "webhook", "with": {"path": "a", "auth": "none"}}))
    assert len(open_one["warnings"]) == 1
    unknown = read_json(await lab.post("/test", {"uses": "pigeon", "with": {}}))
    assert unknown["errors"][0]["code"] == "kind_unknown"
    assert len(await lab.list_triggers()) == 1


async def test_an_attached_trigger_is_live_at_once_and_gone_when_it_is_deleted(lab: HookLab):
    answer = await attach(lab, input={"order": "${{ trigger.body.id }}"})
    assert answer.status_code == 201
    trigger = read_json(answer)
    assert (trigger["source"], trigger["status"], trigger["url"]) == ("attached", "live", "/hooks/extra")
    delivered = await lab.send("extra", b'{"id":7}')
    assert (await lab.read_start(read_json(delivered)["run_id"]))["input"] == {"order": 7}
    assert (await lab.client.delete(f"/api/v1/triggers/{trigger['id']}")).status_code == 204
    assert (await lab.send("extra")).status_code == 404
    assert (await lab.client.get(f"/api/v1/triggers/{trigger['id']}")).status_code == 404
    assert [action for action, _ in await read_audit(lab)] == ["trigger.created", "trigger.deleted"]


async def test_an_attached_trigger_is_changed_by_a_merge_patch(lab: HookLab):
    trigger = read_json(await attach(lab, input={"a": 1}))
    path = f"/api/v1/triggers/{trigger['id']}"
    answer = await lab.client.patch(path, json={"with": {"path": "moved", "respond": "result"}, "input": None})
    changed = read_json(answer)
    assert changed["with"] == WITH | {"path": "moved", "respond": "result"}
    assert changed["input"] is None
    assert (await lab.send("extra")).status_code == 404
    assert (await lab.send("moved", b'{"a":2}')).json() == {"got": {"a": 2}}
    assert (await lab.client.patch(path, json={"with": {"path": "A B"}})).status_code == 422
    assert (await lab.client.patch(path, json={"kind": "x"})).status_code == 422


async def test_a_trigger_of_a_document_is_changed_there_alone(lab: HookLab):
    [trigger] = await lab.list_triggers()
    path = f"/api/v1/triggers/{trigger['id']}"
    for answer in (await lab.client.patch(path, json={"with": {"path": "x"}}), await lab.client.delete(path)):
        assert (answer.status_code, read_code(answer)) == (409, "owned_by_document")


async def test_a_path_belongs_to_one_webhook_of_the_workspace(lab: HookLab):
    taken = await attach(lab, **{"with": {"path": "orders", "auth": "none"}})
    assert (taken.status_code, read_code(taken)) == (409, "path_taken")
    await attach(lab)
    with pytest.raises(Exception, match="belongs to another webhook"):
        await lab.publish(make_document("other", "{path: extra, auth: none}"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"workflow_id": "nowhere", **HOOK}, 404),
        ({"workflow_id": "wf_nothing", **HOOK}, 422),
        ({"workflow_id": "shop", "uses": "webhook", "with": {"path": "connectors/x", "auth": "none"}}, 422),
        ({"workflow_id": "shop", "uses": "webhook", "with": {"path": "x", "auth": "none", "more": 1}}, 422),
        ({"workflow_id": "shop", "uses": "webhook", "with": {"path": "x", "auth": "none"}, "input": "${{ steps.a }}"}, 422),
        ({"workflow_id": "shop", "uses": "webhook"}, 422),
        ({"workflow_id": 7, **HOOK}, 422),
    ],
)
async def test_a_trigger_that_cannot_be_is_not_attached(lab: HookLab, body: dict[str, object], status: int):
    assert (await lab.post("", body)).status_code == status
    assert len(await lab.list_triggers()) == 1


async def test_secrets_in_plain_text_are_masked_wherever_they_are_shown(lab: HookLab):
    plain = {"path": "plain", "auth": {"basic": {"user": "shop", "password": "hunter22"}}}
    trigger = read_json(await attach(lab, **{"with": plain}))
    assert trigger["with"]["auth"] == {"basic": {"user": "shop", "password": "***"}}
    assert "hunter22" not in str(await lab.list_triggers()) + str(await read_audit(lab))


async def test_lists_are_filtered_and_paged(lab: HookLab):
    for number in range(3):
        await attach(lab, **{"with": {"path": f"p-{number}", "auth": "none"}})
    assert len((await lab.get("?where=source:eq:attached"))["data"]) == 3
    assert len((await lab.get("?where=uses:in:schedule,email"))["data"]) == 0
    first = await lab.get("?limit=3")
    rest = await lab.get(f"?limit=3&cursor={first['next_cursor']}")
    assert len({row["id"] for row in first["data"] + rest["data"]}) == 4
    assert rest["next_cursor"] is None
    assert (await lab.client.get("/api/v1/triggers?where=config:eq:x")).status_code == 422


async def test_a_trigger_fired_by_hand_starts_a_run_once_for_a_key(lab: HookLab):
    [trigger] = await lab.list_triggers()
    path = f"/api/v1/triggers/{trigger['id']}/fire"
    answers = [await lab.client.post(path, json={"payload": {"a": 1}}, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert read_json(answers[0])["run_id"] == read_json(answers[1])["run_id"]
    assert answers[1].headers["idempotency-replayed"] == "true"
    other = await lab.client.post(path, json={"payload": {"a": 2}}, headers={"idempotency-key": "k"})
    assert other.status_code == 409
    started = await lab.read_start(read_json(answers[0])["run_id"])
    assert (started["input"], started["actor"]) == ({"a": 1}, f"trigger:{trigger['id']}")


async def test_a_form_that_is_fired_is_filled_in_as_the_form_says(lab: HookLab):
    made = read_json(await attach(lab, uses="form", **{"with": {"fields": [{"name": "model", "required": True}]}}))
    bad = await lab.post(f"/{made['id']}/fire", {"payload": {"colour": "red"}})
    assert bad.status_code == 422
    faults = [(fault["field"], fault["code"]) for fault in read_json(bad)["error"]["details"]]
    assert faults == [("values.colour", "field_unknown"), ("values.model", "required")]
    fired = await lab.post(f"/{made['id']}/fire", {"payload": {"model": "x1"}})
    started = await lab.read_start(read_json(fired)["run_id"])
    assert (started["input"], started["trigger"]["values"], started["trigger"]["by"]) == (
        {"model": "x1"},
        {"model": "x1"},
        lab.gate.caller.actor,
    )


async def test_a_trigger_that_is_off_cannot_be_fired(lab: HookLab):
    [trigger] = await lab.list_triggers()
    await lab.take_down(trigger["workflow_id"], "shop")
    answer = await lab.post(f"/{trigger['id']}/fire", {})
    assert (answer.status_code, read_code(answer)) == (409, "trigger_off")


async def test_b03_figures_and_the_last_hundred_requests_are_kept(lab: HookLab):
    for number in range(105):
        await lab.send("orders", b'{"n":%d}' % number, user_agent="shop/1")
    await lab.send("orders", b"{}", unsigned="")
    [trigger] = await lab.list_triggers()
    figures = await lab.get(f"/{trigger['id']}/stats")
    assert (figures["total"], figures["successful"], figures["failed"]) == (106, 105, 1)
    assert figures["last_fired_at"] is not None
    requests = (await lab.get(f"/{trigger['id']}/requests?limit=200"))["data"]
    assert len(requests) == 100
    assert (requests[0]["status"], requests[0]["error"]) == (401, "signature")
    assert (requests[1]["status"], requests[1]["user_agent"], requests[1]["remote_address"]) == (202, "shop/1", "127.0.0.1")
    assert requests[1]["run_id"].startswith("run_")


async def test_held_events_are_listed_chosen_run_and_thrown_away(lab: HookLab):
    [trigger] = await lab.list_triggers()
    path = f"/{trigger['id']}"
    assert read_json(await lab.post(f"{path}/pause"))["paused"] == "keep"
    for number in range(4):
        await lab.send("orders", b'{"n":%d}' % number)
    held = (await lab.get(f"{path}/events"))["data"]
    assert [event["data"]["body"]["n"] for event in held] == [0, 1, 2, 3]
    ran = read_json(await lab.post(f"{path}/events/run", {"ids": [held[1]["id"]]}))
    assert (ran["run"], ran["left"]) == (1, 3)
    assert (await lab.post(f"{path}/events/run", {"ids": [held[1]["id"], held[0]["id"]]})).status_code == 404
    gone = read_json(await lab.post(f"{path}/events/discard", {"ids": [held[0]["id"]]}))
    assert gone == {"discarded": 1}
    assert read_json(await lab.post(f"{path}/events/discard", {"all": True})) == {"discarded": 2}
    assert await lab.count_runs() == 1
    bodies: list[object] = [{}, {"all": True, "ids": [held[0]["id"]]}, {"all": False}, {"ids": ["evt_x"]}, {"ids": []}]
    for body in bodies:
        assert (await lab.post(f"{path}/events/run", body)).status_code == 422


async def test_an_event_that_cannot_start_stays_held_and_says_why(lab: HookLab):
    document = make_document("strict", "{path: strict, auth: none}", more="input: {type: object, required: [order]}\n")
    await lab.publish(document)
    [trigger] = [found for found in await lab.list_triggers() if found["workflow"] == "strict"]
    await lab.post(f"/{trigger['id']}/pause", {"events": "keep"})
    for body in (b"{}", b'{"order":1}'):
        assert (await lab.send("strict", body)).status_code == 202
    ran = read_json(await lab.post(f"/{trigger['id']}/events/run", {"all": True}))
    assert (ran["run"], ran["left"], len(ran["failed"])) == (1, 1, 1)
    assert ran["failed"][0]["code"] == "required"


async def test_pause_identity_and_figures_outlive_publishing(lab: HookLab):
    [before] = await lab.list_triggers()
    await lab.send("orders")
    await lab.post(f"/{before['id']}/pause", {"events": "keep"})
    await lab.publish(make_document("shop", "{path: moved, auth: none}"))
    [after] = await lab.list_triggers()
    assert (after["id"], after["paused"], after["url"]) == (before["id"], "keep", "/hooks/moved")
    assert (await lab.get(f"/{after['id']}/stats"))["total"] == 1
    await lab.take_down(after["workflow_id"], "shop")
    [off] = await lab.list_triggers()
    assert (off["id"], off["status"]) == (before["id"], "off")


async def test_paths_change_places_when_a_document_is_published(lab: HookLab):
    two = "flowforge: 1\nname: two\ntriggers:\n{}" + "steps:\n  - {{id: a, uses: flow.set, with: {{values: {{}}}}}}\n"
    entry = "  - {{id: {}, uses: webhook, with: {{path: {}, auth: none}}}}\n"
    await lab.publish(two.format(entry.format("a", "one") + entry.format("b", "two")))
    ids = {row["key"]: row["id"] for row in await lab.list_triggers()}
    await lab.publish(two.format(entry.format("a", "two") + entry.format("b", "one")))
    rows = {row["key"]: row for row in await lab.list_triggers()}
    assert (rows["a"]["url"], rows["b"]["url"]) == ("/hooks/two", "/hooks/one")
    assert (rows["a"]["id"], rows["b"]["id"]) == (ids["a"], ids["b"])
    with pytest.raises(Exception, match="belongs to another webhook"):
        await lab.publish(two.format(entry.format("a", "same") + entry.format("b", "same")))


async def test_verbs_need_their_permissions(lab: HookLab):
    [trigger] = await lab.list_triggers()
    path = f"/{trigger['id']}"
    lab.gate.caller = make_caller("trigger:read")
    assert (await lab.get(path))["id"] == trigger["id"]
    for answer in (await attach(lab), await lab.post(f"{path}/pause"), await lab.post(f"{path}/fire", {})):
        assert answer.status_code == 403
    lab.gate.caller = make_caller("trigger:operate")
    assert (await lab.post(f"{path}/pause")).status_code == 200
    assert (await lab.client.get(f"/api/v1/triggers{path}")).status_code == 403


async def test_another_workspace_sees_and_changes_nothing(lab: HookLab):
    [trigger] = await lab.list_triggers()
    lab.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    assert await lab.list_triggers() == []
    path = f"/api/v1/triggers/{trigger['id']}"
    posts: list[tuple[str, Any]] = [("pause", {}), ("resume", {}), ("fire", {}), ("test", {}), ("events/run", {"all": True})]
    codes = [(await lab.client.post(f"{path}/{verb}", json=body)).status_code for verb, body in posts]
    codes += [(await lab.client.get(f"{path}/{what}")).status_code for what in ("stats", "requests", "events")]
    codes += [(await lab.client.get(path)).status_code, (await lab.client.delete(path)).status_code]
    assert set(codes) == {404}


async def test_fired_and_failed_are_events_for_the_outside_where_somebody_listens(tmp_path: Path):
    async with open_hook_lab(tmp_path, tells_outside=True) as lab:
        await lab.publish(make_document("open", "{path: orders, auth: none}"))
        await lab.send("orders")
        await lab.send("orders", b"{")
        [trigger] = await lab.list_triggers()
        await lab.get(f"/{trigger['id']}/stats")
        async with lab.parts.database.read() as session:
            query = text("SELECT event_type FROM outbox WHERE aggregate_id = :id ORDER BY no")
            rows = await session.scalars(query, {"id": trigger["id"]})
            assert list(rows) == ["trigger.fired", "trigger.failed"]
