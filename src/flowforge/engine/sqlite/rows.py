"""Many rows, few statements: sqlite3 takes the interpreter's lock again for each statement, so one for all rows is several times faster."""

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeAlias

Row: TypeAlias = Sequence[object]
LARGEST: Final = 256
"""Rows of one statement. Below it powers of two, so that few texts fill the statement cache."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """BEGIN IMMEDIATE to COMMIT. Whoever reads first and then writes without it is refused where another writer came between."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_rows(connection: sqlite3.Connection, before: str, rows: Sequence[Row], after: str = "") -> None:
    """Runs `before` VALUES (…), … `after` over all rows."""
    start = 0
    while start < len(rows):
        size = min(LARGEST, 1 << ((len(rows) - start).bit_length() - 1))
        text = _values_statement(before, after, len(rows[0]), size)
        connection.execute(text, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def for_keys(
    connection: sqlite3.Connection, before: str, keys: Iterable[int], after: str = "", *, given: Row = (), behind: Row = ()
) -> list[Any]:
    """All rows of `before` (?, …) `after` for the keys, in parts. For SELECT, UPDATE and DELETE.

    `given` fills the marks in `before`, `behind` those in `after`.
    """
    rest = list(keys)
    found: list[Any] = []
    while rest:
        part, rest = rest[:LARGEST], rest[LARGEST:]
        size = 1 << (len(part) - 1).bit_length()
        # The last key again and again: a list means the same, and few texts do for all lengths.
        part.extend([part[-1]] * (size - len(part)))
        found.extend(connection.execute(_in_statement(before, after, size), (*given, *part, *behind)).fetchall())
    return found


@lru_cache(maxsize=512)
def _values_statement(before: str, after: str, width: int, size: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"{before} VALUES {','.join([row] * size)} {after}"


@lru_cache(maxsize=512)
def _in_statement(before: str, after: str, size: int) -> str:
    return f"{before} ({','.join('?' * size)}) {after}"
