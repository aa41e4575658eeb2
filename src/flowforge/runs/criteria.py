"""Which runs a list is about: filters as they come from outside, checked and typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flowforge.kit.ids import is_id
from flowforge.kit.values import JsonValue
from flowforge.language.times import TimeFault, parse_timestamp_ms
from flowforge.web.errors import ParameterError
from flowforge.web.lists import Condition, read_where

_EXACT: Final = ("eq", "in")
_TEXT: Final = ("eq", "in", "starts_with")
_TIME: Final = ("lt", "le", "gt", "ge")

FILTERS: Final[Mapping[str, Sequence[str]]] = {
    "id": _EXACT,
    "status": _EXACT,
    "workflow_id": _EXACT,
    "version": _EXACT,
    "started_at": _TIME,
    "finished_at": _TIME,
    "subject": _TEXT,
    "labels.*": _TEXT,
    "trigger_id": _EXACT,
    "error_code": _EXACT,
}
"""What a list of runs can be filtered by."""

STATUSES: Final = ("queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out")

Value = str | int


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition. `op`: eq, in, starts_with, or lt, le, gt, ge. Times are milliseconds since 1970; `label`: the label's name."""

    field: str
    op: str
    values: tuple[Value, ...]
    label: str = ""

    @property
    def value(self) -> Value:
        return self.values[0]


def read_criteria(given: Sequence[str] | None) -> tuple[Criterion, ...]:
    """The filters of a request.

    Raises:
        ParameterError: a field or op that is none (`where_unknown`), or a value that cannot be one of the field's (`where_invalid`).
    """
    return tuple(_read(condition) for condition in read_where(given, FILTERS))


def _read(condition: Condition) -> Criterion:
    field, _, label = condition.field.partition(".")
    if field == "labels":
        return Criterion("labels", condition.op, condition.values, label)
    read = _READERS.get(field, _read_text)
    return Criterion(field, condition.op, tuple(read(field, text) for text in condition.values))


def _read_text(_field: str, text: str) -> Value:
    return text


def _read_status(field: str, text: str) -> Value:
    if text not in STATUSES:
        raise _refuse(field, text, f"one of {', '.join(STATUSES)}")
    return text


def _read_version(field: str, text: str) -> Value:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _refuse(field, text, "a version's number, like 3")
    return int(text)


def _read_id(field: str, text: str) -> Value:
    prefix = {"id": "run", "workflow_id": "wf", "trigger_id": "trg"}[field]
    if not is_id(text.lower(), prefix):
        raise _refuse(field, text, f"an id of the form {prefix}_ and 26 characters")
    return text.lower()


def _read_time(field: str, text: str) -> Value:
    try:
        return parse_timestamp_ms(text)
    except TimeFault as fault:
        raise _refuse(field, text, "a time of RFC 3339 with a zone, like 2026-03-01T08:00:00Z") from fault


_READERS: Final = {
    "status": _read_status,
    "version": _read_version,
    "id": _read_id,
    "workflow_id": _read_id,
    "trigger_id": _read_id,
    "started_at": _read_time,
    "finished_at": _read_time,
}


def _refuse(field: str, text: str, wanted: str) -> ParameterError:
    return ParameterError("where", f"{field} is {wanted}, not {text[:80]!r}.", "where_invalid")


def describe_criteria(criteria: Sequence[Criterion]) -> list[JsonValue]:
    """As JSON, to be kept or digested."""
    return [[criterion.field, criterion.op, list[JsonValue](criterion.values), criterion.label] for criterion in criteria]


def restore_criteria(stored: JsonValue) -> tuple[Criterion, ...]:
    """What `describe_criteria` gave."""
    rows = cast("list[tuple[str, str, list[Value], str]]", stored)
    return tuple(Criterion(field, op, tuple(values), label) for field, op, values, label in rows)
