"""A run while it goes: rows that change on a terminal, an event each as JSON lines, or nothing."""

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from flowforge.entrypoints.cli.output import Output
from flowforge.kit.clock import Clock
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.events import EventStream
from flowforge.runs.history import History
from flowforge.runs.timeline import draw_timeline
from flowforge.runs.times import format_length
from flowforge.runs.types import JournalTurn, StepRecord

if TYPE_CHECKING:
    from rich.console import RenderableType

_ROWS_MAX: Final = 40
_FRAMES_PER_SECOND: Final = 8


class Progress(Protocol):
    """Hears each journal row of one run, in order."""

    def update(self, turn: JournalTurn) -> None: ...

    def close(self) -> None: ...


class SilentProgress:
    """For `--quiet`: keeps the history only."""

    def __init__(self, history: History) -> None:
        self._history = history

    def update(self, turn: JournalTurn) -> None:
        self._history.apply(turn)

    def close(self) -> None:
        return


class JsonProgress:
    """An event each, on stdout."""

    def __init__(self, history: History, output: Output) -> None:
        self._stream = EventStream(history)
        self._output = output

    def update(self, turn: JournalTurn) -> None:
        for event in self._stream.read(turn):
            self._output.write_line(event.as_json())

    def close(self) -> None:
        return


class LiveProgress:
    """Rows on stderr that change in place; gone when it is closed."""

    def __init__(self, history: History, title: str, clock: Clock) -> None:
        # Only a terminal pays for rich.
        from rich.console import Console
        from rich.live import Live

        self._history = history
        self._title = title
        self._clock = clock
        # The screen is drawn by a thread of rich's own.
        self._lock = threading.Lock()
        self._drawn: RenderableType = ""
        self._draw_again_s = 0.0
        self._live = Live(
            console=Console(stderr=True, highlight=False),
            get_renderable=self._draw,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def update(self, turn: JournalTurn) -> None:
        with self._lock:
            self._history.apply(turn)

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> "RenderableType":
        begun_s = self._clock.monotonic_s()
        if begun_s >= self._draw_again_s:
            with self._lock:
                self._drawn = self._draw_anew()
            # A run of many thousand steps takes long to draw: the screen gets a twentieth of the time, the run the rest.
            end_s = self._clock.monotonic_s()
            self._draw_again_s = end_s + 20 * (end_s - begun_s)
        return self._drawn

    def _draw_anew(self) -> "RenderableType":
        # Only a terminal pays for rich.
        from rich.console import Group
        from rich.text import Text

        # As above.
        from flowforge.entrypoints.cli.tables import make_timeline_table

        now_ms = self._history.finished_at_ms or self._clock.now_ms()
        rows = draw_timeline(self._history.list_steps(), self._history.started_at_ms or now_ms, now_ms, iterations_max=2)
        hidden = f"… {len(rows) - _ROWS_MAX} more" if len(rows) > _ROWS_MAX else ""
        return Group(Text(self._title, style="bold"), make_timeline_table(rows[:_ROWS_MAX]), Text(hidden))


def make_progress(history: History, output: Output, title: str, clock: Clock) -> Progress:
    """What suits the call: JSON, a terminal, or `--quiet`."""
    if output.is_quiet:
        return SilentProgress(history)
    if output.is_json:
        return JsonProgress(history, output)
    return LiveProgress(history, title, clock)


def print_result(output: Output, result: JsonObject, history: History) -> None:
    """The end of `run`, `watch` and `continue`: the last JSON line, or the timeline and the output."""
    if output.is_json:
        output.write_line({"type": "result", **result})
        return
    if not output.is_quiet:
        took = "" if history.finished_at_ms is None else f" in {format_length(history.finished_at_ms - history.started_at_ms)}"
        output.write_text(f"{result['run_id']} {result['status']}{took}")
        print_timeline(history)
    if result["status"] == "completed":
        output.write_text(json.dumps(result["output"], ensure_ascii=False, indent=2))
        return
    for wait in [] if history.finished is not None else history.list_waits():
        until = "" if wait.until_ms is None else f" until {format_timestamp_ms(wait.until_ms)}"
        output.say(f"The step {wait.step} waits: {wait.kind}{until}.")
    error = result["error"]
    if isinstance(error, dict):
        where = f" in the step {error['step']}" if error.get("step") else ""
        output.say(f"{error['code']}{where}: {error['message']}")
    output.say(f"`flowforge runs show {result['run_id']}` says more, `flowforge runs why {result['run_id']}` why.")


def print_timeline(history: History, until_ms: int | None = None, steps: Sequence[StepRecord] | None = None) -> None:
    """The run as bars, on stdout. `until_ms`: the right edge of a run that has not ended."""
    # Only a terminal pays for rich.
    from flowforge.entrypoints.cli.tables import make_console, make_timeline_table

    shown = history.list_steps() if steps is None else steps
    edge_ms = history.finished_at_ms or until_ms or history.started_at_ms
    make_console().print(make_timeline_table(draw_timeline(shown, history.started_at_ms, edge_ms)))
