"""The Redis in which the servers of a cluster count requests together."""

from typing import TYPE_CHECKING

from flowforge.entrypoints.publishing import find_redis_address
from flowforge.kit.errors import DependencyError
from flowforge.kit.settings import Settings

if TYPE_CHECKING:
    from flowforge.kit.bus.redis_connection import RedisClients


async def ping_redis(clients: "RedisClients") -> None:
    """Raises DependencyError: it does not answer."""
    # As below.
    from redis.exceptions import RedisError

    try:
        await clients.current.ping()
    except RedisError as fault:
        raise DependencyError(f"Redis at {clients.place} does not answer: {str(fault).splitlines()[0]}") from fault


def open_redis(settings: Settings) -> "RedisClients | None":
    """Clients that connect when they are used; None where no Redis is set: each process counts alone.

    Raises:
        ValidationError: as `open_bus`.
    """
    address = find_redis_address(settings)
    if address is None:
        return None
    # Redis' package, for a cluster only.
    from flowforge.kit.bus.redis_connection import RedisClients

    return RedisClients(address)
