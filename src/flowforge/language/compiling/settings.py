"""The small fields of a step and of the document: retry, limits, mocks, concurrency. What is wrong with them is told already."""

from enum import StrEnum
from typing import TypeVar

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.templates import TemplateCompiler
from flowforge.language.compiling.views import OUTSIDE_STEPS, View
from flowforge.language.graph import Concurrency, Limit, Mock, Retry, WhenFull
from flowforge.language.positions import Path
from flowforge.language.shapes import find_duration_ms, find_rate, find_whole

_ChoiceT = TypeVar("_ChoiceT", bound=StrEnum)


def as_object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def read_choice(value: JsonValue, default: _ChoiceT) -> _ChoiceT:
    """The member of the default's enumeration that the value names."""
    kind = type(default)
    return kind(value) if isinstance(value, str) and value in set(kind) else default


def read_retry(value: JsonValue, default: Retry) -> Retry:
    """The retry that the field says, `default` where it says nothing."""
    if not isinstance(value, dict):
        return default
    plain = Retry()
    codes = value.get("on")
    jitter = value.get("jitter")
    multiplier = value.get("multiplier")
    return Retry(
        attempts=find_whole(value.get("attempts")) or plain.attempts,
        backoff=read_choice(value.get("backoff"), plain.backoff),
        initial_ms=find_duration_ms(value.get("initial")) or plain.initial_ms,
        multiplier=float(multiplier) if isinstance(multiplier, int | float) else plain.multiplier,
        max_ms=find_duration_ms(value.get("max")) or plain.max_ms,
        jitter=jitter if isinstance(jitter, bool) else plain.jitter,
        on=tuple(as_text(code) for code in codes) if isinstance(codes, list) else None,
    )


def read_limit(value: JsonValue, path: Path, view: View, templates: TemplateCompiler) -> Limit | None:
    if not isinstance(value, dict):
        return None
    rate = find_rate(value.get("rate"))
    return Limit(
        key=templates.compile_text(value.get("key"), (*path, "key"), view),
        concurrency=find_whole(value.get("concurrency")),
        rate_count=rate[0] if rate else None,
        rate_per_ms=rate[1] if rate else None,
    )


def read_mock(value: JsonValue) -> Mock | None:
    if not isinstance(value, dict):
        return None
    return Mock(error=as_object(value["error"])) if "error" in value else Mock(output=value.get("output"))


def read_concurrency(value: JsonValue, path: Path, templates: TemplateCompiler) -> Concurrency | None:
    if not isinstance(value, dict):
        return None
    return Concurrency(
        key=templates.compile_text(value["key"], (*path, "key"), OUTSIDE_STEPS) if "key" in value else None,
        limit=find_whole(value.get("limit")) or 1,
        when_full=read_choice(value.get("when_full"), WhenFull.QUEUE),
    )
