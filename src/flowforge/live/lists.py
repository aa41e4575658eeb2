"""What the lists of subscriptions, deliveries and notifications can be asked for."""

from typing import Final

from flowforge.live.models import DeliveryRow, NotificationRow, SubscriptionRow
from flowforge.live.types import DeliveryStatus
from flowforge.web.selecting import ListForm, by, exact, flag, moment, number, text

SUBSCRIPTIONS: Final = ListForm(
    "event_subscriptions",
    sorts={"created_at": by(SubscriptionRow.id), "updated_at": by(SubscriptionRow.updated_at), "url": by(SubscriptionRow.url)},
    default="created_at",
    unique=by(SubscriptionRow.id),
    filters={
        "url": text(SubscriptionRow.url),
        "active": flag(SubscriptionRow.active != 0),
        "created_at": moment(SubscriptionRow.created_at),
        "created_by": exact(SubscriptionRow.created_by),
    },
    search={"url": SubscriptionRow.url},
)
DELIVERIES: Final = ListForm(
    "event_deliveries",
    sorts={"created_at": by(DeliveryRow.id)},
    default="-created_at",
    unique=by(DeliveryRow.id),
    filters={
        "status": exact(DeliveryRow.status, tuple(DeliveryStatus)),
        "event_type": text(DeliveryRow.event_type),
        "last_status": number(DeliveryRow.last_status),
        "created_at": moment(DeliveryRow.created_at),
        "ended_at": moment(DeliveryRow.ended_at),
    },
    search={"event_type": DeliveryRow.event_type},
)
NOTIFICATIONS: Final = ListForm(
    "notifications",
    sorts={"created_at": by(NotificationRow.id)},
    default="-created_at",
    unique=by(NotificationRow.id),
    filters={
        "kind": text(NotificationRow.kind),
        "workspace_id": exact(NotificationRow.workspace_id),
        "read": flag(NotificationRow.read_at.is_not(None)),
        "created_at": moment(NotificationRow.created_at),
    },
    search={"title": NotificationRow.title},
)
