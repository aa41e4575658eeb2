"""The one HTTP client for everything that leaves the house."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from flowforge.kit.clock import Clock
from flowforge.kit.egress.breaker import BreakerRules, Breakers
from flowforge.kit.egress.host_limits import Gates, HostLimits
from flowforge.kit.egress.messages import EgressRequest, EgressResponse, check_headers, check_method
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.proxy import Proxy
from flowforge.kit.limits import Limits

if TYPE_CHECKING:
    from flowforge.kit.egress.exchanges import Exchanges
    from flowforge.kit.egress.network import Network
    from flowforge.kit.egress.proxy import Streams
    from flowforge.kit.egress.streams import EgressStream


class EgressClient:
    """Sends requests to what the policy allows, and to nothing else.

    The URL is parsed once, by the parser whose result is connected to; the name is resolved once, every address that it has is judged,
    and the connection goes to exactly such an address, with the name in SNI and Host. Redirects are followed here, each judged anew. Proxy
    settings of the environment are not read, cookies not kept, certificates always checked. Time-outs and sizes are those of
    `limits`. Safe for many requests at once; `aclose` when done.

    Each host has as many places as `host_limits` says. A request waits for one as long as it takes, in the order of coming; that counts
    into no time-out here. A host that fails again and again (`breaker_rules`) is left alone for a while: `circuit_open`. Places and
    failures are counted in this process alone. Whoever holds an answer of `stream` holds a place: ask the same host for another
    meanwhile only where it has more than one.

    `own_urls` are the addresses of this installation: a run that lies `DEPTH_MAX` such calls deep may not call them again.

    With a `proxy` (`http://[user:password@]host:port`) every request goes to that one, whose own address is not judged: https by
    CONNECT, http with the whole URL. The proxy resolves the names. Judged here are the addresses that a URL spells out, the names, and
    the addresses of names that are known here too; what a name means to the proxy is the proxy's to guard.

    `network` replaces the name service, the connecting and the trusted authorities.

    Raises:
        ValidationError: `proxy` is none.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        limits: Limits,
        clock: Clock,
        *,
        own_urls: Iterable[str] = (),
        proxy: str | None = None,
        host_limits: HostLimits | None = None,
        breaker_rules: BreakerRules | None = None,
        network: "Network | None" = None,
    ) -> None:
        self._exchanges: Exchanges | None = None
        known_proxy = Proxy.parse(proxy) if proxy else None
        our_urls = tuple(own_urls)

        def open_exchanges() -> "Exchanges":
            # Start-up cost: the HTTP library takes 70 ms to import.
            from flowforge.kit.egress.exchanges import Exchanges, Rules
            from flowforge.kit.egress.network import Network

            return Exchanges(
                Rules(policy, limits, our_urls, known_proxy),
                clock,
                network or Network(),
                Gates(host_limits or HostLimits(), clock),
                Breakers(breaker_rules or BreakerRules(), clock),
            )

        self._open_exchanges = open_exchanges

    async def send(self, request: EgressRequest) -> EgressResponse:
        """Sends the request, follows redirects, reads the whole body, at most LIMIT_HTTP_BODY of it, all within LIMIT_HTTP_TOTAL.

        Raises:
            EgressError: see EgressFault for every reason.
        """
        check_method(request.method)
        check_headers(request.headers)
        return await self._open_once().send(request)

    @asynccontextmanager
    async def stream(self, request: EgressRequest, *, max_bytes: int) -> "AsyncGenerator[EgressStream]":
        """As `send`, but the body, of at most `max_bytes` decoded, is read by the caller: `async with client.stream(…) as answer`.

        LIMIT_HTTP_TOTAL bounds the time until the answer's headers are there, redirects included; each piece of the body, and each of a
        `BodySource` that is sent, has LIMIT_HTTP_IDLE. After the end of a `BodySource` the time for the headers begins anew.

        Raises:
            EgressError: see EgressFault for every reason.
        """
        check_method(request.method)
        check_headers(request.headers)
        async with self._open_once().stream(request, max_bytes) as answer:
            yield answer

    async def find_addresses(self, host: str, port: int, *, usual_ports: frozenset[int]) -> list[str]:
        """The IP addresses of a host that is to be spoken to by another protocol than HTTP; connect to exactly one of them.

        The host is read as the one of a URL is, resolved once, and each address judged; `usual_ports` are those that a public host may
        be called on (`frozenset({25, 465, 587})` for mail), others and private addresses are opened by EGRESS_ALLOW. EGRESS_PROXY
        carries HTTP alone and has no part in this.

        Raises:
            EgressError: `url_invalid`, `egress_denied`, `port_denied`, `connection_failed` (no such host), `http_timeout`.
        """
        return await self._open_once().find_addresses(host, port, usual_ports)

    async def dial(self, host: str, port: int) -> "Streams":
        """A connection to a web server, for who speaks with it himself; judged as a request is, and through EGRESS_PROXY if it is set.

        Raises:
            EgressError: `url_invalid`, `egress_denied`, `port_denied`, `connection_failed`, `http_timeout`.
        """
        return await self._open_once().dial(host, port)

    async def aclose(self) -> None:
        if self._exchanges is not None:
            await self._exchanges.aclose()

    def _open_once(self) -> "Exchanges":
        if self._exchanges is None:
            self._exchanges = self._open_exchanges()
        return self._exchanges
