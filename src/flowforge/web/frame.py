"""Around every request: its id, its trace, the host that it names, the headers that every answer carries, and the last resort."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from flowforge.kit.clock import Clock
from flowforge.kit.errors import Detail, FlowForgeError
from flowforge.kit.ids import make_id
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.origins import Origin, Working
from flowforge.web.answers import answer_bug, answer_error, make_error

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Observe = Callable[[Scope, int, float], None]
"""Takes a request's scope, its status, and how long it took in seconds."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEALTH_PAGES: Final = frozenset({"/health", "/ready", "/live", "/metrics"})
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\]")
_HEADERS_MAX: Final = 200
_HEADER_BYTES_MAX: Final = 32_768
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ALWAYS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"cache-control": b"no-store",
}
"""An answer may bring its own of these."""

logger = get_logger("web")


class Frame:
    """The outermost part of the application. `hosts`: the names under which it may be asked, in lower case, without ports.

    `is_secure`: the public address is https, so that browsers are told to stay there.
    """

    def __init__(self, app: App, *, hosts: frozenset[str], clock: Clock, observe: Observe, is_secure: bool = False) -> None:
        self._app = app
        self._hosts = hosts | _LOOPBACK
        self._clock = clock
        self._observe = observe
        self._always = dict(_ALWAYS)
        if is_secure:
            self._always[b"strict-transport-security"] = b"max-age=31536000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        looked = _look(headers)
        state["request_id"], state["traceparent"] = looked.request_id, looked.traceparent
        refusal = self._refuse(scope, headers, looked)
        serve = self._serve_socket if scope["type"] == "websocket" else self._serve
        with Working(Origin(state["request_id"], state["traceparent"])):
            await serve(scope, receive, send, refusal)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        if refusal is not None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        """Supervisor: what nobody expected becomes an answer that says where the log has more."""
        request_id: str = scope["state"]["request_id"]
        began_s, status = self._clock.monotonic_s(), 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._dress(message["headers"], request_id, scope["state"])
            await send(message)

        try:
            await (refusal or self._app)(scope, receive, send_framed)
        except FlowForgeError as fault:
            if status:
                raise
            await answer_error(fault, request_id)(scope, receive, send_framed)
        except Exception:
            logger.exception("A request met a fault of ours.", request_id=request_id, path=scope["path"])
            if not status:
                await answer_bug(request_id)(scope, receive, send_framed)
        finally:
            self._observe(scope, status or 500, self._clock.monotonic_s() - began_s)

    def _dress(self, headers: list[tuple[bytes, bytes]], request_id: str, state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
        given = {name for name, _ in headers}
        if self._always.keys().isdisjoint(given):
            dressed = [*headers, *self._always.items()]
        else:
            dressed = [*headers, *((name, value) for name, value in self._always.items() if name not in given)]
        dressed.append((b"x-request-id", request_id.encode()))
        if state["traceparent"] is not None:
            dressed.append((b"traceparent", state["traceparent"].encode()))
        dressed += state.get("answer_headers", ())
        return dressed

    def _refuse(self, scope: Scope, headers: list[tuple[bytes, bytes]], looked: "_Looked") -> Response | None:
        request_id = looked.request_id
        if len(headers) > _HEADERS_MAX or looked.size_bytes > _HEADER_BYTES_MAX:
            return make_error(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "The headers are too many or too long.", [], request_id)
        if scope["type"] == "http" and scope["method"] not in METHODS:
            return make_error(405, "METHOD_NOT_ALLOWED", "This method is used nowhere here.", [], request_id)
        if looked.hosts != 1 or not self._is_ours(scope["path"], _read_host(looked.host)):
            message = "The request names a host that is not ours; ALLOWED_HOSTS lists further names."
            return make_error(400, "BAD_REQUEST", message, [Detail("Host", message, "host")], request_id)
        return None

    def _is_ours(self, path: str, host: str | None) -> bool:
        """Whether a request may name this host. Who looks after containers asks for their health pages by address."""
        return host in self._hosts or (host is not None and path in HEALTH_PAGES and _ADDRESS.fullmatch(host) is not None)


class _Looked(NamedTuple):
    """What the frame itself reads of the headers, in one pass over them."""

    request_id: str
    traceparent: str | None
    hosts: int
    host: bytes
    size_bytes: int


def _look(headers: list[tuple[bytes, bytes]]) -> _Looked:
    request_id = traceparent = host = b""
    hosts = size_bytes = 0
    for name, value in headers:
        size_bytes += len(name) + len(value)
        if name == b"host":
            hosts, host = hosts + 1, value
        elif name == b"x-request-id":
            request_id = request_id or value
        elif name == b"traceparent":
            traceparent = traceparent or value
    return _Looked(_choose_request_id(request_id), _check_traceparent(traceparent), hosts, host, size_bytes)


@lru_cache(maxsize=1_024)
def _read_host(value: bytes) -> str | None:
    """The name in a Host header, without its port; None: it is none."""
    host = value.decode("latin-1").lower()
    return _strip_port(host) if _HOST.fullmatch(host) else None


def _strip_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _choose_request_id(given: bytes) -> str:
    text = given.decode("latin-1")
    return text if text and _REQUEST_ID.fullmatch(text) else make_id("req")


def _check_traceparent(given: bytes) -> str | None:
    text = given.decode("latin-1")
    return text if text and _TRACEPARENT.fullmatch(text) else None
