"""The providers as this process knows them: what they say of themselves and their keys, kept for a while."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from joserfc.jwk import KeySet

from flowforge.identity.oidc_calls import Discovery, ProviderCalls
from flowforge.identity.oidc_settings import Provider, ProviderNotFoundError, RuntimeProviders, find_default_provider
from flowforge.kit.clock import Clock
from flowforge.kit.settings import Settings

AGE_S: Final = 600.0
"""So long is kept what the provider says nothing about."""
_AGE_MIN_S: Final = 60.0
_AGE_MAX_S: Final = 3_600.0
REFRESH_S: Final = 60.0
"""An unknown key is looked for at the provider at most this often."""

KeptT = TypeVar("KeptT")


@dataclass(slots=True)
class _Kept(Generic[KeptT]):
    value: KeptT
    read_s: float
    until_s: float


@dataclass(slots=True)
class _Memory:
    """Of one provider. `lock`: only one request asks it at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    discovery: _Kept[Discovery] | None = None
    keys: _Kept[KeySet] | None = None
    refreshed_s: float = float("-inf")


class Providers:
    """One object a process. What was learned of a provider is used until its age is over, and nothing older than that."""

    def __init__(self, settings: Settings, calls: ProviderCalls, clock: Clock, runtime: RuntimeProviders) -> None:
        self._default = find_default_provider(settings)
        self._runtime = runtime
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        self.calls: Final = calls

    async def list_providers(self) -> Sequence[Provider]:
        """`default` first, where it is set."""
        known = [] if self._default is None else [self._default]
        return [*known, *await self._runtime.list_providers()]

    async def get_provider(self, name: str) -> Provider:
        """Raises ProviderNotFoundError."""
        for provider in await self.list_providers():
            if provider.name == name:
                return provider
        raise ProviderNotFoundError(name)

    async def find_default_role(self) -> str:
        """What a person gets at the first sign-in; empty: nothing."""
        return await self._runtime.find_default_role()

    async def discover(self, provider: Provider) -> Discovery:
        """What the provider says of itself. Raises ProviderFailedError."""
        memory = self._memories.setdefault(provider.issuer, _Memory())
        async with memory.lock:
            kept = memory.discovery
            if kept is None or kept.until_s <= self._clock.monotonic_s():
                value, age_s = await self.calls.discover(provider)
                kept = memory.discovery = self._keep(value, age_s)
            return kept.value

    async def find_keys(self, provider: Provider, key_id: str | None) -> KeySet:
        """The provider's keys; asked for anew, at most once a minute, where none has that id. Raises ProviderFailedError."""
        discovery = await self.discover(provider)
        memory = self._memories[provider.issuer]
        async with memory.lock:
            kept, now_s = memory.keys, self._clock.monotonic_s()
            is_old = kept is None or kept.until_s <= now_s
            is_unknown = kept is not None and key_id is not None and all(key.kid != key_id for key in kept.value)
            if is_old or (is_unknown and now_s - memory.refreshed_s >= REFRESH_S):
                memory.refreshed_s = now_s
                value, age_s = await self.calls.fetch_keys(provider, discovery.jwks_uri)
                kept = memory.keys = self._keep(value, age_s)
            assert kept is not None
            return kept.value

    def _keep(self, value: KeptT, age_s: float | None) -> _Kept[KeptT]:
        now_s = self._clock.monotonic_s()
        lasting_s = AGE_S if age_s is None else min(max(age_s, _AGE_MIN_S), _AGE_MAX_S)
        return _Kept(value, now_s, now_s + lasting_s)
