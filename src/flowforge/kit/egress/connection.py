"""One HTTP/1.1 exchange on a connection, and the connections that wait for another."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Final

import httpcore2

from flowforge.kit.egress.decoding import BodyReader
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import Headers
from flowforge.kit.egress.network import Connector, Resolver, SocketStream, find_addresses, open_stream
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.urls import Target

IDLE_MAX_S: Final = 2.0
"""Shorter than servers keep an idle connection (5 s and more), so that ours is not closed while a request is on its way."""
IDLE_PER_ORIGIN_MAX: Final = 16

RawHeaders = list[tuple[bytes, bytes]]


class Connection:
    """A connection to one origin. One exchange at a time."""

    def __init__(self, target: Target, stream: SocketStream) -> None:
        origin = httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port)
        self._stream = stream
        self._http = httpcore2.AsyncHTTP11Connection(origin, stream, keepalive_expiry=IDLE_MAX_S)
        self._response: httpcore2.Response | None = None

    async def send(self, method: str, target: Target, headers: Headers, body: bytes | None) -> tuple[int, RawHeaders]:
        """Sends the request and reads the answer's status and headers.

        Raises:
            EgressError: `response_invalid`, `connection_failed`, `tls`.
        """
        self._stream.expect_head()
        try:
            self._response = await self._http.handle_async_request(
                httpcore2.Request(
                    method=method,
                    url=httpcore2.URL(
                        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path
                    ),
                    headers=[(name.encode(), value.encode()) for name, value in headers],
                    content=body,
                )
            )
        except httpcore2.RemoteProtocolError as error:
            raise self._blame_server(error) from error
        except httpcore2.LocalProtocolError as error:
            raise EgressError(EgressFault.HEADER_INVALID, f"The request cannot be written: {error}.") from error
        self._stream.expect_body()
        if self._response.status < 200:
            raise EgressError(
                EgressFault.RESPONSE_INVALID, f"The server answered with the interim status {self._response.status}."
            )
        return self._response.status, self._response.headers

    async def read_body(self, reader: BodyReader) -> bytes:
        """The whole body. Raises EgressError as `send`, and `response_too_large`."""
        if self._response is None:
            return b""
        try:
            async for piece in self._iterate():
                reader.feed(piece)
        except httpcore2.RemoteProtocolError as error:
            raise self._blame_server(error) from error
        return reader.finish()

    async def _iterate(self) -> AsyncIterator[bytes]:
        response = self._response
        assert response is not None
        async for piece in response.aiter_stream():
            yield piece
        await response.aclose()

    def _blame_server(self, error: httpcore2.RemoteProtocolError) -> EgressError:
        if self._stream.has_ended:
            return EgressError(EgressFault.CONNECTION_FAILED, "The server closed the connection before the answer was complete.")
        return EgressError(EgressFault.RESPONSE_INVALID, f"The server's answer is no valid HTTP: {error}.")

    @property
    def is_reusable(self) -> bool:
        return self._http.is_idle() and not self._http.has_expired()

    async def aclose(self) -> None:
        await self._http.aclose()


class Connections:
    """Opens connections, and keeps those that can be used again for a moment."""

    def __init__(
        self, policy: EgressPolicy, resolve: Resolver, connect: Connector, tls: ssl.SSLContext, connect_timeout_ms: int
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._connect = connect
        self._tls = tls
        self._connect_timeout_ms = connect_timeout_ms
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}

    async def take(self, target: Target) -> Connection:
        """A connection to the target, whose address was judged by the policy when it was opened.

        Raises:
            EgressError: `egress_denied`, `port_denied`, `connection_failed`, `tls`, `http_timeout`.
        """
        idle = self._idle.get(target.origin, [])
        while idle:
            connection = idle.pop()
            if connection.is_reusable:
                return connection
            await connection.aclose()
        await self._close_stale()
        return await self._open(target)

    async def give_back(self, target: Target, connection: Connection) -> None:
        idle = self._idle.setdefault(target.origin, [])
        if connection.is_reusable and len(idle) < IDLE_PER_ORIGIN_MAX:
            idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        waiting = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        for connection in waiting:
            await connection.aclose()

    async def _close_stale(self) -> None:
        """Lets go of what no request came back for, to this host or to others."""
        before, self._idle = self._idle, {}
        for origin, idle in before.items():
            for connection in idle:
                if connection.is_reusable:
                    self._idle.setdefault(origin, []).append(connection)
                else:
                    await connection.aclose()

    async def _open(self, target: Target) -> Connection:
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1000):
                addresses = await find_addresses(target, self._policy, self._resolve)
                return Connection(target, await open_stream(target, addresses, self._connect, self._tls))
        except TimeoutError:
            raise EgressError(
                EgressFault.TIMEOUT, f"{target.authority} could not be connected to within {self._connect_timeout_ms} ms."
            ) from None
