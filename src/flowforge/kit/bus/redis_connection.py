"""Clients of the Redis at an address, whatever it is made of."""

from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from flowforge.kit.bus.redis_urls import RedisAddress, RedisKind

_TIMEOUT_S: Final = 5.0


class RedisClients:
    """One client at a time. A cluster hands what is published at one of its servers to all, so that any one that answers will do."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._turn = 0
        self._sentinels: list[Any] = []
        # The package leaves half of its types open.
        self.current: Any = self._make()

    @property
    def place(self) -> str:
        return self._address.place

    @property
    def is_one(self) -> bool:
        """Whether `current` holds all keys; of a cluster, each server holds some."""
        return self._address.kind is not RedisKind.CLUSTER

    async def turn(self, failed: Any) -> None:
        """After a failure of this client: of a cluster, the next server is asked. Who comes later finds it done."""
        if failed is self.current and len(self._address.hosts) > 1 and self._address.kind is RedisKind.CLUSTER:
            self._turn += 1
            self.current = self._make()
            await failed.aclose()

    async def close(self) -> None:
        for client in (self.current, *self._sentinels):
            await client.aclose()

    def _make(self) -> Any:
        address = self._address
        options: dict[str, Any] = {
            "username": address.user,
            "password": address.password,
            "socket_timeout": _TIMEOUT_S,
            "socket_connect_timeout": _TIMEOUT_S,
            # A lost connection must be told: what was missed is read then. Who publishes tries again by itself.
            "retry": Retry(NoBackoff(), 0),
        }
        if address.is_tls:
            options |= {"ssl": True, "ssl_ca_certs": address.authority}
        if address.kind is RedisKind.SENTINEL:
            asked = {"username": address.sentinel_user, "password": address.sentinel_password}
            plain = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
            tls = {name: options[name] for name in ("ssl", "ssl_ca_certs") if name in options}
            sentinel: Any = Sentinel(
                list(address.hosts), sentinel_kwargs={**plain, **tls, **asked}, db=address.database, **options
            )
            self._sentinels = sentinel.sentinels
            return sentinel.master_for(address.service)
        host, port = address.hosts[self._turn % len(address.hosts)]
        return Redis(host=host, port=port, db=address.database, **options)
