"""From one request to one answer: every hop judged, sent and read."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, cast

from httpx2 import create_ssl_context

from flowforge.kit.clock import Clock
from flowforge.kit.egress.allowance import TimeAllowance
from flowforge.kit.egress.breaker import Breakers, Call
from flowforge.kit.egress.connection import Connection, Connections
from flowforge.kit.egress.decoding import ACCEPTED_ENCODINGS, BodyDecoder
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.host_limits import Gates
from flowforge.kit.egress.messages import (
    DEPTH_HEADER,
    DEPTH_MAX,
    BodySource,
    EgressRequest,
    EgressResponse,
    Headers,
    join_headers,
    keep_harmless_headers,
    read_retry_after,
)
from flowforge.kit.egress.network import Dialer, Network
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.proxy import Proxy, Streams
from flowforge.kit.egress.streams import Body, EgressStream
from flowforge.kit.egress.tls import TlsContexts, TlsWishes
from flowforge.kit.egress.urls import Target, join_target, parse_endpoint, parse_target
from flowforge.kit.limits import Limits
from flowforge.kit.telemetry.origins import find_traceparent

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Rules:
    """What a client was set up with, beside time and network."""

    policy: EgressPolicy
    limits: Limits
    own_urls: tuple[str, ...]
    proxy: Proxy | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer whose body is still to be read, and what it holds until then."""

    request: EgressRequest
    target: Target
    connection: Connection
    call: Call
    status: int
    headers: dict[str, str]

    @property
    def has_body(self) -> bool:
        return self.request.method != "HEAD" and self.status not in _WITHOUT_BODY

    def open_body(self, max_bytes: int, idle_ms: int | None = None) -> Body:
        encoding = self.headers.get("content-encoding", "") if self.has_body else ""
        return Body(self.connection.iterate(), BodyDecoder(encoding, max_bytes), idle_ms)


class Exchanges:
    """The working half of `EgressClient`, which has the contract; apart from it because of what it imports."""

    def __init__(self, rules: Rules, clock: Clock, network: Network, gates: Gates, breakers: Breakers) -> None:
        self._limits = rules.limits
        self._clock = clock
        self._gates = gates
        self._breakers = breakers
        self._own_authorities = frozenset((target.host, target.port) for target in map(parse_target, rules.own_urls))
        contexts = TlsContexts(network.trust or create_ssl_context)
        self._dialer = Dialer(rules.policy, network, contexts, rules.proxy, rules.limits.http_connect_ms)
        self._connections = Connections(self._dialer)

    async def find_addresses(self, host: str, port: int, usual_ports: frozenset[int]) -> list[str]:
        target = parse_endpoint(host, port)
        return [str(address) for address in await self._dialer.find_addresses(target, usual_ports)]

    async def dial(self, host: str, port: int) -> Streams:
        return await self._dialer.dial(parse_endpoint(host, port))

    async def send(self, request: EgressRequest) -> EgressResponse:
        allowance = TimeAllowance(self._limits.http_total_ms)
        async with AsyncExitStack() as holding:
            answer = await self._follow(request, allowance, holding)
            try:
                async with allowance.running():
                    content = await self._read_whole(answer)
            except BaseException as error:
                answer.call.end(None, error)
                raise
            answer.call.end(answer.status, None)
        return EgressResponse(
            answer.status,
            answer.headers,
            content,
            answer.target.url,
            self._read_retry_after(answer),
            answer.connection.http_version,
        )

    async def _read_whole(self, answer: _Answer) -> bytes:
        content = bytearray()
        body = answer.open_body(self._limits.http_body_bytes)
        async with aclosing(body), aclosing(body.iterate()) as pieces:
            async for piece in pieces:
                content += piece
        return bytes(content)

    @asynccontextmanager
    async def stream(self, request: EgressRequest, max_bytes: int) -> AsyncGenerator[EgressStream]:
        allowance = TimeAllowance(self._limits.http_total_ms)
        async with AsyncExitStack() as holding:
            answer = await self._follow(request, allowance, holding, renewing=allowance)
            answer.call.begin_answer(answer.status)
            body = await holding.enter_async_context(aclosing(answer.open_body(max_bytes, self._limits.http_idle_ms)))
            stream = EgressStream(
                answer.status,
                answer.headers,
                answer.target.url,
                body,
                retry_after_ms=self._read_retry_after(answer),
                http_version=answer.connection.http_version,
            )
            await holding.enter_async_context(aclosing(stream))
            try:
                yield stream
            finally:
                answer.call.end(answer.status, body.error)

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def _follow(
        self,
        request: EgressRequest,
        allowance: TimeAllowance,
        holding: AsyncExitStack,
        *,
        renewing: TimeAllowance | None = None,
    ) -> _Answer:
        """The answer of the last hop; `holding` then holds its connection and its place with the host."""
        target = parse_target(request.url)
        for _ in range(self._limits.http_redirects + 1):
            self._check_depth(target, request.depth)
            async with AsyncExitStack() as hop:
                answer = await self._exchange(target, request, allowance, hop, renewing)
                if not _is_followed(answer):
                    holding.push_async_exit(hop.pop_all())
                    return answer
                answer.call.end(answer.status, None)
            following = join_target(target, answer.headers["location"])
            request = _redirect(request, answer.status, is_same_host=_is_same_host(target, following))
            target = following
        raise EgressError(
            EgressFault.REDIRECTS, f"The server redirects more than {self._limits.http_redirects} times, at last to {target.url}."
        )

    async def _exchange(
        self,
        target: Target,
        request: EgressRequest,
        allowance: TimeAllowance,
        hop: AsyncExitStack,
        renewing: TimeAllowance | None,
    ) -> _Answer:
        self._breakers.check(target)
        await hop.enter_async_context(self._gates.enter(target.host))
        call = self._breakers.begin(target)
        try:
            async with allowance.running():
                connection = await hop.enter_async_context(self._connect(target, TlsWishes.of(request)))
                body = _open_body(request, self._limits, renewing)
                status, raw_headers = await connection.send(request.method, target, _complete_headers(target, request), body)
        except BaseException as error:
            call.end(None, error)
            raise
        return _Answer(request, target, connection, call, status, join_headers(raw_headers))

    @asynccontextmanager
    async def _connect(self, target: Target, wishes: TlsWishes) -> AsyncGenerator[Connection]:
        connection = await self._connections.take(target, wishes)
        try:
            yield connection
        except BaseException:
            await connection.aclose()
            raise
        # What has not been read to its end is no longer of use: it is closed then.
        await self._connections.give_back(target, wishes, connection)

    def _read_retry_after(self, answer: _Answer) -> int | None:
        return read_retry_after(answer.headers.get("retry-after"), self._clock.now_ms())

    def _check_depth(self, target: Target, depth: int) -> None:
        if depth >= DEPTH_MAX and (target.host, target.port) in self._own_authorities:
            raise EgressError(
                EgressFault.LOOP,
                f"Runs that call FlowForge are {depth} deep; break the circle of workflows that call each other.",
            )


def _is_followed(answer: _Answer) -> bool:
    return answer.request.follows_redirects and answer.status in _REDIRECTS and "location" in answer.headers


def _open_body(request: EgressRequest, limits: Limits, renewing: TimeAllowance | None) -> AsyncIterator[bytes] | bytes | None:
    if not isinstance(request.body, BodySource):
        return request.body
    if renewing is None:
        return _give_pieces(request.body, _do_nothing, _do_nothing)
    return _give_pieces(request.body, lambda: renewing.renew(limits.http_idle_ms), lambda: renewing.renew(limits.http_total_ms))


def _do_nothing() -> None:
    """The time goes on."""


async def _give_pieces(source: BodySource, on_piece: Callable[[], None], on_end: Callable[[], None]) -> AsyncGenerator[bytes]:
    left_bytes = source.size_bytes
    pieces = source.open()
    try:
        async for piece in pieces:
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise _changed(source, "more")
            on_piece()
            if piece:
                yield piece
    finally:
        if hasattr(pieces, "aclose"):
            await cast("AsyncGenerator[bytes]", pieces).aclose()
    if left_bytes:
        raise _changed(source, "fewer")
    on_end()


def _changed(source: BodySource, how: str) -> EgressError:
    return EgressError(
        EgressFault.HEADER_INVALID,
        f"The body has {how} bytes than the {source.size_bytes} that Content-Length says; did it change?",
    )


def _complete_headers(target: Target, request: EgressRequest) -> Headers:
    given = {name.lower() for name, _ in request.headers}
    ours = [("Host", target.authority), (DEPTH_HEADER, str(request.depth + 1))]
    defaults = [("Accept", "*/*"), ("Accept-Encoding", ACCEPTED_ENCODINGS), ("User-Agent", "FlowForge")]
    trace = find_traceparent()
    if trace is not None:
        defaults.append(("traceparent", trace))
    ours.extend((name, value) for name, value in defaults if name.lower() not in given)
    if request.body is not None or request.method in {"POST", "PUT", "PATCH"}:
        ours.append(("Content-Length", str(_measure(request.body))))
    return (*ours, *request.headers)


def _measure(body: bytes | BodySource | None) -> int:
    return body.size_bytes if isinstance(body, BodySource) else len(body or b"")


def _redirect(request: EgressRequest, status: int, *, is_same_host: bool) -> EgressRequest:
    """The request for the next hop (RFC 9110 15.4): 303, and 301 and 302 after a POST, become a GET without body."""
    if not is_same_host:
        request = replace(request, headers=keep_harmless_headers(request.headers), client_certificate=None)
    becomes_get = (status == 303 and request.method != "HEAD") or (status in {301, 302} and request.method == "POST")
    if not becomes_get:
        return request
    kept = tuple((name, value) for name, value in request.headers if not name.lower().startswith("content-"))
    return replace(request, method="GET", body=None, headers=kept)


def _is_same_host(before: Target, after: Target) -> bool:
    """Same host and port, or the same host from plain HTTP to HTTPS on their usual ports; never from HTTPS to plain HTTP."""
    if before.origin == after.origin:
        return True
    return before.host == after.host and (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
