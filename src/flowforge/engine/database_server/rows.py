"""Many rows, few statements: each one is a round trip, or a part of one."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from flowforge.engine.database_server.dialect import Row, Session, Statement

_KEYS_MOST: Final = 512
_PAIRS_MOST: Final = 64


def write_rows(session: Session, before: str, rows: Sequence[Row], after: str = "") -> None:
    """Runs `before` VALUES (…), … `after` over all rows."""
    for part in session.split(rows):
        session.send(_values_statement(before, after, len(part[0]), len(part)), tuple(chain.from_iterable(part)))


def upsert_rows(session: Session, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Writes rows of `keys` and `columns` over those that are there; without columns those that are there stay."""
    # PostgreSQL refuses a statement that writes one row twice; in order, lest two such statements wait for each other.
    last = {tuple(row[: len(keys)]): row for row in rows}
    before, after = session.upsert(table, keys, columns)
    write_rows(session, before, [last[key] for key in sorted(last)], after)


def select_keys(before: str, keys: Iterable[int], after: str = "", *, given: Row = (), behind: Row = ()) -> list[Statement]:
    """The statements `before` (%s, …) `after` for the keys, in parts. `given` fills the marks in `before`, `behind` those in `after`."""
    rest = sorted(keys)
    statements: list[Statement] = []
    while rest:
        part, rest = rest[:_KEYS_MOST], rest[_KEYS_MOST:]
        size = 1 << (len(part) - 1).bit_length()
        # The last key again and again: a list means the same, and few texts do for all lengths.
        part.extend([part[-1]] * (size - len(part)))
        statements.append((_in_statement(before, after, size), (*given, *part, *behind)))
    return statements


def for_keys(
    session: Session, before: str, keys: Iterable[int], after: str = "", *, given: Row = (), behind: Row = ()
) -> list[Any]:
    """All rows of a SELECT for the keys."""
    statements = select_keys(before, keys, after, given=given, behind=behind)
    if len(statements) == 1:
        return session.fetch(*statements[0])
    return [row for rows in session.fetch_each(statements) for row in rows]


def change_keys(
    session: Session, before: str, keys: Iterable[int], after: str = "", *, given: Row = (), behind: Row = ()
) -> None:
    """An UPDATE or DELETE for the keys."""
    for statement in select_keys(before, keys, after, given=given, behind=behind):
        session.send(*statement)


def select_pairs(before: str, columns: Sequence[str], pairs: Iterable[Row], after: str = "") -> list[Statement]:
    """The statements `before` (a=%s AND b=%s OR …) `after` for keys of more than one column, in parts."""
    rest = list(dict.fromkeys(tuple(pair) for pair in pairs))
    test = " AND ".join(f"{column}=%s" for column in columns)
    statements: list[Statement] = []
    while rest:
        part, rest = rest[:_PAIRS_MOST], rest[_PAIRS_MOST:]
        statements.append((f"{before} ({' OR '.join([f'({test})'] * len(part))}) {after}", tuple(chain.from_iterable(part))))
    return statements


class Reading:
    """SELECTs that go out together."""

    def __init__(self) -> None:
        self._statements: list[Statement] = []
        self._places: dict[str, list[int]] = {}

    def add(self, name: str, statements: Sequence[Statement]) -> None:
        self._places[name] = list(range(len(self._statements), len(self._statements) + len(statements)))
        self._statements.extend(statements)

    def read(self, session: Session) -> dict[str, list[Any]]:
        """The rows by the names of their statements."""
        answers = session.fetch_each(self._statements) if self._statements else []
        return {name: [row for place in places for row in answers[place]] for name, places in self._places.items()}


@lru_cache(maxsize=512)
def _values_statement(before: str, after: str, width: int, size: int) -> str:
    row = f"({','.join(['%s'] * width)})"
    return f"{before} VALUES {','.join([row] * size)} {after}"


@lru_cache(maxsize=512)
def _in_statement(before: str, after: str, size: int) -> str:
    return f"{before} ({','.join(['%s'] * size)}) {after}"
