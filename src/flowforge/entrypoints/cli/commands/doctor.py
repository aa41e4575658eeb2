"""`flowforge doctor`."""

from typing import Final

import typer

from flowforge.entrypoints.cli.checks import Check, CheckState, run_checks
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import field, status
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.kit.clock import SystemClock
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

    Exit code 1 if a check fails; warnings do not count.
    """
    frame = frame_of(ctx)
    found = run_checks(frame.load_settings(), SystemClock())
    frame.output.write_rows(map(_describe, found), _COLUMNS)
    if any(made.state is CheckState.FAIL for made in found):
        raise CommandFailedError(ExitCode.FAILED)
