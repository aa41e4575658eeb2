"""The one HTTP client for everything that leaves the house."""

import asyncio
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowforge.kit.clock import Clock
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import EgressRequest, EgressResponse, check_headers, check_method
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.limits import Limits

if TYPE_CHECKING:
    from flowforge.kit.egress.exchanges import Exchanges
    from flowforge.kit.egress.network import Connector, Resolver


class EgressClient:
    """Sends requests to what the policy allows, and to nothing else.

    The URL is parsed once, by the parser whose result is connected to; the name is resolved once, every address that it has is judged,
    and the connection goes to exactly such an address, with the name in SNI and Host. Redirects are followed here, each judged anew. Proxy
    settings of the environment are not read, cookies not kept, certificates always checked. Time-outs and sizes are those of
    `limits`; the total time covers redirects and the body. Safe for many requests at once; `aclose` when done.

    `own_urls` are the addresses of this installation: a run that lies `DEPTH_MAX` such calls deep may not call them again.
    `tls`, `resolve` and `connect` replace the trusted authorities, the name service and the network.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        limits: Limits,
        clock: Clock,
        *,
        own_urls: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
        resolve: "Resolver | None" = None,
        connect: "Connector | None" = None,
    ) -> None:
        self._limits = limits
        self._exchanges: Exchanges | None = None

        def open_exchanges() -> "Exchanges":
            # Start-up cost: the HTTP library takes 70 ms to import, and the trusted authorities 20 ms to read.
            from flowforge.kit.egress.exchanges import Exchanges

            return Exchanges(policy, limits, clock, own_urls=own_urls, tls=tls, resolve=resolve, connect=connect)

        self._open_exchanges = open_exchanges

    async def send(self, request: EgressRequest) -> EgressResponse:
        """Sends the request, follows redirects, reads the whole body.

        Raises:
            EgressError: see EgressFault for every reason.
        """
        check_method(request.method)
        check_headers(request.headers)
        if self._exchanges is None:
            self._exchanges = self._open_exchanges()
        try:
            async with asyncio.timeout(self._limits.http_total_ms / 1000):
                return await self._exchanges.follow(request)
        except TimeoutError:
            raise EgressError(
                EgressFault.TIMEOUT,
                f"No complete answer came within {self._limits.http_total_ms} ms; ask for less, or raise LIMIT_HTTP_TOTAL.",
            ) from None

    async def aclose(self) -> None:
        if self._exchanges is not None:
            await self._exchanges.aclose()
