"""`flowforge dead-letters`: runs that ended their worker again and again, and wait for a person."""

from typing import Annotated, Final

import typer

from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.commands.runs import show as show_run
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.run_place import OpenedRun, open_run
from flowforge.kit.values import JsonObject
from flowforge.runs.service import list_open_runs
from flowforge.runs.steering import send_mail
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Runs that killed their worker again and again.",
)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]

_COLUMNS: Final = (
    field("run", "id", style="bold"),
    field("workflow", "workflow"),
    field("step", "step"),
    field("crashes", "crashes"),
    field("started", "started_at"),
)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All dead letters."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        rows = [row for header in _list_suspects(place) if (row := _describe(place, header)) is not None]
    frame.output.write_rows(rows, _COLUMNS, empty="There is no dead letter.")


def _list_suspects(place: Place) -> list[RunHeader]:
    return [header for header in place.read(lambda session: list_open_runs(session, place.workspace_id)) if header.crashes]


def _describe(place: Place, header: RunHeader) -> JsonObject | None:
    step = _find_poisoned(open_run(place, header.id))
    return None if step is None else describe_row(header) | {"step": step, "crashes": header.crashes}


def _find_poisoned(opened: OpenedRun) -> str | None:
    """The step that waits because it ended its worker."""
    waits = opened.run.history.list_waits()
    return next((wait.step for wait in waits if wait.kind == "attention" and wait.ref.get("reason") == "poison"), None)


@app.command()
def show(ctx: typer.Context, run_id: RunId) -> None:
    """One dead letter, as `runs show` shows it."""
    show_run(ctx, run_id)


@app.command()
def redrive(ctx: typer.Context, run_id: RunId) -> None:
    """Let the run try again, under the same idempotency key."""
    _tell(ctx, run_id, "retry", "is tried again")


@app.command()
def discard(ctx: typer.Context, run_id: RunId) -> None:
    """Give the run up: it ends as failed."""
    _tell(ctx, run_id, "discard", "is given up")


def _tell(ctx: typer.Context, run_id: str, kind: str, told: str) -> None:
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        step = _find_poisoned(opened)
        if step is None:
            raise UsageError(f"{run_id} is no dead letter; `flowforge dead-letters list` shows those that are.")
        body: JsonObject = {"step": step} if kind == "retry" else {}
        send_mail(place.installation.store, opened.run.header, kind, body, by=ACTOR)
    frame.output.confirm(f"{run_id} {told}.", {"run_id": run_id, "sent": kind})
