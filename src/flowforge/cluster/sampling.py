"""Figures that nobody counts as they happen: read now and then, for the metrics."""

import asyncio
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from flowforge.cluster.health_checks import Stalling
from flowforge.cluster.queues import list_queues
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import StorageError, StorageFullError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

DEPTH_EVERY_S: Final = 15.0
_STATE_EVERY_S: Final = 1.0

logger = get_logger("cluster.sampling")


class Sampler:
    """Shows how deep the queues are, whether the database answers, and whether its disk is full."""

    def __init__(self, find_database: Callable[[], Database], clock: Clock, metrics: Metrics, committer: Stalling) -> None:
        self._find_database = find_database
        self._clock = clock
        self._metrics = metrics
        self._committer = committer
        self._shown: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        next_depth_s = self._clock.monotonic_s()
        while True:
            self.show_state()
            if self._clock.monotonic_s() >= next_depth_s:
                next_depth_s = self._clock.monotonic_s() + DEPTH_EVERY_S
                await self._try_to_show_depth()
            await asyncio.sleep(_STATE_EVERY_S)

    def show_state(self) -> None:
        """The database's state, as the engine's commits see it."""
        cause = self._committer.stall_cause
        self._metrics.database_up.set(1 if cause is None or isinstance(cause, StorageFullError) else 0)
        self._metrics.storage_full.set(1 if isinstance(cause, StorageFullError) else 0)

    async def _try_to_show_depth(self) -> None:
        try:
            await self.show_depth()
        except (StorageError, SQLAlchemyError, OSError) as fault:
            logger.warning("The queues could not be counted.", cause=str(fault))

    async def show_depth(self) -> None:
        """Counts what is due, by queue. One that has become empty is shown as such."""
        async with self._find_database().read() as session:
            lines = await list_queues(session, self._clock.now_ms())
        depths = dict.fromkeys(self._shown, 0)
        for line in lines:
            depths[line.queue] = depths.get(line.queue, 0) + line.due
        for queue, depth in depths.items():
            self._metrics.show_queue_depth(queue, depth)
        self._shown.update(depths)
