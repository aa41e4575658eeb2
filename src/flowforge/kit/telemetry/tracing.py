"""Trace spans by OpenTelemetry's API. Until `enable_tracing` was called a span is one shared empty context manager."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_NO_SPAN: Final[AbstractContextManager[object]] = nullcontext()


class Tracing:
    """One object a process, handed down; silent until enabled."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def enable(self) -> None:
        """Make real spans from now on, by the provider that the process has set up with OpenTelemetry."""
        from opentelemetry import trace  # nobody pays for it who does not trace

        self._tracer = trace.get_tracer("flowforge")

    def span(self, name: str, **attributes: str | int | float | bool) -> AbstractContextManager[object]:
        """A span around a `with`; the current one while it lasts. Attributes are ids and counts, never data of a run."""
        if self._tracer is None:
            return _NO_SPAN
        return self._tracer.start_as_current_span(name, attributes=attributes)
