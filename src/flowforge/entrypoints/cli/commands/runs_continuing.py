"""`flowforge runs continue`."""

from typing import Annotated

import typer

from flowforge.entrypoints.cli.arguments import read_duration_ms
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.frame import frame_of


def register(app: typer.Typer) -> None:
    """Puts the command into `flowforge runs`."""
    app.command("continue")(continue_)


def continue_(
    ctx: typer.Context,
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="None: all open runs.", show_default=False)
    ] = None,
    *,
    patience: Annotated[str, typer.Option("--patience", help="How long a wait for a time may be; 0 waits for none.")] = "1m",
) -> None:
    """Go on with runs where their journals end, after a kill or a restart.

    Exit code as of `run`; of several runs the worst.
    """
    frame = frame_of(ctx)
    patience_ms = read_duration_ms(patience, "--patience")
    # An engine takes longer to import than the other commands of this group may last.
    from flowforge.entrypoints.cli.continuing import continue_runs

    code = continue_runs(frame, run_ids or [], patience_ms)
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)
