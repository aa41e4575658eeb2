"""Who may be claimed next. Plan: (workspace_id, suspect, priority, due_at), one range a group; no sort, no scan of those asleep."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from flowforge.engine.queueing import rank, take_in_turn
from flowforge.engine.sqlite.rows import for_keys

Group: TypeAlias = tuple[str, int, int]
"""Workspace, suspect, priority."""

_GROUP = "SELECT workspace_id, suspect, priority, due_at FROM queue"
_NEXT_GROUP: Final = (
    # Three, because SQLite takes only the first column of a row value to its index.
    (f"{_GROUP} WHERE workspace_id=? AND suspect=? AND priority>? ORDER BY priority, due_at LIMIT 1", 3),
    (f"{_GROUP} WHERE workspace_id=? AND suspect>? ORDER BY suspect, priority, due_at LIMIT 1", 2),
    (f"{_GROUP} WHERE workspace_id>? ORDER BY workspace_id, suspect, priority, due_at LIMIT 1", 1),
)
"""The first row behind a group: within its workspace and kind, within its workspace, behind it; each with its count of marks."""
_DUE_OF_GROUP = """SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue
 WHERE workspace_id=? AND suspect=? AND priority=? AND due_at<=? ORDER BY due_at, run_no LIMIT ?"""
_DUE_OF_RUNS = "SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue WHERE run_no IN"


@dataclass(frozen=True, slots=True)
class Candidate:
    run_no: int
    suspect: int
    priority: int
    due_at: int
    cause: str
    scope: str | None
    slot_limit: int | None
    since: int


def list_due_groups(connection: sqlite3.Connection, now: int) -> list[Group]:
    """The groups with due rows, in order: hops from group to group, however many rows they have."""
    groups: list[Group] = []
    at: Group = ("", -1, -1)
    while (found := _find_next(connection, at)) is not None:
        at = (found[0], found[1], found[2])
        if found[3] <= now:
            groups.append(at)
    return groups


def _find_next(connection: sqlite3.Connection, at: Group) -> tuple[str, int, int, int] | None:
    for statement, marks in _NEXT_GROUP:
        found = connection.execute(statement, at[:marks]).fetchone()
        if found is not None:
            return found
    return None


def find_among(connection: sqlite3.Connection, run_nos: Collection[int], now: int) -> list[Candidate]:
    """The due ones of these runs, the best first."""
    found = (Candidate(*row) for row in for_keys(connection, _DUE_OF_RUNS, run_nos, "AND due_at<=?", behind=(now,)))
    return sorted(found, key=lambda one: (*rank(one.priority, one.due_at, now), one.run_no))


def find_best(connection: sqlite3.Connection, groups: Sequence[Group], limit: int, now: int) -> list[Candidate]:
    """At most `limit` due rows, workspaces in the order of the groups in turn, the best of each first."""
    workspaces = [list(members) for _, members in groupby(groups, key=lambda group: group[0])]
    if not workspaces or limit <= 0:
        return []
    share = -(-limit // len(workspaces))
    found: list[list[Candidate]] = []
    for members in workspaces:
        found.append(_best_of(connection, members, share, now))
        if sum(map(bool, found)) >= limit:
            break
    else:
        # Some workspaces have less than their share: the others may fill it.
        for place, members in enumerate(workspaces):
            if len(found[place]) == share:
                found[place] = _best_of(connection, members, limit, now)
    return take_in_turn(found, limit)


def _best_of(connection: sqlite3.Connection, groups: Sequence[Group], limit: int, now: int) -> list[Candidate]:
    rows = [Candidate(*row) for group in groups for row in connection.execute(_DUE_OF_GROUP, (*group, now, limit))]
    rows.sort(key=lambda one: (*rank(one.priority, one.due_at, now), one.run_no))
    return rows[:limit]
