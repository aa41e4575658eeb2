"""`flowforge backup`."""

from pathlib import Path
from typing import Annotated

import typer

from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.wiring import find_database_url
from flowforge.kit.clock import SystemClock
from flowforge.kit.folder import open_data_folder
from flowforge.kit.values import JsonObject
from flowforge.upkeep.archive import Manifest
from flowforge.upkeep.backup import BackupPlan, make_backup

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
    *,
    has_files: Annotated[
        bool, typer.Option("--files/--no-files", help="With the files of the data folder; never where OBJECT_STORE_URL is set.")
    ] = True,
    has_keys: Annotated[
        bool, typer.Option("--with-keys", help="With keys/keyring.json: who has the file can read every secret then.")
    ] = False,
) -> None:
    """Back up the database and files into one file, while work goes on.

    SQLite is copied as it is at one moment; PostgreSQL by pg_dump, MySQL and MariaDB by mariadb-dump or mysqldump, which must be there.
    The file is read again and checked before the command says that it is done. The keys are left out unless you say --with-keys: keep
    them elsewhere, since without them no secret of the backup can be read.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    folder = open_data_folder(settings.data)
    plan = BackupPlan(has_files=has_files and settings.object_store_url is None, has_keys=has_keys)
    manifest = make_backup(find_database_url(settings, folder), folder, file.absolute(), plan, SystemClock())
    rows = sum(manifest.tables.values())
    frame.output.confirm(
        f"{file} holds {rows} rows and {count_files(manifest)} files, and was checked.", describe(file, manifest)
    )
    if manifest.has_keys:
        frame.output.say(f"CAREFUL: {file} holds the keys; whoever has it can read every secret.")
    elif settings.encryption_key is None:
        frame.output.say(
            f"The keys are NOT in it: keep a copy of {folder.keyring} elsewhere, or no secret can be read after a restore."
        )
    else:
        frame.output.say("The keys are NOT in it: keep ENCRYPTION_KEY elsewhere, or no secret can be read after a restore.")
    if settings.object_store_url is not None:
        frame.output.say("What lies in OBJECT_STORE_URL is not in it: back that up by its own means, after this.")


def count_files(manifest: Manifest) -> int:
    return sum(name.startswith("files/") for name in manifest.members)


def describe(file: Path, manifest: Manifest) -> JsonObject:
    """A backup, as JSON."""
    return {
        "file": str(file),
        "kind": manifest.kind,
        "server": manifest.server,
        "version": manifest.version,
        "revision": manifest.revision,
        "made_at": manifest.made_at,
        "rows": sum(manifest.tables.values()),
        "tables": dict(manifest.tables),
        "files": count_files(manifest),
        "has_keys": manifest.has_keys,
    }
