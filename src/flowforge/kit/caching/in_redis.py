"""The cache of a cluster."""

import hashlib
from typing import Final, cast

from redis.exceptions import RedisError

from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.clock import Clock
from flowforge.kit.telemetry.logs import get_logger

DEFAULT_PREFIX: Final = "flowforge:cache:"
_AWAY_S: Final = 10.0
"""So long a Redis that did not answer is not asked again: who waits for it would be slower than without it."""

logger = get_logger("cache.redis")


class RedisCache:
    """`secret`: of the installation. The names in Redis are made with it, so that nobody who reads them can guess what they were made of.

    Where Redis is away nothing is found, and nothing is kept.
    """

    def __init__(self, clients: RedisClients, secret: bytes, clock: Clock, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._clients = clients
        self._secret = secret
        self._clock = clock
        self._prefix = prefix
        self._away_until_s = 0.0

    async def find(self, key: bytes) -> bytes | None:
        return cast("bytes | None", await self._ask("get", self._name(key)))

    async def keep(self, key: bytes, value: bytes, keep_ms: int) -> None:
        await self._ask("set", self._name(key), value, px=keep_ms)

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._clients.close()

    def _name(self, key: bytes) -> str:
        return self._prefix + hashlib.blake2b(key, digest_size=32, key=self._secret).hexdigest()

    async def _ask(self, command: str, *arguments: object, **options: object) -> object:
        if self._clock.monotonic_s() < self._away_until_s:
            return None
        client = self._clients.current
        try:
            return await getattr(client, command)(*arguments, **options)
        except (RedisError, OSError, TimeoutError) as fault:
            self._away_until_s = self._clock.monotonic_s() + _AWAY_S
            logger.warning("Redis does not answer; results are neither found nor kept.", cause=str(fault))
            await self._clients.turn(client)
            return None
