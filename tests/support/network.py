"""The outside world in a test: names and public addresses that lead to a server on loopback.

Two doubles, each for want of the real thing: a name service, because a test may not depend on one and must make names answer badly; and
the connecting itself, because there is no public address here to connect to, and a packet to a denied one must be seen to be missing.
"""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import ClassVar

from tests.support.clock import ManualClock

from flowforge.kit.clock import Clock
from flowforge.kit.egress import BreakerRules, EgressClient, EgressPolicy, EgressRequest, EgressResponse, HostLimits
from flowforge.kit.egress.addresses import Address
from flowforge.kit.egress.network import Network, connect_by_system, resolve_by_system
from flowforge.kit.egress.proxy import Streams
from flowforge.kit.limits import Limits

PUBLIC_ADDRESS = "93.184.216.34"


@dataclass
class Names:
    """A name service. A name's answers are used in turn, the last one for ever; names made of digits are left to the system's."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict[str, list[list[str]]])
    asked: list[str] = field(default_factory=list[str])

    def set(self, host: str, *answers: Sequence[str]) -> None:
        self.answers[host] = [list(answer) for answer in answers]

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        known = self.answers.get(host)
        if known is None and host.replace(".", "").replace("x", "").isalnum() and host[0].isdigit():
            return await resolve_by_system(host, port)
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known.pop(0) if len(known) > 1 else known[0]


class StreamingClient(EgressClient):
    """Its `send` goes by way of `stream`: what holds for one holds for the other."""

    async def send(self, request: EgressRequest) -> EgressResponse:
        async with self.stream(request, max_bytes=World.streamed_max_bytes) as answer:
            body = b"".join([piece async for piece in answer.iterate()])
        return EgressResponse(answer.status, answer.headers, body, answer.url, answer.retry_after_ms, answer.http_version)


@dataclass
class World:
    """Leads each public address to a loopback port, and remembers every connection that was tried."""

    client_class: ClassVar[type[EgressClient]] = EgressClient
    streamed_max_bytes: ClassVar[int] = Limits().http_body_bytes

    names: Names = field(default_factory=Names)
    ports: dict[int, int] = field(default_factory=dict[int, int])
    """The loopback port behind a public port."""
    connected: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    server_names: list[str] = field(default_factory=list[str])

    async def connect(self, address: Address, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
        self.connected.append((str(address), port))
        self.server_names.append(host)
        if address.is_loopback:
            return await connect_by_system(address, port, tls, host)
        loopback = IPv4Address("127.0.0.1")
        return await connect_by_system(loopback, self.ports[port], tls, host)

    def make_client(
        self,
        allow: Sequence[str] = (),
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
        own_urls: Sequence[str] = (),
        proxy: str | None = None,
        host_limits: str = "",
        breaker_rules: BreakerRules | None = None,
    ) -> EgressClient:
        """`tls` serves plain calls; one context cannot hold both sides of HTTP/2 or of certificates: use `authority_pem` there."""
        World.streamed_max_bytes = (limits or Limits()).http_body_bytes
        return self.client_class(
            EgressPolicy.parse(allow),
            limits or Limits(),
            clock or ManualClock(),
            own_urls=own_urls,
            proxy=proxy,
            host_limits=HostLimits.parse(host_limits),
            breaker_rules=breaker_rules,
            network=Network(self.names.resolve, self.connect, None if tls is None else lambda: tls),
        )
