"""Columns of the tables about runs."""

from collections.abc import Mapping
from typing import Final

from flowforge.entrypoints.cli.columns import Column, field, show_value, status
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.times import format_length


def _show_place(data: Mapping[str, JsonValue]) -> str:
    if "step" not in data:
        return ""
    return f"{data['iteration']}/{data['step']}" if data.get("iteration") else show_value(data["step"])


def _show_event_place(row: JsonObject) -> str:
    data = row["data"]
    return _show_place(data) if isinstance(data, dict) else ""


def _show_event_facts(row: JsonObject) -> str:
    data = row["data"]
    hidden = ("run_id", "workflow_id", "step", "iteration")
    facts = data.items() if isinstance(data, dict) else ()
    return "  ".join(f"{name}={show_value(value)}" for name, value in facts if name not in hidden and value is not None)


def _length(row: JsonObject) -> str:
    duration_ms = row.get("duration_ms")
    return format_length(duration_ms) if isinstance(duration_ms, int) else ""


def _show_indented(row: JsonObject) -> str:
    depth = row["depth"]
    return "  " * max(depth, 0) + show_value(row["id"]) if isinstance(depth, int) else show_value(row["id"])


LIST_COLUMNS: Final = (
    field("run", "id", style="bold"),
    field("workflow", "workflow"),
    field("version", "version"),
    status(),
    field("started", "started_at"),
    Column("took", _length),
    field("error", "error_code"),
    field("subject", "subject"),
)
TREE_COLUMNS: Final = (
    Column("run", _show_indented, style="bold"),
    field("workflow", "workflow"),
    status(),
    field("started", "started_at"),
    Column("took", _length),
    field("error", "error_code"),
)
EVENTS_COLUMNS: Final = (
    field("seq", "seq"),
    field("time", "time"),
    field("event", "type", style="bold"),
    Column("step", _show_event_place),
    Column("what", _show_event_facts),
)
LOGS_COLUMNS: Final = (
    field("time", "time"),
    field("level", "level"),
    Column("step", _show_place, style="bold"),
    field("message", "message"),
    Column("fields", lambda row: show_value(row["fields"]) if row["fields"] else ""),
)
EFFECTS_COLUMNS: Final = (
    Column("step", _show_place, style="bold"),
    field("attempt", "attempt"),
    field("operation", "operation"),
    field("target", "target"),
    status("state", "state"),
    field("planned", "planned_at"),
    field("key", "key"),
)
