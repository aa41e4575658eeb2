"""Which revision a database has, and bringing it to ours. Alembic is imported only to migrate."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.kit.database.creating import create_sqlite
from flowforge.kit.database.errors import refuse_newer, refuse_older, refuse_stranger
from flowforge.kit.database.reading import Reader, reading
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013")
"""All that this version knows, oldest first; the files under migrations/versions are the same (a test holds them together)."""
HEAD: Final = REVISIONS[-1]

_TABLES: Final = {
    DatabaseKind.SQLITE: "SELECT name FROM sqlite_master WHERE type='table' AND name<>'sqlite_sequence'",
    DatabaseKind.POSTGRES: "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p')"
    " AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
    " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",  # an extension's
    DatabaseKind.MYSQL: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
}
_OURS: Final = "journal"
"""A table that is there from the first revision on: what has none is no database of ours."""


class SchemaState(StrEnum):
    """How a database stands to this version."""

    EMPTY = "empty"
    CURRENT = "current"
    OLDER = "older"
    AHEAD = "ahead"
    """Migrated by a newer version, which lets this one go on beside it (expand and contract)."""
    NEWER = "newer"
    HALF = "half"
    """A change of the schema was killed half-way (MySQL alone: the others make it in one transaction)."""
    FOREIGN = "foreign"
    """Tables of another program."""


USABLE: Final = frozenset({SchemaState.CURRENT, SchemaState.AHEAD})
"""The states of a database that this version may work on."""


@dataclass(frozen=True, slots=True)
class Schema:
    state: SchemaState
    found: str | None
    wanted: str = HEAD


def check_schema(url: DatabaseUrl) -> Schema:
    """The state of a database. That of SQLite is made (empty) where there is none.

    Raises:
        StorageError: it cannot be opened or reached, or is damaged.
    """
    with reading(url) as reader:
        return read_schema(reader)


def upgrade_database(url: DatabaseUrl) -> Schema:
    """Brings a database to this version's revision; one of a newer version that lets this one work on it is left as it is.

    In SQLite and PostgreSQL all is done in one transaction, so that a killed upgrade leaves no trace. In MySQL one that was killed goes
    on where it was when it is called again, and nothing runs on the half of a schema meanwhile.

    Returns what was found. Several processes may do this at once: they wait for each other.

    Raises:
        DatabaseNewerError: a newer FlowForge has migrated it.
        DatabaseCorruptError: it is damaged or not ours.
        StorageError: it cannot be used, or (on a server) is set up so that it does not keep what it confirms.
    """
    with reading(url) as reader:
        reader.verify_setup()
        schema = read_schema(reader)
    _refuse_unknown(url, schema)
    if schema.state is SchemaState.EMPTY and url.kind is DatabaseKind.SQLITE and create_sqlite(url):
        return schema
    if schema.state not in USABLE:
        # Alembic and SQLAlchemy take longer to import than a start may last.
        from flowforge.kit.database.migrating import migrate_to

        migrate_to(url, HEAD)
    return schema


def rollback_database(url: DatabaseUrl) -> Schema:
    """Takes a database one revision back. Returns what was found.

    Raises:
        DatabaseNewerError, DatabaseCorruptError, StorageError: as `upgrade_database`.
    """
    schema = check_schema(url)
    _refuse_unknown(url, schema)
    if schema.state is SchemaState.AHEAD:
        raise refuse_newer(url, schema.found or "", HEAD)
    if schema.found is not None or schema.state is SchemaState.HALF:
        # As above.
        from flowforge.kit.database.migrating import migrate_back

        migrate_back(url)
    return schema


def require_current(url: DatabaseUrl) -> None:
    """Raises DatabaseNewerError, DatabaseOlderError or DatabaseCorruptError unless this version may work on the database's schema."""
    require_usable(url, check_schema(url))


def require_usable(url: DatabaseUrl, schema: Schema) -> None:
    """As `require_current`, for a schema that was read."""
    _refuse_unknown(url, schema)
    if schema.state not in USABLE:
        raise refuse_older(url, schema.found, HEAD, is_half=schema.state is SchemaState.HALF)


def _refuse_unknown(url: DatabaseUrl, schema: Schema) -> None:
    if schema.state is SchemaState.FOREIGN:
        raise refuse_stranger(url)
    if schema.state is SchemaState.NEWER:
        raise refuse_newer(url, schema.found or "", HEAD)


def read_schema(reader: Reader) -> Schema:
    """As `check_schema`, on a connection that is open."""
    tables = {name for (name,) in reader.fetch(_TABLES[reader.url.kind])}
    if "alembic_version" not in tables:
        return Schema(SchemaState.FOREIGN if tables - {"schema_change"} else SchemaState.EMPTY, None)
    rows = reader.fetch("SELECT version_num FROM alembic_version")
    found: str | None = rows[0][0] if rows else None
    if found is not None and found not in REVISIONS:
        return Schema(_judge_unknown(reader, tables), found)
    if "schema_change" in tables and reader.fetch("SELECT kind FROM schema_change"):
        return Schema(SchemaState.HALF, found)
    if found is None:
        return Schema(SchemaState.EMPTY, None)
    return Schema(SchemaState.CURRENT if found == HEAD else SchemaState.OLDER, found)


def _judge_unknown(reader: Reader, tables: set[str]) -> SchemaState:
    if _OURS not in tables:
        return SchemaState.FOREIGN
    if "schema_compatibility" not in tables or "schema_change" in tables:
        return SchemaState.NEWER
    oldest = [revision for (revision,) in reader.fetch("SELECT oldest FROM schema_compatibility")]
    return SchemaState.AHEAD if oldest and oldest[0] in REVISIONS else SchemaState.NEWER
