"""What the domain hands out. Times are milliseconds since 1970 (UTC)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """It was tried for three days, or the receiver said that it wants no more: a person may have it tried again."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who outside hears of which events. `types`: names (`run.finished`), kinds (`run.*`) or `*`."""

    id: str
    workspace_id: str
    url: str
    types: Sequence[str]
    is_active: bool
    created_at_ms: int
    created_by: str
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription that has just been made, with the secret that is shown this once."""

    subscription: Subscription
    secret: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is to be told. `cause`: the same one is told once; `subject`: the id of what to look at."""

    user_id: str
    workspace_id: str
    cause: str
    kind: str
    title: str
    text: str
    subject: str | None = None
