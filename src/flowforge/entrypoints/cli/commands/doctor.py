"""`flowforge doctor`."""

from typing import Final

import typer

from flowforge.entrypoints.cli.checks import run_checks
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import field, status
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.findings import Check, CheckState
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.errors import StorageError
from flowforge.kit.folder import open_data_folder
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS: Final = (
    status("state", "state"),
    field("check", "check", style="bold"),
    field("found", "found"),
    field("mend", "mend"),
)


def _describe(made: Check) -> JsonObject:
    return {"check": made.name, "state": made.state.value, "found": made.found, "mend": made.mend}


@app.command()
def doctor(ctx: typer.Context) -> None:
    """Say what is wrong with this machine, and how to mend it.

    Where DATABASE_URL is set, also with what a cluster shares (database, broker, Redis, keys, files), and whether somebody works.
    Exit code 1 if a check fails; warnings do not count.
    """
    frame = frame_of(ctx)
    settings, clock = frame.load_settings(), SystemClock()
    found = run_checks(settings, clock)
    if settings.database_url is not None:
        found += _check_cluster(settings, clock)
    frame.output.write_rows(map(_describe, found), _COLUMNS)
    if any(made.state is CheckState.FAIL for made in found):
        raise CommandFailedError(ExitCode.FAILED)


def _check_cluster(settings: Settings, clock: Clock) -> list[Check]:
    # Drivers, Celery and Redis: for a cluster only.
    from flowforge.entrypoints.cli.cluster_checks import run_cluster_checks

    try:
        folder = open_data_folder(settings.data)
    except StorageError:
        return []  # told by the checks of the machine
    return run_cluster_checks(settings, folder, clock)
