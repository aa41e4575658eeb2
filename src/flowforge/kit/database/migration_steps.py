"""The steps that migrations are made of, the same on every database: each leaves out what is done already.

Texts compare byte by byte everywhere, case, accents and spaces at the end included, as SQLite compares them. So a name is another name in
each of the databases alike, an order by text is the same, and no update of an operating system's locale can spoil an index.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

_MARIADB_COLLATION: Final = "utf8mb4_nopad_bin"
_MYSQL_COLLATION: Final = "utf8mb4_0900_bin"
_POSTGRES_COLLATION: Final = "C"


def create_table(name: str, *items: sa.Column[Any] | sa.Constraint, is_numbered: bool = False) -> None:
    """`is_numbered`: SQLite never gives a number of the key twice (the servers never do)."""
    if name in _inspect().get_table_names():
        return
    _collate([item for item in items if isinstance(item, sa.Column)])
    options: dict[str, Any] = {"sqlite_autoincrement": is_numbered, **_mysql_options()}
    op.create_table(name, *items, **options)


def drop_table(name: str) -> None:
    if name in _inspect().get_table_names():
        op.drop_table(name)


def create_index(name: str, table: str, columns: list[str]) -> None:
    if name not in {index["name"] for index in _inspect().get_indexes(table)}:
        op.create_index(name, table, columns)


def drop_index(name: str, table: str) -> None:
    if name in {index["name"] for index in _inspect().get_indexes(table)}:
        op.drop_index(name, table)


def add_column(table: str, column: sa.Column[Any]) -> None:
    if column.name not in _list_columns(table):
        _collate([column])
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    if name in _list_columns(table):
        op.drop_column(table, name)


def tell_oldest(revision: str) -> None:
    """Says which is the oldest revision whose code may go on beside the present one (expand and contract)."""
    table = sa.table("schema_compatibility", sa.column("oldest", sa.String()))
    op.execute(sa.delete(table))
    op.execute(sa.insert(table).values(oldest=revision))


def _inspect() -> sa.Inspector:
    # Made anew each time: an inspector remembers what it has seen.
    return sa.inspect(op.get_bind())


def _list_columns(table: str) -> set[str]:
    return {column["name"] for column in _inspect().get_columns(table)}


def _collate(columns: list[sa.Column[Any]]) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for column in columns:
        if isinstance(column.type, sa.Text):
            column.type = sa.Text(collation=_POSTGRES_COLLATION)
        elif isinstance(column.type, sa.String):
            column.type = sa.String(column.type.length, collation=_POSTGRES_COLLATION)


def _mysql_options() -> dict[str, str]:
    dialect = op.get_bind().dialect
    is_mariadb = getattr(dialect, "is_mariadb", False)
    return {
        "mysql_engine": "InnoDB",
        "mysql_row_format": "DYNAMIC",
        "mysql_charset": "utf8mb4",
        "mysql_collate": _MARIADB_COLLATION if is_mariadb else _MYSQL_COLLATION,
    }
