"""The services that operations may ask for, wired to one data folder."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, cast

from flowforge.entrypoints.wiring import Installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient, EgressPolicy, HostLimits


class _Closable(Protocol):
    async def aclose(self) -> None: ...


class Services(Mapping[type, object]):
    """By the class under which an operation asks for it. Each is made when the first operation does, because most are never needed.

    Raises, when made:
        ValidationError: EGRESS_ALLOW, EGRESS_LIMITS, EGRESS_PROXY, SMTP_URL or MAIL_FROM cannot be used.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._makers: dict[str, Callable[[], object]] = {
            "EgressClient": self._make_egress_client,
            "EgressTunnel": self._make_egress_tunnel,
            "FileRoots": self._make_file_roots,
            "Mailer": self._make_mailer,
            "ObjectStore": lambda: installation.objects,
            "ResultCache": self._make_result_cache,
            "SandboxPool": self._make_sandbox_pool,
            "TokenCache": self._make_token_cache,
        }
        self._made: dict[str, object] = {}
        self._find("EgressClient")  # it looks at the settings: what is wrong with them is told at once
        if installation.settings.smtp_url is not None or installation.settings.mail_from is not None:
            self._find("Mailer")

    def __getitem__(self, kind: type) -> object:
        found = self._find(kind.__name__)
        if not isinstance(found, kind):
            raise KeyError(kind)
        return found

    def __iter__(self) -> Iterator[type]:
        return (type(self._find(name)) for name in self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    async def aclose(self) -> None:
        """Ends connections and processes."""
        for name in ("EgressTunnel", "SandboxPool", "EgressClient", "ResultCache"):
            if hasattr(self._made.get(name), "aclose"):
                await cast("_Closable", self._made.pop(name)).aclose()

    def _find(self, name: str) -> object:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def _make_egress_client(self) -> EgressClient:
        settings = self._installation.settings
        policy = EgressPolicy.parse(settings.egress_allow.split(","))
        proxy = None if settings.egress_proxy is None else settings.egress_proxy.get_secret_value()
        limits = HostLimits.parse(settings.egress_limits)
        return EgressClient(policy, settings.limits, self._installation.clock, proxy=proxy, host_limits=limits)

    def _find_egress_client(self) -> EgressClient:
        return cast("EgressClient", self._find("EgressClient"))

    def _make_egress_tunnel(self) -> object:
        # Only where a library that opens its own connections is used.
        from flowforge.kit.egress.tunnel import EgressTunnel

        return EgressTunnel(self._find_egress_client())

    def _make_file_roots(self) -> object:
        # Only where files of a root are used.
        from flowforge.kit.paths import FileRoots

        return FileRoots(self._installation.settings.list_file_roots())

    def _make_mailer(self) -> object:
        # The library for mail takes 50 ms to import.
        from flowforge.kit.mail import Mailer

        settings = self._installation.settings
        url = None if settings.smtp_url is None else settings.smtp_url.get_secret_value()
        outbox = self._installation.folder.mail
        return Mailer(url, settings.mail_from, outbox, self._find_egress_client(), self._installation.clock)

    def _make_sandbox_pool(self) -> object:
        # Only where scripts run.
        from flowforge.kit.sandbox.pool import SandboxPool

        return SandboxPool(self._installation.settings.limits)

    def _make_result_cache(self) -> object:
        # Only where an operation keeps results; the package of Redis for a cluster only.
        from flowforge.entrypoints.publishing import find_redis_address

        installation = self._installation
        address = find_redis_address(installation.settings)
        if address is None:
            return installation.results
        # As above.
        from flowforge.kit.bus.redis_connection import RedisClients
        from flowforge.kit.caching.in_redis import RedisCache
        from flowforge.kit.signing import open_signing

        secret = open_signing(installation.settings, installation.folder).derive("result cache")
        return RedisCache(RedisClients(address), secret, SystemClock())

    def _make_token_cache(self) -> object:
        # Only where an API wants OAuth tokens.
        from flowforge.steps.http.oauth import TokenCache

        return TokenCache(self._installation.clock)
