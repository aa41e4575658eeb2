"""Which pages of other origins may call the API from a browser (Fetch standard, CORS protocol).

An origin is compared as it stands; there are no patterns. An answer to any other origin has no CORS header at all.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.responses import Response

from flowforge.web.frame import App, Message, Receive, Scope, Send

ListOrigins = Callable[[], Awaitable[Collection[str]]]

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Upload-Offset, X-API-Key, X-CSRF-Token, "
    "X-Request-ID, X-Workspace, traceparent"
)
_EXPOSED: Final = (
    b"ETag, Idempotency-Replayed, Location, Retry-After, Upload-Offset, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    b"X-Request-ID"
)
_KEPT_S: Final = "600"


class Cors:
    """A layer of the application. `list_origins`: those that are allowed now."""

    def __init__(self, app: App, list_origins: ListOrigins) -> None:
        self._app = app
        self._list_origins = list_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        is_allowed = bool(origin) and origin in await self._list_origins()
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer_preflight(origin if is_allowed else None)(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marks = [(b"vary", b"Origin")]
                if is_allowed:
                    marks += [
                        (b"access-control-allow-origin", origin.encode("latin-1")),
                        (b"access-control-allow-credentials", b"true"),
                        (b"access-control-expose-headers", _EXPOSED),
                    ]
                message["headers"] = [*message["headers"], *marks]
            await send(message)

        await self._app(scope, receive, send_marked)


def _answer_preflight(origin: str | None) -> Response:
    if origin is None:
        return Response(status_code=204, headers={"vary": "Origin"})
    return Response(
        status_code=204,
        headers={
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _HEADERS,
            "access-control-max-age": _KEPT_S,
            "vary": "Origin",
        },
    )
