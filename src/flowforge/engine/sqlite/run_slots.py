"""Slots of runs (`concurrency`): taking, waiting for, and handing on.

Plan: `held` reads the primary key's range of the scope; waiting runs are found by (scope, due_at, priority, since).
"""

import sqlite3

from flowforge.engine.queueing import Cause
from flowforge.engine.store import FAR_FUTURE_MS, NewRun, SlotScope

_HELD = "SELECT n FROM slots WHERE scope=? ORDER BY n"
_TAKE = "INSERT INTO slots(scope, n, run_no, key, since, displaced) VALUES (?,?,?,?,?,0)"
_COUNT_WAITING = "SELECT count(*) FROM (SELECT 1 FROM queue WHERE scope=? LIMIT ?)"
_WAITING_LIMIT = "SELECT slot_limit FROM queue WHERE scope=? LIMIT 1"
_SET_LIMIT = "UPDATE queue SET slot_limit=? WHERE scope=? AND slot_limit<>?"
_BEST = "SELECT slot_limit FROM queue WHERE scope=? AND due_at=? ORDER BY priority, since, run_no LIMIT 1"
_COUNT_AWAKE = "SELECT count(*) FROM queue WHERE scope=? AND due_at<?"
_WAKE = """UPDATE queue SET due_at=? WHERE run_no IN
 (SELECT run_no FROM queue WHERE scope=? AND due_at=? ORDER BY priority, since, run_no LIMIT ?)"""
_QUEUED = "INSERT INTO queue(run_no,workspace_id,suspect,priority,due_at,cause,since,scope,slot_limit) VALUES (?,?,0,?,?,?,?,?,?)"


def has_room(connection: sqlite3.Connection, slot: SlotScope) -> bool:
    """Whether one more run may start: a run that waits in the queue has the place before it."""
    open_places = slot.limit - len(find_held(connection, slot.scope))
    if open_places <= 0:
        return False
    return connection.execute(_COUNT_WAITING, (slot.scope, open_places)).fetchone()[0] < open_places


def find_held(connection: sqlite3.Connection, scope: str) -> list[int]:
    """The numbers of the scope's taken slots, in order."""
    return [n for (n,) in connection.execute(_HELD, (scope,))]


def take_slot(connection: sqlite3.Connection, scope: str, limit: int, run_no: int, key: str, since: int) -> bool:
    """Takes the lowest free slot; False if `limit` are taken."""
    held = find_held(connection, scope)
    if len(held) >= limit:
        return False
    taken = set(held)
    n = next(place for place in range(1, limit + 1) if place not in taken)
    connection.execute(_TAKE, (scope, n, run_no, key, since))
    return True


def wait_for_slot(connection: sqlite3.Connection, slot: SlotScope, new: NewRun, due_at: int) -> None:
    """Queues a run that may be owned only with a slot."""
    cause = Cause.CONCURRENCY if due_at == FAR_FUTURE_MS else Cause.DUE
    connection.execute(_QUEUED, (new.no, new.workspace_id, new.priority, due_at, cause, new.at, slot.scope, slot.limit))


def adopt_limit(connection: sqlite3.Connection, slot: SlotScope) -> None:
    """The newest start's limit holds for all that wait; a higher one may let some of them go."""
    waiting = connection.execute(_WAITING_LIMIT, (slot.scope,)).fetchone()
    if waiting is not None and waiting[0] != slot.limit:
        connection.execute(_SET_LIMIT, (slot.limit, slot.scope, slot.limit))


def wake_waiting(connection: sqlite3.Connection, scope: str, now: int) -> None:
    """Makes as many waiting runs due as the scope has free slots, the best first; those already due have theirs."""
    best = connection.execute(_BEST, (scope, FAR_FUTURE_MS)).fetchone()
    if best is None:
        return
    awake = connection.execute(_COUNT_AWAKE, (scope, FAR_FUTURE_MS)).fetchone()[0]
    places = best[0] - len(find_held(connection, scope)) - awake
    if places > 0:
        connection.execute(_WAKE, (now, scope, FAR_FUTURE_MS, places))


_OLDEST_HOLDER = "SELECT since, run_no FROM slots WHERE scope=? AND displaced=0 ORDER BY since, run_no LIMIT 1"
_OLDEST_WAITING = "SELECT since, run_no FROM queue WHERE scope=? ORDER BY since, run_no LIMIT 1"
_COUNT_STAYING = (
    """SELECT (SELECT count(*) FROM slots WHERE scope=?1 AND displaced=0) + (SELECT count(*) FROM queue WHERE scope=?1)"""
)
_DISPLACE_HOLDER = "UPDATE slots SET displaced=1 WHERE scope=? AND run_no=?"
_FREE_WAITING = "UPDATE queue SET scope=NULL, slot_limit=NULL, due_at=?, cause='mail' WHERE run_no=?"


def displace_oldest(connection: sqlite3.Connection, slot: SlotScope, now: int) -> int | None:
    """The run that must be cancelled so that a newer one comes to its place; None where enough are on their way out."""
    if connection.execute(_COUNT_STAYING, (slot.scope,)).fetchone()[0] < slot.limit:
        return None
    holder = connection.execute(_OLDEST_HOLDER, (slot.scope,)).fetchone()
    waiting = connection.execute(_OLDEST_WAITING, (slot.scope,)).fetchone()
    if holder is not None and (waiting is None or holder <= waiting):
        connection.execute(_DISPLACE_HOLDER, (slot.scope, holder[1]))
        return holder[1]
    if waiting is None:
        return None
    let_cancel(connection, waiting[1], now)
    return waiting[1]


def let_cancel(connection: sqlite3.Connection, run_no: int, now: int) -> None:
    """A waiting run that is cancelled needs no slot for that: it is due now."""
    connection.execute(_FREE_WAITING, (now, run_no))
