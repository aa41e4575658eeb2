"""`flowforge db copy`: moves an installation's database to another one."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.output import is_stderr_terminal
from flowforge.entrypoints.wiring import find_database_url
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.url import parse_database_url
from flowforge.kit.folder import DataFolder, open_data_folder
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject
from flowforge.upkeep.copying import CopyPlan, Progress, Tell, copy_database


def register(app: typer.Typer) -> None:
    """Puts the command into `flowforge db`."""
    app.command()(copy)


def copy(
    ctx: typer.Context,
    *,
    to: Annotated[
        str, typer.Option("--to", help="The database to fill, as DATABASE_URL has it; - reads it from stdin.", show_default=False)
    ],
    is_forced: Annotated[bool, typer.Option("--force", help="Although workers seem to be at work.")] = False,
    is_anew: Annotated[bool, typer.Option("--anew", help="Delete what an unfinished copy has left, and begin again.")] = False,
) -> None:
    """Copy the database to another one, of any kind: from SQLite to PostgreSQL, say.

    Each row is read back and compared. A copy that was killed goes on where it was when it is made again; until it is done nobody can
    work on the target. Nothing of the source is changed: do not work on it any more afterwards. Then set DATABASE_URL.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    folder = open_data_folder(settings.data)
    target = parse_database_url(sys.stdin.read() if to == "-" else to, "--to")
    plan = CopyPlan(is_forced=is_forced, is_anew=is_anew)
    source = find_database_url(settings, folder)
    with _telling(frame) as tell:
        copied = copy_database(source, target, folder, plan, SystemClock(), tell)
    rows = sum(copied.tables.values())
    told = f"{target.shown} holds all {rows} rows of {source.shown}; {copied.found} of them were there already. Set DATABASE_URL to it."
    facts: JsonObject = {"type": "result", "to": target.shown, "rows": rows, "found": copied.found, "tables": dict(copied.tables)}
    frame.output.confirm(told, facts | {"runs": copied.fenced.runs, "jobs": copied.fenced.jobs})
    _advise(frame, settings, folder)


def _advise(frame: Frame, settings: Settings, folder: DataFolder) -> None:
    """What does not lie in the database."""
    if settings.object_store_url is None:
        frame.output.say(
            f"Files and large values stay in {folder.files}: go on with this data folder on this machine, or copy that folder to where all "
            "machines see it and set OBJECT_STORE_URL to it."
        )
    if settings.encryption_key is None:
        frame.output.say(
            f"The keys of the secrets stay in {folder.keyring}: each machine needs that file at this place in its data folder."
        )


@contextmanager
def _telling(frame: Frame) -> Generator[Tell]:
    output = frame.output
    if output.is_json:
        yield lambda progress: None if output.is_quiet else output.write_line(_describe(progress))
    elif output.is_quiet or not is_stderr_terminal():
        yield lambda _: None
    else:
        with _drawing() as tell:
            yield tell


def _describe(progress: Progress) -> JsonObject:
    return {"type": "progress", "table": progress.table, "done": progress.done, "total": progress.total}


@contextmanager
def _drawing() -> Generator[Tell]:
    # Only a terminal pays for rich.
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True)) as bars:
        tasks: dict[str, int] = {}

        def tell(progress: Progress) -> None:
            if progress.table not in tasks:
                tasks[progress.table] = int(bars.add_task(progress.table, total=progress.total or 1))
            bars.update(bars.task_ids[tasks[progress.table]], completed=progress.done if progress.total else 1)

        yield tell
