"""Who may be claimed next. Plan: (workspace_id, suspect, priority, due_at), one range a group; no sort, no scan of those asleep."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.engine.candidates import Candidate, Group
from flowforge.engine.sqlite.rows import for_keys

_GROUP = "SELECT workspace_id, suspect, priority, due_at FROM queue"
_NEXT_GROUP: Final = (
    # Three, because SQLite takes only the first column of a row value to its index.
    (f"{_GROUP} WHERE workspace_id=? AND suspect=? AND priority>? ORDER BY priority, due_at LIMIT 1", 3),
    (f"{_GROUP} WHERE workspace_id=? AND suspect>? ORDER BY suspect, priority, due_at LIMIT 1", 2),
    (f"{_GROUP} WHERE workspace_id>? ORDER BY workspace_id, suspect, priority, due_at LIMIT 1", 1),
)
"""The first row behind a group: within its workspace and kind, within its workspace, behind it; each with its count of marks."""
_DUE_OF_GROUP = """SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue
 WHERE workspace_id=? AND suspect=? AND priority=? AND due_at<=? AND needs<=? ORDER BY due_at, run_no LIMIT ?"""
_DUE_OF_RUNS = "SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue WHERE run_no IN"


@dataclass(frozen=True, slots=True)
class Finder:
    """See `RunFinder`. Under the write lock nobody takes what was found."""

    connection: sqlite3.Connection

    def list_groups(self, now: int) -> Iterator[Group]:
        at: Group = ("", -1, -1)
        while (found := self._find_next(at)) is not None:
            at = (found[0], found[1], found[2])
            if found[3] <= now:
                yield at

    def _find_next(self, at: Group) -> tuple[str, int, int, int] | None:
        for statement, marks in _NEXT_GROUP:
            found = self.connection.execute(statement, at[:marks]).fetchone()
            if found is not None:
                return found
        return None

    def list_oldest(self, groups: Sequence[Group], limit: int, form: int, now: int) -> Iterator[Candidate]:
        for group in groups:
            yield from (Candidate(*row) for row in self.connection.execute(_DUE_OF_GROUP, (*group, now, form, limit)))

    def list_among(self, run_nos: Collection[int], form: int, now: int) -> Iterator[Candidate]:
        rows = for_keys(self.connection, _DUE_OF_RUNS, run_nos, "AND due_at<=? AND needs<=?", behind=(now, form))
        return (Candidate(*row) for row in rows)
