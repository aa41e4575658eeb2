"""Figures of requests: by template, whatever a stranger sends; cheap."""

import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.collectors import open_collector
from tests.support.web_lab import open_web_lab

from flowforge.kit.telemetry.exporting import TraceExport
from flowforge.kit.telemetry.server_metrics import ServerMetrics
from flowforge.kit.telemetry.tracing import Tracing
from flowforge.web.callers import OPEN
from flowforge.web.observing import Observer, TraceLayer, name_delivery
from flowforge.web.routing import Router

router = Router("things", "/things")


@router.get("/{thing}", OPEN)
async def get_thing(thing: str) -> dict[str, str]:
    """A thing, or a fault of ours."""
    if thing == "broken":
        raise RuntimeError("a fault of ours")
    return {"id": thing}


class Named:
    path = "/api/v1/things/{thing}"


def make_scope(method: str = "GET", query: bytes = b"", **state: object) -> dict[str, object]:
    return {"type": "http", "method": method, "path": "/secret/path", "query_string": query, "state": dict(state)}


def read(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"flowforge_{name}", labels)


def test_requests_are_counted_by_the_template_of_their_route():
    registry = CollectorRegistry()
    observe = Observer(ServerMetrics(registry))
    observe({**make_scope(), "route": Named}, 200, 0.004)
    observe(make_scope("POST", route="/api/v1/runs"), 429, 0.001)
    observe(make_scope("BREW"), 405, 0.001)
    assert read(registry, "http_requests_total", method="GET", route=Named.path, status="200") == 1
    assert read(registry, "http_requests_total", method="POST", route="/api/v1/runs", status="429") == 1
    assert read(registry, "http_requests_total", method="other", route="other", status="405") == 1
    assert read(registry, "http_request_seconds_count", route=Named.path) == 1
    assert read(registry, "rate_limited_total") == 1


@pytest.mark.parametrize("scope", [make_scope(query=b"wait=30s"), make_scope(is_stream=True)], ids=["wait", "stream"])
def test_what_takes_as_long_as_it_wants_is_counted_and_not_timed(scope: dict[str, object]):
    registry = CollectorRegistry()
    Observer(ServerMetrics(registry))(scope, 200, 30.0)
    assert read(registry, "http_requests_total", method="GET", route="other", status="200") == 1
    assert read(registry, "http_request_seconds_count", route="other") is None


@pytest.mark.parametrize(("status", "outcome"), [(202, "accepted"), (401, "refused"), (429, "limited"), (503, "failed")])
def test_deliveries_to_webhooks_are_counted_by_what_became_of_them(status: int, outcome: str):
    registry = CollectorRegistry()
    Observer(ServerMetrics(registry))(make_scope("POST", route="/hooks/{path}"), status, 0.001)
    assert name_delivery(status) == outcome
    assert read(registry, "webhook_deliveries_total", outcome=outcome) == 1


def test_counting_a_request_costs_less_than_five_microseconds():
    observe, scope = Observer(ServerMetrics(CollectorRegistry())), {**make_scope(), "route": Named}
    best_s = float("inf")
    for _ in range(20):
        before_s = time.process_time()
        for _ in range(2_000):
            observe(scope, 200, 0.004)
        best_s = min(best_s, (time.process_time() - before_s) / 2_000)
    assert best_s < 5e-6


async def test_fault_of_ours_makes_its_span_a_failed_one_and_a_trace_begins_where_nobody_sent_one(tmp_path: Path):
    with open_collector() as collector:
        export = TraceExport(collector.url, version="1", instance="test")
        async with open_web_lab(tmp_path, [router], layers=[lambda app: TraceLayer(app, export.tracing)]) as lab:
            good = await lab.client.get("/api/v1/things/17")
            bad = await lab.client.get("/api/v1/things/broken")
        export.close()
        one, other = sorted(collector.list_spans(), key=lambda span: span.is_failed)
    assert (good.status_code, bad.status_code) == (200, 500)
    assert one.name == other.name == "GET /api/v1/things/{thing}"
    assert (one.is_failed, other.is_failed) == (False, True)
    assert one.parent == other.parent == ""
    assert good.headers["traceparent"][:52] == f"00-{one.trace_id}-{one.span_id}"


async def test_layer_is_silent_where_nobody_traces(tmp_path: Path):
    async with open_web_lab(tmp_path, [router], layers=[lambda app: TraceLayer(app, Tracing())]) as lab:
        answer = await lab.client.get("/api/v1/things/17")
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers
