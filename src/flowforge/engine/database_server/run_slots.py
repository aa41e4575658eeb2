"""Slots of runs (`concurrency`): taking, waiting for, and handing on, one transaction at a time for each scope.

Whoever counts or changes a scope's places holds its row of `rates` (`lock_scopes`), and takes it before rows of the queue that sleep.
Plan: `held` reads the primary key's range of the scope; waiting runs are found by (scope, due_at, priority, since).
"""

from collections.abc import Iterable

from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import change_keys, write_rows
from flowforge.engine.queueing import Cause
from flowforge.engine.store import FAR_FUTURE_MS, NewRun, SlotScope

_LOCK = "SELECT scope FROM rates WHERE scope IN"
_MAKE = "INSERT INTO rates(scope, tat)"
_HELD = "SELECT n FROM slots WHERE scope=%s ORDER BY n"
_TAKE = 'INSERT INTO slots(scope, n, run_no, "key", since, displaced) VALUES (%s,%s,%s,%s,%s,0)'
_COUNT_WAITING = "SELECT count(*) FROM (SELECT 1 FROM queue WHERE scope=%s LIMIT %s) AS waiting"
_WAITING_LIMIT = "SELECT slot_limit FROM queue WHERE scope=%s LIMIT 1"
_SET_LIMIT = "UPDATE queue SET slot_limit=%s WHERE scope=%s AND slot_limit<>%s"
_BEST = "SELECT slot_limit FROM queue WHERE scope=%s AND due_at=%s ORDER BY priority, since, run_no LIMIT 1"
_COUNT_AWAKE = "SELECT count(*) FROM queue WHERE scope=%s AND due_at<%s"
_ASLEEP = "SELECT run_no FROM queue WHERE scope=%s AND due_at=%s ORDER BY priority, since, run_no LIMIT %s"
_WAKE = "UPDATE queue SET due_at=%s WHERE run_no IN"
_QUEUED = """INSERT INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, since, scope, slot_limit)
 VALUES (%s,%s,0,%s,%s,%s,%s,%s,%s)"""


def lock_scopes(session: Session, scopes: Iterable[str]) -> None:
    """Lets no other transaction touch the places of the scopes until COMMIT, in one order for all."""
    wanted = sorted(set(scopes))
    if not wanted:
        return
    marks = ",".join(["%s"] * len(wanted))
    found = {scope for (scope,) in session.fetch(f"{_LOCK} ({marks}) ORDER BY scope FOR UPDATE", wanted)}
    # A row that another makes meanwhile is locked by this too, at once for writing: two that share it would never go on.
    write_rows(session, _MAKE, [(scope, 0) for scope in wanted if scope not in found], session.texts.lock_rate)


def has_room(session: Session, slot: SlotScope) -> bool:
    """Whether one more run may start: a run that waits in the queue has the place before it."""
    open_places = slot.limit - len(find_held(session, slot.scope))
    if open_places <= 0:
        return False
    return session.fetch(_COUNT_WAITING, (slot.scope, open_places))[0][0] < open_places


def find_held(session: Session, scope: str) -> list[int]:
    """The numbers of the scope's taken slots, in order."""
    return [n for (n,) in session.fetch(_HELD, (scope,))]


def take_slot(session: Session, scope: str, limit: int, run_no: int, key: str, since: int) -> bool:
    """Takes the lowest free slot; False if `limit` are taken."""
    held = find_held(session, scope)
    if len(held) >= limit:
        return False
    taken = set(held)
    n = next(place for place in range(1, limit + 1) if place not in taken)
    session.send(_TAKE, (scope, n, run_no, key, since))
    return True


def wait_for_slot(session: Session, slot: SlotScope, new: NewRun, due_at: int) -> None:
    """Queues a run that may be owned only with a slot."""
    cause = Cause.CONCURRENCY if due_at == FAR_FUTURE_MS else Cause.DUE
    session.send(_QUEUED, (new.no, new.workspace_id, new.priority, due_at, cause, new.at, slot.scope, slot.limit))


def adopt_limit(session: Session, slot: SlotScope) -> None:
    """The newest start's limit holds for all that wait; a higher one may let some of them go."""
    waiting = session.fetch(_WAITING_LIMIT, (slot.scope,))
    if waiting and waiting[0][0] != slot.limit:
        session.send(_SET_LIMIT, (slot.limit, slot.scope, slot.limit))


def wake_waiting(session: Session, scope: str, now: int) -> None:
    """Makes as many waiting runs due as the scope has free slots, the best first; those already due have theirs."""
    best = session.fetch(_BEST, (scope, FAR_FUTURE_MS))
    if not best:
        return
    awake = session.fetch(_COUNT_AWAKE, (scope, FAR_FUTURE_MS))[0][0]
    places = best[0][0] - len(find_held(session, scope)) - awake
    if places > 0:
        asleep = [no for (no,) in session.fetch(_ASLEEP, (scope, FAR_FUTURE_MS, places))]
        change_keys(session, _WAKE, asleep, given=(now,))


_OLDEST_HOLDER = "SELECT since, run_no FROM slots WHERE scope=%s AND displaced=0 ORDER BY since, run_no LIMIT 1"
_OLDEST_WAITING = "SELECT since, run_no FROM queue WHERE scope=%s ORDER BY since, run_no LIMIT 1"
_COUNT_STAYING = """SELECT (SELECT count(*) FROM slots WHERE scope=%s AND displaced=0)
 + (SELECT count(*) FROM queue WHERE scope=%s)"""
_DISPLACE_HOLDER = "UPDATE slots SET displaced=1 WHERE scope=%s AND run_no=%s"
_FREE_WAITING = "UPDATE queue SET scope=NULL, slot_limit=NULL, due_at=%s, cause='mail' WHERE run_no=%s"


def displace_oldest(session: Session, slot: SlotScope, now: int) -> int | None:
    """The run that must be cancelled so that a newer one comes to its place; None where enough are on their way out."""
    if session.fetch(_COUNT_STAYING, (slot.scope, slot.scope))[0][0] < slot.limit:
        return None
    holder = next(iter(session.fetch(_OLDEST_HOLDER, (slot.scope,))), None)
    waiting = next(iter(session.fetch(_OLDEST_WAITING, (slot.scope,))), None)
    if holder is not None and (waiting is None or holder <= waiting):
        session.send(_DISPLACE_HOLDER, (slot.scope, holder[1]))
        return holder[1]
    if waiting is None:
        return None
    let_cancel(session, waiting[1], now)
    return waiting[1]


def let_cancel(session: Session, run_no: int, now: int) -> None:
    """A waiting run that is cancelled needs no slot for that: it is due now."""
    session.send(_FREE_WAITING, (now, run_no))
