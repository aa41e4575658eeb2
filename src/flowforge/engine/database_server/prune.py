"""Retention. Plan: finished runs by `finished_at`; their rows by run; objects by name; events by (matched, at); rates and logs by key."""

from collections.abc import Iterable
from typing import Final

from flowforge.engine.database_server.dialect import Session, Writing
from flowforge.engine.database_server.rows import change_keys, for_keys
from flowforge.engine.queueing import EVENT_KEPT_MS, LOGS_BATCH, LOGS_PRUNED_MAX
from flowforge.engine.store import Pruned
from flowforge.kit.crashpoint import crashpoint

_BATCH_RUNS: Final = 100
_BATCH_EVENTS: Final = 20_000
_BATCH_RATES: Final = 1_000
_FINISHED = "SELECT no, id, events FROM runs WHERE finished_at<%s ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED"
_DROP: Final = tuple(
    f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608 -- constants
    for table, key in (
        ("journal", "run_no"),
        ("snapshots", "run_no"),
        ("inbox", "run_no"),
        ("waits", "run_no"),
        ("jobs", "run_no"),
        ("step_logs", "run_no"),
        ("run_labels", "run_no"),
        ("run_blobs", "run_no"),
        ("runs", "no"),
    )
)
_BLOBS = 'SELECT "blob" FROM run_blobs WHERE run_no IN'
_NAMED = 'SELECT "blob" FROM run_blobs WHERE "blob"=%s LIMIT 1'
_OLD_LOGS = "SELECT no FROM (SELECT no, at FROM step_logs ORDER BY no LIMIT %s) AS oldest WHERE at<%s"
_DROP_LOGS = "DELETE FROM step_logs WHERE no IN"
_DROP_EVENTS = "DELETE FROM events WHERE matched=1 AND at<%s"
_OLD_RATES = "SELECT scope FROM rates WHERE scope>%s AND tat<%s ORDER BY scope LIMIT %s"
_DROP_RATE = """DELETE FROM rates WHERE scope=%s AND tat<%s AND NOT EXISTS (SELECT 1 FROM slots WHERE slots.scope=rates.scope)
 AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.scope=rates.scope)"""


def prune_runs(write: Writing, before_ms: int, limit: int, logs_before_ms: int) -> Pruned:
    """See `Store.prune`."""
    runs: list[str] = []
    blobs: list[str] = []
    while len(runs) < limit:
        crashpoint("CP24")
        room = min(limit - len(runs), _BATCH_RUNS)
        batch = write(lambda session, _, room=room: _prune_batch(session, before_ms, room))
        runs.extend(batch.runs)
        blobs.extend(batch.blobs)
        if not batch.runs:
            break
    write(lambda session, now: session.send(_DROP_EVENTS, (now - EVENT_KEPT_MS,)))
    write(_prune_rates)
    return Pruned(runs, blobs, _prune_logs(write, logs_before_ms) if logs_before_ms else 0)


def find_unnamed(session: Session, blobs: Iterable[str]) -> list[str]:
    """See `Store.find_unnamed`."""
    wanted = list(blobs)
    answers = session.fetch_each([(_NAMED, (blob,)) for blob in wanted])
    return [blob for blob, found in zip(wanted, answers, strict=True) if not found]


def _prune_batch(session: Session, before_ms: int, limit: int) -> Pruned:
    with session.transaction():
        batch: dict[int, str] = {}
        room = _BATCH_EVENTS
        for no, run_id, events in session.fetch(_FINISHED, (before_ms, limit)):
            # Whole runs only, and not so many that the transaction lasts; at least one.
            if batch and events > room:
                break
            batch[no] = run_id
            room -= events
        dropped = for_keys(session, _BLOBS, batch) if batch else []
        for statement in _DROP if batch else ():
            change_keys(session, statement, batch)
        blobs = find_unnamed(session, dict.fromkeys(blob for (blob,) in dropped))
    return Pruned(list(batch.values()), blobs)


def _prune_rates(session: Session, now: int) -> None:
    """Rows that nobody locks a scope by any more. One that goes too early is made anew."""
    last = ""
    while old := [scope for (scope,) in session.fetch(_OLD_RATES, (last, now * 1000, _BATCH_RATES))]:
        for scope in old:
            session.send(_DROP_RATE, (scope, now * 1000))
        last = old[-1]


def _prune_logs(write: Writing, before_ms: int) -> int:
    """Lines lie in the order in which they came: the first ones are looked at, until a batch holds none that is old."""
    dropped = 0
    while dropped < LOGS_PRUNED_MAX:
        count = write(lambda session, _: _drop_logs(session, before_ms))
        dropped += count
        if not count:
            break
    return dropped


def _drop_logs(session: Session, before_ms: int) -> int:
    with session.transaction():
        old = [no for (no,) in session.fetch(_OLD_LOGS, (LOGS_BATCH, before_ms))]
        if old:
            change_keys(session, _DROP_LOGS, old)
    return len(old)
