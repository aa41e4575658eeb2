"""Every table of an installation, and the numbers that they hand out."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Cast, Column, Connection, MetaData, String, Table, func, inspect, literal, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import REGCLASS

from flowforge.audit import models as audit_models
from flowforge.configuration import models as configuration_models
from flowforge.engine import tables as engine_tables
from flowforge.files import models as file_models
from flowforge.identity import models_accounts, models_roles
from flowforge.kit.database.metadata import metadata, schema_compatibility
from flowforge.live import models as live_models
from flowforge.runs import models as run_models
from flowforge.triggers import models as trigger_models
from flowforge.triggers import schedule_models, source_models
from flowforge.vault import models as vault_models
from flowforge.web.batches import models as batch_models
from flowforge.workflows import models as workflow_models

OWNERS: Final = (
    engine_tables,
    vault_models,
    workflow_models,
    run_models,
    batch_models,
    trigger_models,
    schedule_models,
    source_models,
    audit_models,
    models_accounts,
    models_roles,
    configuration_models,
    file_models,
    live_models,
)
"""The modules that have put their tables into `metadata`."""

version_table: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own."""
_change_table: Final = Table(
    "schema_change", MetaData(), Column("kind", String(20), nullable=False), Column("revision", String(32), nullable=False)
)
KEPT_BY_MIGRATIONS: Final = frozenset({version_table.name, _change_table.name, schema_compatibility.name})
"""What is there in a database without a row of anybody's."""
SEEDED: Final = frozenset({"workspaces", "identity_changes"})
"""Tables in which the migrations put a row, which an empty database has too."""
SQLITE_NUMBERS: Final = "sqlite_sequence"
_sqlite_numbers: Final = Table(SQLITE_NUMBERS, MetaData(), Column("name", String), Column("seq", BigInteger))


def list_tables() -> list[Table]:
    """All tables, those that others refer to first."""
    return list(metadata.sorted_tables)


def list_present(connection: Connection) -> set[str]:
    """The names of all tables in the database, ours and others."""
    return set(inspect(connection).get_table_names()) - {SQLITE_NUMBERS}


def list_strangers(present: Iterable[str]) -> list[str]:
    """Those of the tables that are not ours, by name."""
    return sorted(set(present) - {table.name for table in list_tables()} - KEPT_BY_MIGRATIONS)


def count_rows(connection: Connection) -> dict[str, int]:
    """The number of rows of each of our tables that is there."""
    present = list_present(connection)
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in list_tables()
        if table.name in present
    }


def list_numbered() -> list[Table]:
    """Tables whose rows are numbered by the database."""
    return [table for table in list_tables() if table.autoincrement_column is not None]


def read_next_numbers(connection: Connection) -> dict[str, int]:
    """The number that each numbered table would give next; rows that were deleted count."""
    present = list_present(connection)
    numbers: dict[str, int] = {}
    for table in list_numbered():
        if table.name in present:
            most = connection.scalar(select(func.max(_numbers_of(table)))) or 0
            numbers[table.name] = max(most + 1, _read_counter(connection, table))
    return numbers


def raise_next_numbers(connection: Connection, numbers: Mapping[str, int]) -> None:
    """Lets each table go on at its number, or where it is if that is above.

    On MySQL this ends the transaction that it is called in: call it first.
    """
    present = list_present(connection)
    for table in list_numbered():
        wanted = numbers.get(table.name) if table.name in present else None
        if wanted is not None and wanted > _read_counter(connection, table):
            _set_next(connection, table, wanted)


def _numbers_of(table: Table) -> Column[int]:
    return cast("Column[int]", table.autoincrement_column)


def _read_counter(connection: Connection, table: Table) -> int:
    """What the database's own counter gives next; it knows nothing of rows that came with a number."""
    match connection.dialect.name:
        case "postgresql":
            return (connection.scalar(select(func.pg_sequence_last_value(_sequence_of(table)))) or 0) + 1
        case "mysql" | "mariadb":
            # SHOW, unlike information_schema, never answers from a cache.
            row = connection.exec_driver_sql("SHOW TABLE STATUS WHERE Name = %s", (table.name,)).mappings().one()
            return int(row["Auto_increment"] or 1)
        case _:
            if not table.dialect_options["sqlite"]["autoincrement"]:
                return 1
            return (connection.scalar(select(_sqlite_numbers.c.seq).where(_sqlite_numbers.c.name == table.name)) or 0) + 1


def _set_next(connection: Connection, table: Table, number: int) -> None:
    match connection.dialect.name:
        case "postgresql":
            connection.execute(select(func.setval(_sequence_of(table), number, literal(False))))
        case "mysql" | "mariadb":
            name = connection.dialect.identifier_preparer.quote(table.name)
            connection.exec_driver_sql(f"ALTER TABLE {name} AUTO_INCREMENT = {number:d}")
        case _:
            if not table.dialect_options["sqlite"]["autoincrement"]:
                return
            changed = connection.execute(
                _sqlite_numbers.update().where(_sqlite_numbers.c.name == table.name).values(seq=number - 1)
            )
            if not changed.rowcount:
                connection.execute(_sqlite_numbers.insert().values(name=table.name, seq=number - 1))


def _sequence_of(table: Table) -> Cast[Any]:
    """PostgreSQL's sequence behind the table's numbers."""
    named: Any = func.pg_get_serial_sequence(table.name, _numbers_of(table).name)
    return sql_cast(named, REGCLASS)


def read_revision(connection: Connection) -> str | None:
    """The word in `alembic_version`; None where there is none."""
    if version_table.name not in list_present(connection):
        return None
    return connection.scalar(select(version_table.c.version_num))


def keep_away(connection: Connection, word: str) -> None:
    """Puts a word where the revision stands, so that nobody works on the database until `let_in`; `flowforge db check` shows it.

    The table `schema_change` beside it says that this is no newer version which lets others go on.
    """
    _change_table.create(connection, checkfirst=True)
    _write_revision(connection, word)


def let_in(connection: Connection, revision: str) -> None:
    """The database is whole, at this revision, and may be worked on."""
    _write_revision(connection, revision)
    _change_table.drop(connection, checkfirst=True)


def _write_revision(connection: Connection, word: str) -> None:
    version_table.create(connection, checkfirst=True)
    connection.execute(version_table.delete())
    connection.execute(version_table.insert().values(version_num=word))
