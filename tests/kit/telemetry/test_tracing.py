import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry import trace
from tests.support.collectors import open_collector

from flowforge.entrypoints.log_export import export_logs
from flowforge.kit.errors import ValidationError
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import get_logger
from flowforge.kit.telemetry.exporting import TraceExport, find_logs_url, find_traces_url
from flowforge.kit.telemetry.origins import NOWHERE, Origin, Working, find_traceparent, name_trace, read_origin, write_origin
from flowforge.kit.telemetry.tracing import Tracing

TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-01")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SPANS_WITHOUT_TRACING = """
import sys
from flowforge.kit.telemetry.tracing import Tracing
tracing = Tracing()
with tracing.span("run", run_id="run_1"), tracing.span("step"):
    print("opentelemetry" in sys.modules)
"""


def test_span_does_not_even_load_opentelemetry_until_tracing_is_enabled():
    done = subprocess.run([sys.executable, "-c", SPANS_WITHOUT_TRACING], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "False\n"


def test_span_is_opentelemetrys_current_one_once_tracing_is_enabled():
    with open_collector() as collector:
        export = TraceExport(collector.url, version="1", instance="test")
        with export.tracing.span("run", run_id="run_1") as span:
            assert span is not None
            context = trace.get_current_span().get_span_context()
            assert span.traceparent == find_traceparent()
            assert span.traceparent[:52] == f"00-{context.trace_id:032x}-{context.span_id:016x}"
        assert find_traceparent() is None
        export.close()
        export.close()
        (sent,) = collector.list_spans()
    assert (sent.name, sent.attributes, sent.is_failed) == ("run", {"run_id": "run_1"}, False)


def test_span_is_made_by_the_processs_own_provider_where_no_tracer_is_given():
    tracing = Tracing()
    tracing.enable()
    assert tracing.is_on
    with tracing.span("run", parent=PARENT):
        pass


def test_span_that_something_is_raised_through_is_a_failed_one_without_data():
    with open_collector() as collector:
        export = TraceExport(collector.url, version="1", instance="test")
        with (
            pytest.raises(LookupError, match="secret"),
            export.tracing.span("outer", parent=PARENT),
            export.tracing.span("inner"),
        ):
            raise LookupError("secret")
        export.close()
        inner, outer = collector.list_spans()
        assert b"secret" not in b"".join(body for _, body in collector.bodies)
    assert (inner.is_failed, outer.is_failed) == (True, True)
    assert (inner.parent, outer.parent) == (outer.span_id, PARENT[36:52])
    assert inner.trace_id == outer.trace_id == PARENT[3:35]


def test_callers_that_do_not_sample_are_followed():
    with open_collector() as collector:
        export = TraceExport(collector.url, version="1", instance="test")
        with export.tracing.span("run", parent=PARENT[:-2] + "00") as span:
            assert span is not None
            assert span.traceparent.endswith("-00")
        export.close()
        assert collector.bodies == []


def test_collector_that_is_away_holds_nobody_up_for_long():
    export = TraceExport("http://127.0.0.1:9", version="1", instance="test")
    with export.tracing.span("run"):
        pass
    before_s = time.monotonic()
    export.close()
    assert time.monotonic() - before_s < 10


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://api.example/otlp/v1/traces", "https://api.example/otlp/v1/traces"),
    ],
)
def test_endpoint_without_a_path_gets_that_of_traces(endpoint: str, url: str):
    assert find_traces_url(endpoint) == url


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/logs"),
        ("https://example.com/otlp/v1/traces", "https://example.com/otlp/v1/logs"),
        ("https://example.com/only/spans", None),
    ],
)
def test_log_lines_go_beside_the_spans(endpoint: str, url: str | None):
    assert find_logs_url(endpoint) == url


def test_log_lines_reach_the_collector_masked_and_those_about_sending_do_not(tmp_path: Path):
    masker = Masker()
    masker.add("s3cr3t-t0k3n")
    with open_collector() as collector:
        settings = Settings.model_validate({"data": tmp_path, "otlp_endpoint": collector.url})
        with export_logs(settings, masker, lambda: {"role": "server"}):
            logger = get_logger("test")
            logger.warning("The token s3cr3t-t0k3n is old.", trace_id="ab" * 16, attempts=2)
            logging.getLogger("opentelemetry.exporter").warning("The collector is away.")
        (line,) = collector.list_logs()
    assert line["severity"] == "warning"
    assert line["trace"] == "ab" * 16
    assert (line["role"], line["attempts"], line["logger"]) == ("server", 2, "flowforge.test")
    assert str(line["body"]).startswith("The token ")
    assert "s3cr3t" not in str(line["body"])


@pytest.mark.parametrize("endpoint", ["collector:4317", "grpc://collector", "http://", "http://[::1", ""])
def test_endpoint_that_is_no_address_is_refused_by_the_settings_name(endpoint: str):
    with pytest.raises(ValidationError, match="FLOWFORGE_OTLP_ENDPOINT"):
        find_traces_url(endpoint)


def test_origin_is_read_as_it_was_written_and_nothing_else_is_one():
    origin = Origin("req_1", PARENT)
    assert read_origin(write_origin(origin)) == origin
    assert read_origin(write_origin(Origin("req_1"))) == Origin("req_1")
    assert write_origin(NOWHERE) is None
    others: list[object] = [None, [], {}, {"request": 5}, {"trace": "x" * 129}]
    assert [read_origin(stored) for stored in others] == [NOWHERE] * 5


def test_runs_that_nothing_traced_started_have_a_trace_each():
    assert name_trace("run_1") == name_trace("run_1") != name_trace("run_2")
    assert TRACEPARENT.fullmatch(name_trace("run_1"))


def test_work_goes_back_to_its_own_origin_while_it_lasts():
    with Working(Origin("req_1", PARENT)), Working(Origin("req_2")):
        assert find_traceparent() is None
    assert find_traceparent() is None
