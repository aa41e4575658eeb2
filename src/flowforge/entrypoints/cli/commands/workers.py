"""`flowforge workers`: who works here."""

from typing import Annotated, Final

import typer

from flowforge.cluster.queues import ALIVE, WorkerLine
from flowforge.entrypoints.cli.columns import Column, field, show_value, status
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.entrypoints.cli.staff import read_workers
from flowforge.kit.values import JsonObject
from flowforge.runs.times import format_length, format_optional_time

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_DEAD_MOST: Final = 100


def _show_age(row: JsonObject) -> str:
    age_ms = row["beat_age_ms"]
    return f"{format_length(age_ms)} ago" if isinstance(age_ms, int) else ""


def _show_role(row: JsonObject) -> str:
    return f"{row['role']}, leads" if row["is_leader"] else show_value(row["role"])


def _show_name(row: JsonObject) -> str:
    name, place = show_value(row["name"]), f"{row['host']}-{row['pid']}"
    return name if not row["host"] or name == place else f"{name} ({row['host']}:{row['pid']})"


def _show_queues(row: JsonObject) -> str:
    names = row["queues"]
    return ", ".join(show_value(name) for name in names) if isinstance(names, list) else ""


COLUMNS: Final = (
    field("no", "no", style="bold"),
    status("state", "state"),
    Column("name", _show_name),
    Column("role", _show_role),
    field("version", "version"),
    Column("queues", _show_queues),
    field("runs", "runs"),
    field("jobs", "jobs"),
    Column("beat", _show_age),
    field("health", "address"),
)


@app.command()
def workers(
    ctx: typer.Context,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="The last hundred dead ones too.")] = False,
) -> None:
    """Show who works here: state, queues, what each has, and which scheduler leads.

    `alive`: it said so in time; `late`: its time has passed and nobody has noticed yet; `dead`: what it had goes to others.
    """
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms = place.now_ms
        lines = read_workers(place, dead_limit=_DEAD_MOST if is_all else 0)
    rows = [_describe(line, now_ms) for line in lines]
    frame.output.write_rows(rows, COLUMNS, empty="No worker is there.")
    versions = sorted({line.version for line in lines if line.state == ALIVE and line.version})
    if len(versions) > 1 and not frame.output.is_json:
        frame.output.say(
            f"They are of different versions ({', '.join(versions)}): right while an upgrade rolls, wrong otherwise."
        )


def _describe(line: WorkerLine, now_ms: int) -> JsonObject:
    return {
        "no": line.no,
        "state": line.state,
        "name": line.name,
        "role": line.role,
        "is_leader": line.is_leader,
        "host": line.host,
        "pid": line.pid,
        "version": line.version,
        "queues": list(line.queues),
        "runs": line.runs,
        "jobs": line.jobs,
        "beat_age_ms": max(0, now_ms - line.beat_ms),
        "started_at": format_optional_time(line.started_ms or None),
        "address": line.address,
    }
