"""`flowforge db`."""

from pathlib import Path
from typing import Annotated

import typer

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.kit.database.schema import HEAD, Schema, SchemaState, check_schema, rollback_database, upgrade_database
from flowforge.kit.folder import open_data_folder
from flowforge.kit.values import JsonObject

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="The database's schema: upgrade, check, roll back."
)


def _open_database(frame: Frame) -> Path:
    return open_data_folder(frame.load_settings().data).database


def _describe(schema: Schema) -> JsonObject:
    return {"state": schema.state.value, "found": schema.found, "wanted": schema.wanted}


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database to this version's schema.

    All in one transaction: a killed upgrade leaves no trace. Every command does this by itself where it is needed.
    """
    frame = frame_of(ctx)
    found = upgrade_database(_open_database(frame))
    was = "is current already" if found.state is SchemaState.CURRENT else f"was {found.state.value} and is current now"
    frame.output.confirm(f"The database {was} (revision {HEAD}).", {"was": found.state.value, "revision": HEAD})


@app.command()
def check(ctx: typer.Context) -> None:
    """Say whether the database is at this version's schema.

    Exit code 1 if it is not.
    """
    frame = frame_of(ctx)
    schema = check_schema(_open_database(frame))
    frame.output.write_object(_describe(schema))
    if schema.state is not SchemaState.CURRENT:
        raise CommandFailedError(ExitCode.FAILED)


@app.command()
def rollback(
    ctx: typer.Context,
    *,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do it without being asked.")] = False,
) -> None:
    """Take the database one revision back, for an older version.

    What only the newer schema can hold is lost; before the first revision there is nothing, so that everything is.
    """
    frame = frame_of(ctx)
    path = _open_database(frame)
    if not is_sure:
        raise UsageError(f"This deletes what the older schema cannot hold: copy {path} first, then say --yes.")
    found = rollback_database(path)
    frame.output.confirm(f"The database was rolled back from {found.found or 'nothing'}.", {"was": found.found})
