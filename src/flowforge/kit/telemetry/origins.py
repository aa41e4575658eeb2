"""What the work at hand goes back to: the request that began it, and its place in a trace.

Both go with a run through the database to whoever makes its steps, so that the log lines and spans of a step are found by the id of the
request that started the run.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Final, TypedDict, cast

from flowforge.kit.telemetry.logs import bound_fields
from flowforge.kit.values import JsonObject, JsonValue

_TRACE_ID: Final = slice(3, 35)
_TEXT_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class Origin:
    """`request_id`: as `X-Request-ID` says it. `traceparent`: W3C's, of the span under which further spans belong."""

    request_id: str | None = None
    traceparent: str | None = None


class OriginFields(TypedDict, total=False):
    """An origin in a journal or a job."""

    request: str
    trace: str


NOWHERE: Final = Origin()

_current: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def find_origin() -> Origin:
    """Of the request or the attempt that this task is at; NOWHERE: it is at none."""
    return _current.get()


def find_traceparent() -> str | None:
    """What requests to others say of the trace that they belong to."""
    return _current.get().traceparent


def name_trace(run_id: str) -> str:
    """The traceparent of a run that nothing traced started: the same for all of its steps, wherever they are made."""
    digest = sha256(run_id.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def write_origin(origin: Origin) -> OriginFields | None:
    """For a journal or a job; None: there is nothing to write."""
    if origin is NOWHERE:
        return None
    fields: OriginFields = {}
    if origin.request_id is not None:
        fields["request"] = origin.request_id
    if origin.traceparent is not None:
        fields["trace"] = origin.traceparent
    return fields or None


def read_origin(stored: object) -> Origin:
    """The inverse of `write_origin`; what cannot be read is no origin, because nothing depends on it."""
    if not isinstance(stored, dict):
        return NOWHERE
    fields = cast("dict[str, object]", stored)
    request, trace = _read_text(fields, "request"), _read_text(fields, "trace")
    return NOWHERE if request is None and trace is None else Origin(request, trace)


def _read_text(stored: dict[str, object], name: str) -> str | None:
    text = stored.get(name)
    return text if isinstance(text, str) and 0 < len(text) <= _TEXT_MAX else None


class Working:
    """A `with` around the work for a request or an attempt: what it logs, sends and starts goes back to the origin.

    Log lines get `request_id`, `trace_id` and the fields that are given, and nothing of what was bound before: a task may have been made
    while another request was at work.
    """

    __slots__ = ("_fields", "_fields_token", "_origin", "_origin_token")

    def __init__(self, origin: Origin, **fields: JsonValue) -> None:
        self._origin = origin
        self._fields: JsonObject = fields
        if origin.request_id is not None:
            fields["request_id"] = origin.request_id
        if origin.traceparent is not None:
            fields["trace_id"] = origin.traceparent[_TRACE_ID]
        self._fields_token: Token[JsonObject]
        self._origin_token: Token[Origin]

    def __enter__(self) -> None:
        self._fields_token = bound_fields.set(self._fields)
        self._origin_token = _current.set(self._origin)

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        _current.reset(self._origin_token)
        bound_fields.reset(self._fields_token)


class Continuing:
    """A `with` in which the work at hand belongs under another span of its trace, or of one that begins."""

    __slots__ = ("_fields_token", "_origin_token", "_traceparent")

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent
        self._fields_token: Token[JsonObject]
        self._origin_token: Token[Origin]

    def __enter__(self) -> None:
        fields = {**bound_fields.get(), "trace_id": self._traceparent[_TRACE_ID]}
        self._fields_token = bound_fields.set(fields)
        self._origin_token = _current.set(Origin(_current.get().request_id, self._traceparent))

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        _current.reset(self._origin_token)
        bound_fields.reset(self._fields_token)
