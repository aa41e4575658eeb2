"""Connections to addresses that were judged before."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpcore2

from flowforge.kit.egress.addresses import Address, parse_address
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.urls import Target

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host name, in the order in which to try them. Raises OSError when there are none."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connector = Callable[[Address, int, ssl.SSLContext | None, str], Awaitable[Streams]]
"""Opens a connection to exactly this address and port; with a TLS context, for a server whose certificate names the host."""

HEAD_MAX_BYTES: Final = 128 * 1024
"""What a server may send before its headers are complete, interim answers (1xx) included."""


async def resolve_by_system(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def connect_by_system(address: Address, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
    return await asyncio.open_connection(str(address), port, ssl=tls, server_hostname=host if tls else None)


async def find_addresses(target: Target, policy: EgressPolicy, resolve: Resolver) -> list[Address]:
    """The target's addresses, resolved once, all of them allowed.

    Raises:
        EgressError: `egress_denied` or `port_denied` if any of them is not allowed; `connection_failed` if there is none.
    """
    addresses = [target.address] if target.address is not None else await _resolve(target, resolve)
    for address in addresses:
        fault = policy.find_fault(target.host, address, target.port)
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
            fault, f"Port {target.port} of {target.host} may not be called; list {target.authority} in EGRESS_ALLOW to open it."
        )
    return EgressError(
        fault,
        f"{target.host} is, or leads to, an address that is not public; list {target.authority} in EGRESS_ALLOW to open it.",
    )


async def open_stream(target: Target, addresses: list[Address], connect: Connector, tls: ssl.SSLContext) -> "SocketStream":
    """A connection to the first of the addresses that answers.

    Raises:
        EgressError: `tls` or `connection_failed`.
    """
    context = tls if target.scheme == "https" else None
    last_error: OSError | None = None
    for address in addresses:
        try:
            return SocketStream(*await connect(address, target.port, context, target.host))
        except ssl.SSLError as error:
            raise EgressError(EgressFault.TLS, f"No trusted connection to {target.host}: {_explain_tls(error)}.") from error
        except OSError as error:
            last_error = error
    raise EgressError(
        EgressFault.CONNECTION_FAILED, f"{target.authority} could not be connected to ({last_error})."
    ) from last_error


def _explain_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    return (error.reason or "the handshake failed").replace("_", " ").lower()


class SocketStream(httpcore2.AsyncNetworkStream):
    """A socket, as the HTTP/1.1 machine reads and writes it. The caller's deadline bounds every wait; `timeout` is not looked at."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._head_left_bytes: int | None = None
        self.has_ended = False

    def expect_head(self) -> None:
        """From here on at most HEAD_MAX_BYTES are taken, until `expect_body`."""
        self._head_left_bytes = HEAD_MAX_BYTES

    def expect_body(self) -> None:
        self._head_left_bytes = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's signature
        del timeout
        try:
            data = await self._reader.read(max_bytes)
        except ssl.SSLError as error:
            raise EgressError(EgressFault.TLS, f"The trusted connection broke: {_explain_tls(error)}.") from error
        except OSError as error:
            raise EgressError(
                EgressFault.CONNECTION_FAILED, f"The connection broke before the answer was complete ({error})."
            ) from error
        self.has_ended = not data
        if self._head_left_bytes is not None:
            self._head_left_bytes -= len(data)
            if self._head_left_bytes < 0:
                raise EgressError(EgressFault.RESPONSE_INVALID, "The server sent too much before the headers were complete.")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's signature
        del timeout
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except OSError as error:
            # The HTTP machine then reads what the server had said before it closed.
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._writer.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        return self._reader.at_eof() if info == "is_readable" else None
