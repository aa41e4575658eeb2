"""Plain SQLite connections, set up the one way that keeps the promise of durability."""

import sqlite3
from pathlib import Path
from typing import Final

from flowforge.kit.database.errors import explained
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.errors import StorageError

BUSY_TIMEOUT_MS: Final = 5_000
_STATEMENT_CACHE: Final = 512
_SYNCHRONOUS_FULL: Final = 2


def connect_sqlite(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """A connection without implicit transactions, on which COMMIT returns after the sync. May be used by any thread, one at a time.

    Raises:
        StorageError: the file cannot be opened, is no database, or cannot be used in WAL mode.
    """
    with explained(name_sqlite(path)):
        connection = sqlite3.connect(
            path,
            timeout=busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENT_CACHE,
        )
        try:
            _configure(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    # Asking first spares the lock that a change of the mode takes.
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError(f"The database {path} cannot be kept in WAL mode (it is in {mode}): use a folder on a local disk.")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    verify_durability(connection, path)


def verify_durability(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StorageError where a COMMIT on this connection would not survive a power cut (F31)."""
    level = connection.execute("PRAGMA synchronous").fetchone()[0]
    if level < _SYNCHRONOUS_FULL:
        raise StorageError(
            f"The database {path} is set to synchronous={level}, with which a power cut loses runs: it must be FULL."
        )
