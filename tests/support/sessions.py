"""Sessions on each of the databases, for tests of what runs on all three. One database for each server and process, emptied after each test."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool
from tests.support.databases import Kind
from tests.support.history import driver_url
from tests.support.templates import ServerKind, open_shared

from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import Database, open_sessions
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID

KINDS: Final = ("sqlite", "postgres", "mysql")
_KEPT: Final = frozenset({"alembic_version", "schema_compatibility"})
_APPEND_ONLY: Final = ("audit_rows", "audit_checkpoints")
"""Their triggers refuse DELETE; TRUNCATE, which fires none, takes time, so only where there are rows."""
_KEPT_ROWS: Final = {"workspaces": f" WHERE id <> '{DEFAULT_WORKSPACE_ID}'"}
"""What a new database has in it."""


@asynccontextmanager
async def open_database_sessions(kind: Kind, folder: Path) -> AsyncGenerator[Database]:
    """Sessions on empty tables."""
    with lend_database(kind, folder) as url:
        database = open_sessions(url)
        try:
            yield database
        finally:
            await database.close()


@contextmanager
def lend_database(kind: Kind, folder: Path) -> Generator[DatabaseUrl]:
    """Empty tables of this version; SQLite's are in a file in the folder."""
    if kind == "sqlite":
        path = folder / "flowforge.db"
        if not path.exists():
            shutil.copyfile(_make_sqlite_template(), path)
        yield name_sqlite(path)
        return
    url, engine = _open_server_database(kind)
    try:
        yield url
    finally:
        _empty(engine)


@cache
def _make_sqlite_template() -> Path:
    """A database of this version, made once: a copy takes a hundredth of the time that the migrations take."""
    folder = Path(tempfile.mkdtemp(prefix="flowforge-template"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    upgrade_database(name_sqlite(folder / "flowforge.db"))
    return folder / "flowforge.db"


@cache
def _open_server_database(kind: ServerKind) -> tuple[DatabaseUrl, Engine]:
    templates = open_shared(kind)
    name = templates.clone()
    atexit.register(templates.close)
    return parse_database_url(templates.url(name)), create_engine(driver_url(templates.url(name)), poolclass=NullPool)


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in _list_tables(engine):
            if table not in _APPEND_ONLY:
                connection.execute(text(f"DELETE FROM {table}{_KEPT_ROWS.get(table, '')}"))
            elif connection.scalar(text(f"SELECT 1 FROM {table} LIMIT 1")):
                connection.execute(text(f"TRUNCATE TABLE {table}"))


@cache
def _list_tables(engine: Engine) -> list[str]:
    """Those with foreign keys before those that they name."""
    order = [name for name, _ in inspect(engine).get_sorted_table_and_fkc_names() if name and name not in _KEPT]
    return [engine.dialect.identifier_preparer.quote(name) for name in reversed(order)]
