"""Connections to addresses that were judged before."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from flowforge.kit.egress.addresses import Address, parse_address
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.policy import PUBLIC_PORTS, EgressPolicy
from flowforge.kit.egress.proxy import Proxy, Streams, open_tunnel
from flowforge.kit.egress.sockets import SocketStream
from flowforge.kit.egress.tls import TlsContexts, TlsWishes
from flowforge.kit.egress.urls import Target
from flowforge.kit.tls import describe_tls_failure

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host name, in the order in which to try them. Raises OSError when there are none."""

Connector = Callable[[Address, int, ssl.SSLContext | None, str], Awaitable[Streams]]
"""Opens a connection to exactly this address and port; with a TLS context, for a server whose certificate names the host."""

SHARE_MIN_S: Final = 1.0
"""The least time that one of several addresses has to answer."""

PROXY_RESOLVE_MAX_S: Final = 1.0
"""How long a name is looked for here when a proxy will resolve it anyway: behind some proxies, the name service knows nothing outside."""


async def resolve_by_system(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def connect_by_system(address: Address, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
    return await asyncio.open_connection(str(address), port, ssl=tls, server_hostname=host if tls else None)


@dataclass(frozen=True, slots=True)
class Network:
    """The name service, the connecting and the trusted authorities; None is the system's. Tests put others in their place."""

    resolve: Resolver | None = None
    connect: Connector | None = None
    trust: Callable[[], ssl.SSLContext] | None = None


async def find_addresses(
    target: Target, policy: EgressPolicy, resolve: Resolver, usual_ports: frozenset[int] = PUBLIC_PORTS
) -> list[Address]:
    """The target's addresses, resolved once, all of them allowed.

    Raises:
        EgressError: `egress_denied` or `port_denied` if any of them is not allowed; `connection_failed` if there is none.
    """
    addresses = [target.address] if target.address is not None else await _resolve(target, resolve)
    for address in addresses:
        fault = policy.find_fault(target.host, address, target.port, usual_ports)
        if fault is not None:
            raise _refuse(target, fault)
    return addresses


async def _resolve(target: Target, resolve: Resolver) -> list[Address]:
    try:
        found = await resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise EgressError(EgressFault.CONNECTION_FAILED, f"The host {target.host} could not be found ({error}).") from error
    addresses = [parse_address(text) for text in found]
    known = [address for address in addresses if address is not None]
    if not known or len(known) < len(addresses):
        raise EgressError(EgressFault.CONNECTION_FAILED, f"The host {target.host} has no usable address.")
    return known


def _refuse(target: Target, fault: EgressFault) -> EgressError:
    if fault is EgressFault.PORT_DENIED:
        return EgressError(
            fault,
            f"Port {target.port} of {target.host} may not be called; list {target.endpoint} in EGRESS_ALLOW to open it.",
        )
    return EgressError(
        fault,
        f"{target.host} is, or leads to, an address that is not public; list {target.endpoint} in EGRESS_ALLOW to open it.",
    )


class Dialer:
    """Opens connections to judged addresses, through the proxy if there is one."""

    def __init__(
        self, policy: EgressPolicy, network: Network, contexts: TlsContexts, proxy: Proxy | None, connect_timeout_ms: int
    ) -> None:
        self._policy = policy
        self._resolve = network.resolve or resolve_by_system
        self._connect = network.connect or connect_by_system
        self._contexts = contexts
        self._connect_timeout_ms = connect_timeout_ms
        self.proxy = proxy

    async def find_addresses(self, target: Target, usual_ports: frozenset[int]) -> list[Address]:
        """The target's addresses, all of them allowed. Raises as `open`, without `tls` and `certificate_invalid`."""
        async with self._limit_time(target):
            return await find_addresses(target, self._policy, self._resolve, usual_ports)

    async def open(self, target: Target, wishes: TlsWishes) -> SocketStream:
        """A connection to the first of the target's addresses that answers.

        Raises:
            EgressError: `egress_denied`, `port_denied`, `connection_failed`, `tls`, `certificate_invalid`, `http_timeout`.
        """
        tls = await self._contexts.find(wishes) if target.scheme == "https" else None
        async with self._limit_time(target):
            if self.proxy is not None:
                return await self._open_through(self.proxy, target, tls)
            addresses = await find_addresses(target, self._policy, self._resolve)
            return SocketStream(*await self._connect_to_one(target, addresses, tls))

    async def dial(self, target: Target) -> Streams:
        """As `open`, for who speaks with the target himself. Raises as `open`, without `tls` and `certificate_invalid`."""
        async with self._limit_time(target):
            if self.proxy is not None:
                return await self._pass_through(self.proxy, target, None)
            addresses = await find_addresses(target, self._policy, self._resolve)
            return await self._connect_to_one(target, addresses, None)

    async def _connect_to_one(self, target: Target, addresses: list[Address], tls: ssl.SSLContext | None) -> Streams:
        last_error: OSError | None = None
        # An address that swallows packets leaves time for the next one.
        share_s = max(self._connect_timeout_ms / 1000 / len(addresses), SHARE_MIN_S) if len(addresses) > 1 else None
        for address in addresses:
            try:
                async with asyncio.timeout(share_s):
                    return await self._connect(address, target.port, tls, target.host)
            except ssl.SSLError as error:
                raise _refuse_tls(target, error) from error
            except OSError as error:
                last_error = error
        if isinstance(last_error, TimeoutError):
            raise last_error
        raise EgressError(
            EgressFault.CONNECTION_FAILED, f"{target.endpoint} could not be connected to ({last_error})."
        ) from last_error

    async def _open_through(self, proxy: Proxy, target: Target, tls: ssl.SSLContext | None) -> SocketStream:
        if tls is not None:
            return SocketStream(*await self._pass_through(proxy, target, tls))
        await judge_for_proxy(target, self._policy, self._resolve)
        return SocketStream(*await self._connect_to_proxy(proxy))

    async def _pass_through(self, proxy: Proxy, target: Target, tls: ssl.SSLContext | None) -> Streams:
        await judge_for_proxy(target, self._policy, self._resolve)
        streams = await self._connect_to_proxy(proxy)
        try:
            return await open_tunnel(proxy, streams, target, tls)
        except ssl.SSLError as error:
            streams[1].transport.abort()
            raise _refuse_tls(target, error) from error
        except OSError as error:
            streams[1].transport.abort()
            raise proxy.blame(f"closed the connection to {target.endpoint} ({error})") from error
        except BaseException:
            streams[1].transport.abort()
            raise

    async def _connect_to_proxy(self, proxy: Proxy) -> Streams:
        literal = parse_address(proxy.host)
        try:
            found = [literal] if literal is not None else map(parse_address, await self._resolve(proxy.host, proxy.port))
        except (OSError, UnicodeError) as error:
            raise proxy.blame(f"could not be found ({error})") from error
        last_error: OSError | None = None
        for address in filter(None, found):
            try:
                return await self._connect(address, proxy.port, None, proxy.host)
            except OSError as error:
                last_error = error
        raise proxy.blame(f"could not be connected to ({last_error})") from last_error

    @asynccontextmanager
    async def _limit_time(self, target: Target) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1000):
                yield
        except TimeoutError:
            raise EgressError(
                EgressFault.TIMEOUT, f"{target.endpoint} could not be connected to within {self._connect_timeout_ms} ms."
            ) from None


async def judge_for_proxy(target: Target, policy: EgressPolicy, resolve: Resolver) -> None:
    """Judges a target that the proxy resolves and connects to: its name, and its addresses as far as they are known here.

    What the name means to the proxy is the proxy's to guard. A name that is not known here is refused if it is one of those that only
    mean something inside (`localhost`, `printer`, `x.internal`).

    Raises:
        EgressError: `egress_denied`, `port_denied`.
    """
    try:
        async with asyncio.timeout(PROXY_RESOLVE_MAX_S):
            await find_addresses(target, policy, resolve)
    except TimeoutError:
        _judge_name(target, policy)
    except EgressError as error:
        if error.fault is not EgressFault.CONNECTION_FAILED:
            raise
        _judge_name(target, policy)


def _judge_name(target: Target, policy: EgressPolicy) -> None:
    fault = policy.find_name_fault(target.host, target.port)
    if fault is not None:
        raise _refuse(target, fault)


def _refuse_tls(target: Target, error: ssl.SSLError) -> EgressError:
    return EgressError(EgressFault.TLS, f"No trusted connection to {target.host}: {describe_tls_failure(error)}.")
