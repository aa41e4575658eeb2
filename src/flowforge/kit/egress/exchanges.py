"""From one request to one complete answer: every hop judged, sent and read."""

import ssl
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from httpx2 import create_ssl_context

from flowforge.kit.clock import Clock
from flowforge.kit.egress.connection import Connection, Connections
from flowforge.kit.egress.decoding import ACCEPTED_ENCODINGS, BodyReader
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import (
    DEPTH_HEADER,
    DEPTH_MAX,
    EgressRequest,
    EgressResponse,
    Headers,
    join_headers,
    keep_harmless_headers,
    read_retry_after,
)
from flowforge.kit.egress.network import Connector, Resolver, connect_by_system, resolve_by_system
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.urls import Target, join_target, parse_target
from flowforge.kit.limits import Limits

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY: Final = frozenset({204, 304})


class Exchanges:
    """The working half of `EgressClient`, which has the contract; apart from it because of what it imports."""

    def __init__(
        self,
        policy: EgressPolicy,
        limits: Limits,
        clock: Clock,
        *,
        own_urls: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
        connect: Connector | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._own_authorities = frozenset((target.host, target.port) for target in map(parse_target, own_urls))
        self._connections = Connections(
            policy,
            resolve or resolve_by_system,
            connect or connect_by_system,
            tls or create_ssl_context(),
            limits.http_connect_ms,
        )

    async def follow(self, request: EgressRequest) -> EgressResponse:
        target = parse_target(request.url)
        for _ in range(self._limits.http_redirects + 1):
            self._check_depth(target, request.depth)
            response = await self._exchange(target, request)
            if not _is_followed(request, response.status, response.headers):
                return response
            following = join_target(target, response.headers["location"])
            request = _redirect(request, response.status, is_same_host=_is_same_host(target, following))
            target = following
        raise EgressError(
            EgressFault.REDIRECTS, f"The server redirects more than {self._limits.http_redirects} times, at last to {target.url}."
        )

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def _exchange(self, target: Target, request: EgressRequest) -> EgressResponse:
        connection = await self._connections.take(target)
        try:
            status, raw_headers = await connection.send(request.method, target, _complete_headers(target, request), request.body)
            headers = join_headers(raw_headers)
            body = await self._read_body(connection, request, status, headers)
        except BaseException:
            await connection.aclose()
            raise
        await self._connections.give_back(target, connection)
        return EgressResponse(
            status, headers, body, target.url, read_retry_after(headers.get("retry-after"), self._clock.now_ms())
        )

    async def _read_body(self, connection: Connection, request: EgressRequest, status: int, headers: dict[str, str]) -> bytes:
        if _is_followed(request, status, headers):
            return b""  # neither read nor decoded: the connection is closed with what is left
        has_body = request.method != "HEAD" and status not in _WITHOUT_BODY
        encoding = headers.get("content-encoding", "") if has_body else ""
        return await connection.read_body(BodyReader(encoding, self._limits.http_body_bytes))

    def _check_depth(self, target: Target, depth: int) -> None:
        if depth >= DEPTH_MAX and (target.host, target.port) in self._own_authorities:
            raise EgressError(
                EgressFault.LOOP,
                f"Runs that call FlowForge are {depth} deep; break the circle of workflows that call each other.",
            )


def _is_followed(request: EgressRequest, status: int, headers: dict[str, str]) -> bool:
    return request.follows_redirects and status in _REDIRECTS and "location" in headers


def _complete_headers(target: Target, request: EgressRequest) -> Headers:
    given = {name.lower() for name, _ in request.headers}
    ours = [("Host", target.authority), (DEPTH_HEADER, str(request.depth + 1))]
    defaults = [("Accept", "*/*"), ("Accept-Encoding", ACCEPTED_ENCODINGS), ("User-Agent", "FlowForge")]
    ours.extend((name, value) for name, value in defaults if name.lower() not in given)
    if request.body is not None or request.method in {"POST", "PUT", "PATCH"}:
        ours.append(("Content-Length", str(len(request.body or b""))))
    return (*ours, *request.headers)


def _redirect(request: EgressRequest, status: int, *, is_same_host: bool) -> EgressRequest:
    """The request for the next hop (RFC 9110 15.4): 303, and 301 and 302 after a POST, become a GET without body."""
    headers = request.headers if is_same_host else keep_harmless_headers(request.headers)
    becomes_get = (status == 303 and request.method != "HEAD") or (status in {301, 302} and request.method == "POST")
    if not becomes_get:
        return replace(request, headers=headers)
    kept = tuple((name, value) for name, value in headers if not name.lower().startswith("content-"))
    return replace(request, method="GET", body=None, headers=kept)


def _is_same_host(before: Target, after: Target) -> bool:
    """Same host and port, or the same host from plain HTTP to HTTPS on their usual ports; never from HTTPS to plain HTTP."""
    if before.origin == after.origin:
        return True
    return before.host == after.host and (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
