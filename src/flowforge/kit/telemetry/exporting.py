"""Where spans go: to a collector, by OTLP over HTTP. Loaded only where OTLP_ENDPOINT is set."""

from typing import Final
from urllib.parse import urlsplit

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.telemetry.tracing import Tracing

_SETTING: Final = "FLOWFORGE_OTLP_ENDPOINT"
_TIMEOUT_S: Final = 3.0
_PATH: Final = "/v1/traces"
_MISSING: Final = (
    f"{_SETTING} is set, but OpenTelemetry's SDK is not installed here: pip install 'flowforge[otel]'. "
    "Without the setting nothing is traced."
)


class TraceExport:
    """A pipe to a collector. `tracing` is what is handed down; `close` sends what is left.

    Spans wait in memory for their batch; where the collector is away they are dropped, and nothing else notices.

    Raises:
        ValidationError: the endpoint is no address, or the extra `otel` is not installed.
    """

    def __init__(self, endpoint: str, *, version: str, instance: str) -> None:
        url = find_traces_url(endpoint)
        try:
            # An extra of 20 MiB, for who traces only.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as fault:
            raise ValidationError(_MISSING, [Detail(_SETTING, _MISSING, "not_installed")]) from fault
        about = {"service.name": "flowforge", "service.version": version, "service.instance.id": instance}
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=_TIMEOUT_S)))
        self.tracing: Final = Tracing()
        self.tracing.enable(self._provider.get_tracer("flowforge", version))

    def close(self) -> None:
        """Blocks for a few seconds where the collector does not answer. May be called again."""
        self._provider.shutdown()


def find_traces_url(endpoint: str) -> str:
    """The address of a collector's traces: an endpoint without a path gets `/v1/traces`.

    Raises:
        ValidationError: it is no address of HTTP.
    """
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_address, parts = False, urlsplit("")
    if not is_address:
        message = f"{_SETTING} is an address like http://collector:4318, and not {endpoint!r}."
        raise ValidationError(message, [Detail(_SETTING, message, "setting_invalid")])
    return endpoint if parts.path.strip("/") else parts._replace(path=_PATH).geturl()
