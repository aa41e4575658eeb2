"""Where spans and log lines go: to a collector, by OTLP over HTTP. Loaded only where OTLP_ENDPOINT is set."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flowforge.kit.border import decode
from flowforge.kit.errors import Detail, InvariantError, ValidationError
from flowforge.kit.telemetry.tracing import Tracing
from flowforge.kit.values import JsonValue

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource

_SETTING: Final = "FLOWFORGE_OTLP_ENDPOINT"
_TIMEOUT_S: Final = 3.0
_PATH: Final = "/v1/traces"
_LOGS_PATH: Final = "/v1/logs"
_MISSING: Final = (
    f"{_SETTING} is set, but OpenTelemetry's SDK is not installed here: pip install 'flowforge[otel]'. "
    "Without the setting nothing is traced."
)
_OWN: Final = ("opentelemetry", "urllib3")
"""Loggers of who sends: what they say of a collector that is away is not sent to it."""
_SEVERITIES: Final = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}


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
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as fault:
            raise ValidationError(_MISSING, [Detail(_SETTING, _MISSING, "not_installed")]) from fault
        self._provider = TracerProvider(resource=_describe(version, instance), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=_TIMEOUT_S)))
        self.tracing: Final = Tracing()
        self.tracing.enable(self._provider.get_tracer("flowforge", version))

    def close(self) -> None:
        """Blocks for a few seconds where the collector does not answer. May be called again."""
        self._provider.shutdown()


class LogExport:
    """A `LogOutput`: takes lines of JSON, masked as those of the log are, and sends them to a collector in batches.

    Raises:
        ValidationError: the extra `otel` is not installed.
    """

    def __init__(self, url: str, *, version: str, instance: str) -> None:
        try:
            # As above.
            from opentelemetry._logs import LogRecord, SeverityNumber
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
            from opentelemetry.sdk._logs import LoggerProvider
            from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        except ImportError as fault:
            raise ValidationError(_MISSING, [Detail(_SETTING, _MISSING, "not_installed")]) from fault
        self._make, self._severity = LogRecord, SeverityNumber
        self._provider = LoggerProvider(resource=_describe(version, instance), shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(url, timeout=_TIMEOUT_S)))
        self._logger = self._provider.get_logger("flowforge", version)

    def write(self, data: bytes) -> None:
        """A line that masking made unreadable is left to the log itself."""
        try:
            line = decode(data)
        except InvariantError:
            return
        assert isinstance(line, dict)
        level, trace_id = str(line.pop("level")), line.pop("trace_id", None)
        self._logger.emit(
            self._make(
                timestamp=int(datetime.fromisoformat(str(line.pop("time"))).timestamp() * 1_000) * 1_000_000,
                severity_text=level,
                severity_number=self._severity(_SEVERITIES.get(level, 9)),
                body=str(line.pop("message")),
                attributes={name: value if isinstance(value, bool | int | float) else str(value) for name, value in line.items()},
                context=_find_context(trace_id),
            )
        )

    def close(self) -> None:
        """Sends what is left; blocks for a few seconds where the collector does not answer."""
        self._provider.shutdown()


def _find_context(trace_id: JsonValue) -> "Context | None":
    """Of the trace alone: lines tell their step and attempt, not a span."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context  # as above

    if not isinstance(trace_id, str):
        return None
    return set_span_in_context(NonRecordingSpan(SpanContext(int(trace_id, 16), 0, is_remote=True)))


def is_to_be_sent(record: logging.LogRecord) -> bool:
    """Whether a line may go to the collector: those about sending would make others, without an end."""
    return not record.name.startswith(_OWN)


def _describe(version: str, instance: str) -> "Resource":
    from opentelemetry.sdk.resources import Resource  # as above

    return Resource.create({"service.name": "flowforge", "service.version": version, "service.instance.id": instance})


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


def find_logs_url(endpoint: str) -> str | None:
    """The address of the same collector's logs; None: the endpoint is the address of traces alone.

    Raises:
        ValidationError: as `find_traces_url`.
    """
    traces = find_traces_url(endpoint)
    return traces.removesuffix(_PATH) + _LOGS_PATH if traces.endswith(_PATH) else None
