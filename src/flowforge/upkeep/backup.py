"""Backing an installation up into one file, while work goes on."""

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge import __version__
from flowforge.kit.clock import Clock
from flowforge.kit.database.schema import require_current
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.errors import AlreadyExistsError, Detail, NotFoundError
from flowforge.kit.folder import DataFolder, explain_os_error
from flowforge.language.times import format_timestamp_ms
from flowforge.upkeep.archive import (
    DATABASE_NAMES,
    FILES_PREFIX,
    KEYRING_NAME,
    ArchiveWriter,
    Facts,
    Manifest,
    check_archive,
    is_file_name,
)
from flowforge.upkeep.connecting import open_upkeep
from flowforge.upkeep.dumping import Dump, dump_database, kind_of

_STAGING: Final = ".flowforge-backup-"


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What a backup takes besides the database."""

    has_files: bool
    has_keys: bool


def make_backup(url: DatabaseUrl, folder: DataFolder, path: Path, plan: BackupPlan, clock: Clock) -> Manifest:
    """Writes a backup to `path`, and reads it again from there before it is called done.

    The database is taken first: a file that one of its rows names was there before the row, so that it is in the backup too, unless a
    clean-up has deleted both meanwhile.

    Raises:
        AlreadyExistsError: there is something at `path`.
        NotFoundError: its folder is not there.
        StorageError: the database or the disk cannot be used.
        ProgramMissingError, ProgramFailedError: the database's own tool is not there, or did not do its work.
    """
    if path.exists():
        message = f"{path} is there already; name another file, or delete it first."
        raise AlreadyExistsError(message, [Detail(field="", message=message, code="backup_exists")])
    if not path.absolute().parent.is_dir():
        # Never made here: where the disk for backups is not mounted, it would be a folder of this one.
        message = f"The folder of {path} is not there; make it, or mount the disk that holds it."
        raise NotFoundError(message, [Detail(field="", message=message, code="folder_missing")])
    require_current(url)
    made_at = format_timestamp_ms(clock.now_ms())
    try:
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=path.parent) as staging, open_upkeep(url) as engine:
            kind = kind_of(engine)
            dumped = Path(staging) / DATABASE_NAMES[kind]
            dump = dump_database(url, engine, dumped)
            _write(path, folder, plan, (kind, made_at, dump, dumped))
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    return check_archive(path)


def _write(path: Path, folder: DataFolder, plan: BackupPlan, taken: tuple[str, str, Dump, Path]) -> None:
    kind, made_at, dump, dumped = taken
    has_keys = plan.has_keys and folder.keyring.exists()
    facts = Facts(__version__, kind, dump.server, dump.revision, made_at, dump.tables, plan.has_files, has_keys)
    with ArchiveWriter(path) as archive:
        with dumped.open("rb") as file:
            archive.add(dumped.name, file, dumped.stat().st_size)
        if plan.has_files:
            for name, found in list_files(folder.files):
                _add_file(archive, name, found)
        if has_keys:
            _add_file(archive, KEYRING_NAME, folder.keyring)
        archive.finish(facts)


def _add_file(archive: ArchiveWriter, name: str, path: Path) -> None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # a clean-up has deleted it since the folder was listed
    with file:
        archive.add(name, file, os.fstat(file.fileno()).st_size)


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of the object store under their names in an archive; drafts are left out."""
    for path in sorted(folder.rglob("*")):
        name = FILES_PREFIX + path.relative_to(folder).as_posix()
        if is_file_name(name) and _is_regular(path):
            yield name, path


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
