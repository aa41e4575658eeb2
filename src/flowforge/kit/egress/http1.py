"""One HTTP/1.1 exchange after another on a connection."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

import httpcore2

from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import Headers
from flowforge.kit.egress.proxy import Proxy
from flowforge.kit.egress.sockets import SocketStream
from flowforge.kit.egress.urls import Target

IDLE_MAX_S: Final = 2.0
"""Shorter than servers keep an idle connection (5 s and more), so that ours is not closed while a request is on its way."""

_PIECE_BYTES: Final = 64 * 1024
_INTERIM: Final = (b"HTTP/1.1 1", b"HTTP/1.0 1")


class Http1Connection:
    """`proxy` is the one that plain requests are handed to with their whole URL; see `Connection` for the rest."""

    def __init__(self, target: Target, stream: SocketStream, proxy: Proxy | None) -> None:
        origin = httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port)
        self.http_version = "HTTP/1.1"
        self._stream = stream
        self._proxy = proxy
        self._http = httpcore2.AsyncHTTP11Connection(origin, stream, keepalive_expiry=IDLE_MAX_S)
        self._response: httpcore2.Response | None = None

    async def send(
        self, method: str, target: Target, headers: Headers, body: AsyncIterator[bytes] | bytes | None
    ) -> tuple[int, list[tuple[bytes, bytes]]]:
        self._stream.expect_head()
        try:
            self._response = await self._http.handle_async_request(self._build(method, target, headers, body))
        except httpcore2.RemoteProtocolError as error:
            raise self._blame_server(error) from error
        except httpcore2.LocalProtocolError as error:
            raise EgressError(EgressFault.HEADER_INVALID, f"The request cannot be written: {error}.") from error
        self._stream.expect_body()
        if self._response.status < 200:
            raise EgressError(
                EgressFault.RESPONSE_INVALID, f"The server answered with the interim status {self._response.status}."
            )
        if self._proxy is not None and self._response.status == 407:
            raise self._proxy.blame("asks for another user or password (407)")
        extensions = cast("dict[str, Any]", self._response.extensions)  # pyright: ignore[reportUnknownMemberType] - a bare dict there
        self.http_version = extensions["http_version"].decode("ascii")
        return self._response.status, self._response.headers

    def _build(
        self, method: str, target: Target, headers: Headers, body: AsyncIterator[bytes] | bytes | None
    ) -> httpcore2.Request:
        path = target.path
        if self._proxy is not None:
            path = target.url.encode("ascii")
            if self._proxy.authorization is not None:
                headers = (*headers, ("Proxy-Authorization", self._proxy.authorization))
        return httpcore2.Request(
            method=method,
            url=httpcore2.URL(scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=path),
            headers=[(name.encode(), value.encode()) for name, value in headers],
            content=None if body is None else self._watch(body),
        )

    async def _watch(self, body: AsyncIterator[bytes] | bytes) -> AsyncGenerator[bytes]:
        """The body, until the server has answered: many answer 413 at once, and then listen no more."""
        pieces = _split(body) if isinstance(body, bytes) else cast("AsyncGenerator[bytes]", body)
        is_first = True
        async with aclosing(pieces):
            async for piece in pieces:
                if not is_first and await self._has_answer():
                    # The HTTP machine stops writing at this error, and reads the answer.
                    raise httpcore2.WriteError("The server has answered before it has heard everything.")
                is_first = False
                yield piece

    async def _has_answer(self) -> bool:
        ahead = await self._stream.look_ahead()
        return bool(ahead) and not ahead.startswith(_INTERIM)

    async def iterate(self) -> AsyncGenerator[bytes]:
        response = self._response
        if response is None:
            return
        try:
            async with aclosing(response.aiter_stream()) as pieces:
                async for piece in pieces:
                    yield piece
            await response.aclose()
        except httpcore2.RemoteProtocolError as error:
            raise self._blame_server(error) from error

    def _blame_server(self, error: httpcore2.RemoteProtocolError) -> EgressError:
        if self._stream.has_ended:
            return EgressError(EgressFault.CONNECTION_FAILED, "The server closed the connection before the answer was complete.")
        return EgressError(EgressFault.RESPONSE_INVALID, f"The server's answer is no valid HTTP: {error}.")

    def has_expired(self) -> bool:
        return not self._http.is_idle() or self._http.has_expired()

    async def can_be_used_again(self) -> bool:
        return not self.has_expired()

    async def aclose(self) -> None:
        await self._http.aclose()


async def _split(body: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
