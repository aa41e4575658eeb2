"""Event subscriptions over HTTP: signed webhooks to systems outside."""

from typing import Annotated, Final

from fastapi import Path, Query, Response
from pydantic import Field

from flowforge.audit.service import record
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.live import subscriptions as service
from flowforge.live.lists import DELIVERIES, SUBSCRIPTIONS
from flowforge.live.models import DeliveryRow, SubscriptionRow
from flowforge.live.subscription_errors import (
    DeliveryNotFoundError,
    DeliveryStateError,
    SubscriptionInvalidError,
    SubscriptionNotFoundError,
)
from flowforge.live.types import DeliveryStatus, Subscription
from flowforge.runs.times import format_optional_time
from flowforge.web.bodies import Answer, Body
from flowforge.web.calls import CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router

router = Router("event-subscriptions", "/event-subscriptions")

_READ: Final = "event:read"
_MANAGE: Final = "event:manage"
_ENTITY: Final = "event_subscription"

EventType = Annotated[str, Field(min_length=1, max_length=40)]
UrlText = Annotated[str, Field(min_length=1, max_length=2_000, examples=["https://example.com/hooks/flowforge"])]
IdIn = Annotated[str, Path(max_length=64)]
StatusIn = Annotated[DeliveryStatus | None, Query(description="`dead`: the dead letters.")]


class SubscriptionBody(Body):
    """Where events are sent, and which."""

    url: UrlText
    types: list[EventType] = Field(
        min_length=1, max_length=50, description="Names, kinds or `*`.", examples=[["run.finished", "workflow.*"]]
    )


class SubscriptionChange(Body):
    """What is left out stays."""

    url: UrlText | None = None
    types: list[EventType] | None = Field(default=None, min_length=1, max_length=50)
    active: bool | None = Field(default=None, description="Of what happens while it is false nothing is delivered later.")


class SubscriptionAnswer(Answer):
    id: str
    url: str
    types: list[str]
    active: bool
    created_at: str
    created_by: str
    updated_at: str


class CreatedAnswer(SubscriptionAnswer):
    """With the secret that signs; it is shown this once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class DeliveryAnswer(Answer):
    """One event for the subscription. `id` is its `webhook-id`."""

    id: str
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    ended_at: str | None


@router.post("", _MANAGE, status=201, errors=[SubscriptionInvalidError])
async def create_subscription(call: CallIn, body: SubscriptionBody, response: Response) -> CreatedAnswer:
    """Subscribe to events, from now on. They come as signed webhooks (Standard Webhooks), in any order, at least once."""
    async with call.change() as session:
        made = await service.create_subscription(
            session,
            call.parts.keyring,
            call.workspace_id,
            subscription_id=call.make_id("sub"),
            url=body.url,
            types=body.types,
            actor=call.actor,
            at_ms=call.now_ms,
        )
        told = made.subscription
        await record(session, call, "event_subscription.created", _ENTITY, told.id, after=_note(told))
    response.headers["location"] = f"/api/v1/event-subscriptions/{told.id}"
    return CreatedAnswer(**_describe(told).model_dump(), secret=made.secret)


@router.get("", _READ)
async def list_subscriptions(call: CallIn, asked: Annotated[Asked, make_asked(SUBSCRIPTIONS)]) -> Page[SubscriptionAnswer]:
    """All event subscriptions of the workspace."""
    selection = SUBSCRIPTIONS.read(asked, call.workspace_id)
    async with call.report() as session:
        rows = await service.list_subscriptions(session, call.workspace_id, selection)
    kept, following = selection.cut(rows)
    return Page(data=[_describe_row(row) for row in kept], next_cursor=following)


@router.get("/{subscription_id}", _READ, errors=[SubscriptionNotFoundError])
async def get_subscription(call: CallIn, subscription_id: IdIn) -> SubscriptionAnswer:
    """An event subscription."""
    async with call.read() as session:
        return _describe_row(await service.get_subscription(session, call.workspace_id, parse_id(subscription_id, "sub")))


@router.patch("/{subscription_id}", _MANAGE, errors=[SubscriptionNotFoundError, SubscriptionInvalidError])
async def change_subscription(call: CallIn, subscription_id: IdIn, body: SubscriptionChange) -> SubscriptionAnswer:
    """Change where events are sent, which, or whether."""
    checked = parse_id(subscription_id, "sub")
    async with call.change() as session:
        before = service.summarize(await service.get_subscription(session, call.workspace_id, checked))
        row = await service.change_subscription(
            session,
            call.workspace_id,
            checked,
            url=body.url,
            types=body.types,
            is_active=body.active,
            at_ms=call.now_ms,
        )
        after = service.summarize(row)
        await record(session, call, "event_subscription.updated", _ENTITY, row.id, before=_note(before), after=_note(after))
    return _describe(after)


@router.delete("/{subscription_id}", _MANAGE, status=204, errors=[SubscriptionNotFoundError])
async def delete_subscription(call: CallIn, subscription_id: IdIn) -> None:
    """End a subscription. What was not delivered yet never is."""
    async with call.change() as session:
        gone = await service.delete_subscription(session, call.workspace_id, parse_id(subscription_id, "sub"))
        await record(session, call, "event_subscription.deleted", _ENTITY, gone.id, before=_note(gone))


@router.get("/{subscription_id}/deliveries", _READ, errors=[SubscriptionNotFoundError])
async def list_deliveries(
    call: CallIn, subscription_id: IdIn, asked: Annotated[Asked, make_asked(DELIVERIES)], status: StatusIn = None
) -> Page[DeliveryAnswer]:
    """What was sent, is about to be, or became a dead letter; the newest first."""
    checked = parse_id(subscription_id, "sub")
    selection = DELIVERIES.read(asked, checked, status)
    async with call.report() as session:
        rows = await service.list_deliveries(session, call.workspace_id, checked, selection, status=status)
    kept, following = selection.cut(rows)
    return Page(data=[_describe_delivery(row) for row in kept], next_cursor=following)


@router.post(
    "/{subscription_id}/deliveries/{delivery_id}/redrive",
    _MANAGE,
    status=202,
    errors=[SubscriptionNotFoundError, DeliveryNotFoundError, DeliveryStateError],
)
async def redrive_delivery(call: CallIn, subscription_id: IdIn, delivery_id: IdIn) -> DeliveryAnswer:
    """Send a dead letter again."""
    subscription, delivery = parse_id(subscription_id, "sub"), parse_id(delivery_id, "msg")
    async with call.change() as session:
        row = await service.redeliver(session, call.workspace_id, subscription, delivery, at_ms=call.now_ms)
        answer = _describe_delivery(row)
        await record(session, call, "event_delivery.redriven", "event_delivery", row.id)
    return answer


def _describe_row(row: SubscriptionRow) -> SubscriptionAnswer:
    return _describe(service.summarize(row))


def _describe(subscription: Subscription) -> SubscriptionAnswer:
    return SubscriptionAnswer(
        id=subscription.id,
        url=subscription.url,
        types=list(subscription.types),
        active=subscription.is_active,
        created_at=format_timestamp_ms(subscription.created_at_ms),
        created_by=subscription.created_by,
        updated_at=format_timestamp_ms(subscription.updated_at_ms),
    )


def _note(subscription: Subscription) -> JsonObject:
    """What the audit log keeps of it."""
    return {"url": subscription.url, "types": list(subscription.types), "active": subscription.is_active}


def _describe_delivery(row: DeliveryRow) -> DeliveryAnswer:
    return DeliveryAnswer(
        id=row.id,
        event_type=row.event_type,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        next_attempt_at=format_optional_time(row.due_at),
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=format_timestamp_ms(row.created_at),
        ended_at=format_optional_time(row.ended_at),
    )
