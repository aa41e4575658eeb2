"""`flowforge db`."""

from typing import Annotated

import typer

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.commands import db_copy
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.wiring import find_database_url
from flowforge.kit.database.schema import HEAD, USABLE, Schema, SchemaState, check_schema, rollback_database, upgrade_database
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.folder import open_data_folder
from flowforge.kit.values import JsonObject

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The database: upgrade, check, roll back, copy to another.",
)


def _find_database(frame: Frame) -> DatabaseUrl:
    settings = frame.load_settings()
    return find_database_url(settings, open_data_folder(settings.data))


def _describe(schema: Schema) -> JsonObject:
    return {"state": schema.state.value, "found": schema.found, "wanted": schema.wanted}


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database to this version's schema.

    A killed upgrade leaves no trace, or (in MySQL) is brought to its end by the next. The database in the data folder is upgraded by
    every command that needs it; one on a server (DATABASE_URL) by this command alone.
    """
    frame = frame_of(ctx)
    found = upgrade_database(_find_database(frame))
    was = "is current already" if found.state is SchemaState.CURRENT else f"was {found.state.value} and is current now"
    revision = HEAD
    if found.state is SchemaState.AHEAD:
        was, revision = "was migrated by a newer version, beside which this one may go on", found.found or HEAD
    frame.output.confirm(f"The database {was} (revision {revision}).", {"was": found.state.value, "revision": revision})


@app.command()
def check(ctx: typer.Context) -> None:
    """Say whether this version may work on the database's schema.

    Exit code 1 if it may not.
    """
    frame = frame_of(ctx)
    schema = check_schema(_find_database(frame))
    frame.output.write_object(_describe(schema))
    if schema.state not in USABLE:
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
    url = _find_database(frame)
    if not is_sure:
        raise UsageError(f"This deletes what the older schema cannot hold: copy {url.shown} first, then say --yes.")
    found = rollback_database(url)
    frame.output.confirm(f"The database was rolled back from {found.found or 'nothing'}.", {"was": found.found})


db_copy.register(app)
