"""Which revision a database has, and bringing it to ours. Alembic is imported only to migrate."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explained, refuse_newer, refuse_older, refuse_stranger

REVISIONS: Final = ("0001",)
"""All that this version knows, oldest first; the files under migrations/versions are the same (a test holds them together)."""
HEAD: Final = REVISIONS[-1]


class SchemaState(StrEnum):
    """How a database stands to this version."""

    EMPTY = "empty"
    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"
    """Tables of another program."""


@dataclass(frozen=True, slots=True)
class Schema:
    state: SchemaState
    found: str | None
    wanted: str = HEAD


def check_schema(path: Path) -> Schema:
    """The state of the database at `path`, which is made (empty) where there is none.

    Raises:
        StorageError: it cannot be opened or is damaged.
    """
    connection = connect_sqlite(path)
    try:
        with explained(path):
            return _read_schema(connection)
    finally:
        connection.close()


def upgrade_database(path: Path) -> Schema:
    """Brings the database at `path` to this version's revision in one transaction, so that a killed upgrade leaves no trace.

    Returns what was found. Several processes may do this at once.

    Raises:
        DatabaseNewerError: a newer FlowForge has migrated it.
        DatabaseCorruptError: it is damaged or not ours.
        StorageError: it cannot be used.
    """
    schema = check_schema(path)
    _refuse_unknown(path, schema)
    if schema.state is not SchemaState.CURRENT:
        # Alembic and SQLAlchemy take longer to import than a start may last.
        from flowforge.kit.database.migrating import migrate_to

        migrate_to(path, HEAD)
    return schema


def rollback_database(path: Path) -> Schema:
    """Takes the database one revision back. Returns what was found.

    Raises:
        DatabaseNewerError, DatabaseCorruptError, StorageError: as `upgrade_database`.
    """
    schema = check_schema(path)
    _refuse_unknown(path, schema)
    if schema.found is not None:
        # As above.
        from flowforge.kit.database.migrating import migrate_back

        migrate_back(path)
    return schema


def require_current(path: Path) -> None:
    """Raises DatabaseNewerError, DatabaseOlderError or DatabaseCorruptError unless the database is at this version's revision."""
    schema = check_schema(path)
    _refuse_unknown(path, schema)
    if schema.state is not SchemaState.CURRENT:
        raise refuse_older(path, schema.found, HEAD)


def _refuse_unknown(path: Path, schema: Schema) -> None:
    if schema.state is SchemaState.FOREIGN:
        raise refuse_stranger(path)
    if schema.state is SchemaState.NEWER:
        raise refuse_newer(path, schema.found or "", HEAD)


def _read_schema(connection: sqlite3.Connection) -> Schema:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    tables -= {"sqlite_sequence"}
    if "alembic_version" not in tables:
        return Schema(SchemaState.FOREIGN if tables else SchemaState.EMPTY, None)
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        return Schema(SchemaState.EMPTY, None)
    found: str = row[0]
    if found == HEAD:
        return Schema(SchemaState.CURRENT, found)
    return Schema(SchemaState.OLDER if found in REVISIONS else SchemaState.NEWER, found)
