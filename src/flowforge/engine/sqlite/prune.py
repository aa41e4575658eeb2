"""Retention. Plan: finished runs by `finished_at`; their rows by run; objects by name; old events by (matched, at); old logs by key."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from flowforge.engine.queueing import EVENT_KEPT_MS, LOGS_BATCH, LOGS_PRUNED_MAX
from flowforge.engine.sqlite.rows import for_keys, transaction
from flowforge.engine.store import Pruned
from flowforge.kit.crashpoint import crashpoint

_BATCH_RUNS: Final = 100
_BATCH_EVENTS: Final = 20_000
_FINISHED = "SELECT no, id, events FROM runs WHERE finished_at<? ORDER BY finished_at LIMIT ?"
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
        ("runs", "no"),
    )
)
_DROP_BLOBS = "DELETE FROM run_blobs WHERE run_no IN"
_IS_NAMED = "SELECT 1 FROM run_blobs WHERE blob=? LIMIT 1"
_OLD_LOGS = "SELECT no FROM (SELECT no, at FROM step_logs ORDER BY no LIMIT ?) WHERE at<?"
_DROP_LOGS = "DELETE FROM step_logs WHERE no IN"
_DROP_EVENTS = "DELETE FROM events WHERE matched=1 AND at<?"


def prune_runs(connection: sqlite3.Connection, before_ms: int, limit: int, logs_before_ms: int, now: int) -> Pruned:
    """See `Store.prune`."""
    runs: list[str] = []
    blobs: list[str] = []
    while len(runs) < limit:
        crashpoint("CP24")
        batch = _prune_batch(connection, before_ms, min(limit - len(runs), _BATCH_RUNS))
        runs.extend(batch.runs)
        blobs.extend(batch.blobs)
        if not batch.runs:
            break
    connection.execute(_DROP_EVENTS, (now - EVENT_KEPT_MS,))
    return Pruned(runs, blobs, _prune_logs(connection, logs_before_ms) if logs_before_ms else 0)


def find_unnamed(connection: sqlite3.Connection, blobs: Iterable[str]) -> list[str]:
    """See `Store.find_unnamed`."""
    return [blob for blob in blobs if connection.execute(_IS_NAMED, (blob,)).fetchone() is None]


def _prune_batch(connection: sqlite3.Connection, before_ms: int, limit: int) -> Pruned:
    with transaction(connection):
        batch: dict[int, str] = {}
        room = _BATCH_EVENTS
        for no, run_id, events in connection.execute(_FINISHED, (before_ms, limit)):
            # Whole runs only, and not so many that the write lock is held for long; at least one.
            if batch and events > room:
                break
            batch[no] = run_id
            room -= events
        for statement in _DROP if batch else ():
            for_keys(connection, statement, batch)
        dropped = for_keys(connection, _DROP_BLOBS, batch, "RETURNING blob")
        blobs = find_unnamed(connection, dict.fromkeys(blob for (blob,) in dropped))
    return Pruned(list(batch.values()), blobs)


def _prune_logs(connection: sqlite3.Connection, before_ms: int) -> int:
    """Lines lie in the order in which they came: the first ones are looked at, until a batch holds none that is old."""
    dropped = 0
    while dropped < LOGS_PRUNED_MAX:
        with transaction(connection):
            old = [no for (no,) in connection.execute(_OLD_LOGS, (LOGS_BATCH, before_ms))]
            for_keys(connection, _DROP_LOGS, old)
        dropped += len(old)
        if not old:
            break
    return dropped
