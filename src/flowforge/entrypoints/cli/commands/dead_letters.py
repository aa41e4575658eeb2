"""`flowforge dead-letters`: what was given up, and waits for a person. The id says what it is.

`run_…`: a run with a step that ended its worker again and again (or whose jobs did); `event_…`: an event for the outside that nobody took;
`message_…`: a message of the broker that was none of ours.
"""

from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, record_as
from flowforge.cluster.dead_letters import (
    DeadEvent,
    LetterKind,
    RefusedMessage,
    discard_letter,
    get_letter,
    list_dead_events,
    list_refused,
    parse_letter,
    redrive_event,
)
from flowforge.entrypoints.cli.columns import Column, field, show_value
from flowforge.entrypoints.cli.commands.runs import show as show_run
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.run_place import open_run, tell_run
from flowforge.kit.border import decode
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.service import list_suspects
from flowforge.runs.times import format_optional_time
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What was given up and waits for a person: runs, events, messages.",
)

Letter = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it: run_…, event_… or message_…")]


def _show_what(row: JsonObject) -> str:
    match row["kind"]:
        case "run":
            return f"{row['workflow']}, step {row['step']}"
        case "event":
            return f"{row['type']} of {row['subject']}"
        case _:
            return f"{row['reason']} (queue {row['queue']})"


def _show_tries(row: JsonObject) -> str:
    """Of a run that lost its workers the crashes, of one whose jobs did the attempts of the step."""
    counts = [count for name in ("crashes", "attempts") if isinstance(count := row.get(name), int)]
    return str(max(counts)) if counts else ""


_COLUMNS: Final = (
    field("id", "id", style="bold"),
    field("kind", "kind"),
    Column("what", _show_what),
    Column("tries", _show_tries),
    Column("since", lambda row: show_value(row.get("dead_at", row.get("at", row.get("started_at"))))),
)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All dead letters: runs, then events and messages (the last thousand of each)."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        suspects = place.read(lambda session: list_suspects(session, place.workspace_id))
        rows = [row for header in suspects if (row := _describe_run(place, header)) is not None]
        rows += map(_describe_event, place.read(list_dead_events))
        rows += map(_describe_message, place.read(list_refused))
    frame.output.write_rows(rows, _COLUMNS, empty="There is no dead letter.")


@app.command()
def show(ctx: typer.Context, letter_id: Letter) -> None:
    """One dead letter; a run as `runs show` shows it."""
    letter = parse_letter(letter_id)
    if letter is None:
        show_run(ctx, letter_id)
        return
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.read(lambda session: get_letter(session, letter))
    described = _describe_event(found) if isinstance(found, DeadEvent) else _describe_message(found)
    more: JsonObject = {"payload": decode(found.payload)} if isinstance(found, DeadEvent) else {"excerpt": found.excerpt}
    frame.output.write_object(described | more, title=letter_id)


@app.command()
def redrive(ctx: typer.Context, letter_id: Letter) -> None:
    """Let it be tried again: a run's step under the same idempotency key, an event with all its attempts before it."""
    letter = parse_letter(letter_id)
    if letter is None:
        _tell_run(ctx, letter_id, "retry", "is tried again")
        return
    if letter.kind is LetterKind.MESSAGE:
        raise UsageError(f"{letter_id} was none of ours, so that it can only be looked at and discarded.")
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms = place.now_ms

        async def change(session: AsyncSession) -> None:
            await redrive_event(session, letter, now_ms)
            await _record(session, place, "dead_letter.redriven", letter_id)

        place.write(change)
    frame.output.confirm(f"{letter_id} is tried again.", {"id": letter_id, "kind": letter.kind.value, "done": "redrive"})


@app.command()
def discard(ctx: typer.Context, letter_id: Letter) -> None:
    """Give it up: a run ends as failed, an event or a message is deleted."""
    letter = parse_letter(letter_id)
    if letter is None:
        _tell_run(ctx, letter_id, "discard", "is given up")
        return
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def change(session: AsyncSession) -> None:
            await discard_letter(session, letter)
            await _record(session, place, "dead_letter.discarded", letter_id)

        place.write(change)
    frame.output.confirm(f"{letter_id} is deleted.", {"id": letter_id, "kind": letter.kind.value, "done": "discard"})


async def _record(session: AsyncSession, place: Place, action: str, letter_id: str) -> None:
    await record_as(session, place.author, action, "dead_letter", letter_id, workspace_id=INSTALLATION)


def _tell_run(ctx: typer.Context, run_id: str, kind: str, told: str) -> None:
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        step = opened.run.history.find_poisoned()
        if step is None:
            raise UsageError(f"{run_id} is no dead letter; `flowforge dead-letters list` shows those that are.")
        body: JsonObject = {"step": step} if kind == "retry" else {}
        action = "dead_letter.redriven" if kind == "retry" else "dead_letter.discarded"
        tell_run(place, opened.run.header, kind, body, action=action)
    frame.output.confirm(f"{run_id} {told}.", {"run_id": run_id, "sent": kind})


def _describe_run(place: Place, header: RunHeader) -> JsonObject | None:
    opened = open_run(place, header.id)
    step = opened.run.history.find_poisoned()
    if step is None:
        return None
    last = opened.run.history.find_last_attempt(step)
    wait = None if opened.state is None else opened.state.waits.get(step)
    return {
        **describe_row(header),
        "kind": "run",
        "step": step,
        "crashes": header.crashes,
        "attempts": 0 if last is None else last[0],
        "dead_at": format_optional_time(None if wait is None else wait.since),
    }


def _describe_event(event: DeadEvent) -> JsonObject:
    return {
        "id": str(event.id),
        "kind": event.id.kind.value,
        "type": event.type,
        "subject": event.subject,
        "attempts": event.attempts,
        "created_at": format_timestamp_ms(event.created_ms),
        "dead_at": format_timestamp_ms(event.dead_ms),
        "last_error": event.last_error,
    }


def _describe_message(message: RefusedMessage) -> JsonObject:
    return {
        "id": str(message.id),
        "kind": message.id.kind.value,
        "queue": message.queue,
        "reason": message.reason,
        "at": format_timestamp_ms(message.at_ms),
    }
