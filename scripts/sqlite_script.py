"""The script that makes a new SQLite database: what the migrations give, from the first one to the last."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from flowforge.kit.database.creating import BREAK, SCRIPT
from flowforge.kit.database.migrating import migrate_to
from flowforge.kit.database.schema import HEAD
from flowforge.kit.database.url import name_sqlite

TARGET: Final = SCRIPT.relative_to(Path(__file__).parents[1]).as_posix()
_HEADER: Final = "-- Made by `make generate` from the migrations; do not edit.\n"
_OBJECTS: Final = """
    SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 3 END, name
"""


def render_sqlite_script() -> str:
    """Tables, their rows, then what watches over the rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        migrate_to(name_sqlite(path), HEAD)
        with closing(sqlite3.connect(path)) as connection:
            statements = list(_list_statements(connection))
    for statement in statements:
        assert BREAK not in statement, statement
    return _HEADER + BREAK.join(statements) + "\n"


def _list_statements(connection: sqlite3.Connection) -> Iterator[str]:
    objects = [_trim(sql) for (sql,) in connection.execute(_OBJECTS)]
    triggers = [sql for sql in objects if sql.startswith("CREATE TRIGGER")]
    yield from (sql for sql in objects if sql not in triggers)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        if table != "sqlite_sequence":
            yield from _list_rows(connection, table)
    yield from triggers


def _list_rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{table}")')]
    quoted = " || ', ' || ".join(f'quote("{name}")' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    for (values,) in connection.execute(f'SELECT {quoted} FROM "{table}"'):  # noqa: S608 (our own tables)
        yield f'INSERT INTO "{table}" ({names}) VALUES ({values})'  # noqa: S608 (as above)


def _trim(sql: str) -> str:
    return "\n".join(line.rstrip() for line in sql.strip().splitlines() if line.strip())
