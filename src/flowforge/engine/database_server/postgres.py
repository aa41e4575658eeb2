"""A connection to PostgreSQL by psycopg: a transaction is one pipeline, so that it waits only where an answer is needed.

Measured (PostgreSQL 15, loopback): many rows by one INSERT with values, pipelined, 63,000 rows/s at 64 rows a commit and 100,000 at 1,000;
without a pipeline 49,000 and 82,000. Batches of a power of two rows are few texts, which psycopg prepares by itself.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from flowforge.engine.database_server.dialect import Row, Session, Statement, Texts
from flowforge.kit.database.postgres import connect_postgres, read_postgres_time_ms, verify_postgres_setup
from flowforge.kit.database.url import DatabaseUrl

_ROWS_MOST: Final = 256
_DUE_GROUPS: Final = """WITH RECURSIVE hop(workspace_id, suspect, priority, due_at) AS (
 (SELECT workspace_id, suspect, priority, due_at FROM queue ORDER BY workspace_id, suspect, priority, due_at LIMIT 1)
 UNION ALL SELECT behind.* FROM hop CROSS JOIN LATERAL (SELECT q.workspace_id, q.suspect, q.priority, q.due_at FROM queue q
 WHERE (q.workspace_id, q.suspect, q.priority)>(hop.workspace_id, hop.suspect, hop.priority)
 ORDER BY q.workspace_id, q.suspect, q.priority, q.due_at LIMIT 1) AS behind)
 SELECT workspace_id, suspect, priority FROM hop WHERE due_at<=%s"""

_JOB_GROUPS: Final = """WITH RECURSIVE hop(queue, workspace_id, priority) AS (
 (SELECT queue, workspace_id, priority FROM jobs WHERE queue=%s AND status='queued' ORDER BY workspace_id, priority LIMIT 1)
 UNION ALL SELECT behind.* FROM hop CROSS JOIN LATERAL (SELECT j.queue, j.workspace_id, j.priority FROM jobs j
 WHERE j.queue=hop.queue AND j.status='queued' AND (j.workspace_id, j.priority)>(hop.workspace_id, hop.priority)
 ORDER BY j.workspace_id, j.priority LIMIT 1) AS behind)
 SELECT workspace_id, priority FROM hop"""


class PostgresSession(Session):
    """See `Session`."""

    texts = Texts(
        share="FOR SHARE",
        due_groups=_DUE_GROUPS,
        job_groups=_JOB_GROUPS,
        lock_rate="ON CONFLICT (scope) DO UPDATE SET tat=rates.tat",
        order_of_due="due_at",
    )
    error = psycopg.Error

    def __init__(self, url: DatabaseUrl) -> None:
        self.connection = connect_postgres(url)
        self._pipeline: psycopg.Pipeline | None = None
        try:
            verify_postgres_setup(self.connection, url)
        except BaseException:
            self.connection.close()
            raise
        # One type for all numbers, or each size of number would make a statement of its own.
        self.connection.adapters.register_dumper(int, Int8BinaryDumper)

    def fetch(self, text: str, values: Row = ()) -> list[Any]:
        return self._run(text, values).fetchall()

    def fetch_each(self, statements: Sequence[Statement]) -> list[list[Any]]:
        # A pipeline within a pipeline would wait once more.
        with nullcontext() if self._pipeline else self.connection.pipeline():
            cursors = [self._run(text, values) for text, values in statements]
            return [cursor.fetchall() for cursor in cursors]

    def send(self, text: str, values: Row = ()) -> None:
        self._run(text, values)

    def change(self, text: str, values: Row = ()) -> int:
        cursor = self._run(text, values)
        if self._pipeline is not None:
            self._pipeline.sync()
        return cursor.rowcount

    def insert(self, text: str, values: Row) -> int:
        return self.fetch(f"{text} RETURNING no", values)[0][0]

    @contextmanager
    def transaction(self, *, is_piped: bool = True) -> Generator[None]:
        self.is_in_doubt = False
        try:
            with self.connection.pipeline() if is_piped else nullcontext() as self._pipeline:
                self._run("BEGIN")
                yield
                self.is_in_doubt = True
                self._run("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._pipeline = None
        self.is_in_doubt = False

    def _roll_back(self) -> None:
        if self.is_usable and self.connection.info.transaction_status is not TransactionStatus.IDLE:
            try:
                # Not a statement: the driver must forget what it believes to have prepared in a pipeline that broke.
                self.connection.rollback()
            except psycopg.Error:
                self.connection.close()

    def upsert(self, table: str, keys: Sequence[str], columns: Sequence[str] = (), *, keeps: bool = False) -> tuple[str, str]:
        action = f"UPDATE SET {', '.join(f'{name}=excluded.{name}' for name in columns)}" if columns and not keeps else "NOTHING"
        return f"INSERT INTO {table}({', '.join((*keys, *columns))})", f"ON CONFLICT ({', '.join(keys)}) DO {action}"

    def split(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        parts: list[Sequence[Row]] = []
        start = 0
        while start < len(rows):
            size = min(_ROWS_MOST, 1 << ((len(rows) - start).bit_length() - 1))
            parts.append(rows[start : start + size])
            start += size
        return parts

    def read_time_ms(self) -> int:
        return read_postgres_time_ms(self.connection)

    @property
    def is_usable(self) -> bool:
        return not self.connection.closed

    def find_socket(self) -> int:
        return self.connection.fileno()

    def close(self) -> None:
        self.connection.close()

    def _run(self, text: str, values: Row = ()) -> "psycopg.Cursor[tuple[Any, ...]]":
        # A cursor of its own: in a pipeline each keeps its own answer. Raw, with the server's own marks: the driver reads a text with its
        # marks anew each time it is as long as those of many rows, which took half of a commit's processor time.
        return psycopg.RawCursor(self.connection).execute(cast("LiteralString", _number_marks(text)), values or None)


@lru_cache(maxsize=2_048)
def _number_marks(text: str) -> str:
    """The statement with `$1`, `$2` … in place of `%s`."""
    pieces = text.split("%s")
    return "".join(f"{piece}${number}" for number, piece in enumerate(pieces[:-1], 1)) + pieces[-1]
