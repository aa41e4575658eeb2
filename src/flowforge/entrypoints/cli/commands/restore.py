"""`flowforge restore`."""

from pathlib import Path
from typing import Annotated

import typer

from flowforge.entrypoints.cli.commands.backup import count_files, describe
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.wiring import find_database_url
from flowforge.kit.clock import SystemClock
from flowforge.kit.folder import open_data_folder
from flowforge.upkeep.archive import check_archive
from flowforge.upkeep.restore import RestorePlan, restore_backup

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `flowforge backup` has made.")],
    *,
    is_check: Annotated[bool, typer.Option("--check", help="Only check the file: nothing is changed.")] = False,
    is_replacing: Annotated[bool, typer.Option("--replace", help="Delete the database that is there; needs --yes.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do it without being asked.")] = False,
    is_forced: Annotated[bool, typer.Option("--force", help="Although workers seem to be at work.")] = False,
) -> None:
    """Bring a backup back: into an empty data folder, or an empty database.

    What the journals know to be done is not done again. Runs that had a worker begin where their journals end; an effect that was under
    way then may have happened, and goes by its step's `on_interrupt`. What happened after the backup is not known any more: effects of
    that time are made again where their steps come again, under the same idempotency keys. Nobody of before can go on: worker numbers
    and epochs begin above any that can have been given.
    """
    frame = frame_of(ctx)
    if is_check:
        manifest = check_archive(file)
        told = f"{file} is whole: {sum(manifest.tables.values())} rows and {count_files(manifest)} files of {manifest.made_at}."
        frame.output.confirm(told, describe(file, manifest))
        return
    if is_replacing and not is_sure:
        raise UsageError("--replace deletes the database that is there, for ever: back it up first, then say --yes.")
    _restore(frame, file, RestorePlan(is_replacing=is_replacing, is_forced=is_forced))


def _restore(frame: Frame, file: Path, plan: RestorePlan) -> None:
    settings = frame.load_settings()
    folder = open_data_folder(settings.data)
    url = find_database_url(settings, folder)
    restored = restore_backup(url, folder, file, plan, SystemClock())
    fenced = restored.fenced
    told = f"{url.shown} is as it was at {restored.manifest.made_at}; {fenced.runs} runs and {fenced.jobs} jobs begin anew."
    facts = {"runs": fenced.runs, "jobs": fenced.jobs, "next_worker": fenced.next_worker, "restored_files": restored.files}
    frame.output.confirm(told, describe(file, restored.manifest) | facts)
    if settings.encryption_key is None and not folder.keyring.exists():
        frame.output.say(f"The keys were not in it: put yours to {folder.keyring} before anything needs a secret.")
    if restored.files and settings.object_store_url is not None:
        frame.output.say(f"Its files are in {folder.files} now: copy them to OBJECT_STORE_URL.")
