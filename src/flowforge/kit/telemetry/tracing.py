"""Trace spans by OpenTelemetry's API. Until `Tracing.enable` was called a span is one shared empty context manager."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from flowforge.kit.telemetry.origins import Continuing

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

_NO_SPAN: Final[AbstractContextManager["OpenSpan | None"]] = nullcontext()

Attribute = str | int | float | bool


class Tracing:
    """One object a process, handed down; silent until enabled."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    def enable(self, tracer: "Tracer | None" = None) -> None:
        """Make real spans from now on, by this tracer; None: by the provider that the process has set up with OpenTelemetry."""
        from opentelemetry import trace  # nobody pays for it who does not trace

        self._tracer = trace.get_tracer("flowforge") if tracer is None else tracer

    def span(
        self, name: str, *, parent: str | None = None, is_server: bool = False, **attributes: Attribute
    ) -> AbstractContextManager["OpenSpan | None"]:
        """A span around a `with`; the work at hand belongs under it while it lasts. None: nobody traces.

        `parent`: the traceparent of a span elsewhere; None: the current one, else a trace begins. `is_server`: it answers a request.
        Attributes are ids and counts, never data of a run.
        """
        if self._tracer is None:
            return _NO_SPAN
        return OpenSpan(self._tracer, name, parent, attributes, is_server=is_server)


class OpenSpan:
    """A span that is recorded. What is raised through the `with` makes it a failed one."""

    __slots__ = ("_attached", "_continuing", "_span")

    def __init__(
        self, tracer: "Tracer", name: str, parent: str | None, attributes: dict[str, Attribute], *, is_server: bool
    ) -> None:
        from opentelemetry.trace import SpanKind  # loaded already by who enabled tracing

        kind = SpanKind.SERVER if is_server else SpanKind.INTERNAL
        self._span: Span = tracer.start_span(name, context=_read_parent(parent), kind=kind, attributes=attributes)
        self._continuing = Continuing(self.traceparent)
        self._attached: AbstractContextManager[Span]

    @property
    def traceparent(self) -> str:
        """As W3C writes it."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def rename(self, name: str) -> None:
        """Where its name is known only at its end."""
        self._span.update_name(name)

    def tell(self, **attributes: Attribute) -> None:
        """Further attributes."""
        self._span.set_attributes(attributes)

    def fail(self, why: str) -> None:
        """`why`: a code, never a message, which may hold data."""
        from opentelemetry.trace import Status, StatusCode  # as above

        self._span.set_status(Status(StatusCode.ERROR, why))

    def __enter__(self) -> Self:
        from opentelemetry.trace import use_span  # as above

        self._continuing.__enter__()
        self._attached = use_span(self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
        self._attached.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        # Not told of the fault: it would raise it anew, and the span has its status.
        self._attached.__exit__(None, None, None)
        self._continuing.__exit__(kind, fault, trace)


def _read_parent(traceparent: str | None) -> "Context | None":
    """The context of a span elsewhere; None: the current one."""
    if traceparent is None:
        return None
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context  # as above

    _, trace_id, span_id, flags = traceparent.split("-")
    elsewhere = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(elsewhere))
