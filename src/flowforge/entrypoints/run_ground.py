"""The installation around the runs, for who looks at them over the network."""

import asyncio
from collections.abc import Collection

from flowforge.engine.ports import RUN_QUEUE
from flowforge.entrypoints.wiring import Installation


class InstallationGround:
    """`runs.ports.RunGround` on an installation."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.is_cluster = installation.database_url.is_server
        self.expiry_ms = installation.settings.expiry_ms

    def list_dead_workers(self) -> Collection[int]:
        if self.is_cluster:
            return ()
        installation = self._installation
        return installation.worker_locks.find_dead(list(installation.store.alive()))

    def find_broker_trouble(self) -> str | None:
        url = self._installation.settings.broker_url
        if url is None:
            return None
        # Celery, for a cluster only.
        from flowforge.cluster.messages import probe_broker

        return probe_broker(url.get_secret_value())

    async def deliver_event(self, number: int) -> int:
        reached = await asyncio.to_thread(self._installation.store.match, number)
        if reached:
            self._installation.doorbell.ring(RUN_QUEUE, 0, 0)
        return reached
