"""Endpoints of events, subscriptions and notifications."""

from collections.abc import Sequence
from typing import Final

from flowforge.live.endpoints import events, notifications, subscriptions
from flowforge.web.routing import Router

ROUTERS: Final[Sequence[Router]] = (events.router, subscriptions.router, notifications.router)
