"""Triggers over HTTP."""

from collections.abc import Sequence
from typing import Final

from flowforge.triggers.endpoints.hooks import hooks
from flowforge.triggers.endpoints.operating import operating
from flowforge.triggers.endpoints.triggers import triggers
from flowforge.triggers.schedule_endpoints import ROUTERS as SCHEDULES
from flowforge.web.routing import Router

ROUTERS: Final[Sequence[Router]] = (operating, triggers, *SCHEDULES, hooks)
