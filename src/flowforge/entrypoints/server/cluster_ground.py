"""What the domains of a process of a cluster stand on."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from flowforge.cluster.health_checks import check_redis
from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.publishing import open_bus
from flowforge.entrypoints.roles import Role
from flowforge.entrypoints.server.clustered import ClusterRunner
from flowforge.entrypoints.server.domains import Ground
from flowforge.entrypoints.server.pinning import PinnedVersions
from flowforge.entrypoints.server.redis import open_redis, ping_redis
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.clock import SystemClock


@asynccontextmanager
async def open_ground(role: Role, installation: Installation, role_name: str, name: str) -> AsyncGenerator[Ground]:
    """Starts go to the queue, news come over the bus. `role_name`, `name`: for lists of workers.

    Raises:
        StorageError: the database cannot be used.
        ValidationError: REDIS_URL cannot be read.
    """
    bus = open_bus(role.settings)
    versions = PinnedVersions(VersionsPort(installation), SystemClock())
    runner = ClusterRunner(installation, versions, bus, role.describe(role_name), name)
    try:
        await runner.open()
        try:
            redis = open_redis(role.settings)
            if redis is not None:
                role.pages.add(check_redis(partial(ping_redis, redis)))
            yield Ground(installation, runner, versions, bus, role.pages, redis)
        finally:
            await runner.close()
    finally:
        await bus.close()
