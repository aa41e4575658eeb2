"""Plain statements on a database of any kind, as an administrator makes them."""

from typing import Any

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.mysql import connect_mysql
from flowforge.kit.database.postgres import connect_postgres
from flowforge.kit.database.reading import reading
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl


def connect(url: DatabaseUrl) -> Any:
    match url.kind:
        case DatabaseKind.SQLITE:
            return connect_sqlite(url.file)
        case DatabaseKind.POSTGRES:
            return connect_postgres(url)
        case DatabaseKind.MYSQL:
            return connect_mysql(url)


def execute(url: DatabaseUrl, *statements: str) -> None:
    connection = connect(url)
    try:
        for statement in statements:
            connection.cursor().execute(statement)
    finally:
        connection.close()


def fetch(url: DatabaseUrl, statement: str) -> list[tuple[Any, ...]]:
    with reading(url) as reader:
        return reader.fetch(statement)
