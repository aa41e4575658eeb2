"""Events to the outside: signed webhooks with retries and dead letters; and what persons are told."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select, update
from tests.support.clock import ManualClock
from tests.support.server_lab import NOTE, ServerLab, open_server_lab

from flowforge.kit.egress import EgressClient, EgressError, EgressRequest
from flowforge.kit.egress.errors import EgressFault
from flowforge.live.delivering import RETRIES_MS, DeliveryDuty
from flowforge.live.dispatching import DispatchDuty
from flowforge.live.models import DeliveryRow, SubscriptionRow
from flowforge.live.subscriptions import reencrypt_subscriptions, reveal_secret

FAILING = {
    "flowforge": 1,
    "name": "failing",
    "steps": [{"id": "stop", "uses": "flow.fail", "with": {"code": "broken", "message": "on purpose"}}],
}


@dataclass
class Answered:
    status: int


@dataclass
class Receiver:
    """Stands for the guarded client: the answers of a system outside, in order; the last one is repeated."""

    answers: list[int | EgressFault] = field(default_factory=lambda: [204])
    requests: list[EgressRequest] = field(default_factory=list[EgressRequest])

    async def send(self, request: EgressRequest) -> Answered:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, EgressFault):
            raise EgressError(answer, "The host is not allowed.")
        return Answered(answer)


@dataclass
class Outside:
    """A server whose deliveries go to the receiver, by a clock that is moved by hand."""

    lab: ServerLab
    receiver: Receiver
    clock: ManualClock
    dispatch: DispatchDuty
    delivery: DeliveryDuty

    async def subscribe(self, *types: str) -> dict[str, Any]:
        made = await self.lab.client.post("/api/v1/event-subscriptions", json={"url": "https://a.example/in", "types": types})
        assert made.status_code == 201, made.text
        return made.json()

    async def deliver(self) -> None:
        await self.dispatch.run_once()
        await self.delivery.run_once()

    async def list_deliveries(self, subscription: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        answer = await self.lab.client.get(f"/api/v1/event-subscriptions/{subscription['id']}/deliveries{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture
async def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Outside]:
    def list_none(*_: object) -> list[object]:
        return []

    monkeypatch.setattr("flowforge.entrypoints.server.domains._list_live_duties", list_none)
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        installation, receiver = lab.installation, Receiver()
        clock = ManualClock(installation.clock.now_ms() + 1_000)
        dispatch = DispatchDuty(installation.database, clock, installation.ids, is_ordered=True)
        delivery = DeliveryDuty(installation.database, installation.keyring, cast("EgressClient", receiver), clock)
        await dispatch.run_once()
        yield Outside(lab, receiver, clock, dispatch, delivery)


async def test_an_event_is_delivered_once_and_signed(outside: Outside):
    subscription = await outside.subscribe("run.finished", "workflow.*")
    assert subscription["secret"].startswith("whsec_")
    await outside.lab.start({"workflow": "note"}, "?wait=10s")
    await outside.lab.client.post("/api/v1/workflows/note/deprecate", json={})
    for _ in range(3):
        await outside.deliver()
    requests = outside.receiver.requests
    kinds = [cast("bytes", request.body) for request in requests]
    assert [b'"type":"run.finished"' in kinds[0], b'"type":"workflow.deprecated"' in kinds[1], len(kinds)] == [True, True, 2]
    headers = dict(requests[0].headers)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + kinds[0]
    key = b64decode(subscription["secret"].removeprefix("whsec_"))
    assert headers["webhook-signature"] == "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert requests[0].follows_redirects is False
    shown = (await outside.lab.client.get(f"/api/v1/event-subscriptions/{subscription['id']}")).json()
    assert "secret" not in shown
    assert {row["status"] for row in await outside.list_deliveries(subscription)} == {"delivered"}


async def test_a_delivery_is_tried_for_three_days_and_becomes_a_dead_letter(outside: Outside):
    outside.receiver.answers = [503]
    subscription = await outside.subscribe("run.finished")
    await outside.lab.start({"workflow": "note"}, "?wait=10s")
    await outside.deliver()
    began_ms = outside.clock.now_ms()
    for delay_ms in RETRIES_MS:
        count = len(outside.receiver.requests)
        await outside.deliver()
        assert len(outside.receiver.requests) == count
        outside.clock.advance(int(delay_ms * 1.1) + 1)
        await outside.deliver()
        assert len(outside.receiver.requests) == count + 1
    assert outside.clock.now_ms() - began_ms > 2.9 * 86_400_000
    assert len({dict(request.headers)["webhook-id"] for request in outside.receiver.requests}) == 1
    (dead,) = await outside.list_deliveries(subscription, "?status=dead")
    assert (dead["attempts"], dead["last_status"], dead["next_attempt_at"]) == (len(RETRIES_MS) + 1, 503, None)
    told = (await outside.lab.client.get("/api/v1/notifications")).json()["data"]
    assert [notice["kind"] for notice in told] == ["delivery.dead"]
    outside.receiver.answers = [200]
    path = f"/api/v1/event-subscriptions/{subscription['id']}/deliveries/{dead['id']}/redrive"
    assert (await outside.lab.client.post(path)).status_code == 202
    await outside.deliver()
    assert [row["status"] for row in await outside.list_deliveries(subscription)] == ["delivered"]
    assert (await outside.lab.client.post(path)).status_code == 409


async def test_net_23_an_address_that_is_not_allowed_is_never_asked(outside: Outside):
    outside.receiver.answers = [EgressFault.DENIED]
    subscription = await outside.subscribe("run.finished")
    await outside.lab.start({"workflow": "note"}, "?wait=10s")
    await outside.deliver()
    (row,) = await outside.list_deliveries(subscription)
    assert (row["status"], row["last_error"]) == ("pending", "The host is not allowed.")


async def test_a_receiver_that_is_gone_is_asked_no_more(outside: Outside):
    outside.receiver.answers = [410]
    subscription = await outside.subscribe("*")
    await outside.lab.start({"workflow": "note"}, "?wait=10s")
    await outside.dispatch.run_once()
    await outside.delivery.run_once()
    shown = (await outside.lab.client.get(f"/api/v1/event-subscriptions/{subscription['id']}")).json()
    assert shown["active"] is False
    changed = await outside.lab.client.patch(f"/api/v1/event-subscriptions/{subscription['id']}", json={"active": True})
    assert changed.json()["active"] is True


async def test_two_processes_make_each_delivery_once(outside: Outside):
    subscription = await outside.subscribe("run.finished")
    for _ in range(3):
        await outside.lab.start({"workflow": "note"}, "?wait=10s")
    installation = outside.lab.installation
    other = DispatchDuty(installation.database, outside.clock, installation.ids, is_ordered=False)
    await other.run_once()
    await outside.dispatch.run_once()
    await other.run_once()
    assert len(await outside.list_deliveries(subscription)) == 3


async def test_a_delivery_whose_sender_died_is_sent_again(outside: Outside):
    subscription = await outside.subscribe("run.finished")
    await outside.lab.start({"workflow": "note"}, "?wait=10s")
    await outside.dispatch.run_once()
    async with outside.lab.installation.database.write.begin() as session:
        await session.execute(update(DeliveryRow).values(due_at=outside.clock.now_ms() + 60_000))
    await outside.delivery.run_once()
    assert outside.receiver.requests == []
    outside.clock.advance(60_000)
    await outside.delivery.run_once()
    assert [row["status"] for row in await outside.list_deliveries(subscription)] == ["delivered"]


async def test_secrets_are_sealed_and_sealed_anew(outside: Outside):
    subscription = await outside.subscribe("*")
    keyring = outside.lab.installation.keyring
    async with outside.lab.installation.database.write.begin() as session:
        row = (await session.scalars(select(SubscriptionRow))).one()
        assert subscription["secret"].encode() not in row.sealed
        assert reveal_secret(keyring, row) == subscription["secret"]
        assert await reencrypt_subscriptions(session, keyring) == 0


@pytest.mark.parametrize(
    ("body", "field_name"),
    [
        ({"url": "ftp://a.example/", "types": ["*"]}, "url"),
        ({"url": "https://user:pass@a.example/", "types": ["*"]}, "url"),
        ({"url": "https://a.example/#x", "types": ["*"]}, "url"),
        ({"url": "https://a.example:99999/", "types": ["*"]}, "url"),
        ({"url": "nothing", "types": ["*"]}, "url"),
        ({"url": "https://a.example/", "types": []}, "types"),
        ({"url": "https://a.example/", "types": ["step.completed"]}, "types"),
        ({"url": "https://a.example/", "types": ["run."]}, "types"),
    ],
)
async def test_subscriptions_that_cannot_be_made(outside: Outside, body: dict[str, Any], field_name: str):
    answer = await outside.lab.client.post("/api/v1/event-subscriptions", json=body)
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, field_name)


async def test_subscriptions_are_listed_changed_and_deleted(outside: Outside):
    made = [await outside.subscribe("run.*") for _ in range(3)]
    first = (await outside.lab.client.get("/api/v1/event-subscriptions", params={"limit": 2})).json()
    rest = (await outside.lab.client.get("/api/v1/event-subscriptions", params={"cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in [*first["data"], *rest["data"]]] == [row["id"] for row in made]
    path = f"/api/v1/event-subscriptions/{made[0]['id']}"
    assert (await outside.lab.client.patch(path, json={"types": ["*"]})).json()["types"] == ["*"]
    assert (await outside.lab.client.delete(path)).status_code == 204
    assert (await outside.lab.client.get(path)).status_code == 404
    audit = (await outside.lab.client.get("/api/v1/audit", params={"where": "entity:eq:event_subscription"})).json()
    assert {row["action"] for row in audit["data"]} >= {"event_subscription.created", "event_subscription.deleted"}


async def test_who_started_a_run_that_failed_is_told_once(outside: Outside):
    await outside.lab.publish(FAILING)
    run = (await outside.lab.start({"workflow": "failing"}, "?wait=10s")).json()
    assert run["status"] == "failed"
    for _ in range(2):
        await outside.dispatch.run_once()
    (notice,) = (await outside.lab.client.get("/api/v1/notifications", params={"unread": True})).json()["data"]
    assert (notice["kind"], notice["subject"], notice["text"]) == ("run.failed", run["id"], "on purpose")
    path = f"/api/v1/notifications/{notice['id']}/read"
    assert [(await outside.lab.client.post(path)).status_code for _ in range(2)] == [204, 204]
    assert (await outside.lab.client.get("/api/v1/notifications", params={"unread": True})).json()["data"] == []
    other = f"/api/v1/notifications/{'ntf_' + '0' * 26}/read"
    assert (await outside.lab.client.post(other)).status_code == 404
