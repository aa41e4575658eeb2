"""`flowforge queues`: what waits for workers."""

from collections.abc import Collection
from typing import Final

import typer

from flowforge.cluster.queues import QueueLine, list_queues
from flowforge.entrypoints.cli.columns import Column, field
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.entrypoints.cli.staff import find_served
from flowforge.kit.values import JsonObject
from flowforge.runs.times import format_length, format_optional_time

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _show_age(row: JsonObject) -> str:
    age_ms = row["oldest_age_ms"]
    return format_length(age_ms) if isinstance(age_ms, int) else ""


COLUMNS: Final = (
    field("queue", "queue", style="bold"),
    field("priority", "priority"),
    field("due", "due"),
    field("waiting", "waiting"),
    field("running", "running"),
    Column("oldest", _show_age),
    field("worker", "has_worker"),
)


@app.command()
def queues(ctx: typer.Context) -> None:
    """Show how much waits for workers, by queue and priority.

    `due` could be taken now; `waiting` waits for a time, a message or a place; `oldest` is how long the oldest due one has been due.
    Runs are in the queue `default`; those that a worker has are not in it. Jobs are in the queue that their step names, heavy ones else
    in `heavy`; `running` are those that a worker has.
    """
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms = place.now_ms
        lines = place.report(lambda session: list_queues(session, now_ms))
        served = find_served(place)
    unserved = [queue for queue in {line.queue for line in lines if line.due} if not _is_served(queue, served)]
    rows = (_describe(line, now_ms, has_worker=_is_served(line.queue, served)) for line in lines)
    frame.output.write_rows(rows, COLUMNS, empty="Nothing waits.")
    if unserved and not frame.output.is_json:
        frame.output.say(f"No living worker serves {', '.join(sorted(unserved))}: start one, with --queues in a cluster.")


def _is_served(queue: str, served: Collection[str] | None) -> bool:
    return served is None or queue in served


def _describe(line: QueueLine, now_ms: int, *, has_worker: bool) -> JsonObject:
    return {
        "queue": line.queue,
        "priority": line.priority,
        "due": line.due,
        "waiting": line.waiting,
        "running": line.running,
        "oldest_at": format_optional_time(line.oldest_ms),
        "oldest_age_ms": None if line.oldest_ms is None else max(0, now_ms - line.oldest_ms),
        "has_worker": has_worker,
    }
