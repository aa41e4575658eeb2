"""Running migrations. Imports Alembic: only for `schema`, when there is something to migrate.

SQLite and PostgreSQL change a schema within a transaction. MySQL commits at each step; there the table `schema_change` tells of a change
that is not done, and each step leaves out what is there already (`migration_steps`).
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database import mysql, postgres
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import DatabaseLockedError, explain_database_error
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.errors import Detail

MIGRATIONS = Path(__file__).parent / "migrations"
_POSTGRES_LOCK: Final = 0x464C_4F57_464F_5247
_MYSQL_LOCK: Final = "SELECT GET_LOCK(SHA1(CONCAT('flowforge schema ', DATABASE())), 600)"
_UPGRADE: Final = "upgrade"
_ROLLBACK: Final = "rollback"


def migrate_to(url: DatabaseUrl, revision: str) -> None:
    """Upgrades to `revision`. What another process has done meanwhile is left out."""
    with _migrating(url) as (config, connection):
        if url.kind is not DatabaseKind.MYSQL:
            command.upgrade(config, revision)
            return
        kind, before = _read_change(connection)
        if kind == _ROLLBACK and _read_revision(connection) == before:
            # Parts of this revision may be gone: it is made again.
            command.stamp(config, _find_older(config, before))
        _begin_change(connection, _UPGRADE, _read_revision(connection))
        command.upgrade(config, revision)
        _end_change(connection)


def migrate_back(url: DatabaseUrl) -> None:
    """Downgrades by one revision. In MySQL a change that was killed is brought to its end first."""
    with _migrating(url) as (config, connection):
        if url.kind is not DatabaseKind.MYSQL:
            command.downgrade(config, "-1")
            return
        kind, before = _read_change(connection)
        found = _read_revision(connection)
        if kind == _UPGRADE:
            command.upgrade(config, "head")
            found = _read_revision(connection)
        if kind != _ROLLBACK:
            _begin_change(connection, _ROLLBACK, found)
            before = found
        if found and found == before:
            command.downgrade(config, "-1")
        _end_change(connection)


@contextmanager
def _migrating(url: DatabaseUrl) -> Generator[tuple[Config, Connection]]:
    engine = _make_engine(url)
    event.listen(engine, "after_cursor_execute", _between_statements)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            _lock(connection, url)
            config.attributes["connection"] = connection
            yield config, connection
    except DBAPIError as fault:
        raise explain_database_error(fault.orig or fault, url) from fault
    finally:
        engine.dispose()


def _make_engine(url: DatabaseUrl) -> Engine:
    match url.kind:
        case DatabaseKind.SQLITE:
            engine = create_engine("sqlite://", creator=lambda: connect_sqlite(url.file), poolclass=StaticPool)
            # The driver's own transactions would not hold DDL; the write lock comes before the revision is read.
            event.listen(engine, "begin", _begin_immediate)
            return engine
        case DatabaseKind.POSTGRES:
            return create_engine(
                "postgresql+psycopg://", creator=lambda: _connect_postgres(url), poolclass=StaticPool, use_native_hstore=False
            )
        case DatabaseKind.MYSQL:
            return create_engine(
                "mysql+pymysql://", creator=lambda: _connect_mysql(url), poolclass=StaticPool, isolation_level="AUTOCOMMIT"
            )


def _connect_postgres(url: DatabaseUrl) -> Any:
    connection = postgres.connect_postgres(url)
    connection.execute(postgres.PATIENT)
    connection.autocommit = False
    return connection


def _connect_mysql(url: DatabaseUrl) -> Any:
    connection = mysql.connect_mysql(url, read_timeout_s=None)
    with connection.cursor() as cursor:
        cursor.execute(mysql.PATIENT)
    return connection


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lock(connection: Connection, url: DatabaseUrl) -> None:
    """Until the transaction ends (PostgreSQL), or the connection (MySQL)."""
    if url.kind is DatabaseKind.POSTGRES:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
    if url.kind is DatabaseKind.MYSQL and connection.exec_driver_sql(_MYSQL_LOCK).scalar() != 1:
        message = f"Another process has been migrating the database {url.shown} for ten minutes; try again later."
        raise DatabaseLockedError(message, [Detail(field="", message=message, code="database_locked")])


def _between_statements(*_: object) -> None:
    crashpoint("CP26")


def _read_change(connection: Connection) -> tuple[str, str]:
    """What was not brought to its end: its kind, and the revision before it; two empty texts where all is well."""
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS schema_change (kind VARCHAR(20) NOT NULL, revision VARCHAR(32) NOT NULL) ENGINE=InnoDB"
    )
    row = connection.exec_driver_sql("SELECT kind, revision FROM schema_change").first()
    return (row[0], row[1]) if row else ("", "")


def _begin_change(connection: Connection, kind: str, revision: str) -> None:
    connection.exec_driver_sql("DELETE FROM schema_change")
    connection.exec_driver_sql("INSERT INTO schema_change(kind, revision) VALUES (%s, %s)", (kind, revision))


def _end_change(connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE schema_change")


def _read_revision(connection: Connection) -> str:
    """Empty where there is none."""
    if connection.exec_driver_sql("SHOW TABLES LIKE 'alembic\\\\_version'").first() is None:
        return ""
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""


def _find_older(config: Config, revision: str) -> str:
    down = ScriptDirectory.from_config(config).get_revision(revision).down_revision
    return down if isinstance(down, str) else "base"
