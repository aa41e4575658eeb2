"""Tables and bars for people, drawn with rich."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flowforge.entrypoints.cli.columns import Column, show_value
from flowforge.kit.values import JsonObject
from flowforge.runs.timeline import TimelineRow
from flowforge.runs.times import format_length

STATUS_STYLES: Final = {
    "completed": "green",
    "confirmed": "green",
    "ok": "green",
    "running": "cyan",
    "planned": "cyan",
    "queued": "blue",
    "waiting": "yellow",
    "paused": "yellow",
    "warn": "yellow",
    "unknown": "magenta",
    "failed": "red",
    "fail": "red",
    "timed_out": "red",
    "cancelled": "bright_black",
    "skipped": "bright_black",
    "bypassed": "bright_black",
    "pending": "bright_black",
}

_MARKS: Final = {
    "completed": "✓",
    "running": "▸",
    "waiting": "…",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "-",
    "bypassed": "-",
    "pending": "·",
}


def make_console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def print_table(rows: Sequence[JsonObject], columns: Sequence[Column]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, style=column.style or None, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(column, row) for column in columns))
    make_console().print(table)


def _cell(column: Column, row: JsonObject) -> Text:
    shown = column.show(row)
    return Text(shown, style=STATUS_STYLES.get(shown, "")) if column.is_status else Text(shown)


def print_object(value: JsonObject, *, title: str) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, item in value.items():
        table.add_row(name, Text(show_value(item)))
    console = make_console()
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)


def make_timeline_table(rows: Sequence[TimelineRow]) -> Table:
    """The steps of a run as bars."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="ellipsis", style="bright_black")
    for row in rows:
        style = STATUS_STYLES.get(row.status, "")
        label = Text("  " * row.depth + f"{_MARKS.get(row.status, '?')} {row.label}", style=style)
        length = "" if row.duration_ms is None else format_length(row.duration_ms)
        tries = f"{row.attempts} attempts  " if row.attempts > 1 else ""
        table.add_row(label, Text(row.bar, style=style), Text(row.status, style=style), length, tries + row.note)
    return table
