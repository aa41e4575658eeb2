"""Plain SQLAlchemy connections to any of the databases, with the patience that upkeep needs: no time-out ends a long statement."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from flowforge.kit.clock import Clock
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explain_database_error
from flowforge.kit.database.mysql import PATIENT as PATIENT_MYSQL
from flowforge.kit.database.mysql import connect_mysql, read_mysql_time_ms
from flowforge.kit.database.postgres import PATIENT as PATIENT_POSTGRES
from flowforge.kit.database.postgres import connect_postgres, read_postgres_time_ms
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

if TYPE_CHECKING:
    from psycopg import Connection as PostgresConnection
    from pymysql.connections import Connection as MysqlConnection

_IS_WRITER: Final = "flowforge_writer"


@contextmanager
def open_upkeep(url: DatabaseUrl) -> Generator[Engine]:
    """An engine on one connection, for one thread.

    Raises:
        StorageError: the database cannot be reached or used.
    """
    engine = make_engine(url)
    try:
        with explained_upkeep(url):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """One transaction that may write."""
    with engine.execution_options(**{_IS_WRITER: True}).begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """One transaction that sees the database as it was at its beginning, however long it lasts."""
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.execution_options(**level).connect() as connection, connection.begin():
        if engine.dialect.name != "postgresql":
            # SQLite's and MySQL's snapshots begin with the first read.
            connection.exec_driver_sql("SELECT 1 FROM alembic_version")
        yield connection


@contextmanager
def explained_upkeep(url: DatabaseUrl) -> Generator[None]:
    """Raises whatever the driver raises inside as one of the tree of errors."""
    try:
        yield
    except DBAPIError as fault:
        if fault.orig is None:
            raise
        raise explain_database_error(fault.orig, url) from fault


def make_engine(url: DatabaseUrl) -> Engine:
    """See `open_upkeep`; whoever calls this disposes of it."""
    match url.kind:
        case DatabaseKind.SQLITE:
            engine = create_engine("sqlite://", creator=lambda: connect_sqlite(url.file), poolclass=StaticPool)
            event.listen(engine, "begin", _begin_sqlite)
        case DatabaseKind.POSTGRES:
            engine = create_engine("postgresql+psycopg://", creator=lambda: _connect_postgres(url), poolclass=StaticPool)
        case DatabaseKind.MYSQL:
            engine = create_engine("mysql+pymysql://", creator=lambda: _connect_mysql(url), poolclass=StaticPool)
    return engine


def read_time_ms(connection: Connection, clock: Clock) -> int:
    """The database's time in milliseconds since 1970; SQLite's is the machine's."""
    driver = connection.connection.driver_connection
    match connection.dialect.name:
        case "postgresql":
            return read_postgres_time_ms(cast("PostgresConnection[tuple[Any, ...]]", driver))
        case "mysql" | "mariadb":
            return read_mysql_time_ms(cast("MysqlConnection[Any]", driver))
        case _:
            return clock.now_ms()


def _begin_sqlite(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get(_IS_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _connect_postgres(url: DatabaseUrl) -> Any:
    connection = connect_postgres(url)
    connection.execute(PATIENT_POSTGRES)
    connection.autocommit = False
    return connection


def _connect_mysql(url: DatabaseUrl) -> Any:
    connection: Any = connect_mysql(url, read_timeout_s=None)
    connection.query(PATIENT_MYSQL)
    connection.autocommit(False)
    return connection
