"""What is told of each request: figures for Prometheus, and a span where somebody traces.

A route is named by its template. FastAPI's routes bring theirs; a narrow route puts its own into `scope["state"]["route"]`; everything
else is `other`, so that a stranger who tries paths makes no new series. A stream, or a request that says `wait`,
takes as long as it wants: it is counted, and not timed.
"""

from typing import Final

from flowforge.kit.telemetry.server_metrics import ServerMetrics
from flowforge.kit.telemetry.tracing import OpenSpan, Tracing
from flowforge.web.frame import METHODS, App, Message, Receive, Scope, Send

OTHER: Final = "other"
HOOKS: Final = "/hooks/"
_TOO_MANY: Final = 429
_FAULT: Final = 500
_REFUSED: Final = 400
_WAIT: Final = b"wait="


class Observer:
    """`web.frame.Observe`: counts a request that was answered."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    def __call__(self, scope: Scope, status: int, seconds: float) -> None:
        route = find_route(scope)
        is_long = scope["state"].get("is_stream", False) or _WAIT in scope.get("query_string", b"")
        self._metrics.count_request(find_method(scope), route, status, None if is_long else seconds)
        if route.startswith(HOOKS):
            self._metrics.count_webhook_delivery(name_delivery(status))


def find_route(scope: Scope) -> str:
    """The template of the request's route, or `other`."""
    named: str | None = scope["state"].get("route")
    if named is not None:
        return named
    found: str | None = getattr(scope.get("route"), "path", None)
    return OTHER if found is None else found


def find_method(scope: Scope) -> str:
    """The method, or `other` for one that is used nowhere."""
    method: str = scope["method"]
    return method if method in METHODS else OTHER


def name_delivery(status: int) -> str:
    """What became of a delivery to a webhook, by its answer."""
    if status >= _FAULT:
        return "failed"
    if status == _TOO_MANY:
        return "limited"
    return "refused" if status >= _REFUSED else "accepted"


class TraceLayer:
    """A server span around each request, which continues the caller's trace. Only where somebody traces: it costs 50 µs."""

    def __init__(self, app: App, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, state = find_method(scope), scope["state"]
        span: OpenSpan | None
        with self._tracing.span(method, parent=state["traceparent"], is_server=True) as span:
            if span is None:
                await self._app(scope, receive, send)
                return
            state["traceparent"] = span.traceparent
            try:
                await self._app(scope, receive, _watch_status(span, send))
            finally:
                route = find_route(scope)
                names = {"http.request.method": method, "http.route": route, "request_id": state["request_id"]}
                span.rename(f"{method} {route}")
                span.tell(**names)


def _watch_status(span: OpenSpan, send: Send) -> Send:
    async def send_watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            status: int = message["status"]
            span.tell(**{"http.response.status_code": status})
            if status >= _FAULT:
                span.fail(str(status))
        await send(message)

    return send_watched
