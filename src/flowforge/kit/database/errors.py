"""A database's errors, as sentences for the person who can mend them. `faults` has what they mean."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from flowforge.kit.database.faults import FaultKind, classify_fault
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.errors import Detail, InvariantError, StorageError, StorageFullError


class DatabaseLockedError(StorageError):
    """Another transaction was in the way for longer than anyone waits, or there was a deadlock: do the whole transaction again."""


class DatabaseUnreachableError(StorageError):
    """The server does not answer, or the connection to it is lost. Whether a COMMIT on its way happened is not known."""


class DatabaseBusyError(StorageError):
    """No connection became free in time: of the server, or of this process's pool."""


class DatabaseRefusedError(StorageError):
    """The server does not know this user, password or database, or does not allow this to the user."""


class DatabaseReadOnlyError(StorageError):
    """The database may be read but not written."""


class DatabaseCorruptError(StorageError):
    """The file is damaged, or no database."""


class DatabaseNewerError(StorageError):
    """A newer FlowForge has migrated the database."""


class DatabaseOlderError(StorageError):
    """The database has not been migrated yet."""


class DatabaseUnsafeError(StorageError):
    """The database is set up so that a power cut loses what it has confirmed."""


class DriverMissingError(StorageError):
    """The extra with the database's driver is not installed."""


def explain_database_error(fault: BaseException, url: DatabaseUrl) -> StorageError | InvariantError:
    """The sentence for a driver's fault, as the error that says who can mend it."""
    match classify_fault(fault):
        case FaultKind.CANNOT_OPEN:
            message = f"The database {url.shown} cannot be opened; check that its folder exists and may be read and written."
            return _refuse(StorageError, message, "database_unreachable")
        case FaultKind.FULL:
            message = f"There is no room left on the disk of {url.shown}; free some space, nothing that was acknowledged is lost."
            return _refuse(StorageFullError, message, "storage_full")
        case FaultKind.DAMAGED:
            message = f"The database {url.shown} is damaged ({fault}); restore it from a backup, and check the disk."
            return _refuse(DatabaseCorruptError, message, "database_corrupt")
        case FaultKind.DISK_FAILED:
            message = f"The disk of the database {url.shown} failed ({fault}); check the disk and its free space."
            return _refuse(StorageError, message, "storage_failed")
        case FaultKind.CONTENDED:
            return _refuse(DatabaseLockedError, _describe_lock(url), "database_locked")
        case FaultKind.READ_ONLY:
            return _refuse(DatabaseReadOnlyError, _describe_read_only(url), "database_read_only")
        case FaultKind.UNREACHABLE | FaultKind.CROWDED | FaultKind.REFUSED | FaultKind.MISSING as kind:
            return _explain_server_fault(kind, fault, url)
        case FaultKind.CONTENT | FaultKind.OURS | None:
            return InvariantError(f"The database {url.shown} refused a statement: {read_fault(fault)}.")


def _explain_server_fault(kind: FaultKind, fault: BaseException, url: DatabaseUrl) -> StorageError:
    reason = read_fault(fault)
    if kind is FaultKind.UNREACHABLE:
        message = f"The database {url.shown} cannot be reached ({reason}); check that it runs and answers at {url.place}."
        return _refuse(DatabaseUnreachableError, message, "database_unreachable")
    if kind is FaultKind.CROWDED:
        message = f"The database {url.shown} has no connection left ({reason}); allow it more, or lower DATABASE_POOL."
        return _refuse(DatabaseBusyError, message, "database_busy")
    if kind is FaultKind.MISSING:
        message = f"There is no database {url.name!r} at {url.place}; make it (CREATE DATABASE), or mend the name in its URL."
    else:
        message = (
            f"The database {url.shown} refuses the user {url.user!r} ({reason}); check the user, the password and the rights."
        )
    return _refuse(DatabaseRefusedError, message, "database_refused")


def _describe_lock(url: DatabaseUrl) -> str:
    if url.is_server:
        return f"Another transaction on the database {url.shown} was in the way for too long; try again."
    return f"The database {url.shown} is locked by another process; end whatever holds it (a backup, a shell) and try again."


def _describe_read_only(url: DatabaseUrl) -> str:
    if url.is_server:
        return f"The database {url.shown} can only be read, as a replica can; name the primary, or wait until the change-over is done."
    return f"The database {url.shown} cannot be written to; give its user the right to write the file and its folder."


def read_fault(fault: BaseException) -> str:
    """What the driver says, in one line without a full stop at the end."""
    text = str(fault.args[-1]) if fault.args and not isinstance(fault, sqlite3.Error) else str(fault)
    return " ".join(text.split())[:300].rstrip(".") or type(fault).__name__


@contextmanager
def explained(url: DatabaseUrl) -> Generator[None]:
    """Raises whatever the driver of this database raises inside as one of the tree of errors."""
    try:
        yield
    except driver_errors(url.kind) as fault:
        raise explain_database_error(fault, url) from fault


@cache
def driver_errors(kind: DatabaseKind) -> type[Exception]:
    """The class of all errors of the plain driver.

    Raises:
        DriverMissingError: the extra is not installed.
    """
    if kind is DatabaseKind.SQLITE:
        return sqlite3.Error
    try:
        if kind is DatabaseKind.POSTGRES:
            # Start-up cost, and the extra may be missing.
            from psycopg import Error

            return Error
        # As above.
        from pymysql.err import Error as MysqlError
    except ImportError as error:
        raise refuse_without_driver(kind) from error
    return MysqlError


def refuse_without_driver(kind: DatabaseKind) -> DriverMissingError:
    """The error for a database whose driver is not installed."""
    name = "PostgreSQL" if kind is DatabaseKind.POSTGRES else "MySQL or MariaDB"
    message = f"What speaks with {name} is not installed: `pip install 'flowforge[{kind.value}]'`."
    return DriverMissingError(message, [Detail(field="DATABASE_URL", message=message, code="not_installed")])


def _refuse(kind: type[StorageError], message: str, code: str) -> StorageError:
    return kind(message, [Detail(field="", message=message, code=code)])


def refuse_unsafe(url: DatabaseUrl, what: str, mend: str) -> DatabaseUnsafeError:
    """The error for a database that confirms what a power cut can take away (F31)."""
    message = f"The database {url.shown} is set to {what}, with which a power cut loses runs: {mend}."
    return DatabaseUnsafeError(message, [Detail(field="", message=message, code="database_unsafe")])


def refuse_unfit(url: DatabaseUrl, what: str, mend: str) -> StorageError:
    """The error for a server that cannot keep what we keep."""
    return _refuse(StorageError, f"The database {url.shown} {what}: {mend}.", "database_unfit")


def refuse_busy(url: DatabaseUrl, waited_s: float) -> DatabaseBusyError:
    """The error for a pool of which no connection became free in time (F27)."""
    used = f"All connections of this process to the database {url.shown} were in use for {waited_s:g} s"
    message = f"{used}; try again, or raise DATABASE_POOL."
    return DatabaseBusyError(message, [Detail(field="", message=message, code="database_busy")])


def refuse_newer(url: DatabaseUrl, found: str, known: str) -> DatabaseNewerError:
    """The error for a database whose revision this version does not know."""
    message = (
        f"The database {url.shown} was written by a newer FlowForge (revision {found}, this one knows up to {known}); "
        "install that version, or restore a backup made before the upgrade."
    )
    return DatabaseNewerError(message, [Detail(field="", message=message, code="database_newer")])


def refuse_older(url: DatabaseUrl, found: str | None, known: str, *, is_half: bool = False) -> DatabaseOlderError:
    """The error for a database that must be migrated first. `is_half`: a migration was killed half-way, or is under way."""
    message = f"The database {url.shown} is at revision {found or 'none'}, {known} is needed: run `flowforge db upgrade`."
    if is_half:
        message = f"A change of the schema of {url.shown} is under way or was killed half-way: run `flowforge db upgrade`, which ends it."
    return DatabaseOlderError(message, [Detail(field="", message=message, code="database_older")])


def refuse_stranger(url: DatabaseUrl) -> DatabaseCorruptError:
    """The error for a database with tables that are not ours."""
    other = "another database" if url.is_server else "another data folder"
    what = "database" if url.is_server else "file"
    message = f"The {what} {url.shown} is a database of another program; name {other}."
    return DatabaseCorruptError(message, [Detail(field="", message=message, code="database_foreign")])
