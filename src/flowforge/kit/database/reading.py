"""A few plain questions to a database of any kind, without SQLAlchemy."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explained
from flowforge.kit.database.mysql import connect_mysql, read_mysql_time_ms, verify_mysql_setup
from flowforge.kit.database.postgres import connect_postgres, read_postgres_time_ms, verify_postgres_setup
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

Row = tuple[Any, ...]


class Reader:
    """One connection. `close` at the end, or use `reading`."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.url = url
        self._connection: Any = _connect(url)

    def fetch(self, statement: str) -> list[Row]:
        """All rows of a statement without parameters."""
        with explained(self.url), closing(self._connection.cursor()) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def read_time_ms(self) -> int:
        """A server's time, in milliseconds since 1970.

        Raises:
            ValueError: SQLite has no clock of its own.
        """
        with explained(self.url):
            match self.url.kind:
                case DatabaseKind.POSTGRES:
                    return read_postgres_time_ms(self._connection)
                case DatabaseKind.MYSQL:
                    return read_mysql_time_ms(self._connection)
                case DatabaseKind.SQLITE:
                    raise ValueError("SQLite has no clock of its own")

    def verify_setup(self) -> None:
        """Raises StorageError where a server is too old, keeps texts wrongly or confirms what a power cut can take away (F31).

        Connections to SQLite are checked where they are made.
        """
        with explained(self.url):
            if self.url.kind is DatabaseKind.POSTGRES:
                verify_postgres_setup(self._connection, self.url)
            if self.url.kind is DatabaseKind.MYSQL:
                verify_mysql_setup(self._connection, self.url)

    def close(self) -> None:
        self._connection.close()


def _connect(url: DatabaseUrl) -> object:
    match url.kind:
        case DatabaseKind.SQLITE:
            return connect_sqlite(url.file)
        case DatabaseKind.POSTGRES:
            return connect_postgres(url)
        case DatabaseKind.MYSQL:
            return connect_mysql(url)


@contextmanager
def reading(url: DatabaseUrl) -> Generator[Reader]:
    """A reader that is closed at the end.

    Raises:
        StorageError: the database cannot be opened or reached.
    """
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.close()
