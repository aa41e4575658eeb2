"""How often somebody may ask: a sliding window by key, person, address or hook, in this process or in Redis with the same answers.

The windows are those of the package `limits` (sliding window counter: the count of the minute before, weighted by what is left of it,
and of this one). Which limit holds: docs/limits.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError as LimitStorageError

from flowforge.kit.clock import SystemClock
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.logs import get_logger
from flowforge.web.callers import Caller, CredentialKind
from flowforge.web.errors import RateLimitedError
from flowforge.web.windows import MemoryWindows

if TYPE_CHECKING:
    from flowforge.kit.bus.redis_connection import RedisClients

TIERS: Final[Mapping[str, tuple[int, int | None]]] = {
    "free": (100, 1_000),
    "basic": (500, 10_000),
    "pro": (2_000, 50_000),
    "enterprise": (1_000_000, None),
}
"""Requests a minute and a day (None: as many as fit) of a key."""

logger = get_logger("web.rates")


class RateKind(StrEnum):
    """What is counted together."""

    READ = "read"
    CALL = "call"
    START = "start"
    TRIGGER = "trigger"
    AUTH = "auth"
    ANONYMOUS = "anonymous"
    HOOK = "hook"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands after a request. `reset_s`: until more fits."""

    limit: int
    remaining: int
    reset_s: int

    def list_headers(self) -> list[tuple[bytes, bytes]]:
        """As an answer tells it."""
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset_s),
        ]


def find_kind(method: str, path: str, guard: str) -> RateKind:
    """The kind of a route. `path`: its template."""
    if path.startswith("/api/v1/auth/"):
        return RateKind.AUTH
    if method == "GET":
        return RateKind.READ
    if path == "/api/v1/runs":
        return RateKind.START
    return RateKind.TRIGGER if guard.startswith("trigger:") else RateKind.CALL


class Rates:
    """Counts requests. `redis`: the Redis that all processes share; None: this process counts alone. Close it at the end.

    Where Redis is away, each process counts alone: a limit protects the server, it must not be what stops it.
    """

    def __init__(self, settings: Settings, redis: "RedisClients | None" = None) -> None:
        self._redis = redis
        self._windows = MemoryWindows(SystemClock())
        self._limiter = None if redis is None else SlidingWindowCounterRateLimiter(_open_storage(redis))
        self._trusts_proxies = bool(settings.trusted_proxies)
        self._minutes = {
            RateKind.READ: RateLimitItemPerMinute(settings.rate_read),
            RateKind.CALL: RateLimitItemPerMinute(settings.rate_call),
            RateKind.START: RateLimitItemPerMinute(settings.rate_start),
            RateKind.TRIGGER: RateLimitItemPerMinute(settings.rate_trigger),
            RateKind.AUTH: RateLimitItemPerMinute(settings.rate_auth),
            RateKind.ANONYMOUS: RateLimitItemPerMinute(settings.rate_anonymous),
            RateKind.HOOK: RateLimitItemPerMinute(settings.rate_hook),
        }
        self._tiers = {
            name: (RateLimitItemPerMinute(minute), None if day is None else RateLimitItemPerDay(day))
            for name, (minute, day) in TIERS.items()
        }

    async def aclose(self) -> None:
        """Ends the connections."""
        if self._redis is not None:
            await self._redis.close()

    async def count(self, caller: Caller, kind: RateKind) -> Standing | None:
        """Counts one request; None: nothing limits it.

        Raises:
            RateLimitedError: it is one too many.
        """
        if self._is_exempt(caller.address):
            return None
        if kind is RateKind.AUTH or caller.is_anonymous:
            kind = RateKind.AUTH if kind is RateKind.AUTH else RateKind.ANONYMOUS
            return await self._hit(self._minutes[kind], kind.value, caller.address)
        if caller.kind is CredentialKind.KEY:
            minute, day = self._tiers[caller.tier]
            if day is not None:
                await self._hit(day, "day", caller.credential)
            return await self._hit(minute, "key", caller.credential)
        return await self._hit(self._minutes[kind], kind.value, caller.user_id or caller.actor)

    async def count_stranger(self, address: str) -> None:
        """Counts a request whose credential was refused, or a guess at a hook.

        Raises:
            RateLimitedError: too many of them came from that address.
        """
        if not self._is_exempt(address):
            await self._hit(self._minutes[RateKind.ANONYMOUS], "anonymous", address)

    async def count_delivery(self, hook_id: str) -> Standing:
        """Counts a delivery to a webhook.

        Raises:
            RateLimitedError: it is one too many for that hook.
        """
        return await self._hit(self._minutes[RateKind.HOOK], "hook", hook_id)

    def _is_exempt(self, address: str) -> bool:
        """The own machine, unless a proxy on it stands for others."""
        return not self._trusts_proxies and _is_loopback(address)

    async def _hit(self, item: RateLimitItem, *names: str) -> Standing:
        if self._limiter is None:
            return self._hit_alone(item, *names)
        try:
            is_within = await self._limiter.hit(item, *names)
            reset_at_s, remaining = await self._limiter.get_window_stats(item, *names)
        except LimitStorageError as fault:
            logger.warning("Requests are counted by this process alone: Redis does not answer.", cause=str(fault))
            return self._hit_alone(item, *names)
        # The package tells a time, by the clock of the machine.
        reset_s = max(0, math.ceil(reset_at_s - SystemClock().now_ms() / 1_000))
        return _judge(item, is_within, remaining, reset_s)

    def _hit_alone(self, item: RateLimitItem, *names: str) -> Standing:
        found = self._windows.hit("/".join(names), item.amount, item.get_expiry())
        return _judge(item, found.is_within, found.remaining, max(0, math.ceil(found.reset_s)))


def _judge(item: RateLimitItem, is_within: bool, remaining: int, reset_s: int) -> Standing:  # noqa: FBT001 (an answer handed on)
    if not is_within:
        raise RateLimitedError(max(1, reset_s))
    return Standing(item.amount, remaining, reset_s)


@lru_cache(maxsize=4_096)
def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _open_storage(redis: "RedisClients") -> Any:
    # Redis' package, for a cluster only.
    from limits.aio.storage import RedisStorage

    pool: Any = redis.current.connection_pool
    return RedisStorage("async+redis://", wrap_exceptions=True, implementation="redispy", connection_pool=pool)
