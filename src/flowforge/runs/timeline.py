"""A run drawn as bars of text, for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.runs.types import StepRecord

_FULL: Final = "━"
_OPEN: Final = "╍"
_BLANK: Final = " "


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One step. `depth` counts the containers around it; `bar` is `width` characters long, the run's time from left to right."""

    depth: int
    label: str
    uses: str
    status: str
    attempts: int
    offset_ms: int | None
    duration_ms: int | None
    bar: str
    note: str


def draw_timeline(
    steps: Sequence[StepRecord], started_at_ms: int, until_ms: int, *, width: int = 40, iterations_max: int = 5
) -> list[TimelineRow]:
    """Rows in the order of the steps. `until_ms` is the right edge: the end of the run, or now.

    Of a container only the first `iterations_max` iterations are drawn, and those where something went wrong; the container's note says
    how many there were.
    """
    iterations = _count_iterations(steps)
    shown = [step for step in steps if _is_shown(step, iterations_max)]
    return [_draw(step, started_at_ms, max(until_ms, started_at_ms + 1), width, iterations.get(step.key, 0)) for step in shown]


def _count_iterations(steps: Sequence[StepRecord]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for step in steps:
        segments = step.iteration.split("/") if step.iteration else []
        for depth, segment in enumerate(segments):
            container, _, index = segment.rpartition(".")
            if container:
                key = "/".join([*segments[:depth], container])
                highest[key] = max(highest.get(key, 0), int(index) + 1)
    return highest


def _is_shown(step: StepRecord, iterations_max: int) -> bool:
    if step.status in ("failed", "waiting"):
        return True
    segments = step.iteration.split("/") if step.iteration else []
    indexes = [segment.rpartition(".") for segment in segments]
    return all(int(index) < iterations_max for container, _, index in indexes if container)


def _draw(step: StepRecord, started_at_ms: int, until_ms: int, width: int, iterations: int) -> TimelineRow:
    segments = step.iteration.split("/") if step.iteration else []
    offset_ms = None if step.started_at_ms is None else step.started_at_ms - started_at_ms
    return TimelineRow(
        depth=len(segments),
        label=_label(step, segments),
        uses=step.uses,
        status=step.status,
        attempts=len(step.attempts),
        offset_ms=offset_ms,
        duration_ms=step.duration_ms,
        bar=_draw_bar(step, started_at_ms, until_ms, width),
        note=_note(step, iterations),
    )


def _label(step: StepRecord, segments: list[str]) -> str:
    """The step's id behind its iteration (`[0] reserve`) and, outside the main graph, its phase (`undo [0] reserve`)."""
    phase = f"{segments[0].removeprefix('~')} " if segments and segments[0].startswith("~") else ""
    index = segments[-1].rpartition(".")[2] if segments and not segments[-1].startswith("~") else ""
    return f"{phase}[{index}] {step.step}" if index else f"{phase}{step.step}"


def _draw_bar(step: StepRecord, started_at_ms: int, until_ms: int, width: int) -> str:
    if step.started_at_ms is None:
        return _BLANK * width
    span_ms = until_ms - started_at_ms
    end_ms = until_ms if step.finished_at_ms is None else step.finished_at_ms
    first = min((step.started_at_ms - started_at_ms) * width // span_ms, width - 1)
    last = min(max((end_ms - started_at_ms) * width // span_ms, first + 1), width)
    mark = _OPEN if step.finished_at_ms is None else _FULL
    return _BLANK * first + mark * (last - first) + _BLANK * (width - last)


def _note(step: StepRecord, iterations: int) -> str:
    if step.status == "failed" and step.error is not None:
        return f"{step.error['code']}: {step.error['message']}"
    if step.waits_for is not None:
        return f"waits for {step.waits_for.kind}"
    if iterations:
        return f"{iterations} iterations" if iterations > 1 else "1 iteration"
    if step.port is not None and step.port not in ("done", "error"):
        return f"→ {step.port}"
    return ""
