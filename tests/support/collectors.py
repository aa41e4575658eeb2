"""A collector of spans and log lines, and whoever else only notes what is posted to it, on a socket of the own machine."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """As it came. `parent`: empty where it begins a trace. `is_failed`: its status is an error."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    attributes: dict[str, str | int]
    is_failed: bool


@dataclass
class Collector:
    """`url`: its endpoint. `headers`: of each request, whatever path it went to."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    bodies: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    def list_spans(self) -> list[Span]:
        spans: list[Span] = []
        for body in self._list_bodies("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(_read_span(span) for scope in resource.scope_spans for span in scope.spans)
        return spans

    def list_resources(self) -> list[dict[str, str | int]]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self._list_bodies("/v1/traces")]
        return [_read_attributes(found.resource.attributes) for request in requests for found in request.resource_spans]

    def list_logs(self) -> list[dict[str, str | int]]:
        """The attributes of each line, and `severity`, `body` and `trace`."""
        lines: list[dict[str, str | int]] = []
        for body in self._list_bodies("/v1/logs"):
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                for record in (record for scope in resource.scope_logs for record in scope.log_records):
                    told = {"severity": record.severity_text, "body": record.body.string_value, "trace": record.trace_id.hex()}
                    lines.append(_read_attributes(record.attributes) | told)
        return lines

    def _list_bodies(self, path: str) -> list[bytes]:
        return [body for asked, body in self.bodies if asked == path]


def _read_attributes(pairs: object) -> dict[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in pairs}  # type: ignore[attr-defined]


def _read_span(span: object) -> Span:
    return Span(
        span.name,  # type: ignore[attr-defined]
        span.trace_id.hex(),  # type: ignore[attr-defined]
        span.span_id.hex(),  # type: ignore[attr-defined]
        span.parent_span_id.hex(),  # type: ignore[attr-defined]
        span.kind,  # type: ignore[attr-defined]
        _read_attributes(span.attributes),  # type: ignore[attr-defined]
        span.status.code == 2,  # type: ignore[attr-defined]
    )


@contextmanager
def open_collector() -> Generator[Collector]:
    """Takes everything with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.bodies.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
