"""SQLite's errors, as sentences for the person who can mend them."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flowforge.kit.errors import Detail, InvariantError, StorageError, StorageFullError

_PRIMARY_CODE_MASK: Final = 0xFF


class DatabaseLockedError(StorageError):
    """Another process held the write lock for longer than anyone waits."""


class DatabaseReadOnlyError(StorageError):
    """The database may be read but not written."""


class DatabaseCorruptError(StorageError):
    """The file is damaged, or no database."""


class DatabaseNewerError(StorageError):
    """A newer FlowForge has migrated the database."""


class DatabaseOlderError(StorageError):
    """The database has not been migrated yet."""


def explain_sqlite_error(fault: sqlite3.Error, path: Path) -> StorageError | InvariantError:
    """The sentence for a fault of the database at `path`, as the error that says who can mend it."""
    code = getattr(fault, "sqlite_errorcode", None)
    match code & _PRIMARY_CODE_MASK if isinstance(code, int) else None:
        case sqlite3.SQLITE_FULL:
            message = f"There is no room left on the disk of {path}; free some space, nothing that was acknowledged is lost."
            return _refuse(StorageFullError, message, "storage_full")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            message = f"The database {path} cannot be written to; give its user the right to write the file and its folder."
            return _refuse(DatabaseReadOnlyError, message, "database_read_only")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            message = (
                f"The database {path} is locked by another process; end whatever holds it (a backup, a shell) and try again."
            )
            return _refuse(DatabaseLockedError, message, "database_locked")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            message = f"The database {path} is damaged ({fault}); restore it from a backup, and check the disk."
            return _refuse(DatabaseCorruptError, message, "database_corrupt")
        case sqlite3.SQLITE_CANTOPEN:
            message = f"The database {path} cannot be opened; check that its folder exists and may be read and written."
            return _refuse(StorageError, message, "database_unreachable")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            message = f"The disk of the database {path} failed ({fault}); check the disk and its free space."
            return _refuse(StorageError, message, "storage_failed")
        case _:
            return InvariantError(f"The database {path} refused a statement: {fault}.")


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Raises whatever SQLite raises inside as one of the tree of errors."""
    try:
        yield
    except sqlite3.Error as fault:
        raise explain_sqlite_error(fault, path) from fault


def _refuse(kind: type[StorageError], message: str, code: str) -> StorageError:
    return kind(message, [Detail(field="", message=message, code=code)])


def refuse_newer(path: Path, found: str, known: str) -> DatabaseNewerError:
    """The error for a database whose revision this version does not know."""
    message = (
        f"The database {path} was written by a newer FlowForge (revision {found}, this one knows up to {known}); "
        "install that version, or restore a backup made before the upgrade."
    )
    return DatabaseNewerError(message, [Detail(field="", message=message, code="database_newer")])


def refuse_older(path: Path, found: str | None, known: str) -> DatabaseOlderError:
    """The error for a database that must be migrated first."""
    message = f"The database {path} is at revision {found or 'none'}, {known} is needed: run `flowforge db upgrade`."
    return DatabaseOlderError(message, [Detail(field="", message=message, code="database_older")])


def refuse_stranger(path: Path) -> DatabaseCorruptError:
    """The error for an SQLite file with tables that are not ours."""
    message = f"The file {path} is a database of another program; name another data folder."
    return DatabaseCorruptError(message, [Detail(field="", message=message, code="database_foreign")])
