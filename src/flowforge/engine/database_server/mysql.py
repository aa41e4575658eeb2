"""A connection to MySQL or MariaDB by PyMySQL: one round trip a statement, so many rows go into one.

SKIP LOCKED needs MariaDB 10.6 or MySQL 8. Measured (MariaDB 10.11, loopback, a busy machine of 2 cores): 12,000 middle turns a second at
64 a commit, 28,000 at 1,000.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pymysql

from flowforge.engine.database_server.dialect import Row, Session, Statement, Texts
from flowforge.kit.database.mysql import connect_mysql, read_mysql_time_ms, verify_mysql_setup
from flowforge.kit.database.url import DatabaseUrl

_ROWS_MOST: Final = 512
_BYTES_OF_A_CHARACTER: Final = 8
"""Four in UTF-8, and each of them may have to be escaped."""
_QUOTES: Final = "SET SESSION sql_mode=CONCAT(@@sql_mode, ',ANSI_QUOTES')"
_PACKET: Final = "SELECT @@max_allowed_packet"
_TOO_LARGE: Final = 1153
# One look at the index a group: the first row of each.
_DUE_GROUPS: Final = """SELECT workspace_id, suspect, priority FROM (SELECT workspace_id, suspect, priority, min(due_at) AS first
 FROM queue GROUP BY workspace_id, suspect, priority) AS hop WHERE first<=%s ORDER BY workspace_id, suspect, priority"""

# As above, but only if the columns that are given are named as well.
_JOB_GROUPS: Final = """SELECT workspace_id, priority FROM jobs WHERE queue=%s AND status='queued'
 GROUP BY queue, status, workspace_id, priority"""


class MysqlSession(Session):
    """See `Session`."""

    texts = Texts(
        share="LOCK IN SHARE MODE",
        due_groups=_DUE_GROUPS,
        job_groups=_JOB_GROUPS,
        lock_rate="ON DUPLICATE KEY UPDATE tat=tat",
        order_of_due="due_at, run_no",
    )
    error = pymysql.Error

    def __init__(self, url: DatabaseUrl) -> None:
        self.connection: Any = connect_mysql(url)
        try:
            verify_mysql_setup(self.connection, url)
            self._run(_QUOTES)
            self._packet_bytes: int = self.fetch(_PACKET)[0][0]
        except BaseException:
            self.connection.close()
            raise

    def fetch(self, text: str, values: Row = ()) -> list[Any]:
        return list(self._run(text, values).fetchall())

    def fetch_each(self, statements: Sequence[Statement]) -> list[list[Any]]:
        return [self.fetch(text, values) for text, values in statements]

    def send(self, text: str, values: Row = ()) -> None:
        self._run(text, values)

    def change(self, text: str, values: Row = ()) -> int:
        return self._run(text, values).rowcount

    def insert(self, text: str, values: Row) -> int:
        return self._run(text, values).lastrowid

    @contextmanager
    def transaction(self, *, is_piped: bool = True) -> Generator[None]:  # noqa: ARG002 -- there is no pipeline
        self.is_in_doubt = False
        try:
            self.connection.begin()
            yield
            self.is_in_doubt = True
            self.connection.commit()
        except BaseException:
            self._roll_back()
            raise
        self.is_in_doubt = False

    def _roll_back(self) -> None:
        if not self.is_usable:
            return
        try:
            self.connection.rollback()
        except pymysql.Error:
            self.close()

    def upsert(self, table: str, keys: Sequence[str], columns: Sequence[str] = (), *, keeps: bool = False) -> tuple[str, str]:
        changed = () if keeps else columns
        changes = ", ".join(f"{name}=VALUES({name})" for name in changed) or f"{keys[0]}={keys[0]}"
        return f"INSERT INTO {table}({', '.join((*keys, *columns))})", f"ON DUPLICATE KEY UPDATE {changes}"

    def split(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        room = self._packet_bytes // _BYTES_OF_A_CHARACTER
        parts: list[Sequence[Row]] = []
        start, size = 0, 0
        for place, row in enumerate(rows):
            length = sum(len(value) for value in row if isinstance(value, str | bytes)) + 24 * len(row)
            if place > start and (size + length > room or place - start == _ROWS_MOST):
                parts.append(rows[start:place])
                start, size = place, 0
            size += length
        return [*parts, rows[start:]] if rows else parts

    def read_time_ms(self) -> int:
        return read_mysql_time_ms(self.connection)

    @property
    def is_usable(self) -> bool:
        return self.connection.open

    def find_socket(self) -> int:
        line = self.connection._sock  # noqa: SLF001 -- PyMySQL gives no other way to it
        if line is None:
            raise OSError("The connection is closed.")
        return line.fileno()

    def close(self) -> None:
        if self.is_usable:
            self.connection.close()

    def _run(self, text: str, values: Row = ()) -> Any:
        cursor = self.connection.cursor()
        if values:
            text = cursor.mogrify(text, values)
            # The server would end the connection.
            if len(text) * 4 > self._packet_bytes and len(text.encode(errors="surrogateescape")) >= self._packet_bytes:
                raise pymysql.DataError(_TOO_LARGE, "It is larger than max_allowed_packet")
        cursor.execute(text)
        return cursor
