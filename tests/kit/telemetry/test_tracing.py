import subprocess
import sys

from opentelemetry import trace

from flowforge.kit.telemetry.tracing import Tracing

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


def test_span_is_opentelemetrys_once_tracing_is_enabled():
    tracing = Tracing()
    tracing.enable()
    with tracing.span("run", run_id="run_1") as span:
        assert isinstance(span, trace.Span)
