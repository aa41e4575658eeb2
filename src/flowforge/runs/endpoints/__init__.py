"""Endpoints of runs, but the start."""

from collections.abc import Sequence
from typing import Final

from flowforge.runs.endpoints import batches, bulk, listing, reading, resuming, signals, steering, steps
from flowforge.web.routing import Router

ROUTERS: Final[Sequence[Router]] = (
    listing.router,
    bulk.router,
    reading.router,
    steps.router,
    steering.router,
    signals.router,
    batches.router,
    resuming.router,
)
"""In the order in which their paths are matched."""
