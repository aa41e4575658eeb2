"""The figures of a process that answers requests. Every label has few values: never a path, an id or an address."""

from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_REQUEST_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_TOO_MANY: Final = 429
_SERIES_MAX: Final = 8_192


class ServerMetrics:
    """Requests, streams, sign-ins, triggers, deliveries and the audit log. All may be used from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def count(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"flowforge_{name}", help_text, labels, registry=registry)

        def show(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"flowforge_{name}", help_text, labels, registry=registry)

        self._requests: Final = count("http_requests", "Requests that were answered.", "method", "route", "status")
        self._request_seconds: Final = Histogram(
            "flowforge_http_request_seconds",
            "From a request's first byte to its answer's last.",
            ["route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self.open_connections: Final = show("open_connections", "Connections of clients that are open now.")
        self._open_streams: Final = show("open_streams", "Live streams that are open now, by kind.", "kind")
        self.rate_limited: Final = count("rate_limited", "Requests that were refused because there were too many.")
        self.sign_in_failures: Final = count("sign_in_failures", "Passwords and codes that were refused.")
        self._webhook_deliveries: Final = count("webhook_deliveries", "Deliveries to webhooks, by outcome.", "outcome")
        self._trigger_firings: Final = count(
            "trigger_firings", "What happened for triggers, by kind and outcome.", "kind", "outcome"
        )
        self._event_deliveries: Final = count("event_deliveries", "Attempts to deliver an event to a subscriber.", "outcome")
        self.audit_rows: Final = show("audit_rows", "Rows that the audit log has had.")
        self.audit_broken: Final = show("audit_broken", "1: the audit log is not what was written.")
        self.audit_checked_rows: Final = show("audit_checked_rows", "Rows of the audit log that the last check found as written.")
        # Looking up the child of a labelled metric costs more than counting.
        self._find_request_counter = lru_cache(maxsize=_SERIES_MAX)(self._requests.labels)
        self._find_request_timer = lru_cache(maxsize=_SERIES_MAX)(self._request_seconds.labels)

    def count_request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """`route`: its template, `/api/v1/runs/{run_id}`. `seconds` None: its length tells nothing, it waited or was a stream."""
        self._find_request_counter(method, route, status).inc()
        if seconds is not None:
            self._find_request_timer(route).observe(seconds)
        if status == _TOO_MANY:
            self.rate_limited.inc()

    def find_open_streams(self, kind: str) -> Gauge:
        """`kind`: websocket, sse."""
        return self._open_streams.labels(kind)

    def count_webhook_delivery(self, outcome: str) -> None:
        """`outcome`: accepted, refused, limited, failed (a fault of ours, or no room)."""
        self._webhook_deliveries.labels(outcome).inc()

    def count_trigger_firing(self, kind: str, *, is_successful: bool) -> None:
        self._trigger_firings.labels(kind, "fired" if is_successful else "failed").inc()

    def count_event_delivery(self, outcome: str) -> None:
        """`outcome`: delivered, failed (it is tried again), dead."""
        self._event_deliveries.labels(outcome).inc()
