"""Bringing a backup back: into an empty place, checked, and fenced against everybody who knows a later state of it."""

import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, MetaData

from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explained
from flowforge.kit.database.guards import lift_guards, set_guards
from flowforge.kit.database.schema import HEAD, REVISIONS, upgrade_database
from flowforge.kit.database.url import DatabaseUrl, name_sqlite
from flowforge.kit.folder import DataFolder, explain_os_error
from flowforge.upkeep.archive import FILES_PREFIX, KEYRING_NAME, Manifest, check_archive, extract_members
from flowforge.upkeep.connecting import open_upkeep, read_time_ms, writing
from flowforge.upkeep.dumping import check_sqlite_file, compare_counts, load_dump
from flowforge.upkeep.errors import ArchiveUnfitError, TargetNotEmptyError
from flowforge.upkeep.fencing import Fenced, fence, list_numbers_after
from flowforge.upkeep.living import refuse_living
from flowforge.upkeep.tables import (
    KEPT_BY_MIGRATIONS,
    SEEDED,
    count_rows,
    keep_away,
    let_in,
    list_present,
    list_strangers,
    list_tables,
    raise_next_numbers,
    read_revision,
)

RESTORING: Final = "restore-not-finished"
"""Stands where the revision stands while a server's database is filled: nobody can work on it."""
_WORKERS: Final = "workers"
_UNIMPORTANT: Final = KEPT_BY_MIGRATIONS | {_WORKERS}


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """`is_replacing`: what is there already is deleted. `is_forced`: although somebody works on it."""

    is_replacing: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back. `has_keys`: the keys were among it."""

    manifest: Manifest
    fenced: Fenced
    files: int
    has_keys: bool


def restore_backup(url: DatabaseUrl, folder: DataFolder, path: Path, plan: RestorePlan, clock: Clock) -> Restored:
    """Restores files, keys and the database, in this order; the database is not usable before all of it is there and fenced.

    Raises:
        ArchiveInvalidError: the file is damaged or no backup; nothing was changed.
        ArchiveUnfitError: it is of another kind of database, or of a newer version; nothing was changed.
        TargetNotEmptyError, WorkersAliveError: the plan does not allow it; nothing was changed.
        CountDiffersError: what came out is not what went in; the database cannot be used, restore again.
        StorageError, ProgramMissingError, ProgramFailedError: as for a backup.
    """
    manifest = check_archive(path)
    _refuse_unfit(manifest, url)
    with open_upkeep(url) as engine, writing(engine) as connection:
        _refuse_filled(connection, url, plan)
        if not plan.is_forced and _WORKERS in list_present(connection):
            locks = folder.run / "workers"
            refuse_living(connection, read_time_ms(connection, clock), None if url.is_server else locks, url.shown)
    try:
        keys = _choose_keys(folder, manifest, plan, clock.now_ms())
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder.backups) as staging:
            dump = Path(staging) / manifest.database_name

            def choose(name: str) -> Path | None:
                if name == manifest.database_name:
                    return dump
                return keys if name == KEYRING_NAME else _choose_file(folder, name)

            written = extract_members(path, manifest, choose)
            fenced = _fill_server(url, dump, manifest, clock) if url.is_server else _fill_file(url, dump, manifest, clock)
    except OSError as fault:
        raise explain_os_error(fault, folder.root) from fault
    return Restored(manifest, fenced, written - 1 - (keys is not None), keys is not None)


def _refuse_unfit(manifest: Manifest, url: DatabaseUrl) -> None:
    if manifest.kind != url.kind.value:
        raise ArchiveUnfitError(
            f"This backup is of a database of the kind {manifest.kind}, and {url.shown} is one of the kind {url.kind}: restore it where "
            "it came from, and move it with `flowforge db copy`."
        )
    if manifest.revision not in REVISIONS:
        raise ArchiveUnfitError(
            f"This backup was made by FlowForge {manifest.version} (revision {manifest.revision}, this one knows up to {HEAD}): "
            "restore it with that version."
        )


def _refuse_filled(connection: Connection, url: DatabaseUrl, plan: RestorePlan) -> None:
    strangers = list_strangers(list_present(connection))
    if strangers:
        raise TargetNotEmptyError(f"{url.shown} holds tables of another program ({strangers[0]}): name another database.")
    if plan.is_replacing:
        return
    filled = [table for table, rows in count_rows(connection).items() if rows > (table in SEEDED) and table not in _UNIMPORTANT]
    if filled or read_revision(connection) == RESTORING:
        what = f"rows in {', '.join(filled[:3])}" if filled else "a restore that was not brought to its end"
        raise TargetNotEmptyError(f"{url.shown} holds {what}; --replace --yes deletes what is there, for ever.")


def _choose_file(folder: DataFolder, name: str) -> Path | None:
    """A file never changes once it is there, and its name is never given again: what is there is right."""
    target = folder.files / name.removeprefix(FILES_PREFIX)
    return None if target.exists() else target


def _choose_keys(folder: DataFolder, manifest: Manifest, plan: RestorePlan, now_ms: int) -> Path | None:
    """Where the keys go; those that are there are kept beside them."""
    if not manifest.has_keys:
        return None
    if folder.keyring.exists():
        if not plan.is_replacing:
            raise TargetNotEmptyError(f"{folder.keyring} is there already; --replace --yes keeps it under another name.")
        folder.keyring.rename(folder.keyring.with_name(f"keyring-before-{now_ms}.json"))
    return folder.keyring


def _fill_file(url: DatabaseUrl, dump: Path, manifest: Manifest, clock: Clock) -> Fenced:
    """SQLite: made ready beside its place, and put there in one transaction, which processes that have the old one open see as well."""
    check_sqlite_file(dump)
    staged = name_sqlite(dump)
    with open_upkeep(staged) as engine, writing(engine) as connection:
        compare_counts(count_rows(connection), manifest.tables)
        fenced = fence(connection, clock.now_ms())
    _finish(staged, clock)
    source, target = connect_sqlite(dump), connect_sqlite(url.file)
    try:
        with explained(url):
            _copy_pages(source, target)
    finally:
        source.close()
        target.close()
    return fenced


def _copy_pages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    source.backup(target, pages=-1)


def _fill_server(url: DatabaseUrl, dump: Path, manifest: Manifest, clock: Clock) -> Fenced:
    with open_upkeep(url) as engine:
        with writing(engine) as connection:
            lift_guards(connection)
            _drop_tables(connection)
            keep_away(connection, RESTORING)
        load_dump(url, engine, dump)
        crashpoint("CP31")
        with writing(engine) as connection:
            # A dump of MySQL has no triggers: they would belong to a user whom another server does not know.
            set_guards(connection)
        with writing(engine) as connection:
            compare_counts(count_rows(connection), manifest.tables)
            now_ms = max(read_time_ms(connection, clock), clock.now_ms())
            fenced = fence(connection, now_ms)
            let_in(connection, manifest.revision)
    _finish(url, clock)
    return fenced


def _drop_tables(connection: Connection) -> None:
    ours = {table.name for table in list_tables()} | KEPT_BY_MIGRATIONS
    found = MetaData()
    found.reflect(connection, only=sorted(ours & list_present(connection)))
    found.drop_all(connection)


def _finish(url: DatabaseUrl, clock: Clock) -> None:
    """Brings an older database to this version's revision; tables that come with it number from where those before have been."""
    if upgrade_database(url).found == HEAD:
        return
    with open_upkeep(url) as engine, writing(engine) as connection:
        raise_next_numbers(connection, list_numbers_after(clock.now_ms()))
