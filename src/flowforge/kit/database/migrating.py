"""Running migrations. Imports Alembic: only for `schema`, when there is something to migrate."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explain_sqlite_error

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate_to(path: Path, revision: str) -> None:
    """Upgrades to `revision`, all in one transaction. What another process has done meanwhile is left out."""
    with _migrating(path) as config:
        command.upgrade(config, revision)


def migrate_back(path: Path) -> None:
    """Downgrades by one revision, in one transaction."""
    with _migrating(path) as config:
        command.downgrade(config, "-1")


@contextmanager
def _migrating(path: Path) -> Generator[Config]:
    engine = create_engine("sqlite://", creator=lambda: connect_sqlite(path), poolclass=StaticPool)
    # The driver's own transactions would not hold DDL; the write lock comes before the revision is read.
    event.listen(engine, "begin", _begin)
    event.listen(engine, "after_cursor_execute", _between_statements)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            yield config
    except DBAPIError as fault:
        if isinstance(fault.orig, sqlite3.Error):
            raise explain_sqlite_error(fault.orig, path) from fault
        raise
    finally:
        engine.dispose()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _between_statements(*_: object) -> None:
    crashpoint("CP26")
