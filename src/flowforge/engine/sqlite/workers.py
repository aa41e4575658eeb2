"""Workers: birth, beats, death. Plan: workers by key; what a worker owns by the index on `runs.owner`."""

import sqlite3
from collections.abc import Collection
from typing import Final

from flowforge.engine.queueing import Cause, Lost
from flowforge.engine.sqlite.jobs import lose_jobs
from flowforge.engine.sqlite.rows import for_keys, transaction
from flowforge.engine.store import Expired, WorkerFacts
from flowforge.kit.crashpoint import crashpoint

BATCH: Final = 500
_REGISTER = """INSERT INTO workers(name, expires_at, dead, role, version, host, pid, queues, address, started_at)
 VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"""
_BEAT = "UPDATE workers SET expires_at=? WHERE no=? AND dead=0"
_BURY = "UPDATE workers SET dead=1 WHERE dead=0 AND no=?"
_LATE = "SELECT no FROM workers WHERE dead=0 AND expires_at<=?"
_LEFT = """SELECT no FROM workers w WHERE dead=1
 AND (EXISTS (SELECT 1 FROM runs WHERE owner=w.no) OR EXISTS (SELECT 1 FROM jobs WHERE owner=w.no))"""
_OWNED = "SELECT no FROM runs WHERE owner=? LIMIT ?"
_QUEUE = """INSERT OR REPLACE INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, since)
 SELECT no, workspace_id, crashes>0, priority, ?, ?, ? FROM runs WHERE no IN"""
_DISOWN = """UPDATE runs SET owner=NULL, crashes=crashes+?, status=CASE status WHEN 'running' THEN 'queued' ELSE status END
 WHERE no IN"""


def register_worker(connection: sqlite3.Connection, name: str, expiry_ms: int, facts: WorkerFacts, now: int) -> int:
    """See `Store.register`."""
    queues = ",".join(facts.queues)
    values = (name, now + expiry_ms, facts.role, facts.version, facts.host, facts.pid, queues, facts.address, now)
    with transaction(connection):
        number = connection.execute(_REGISTER, values).lastrowid
    assert number is not None
    return number


def beat_worker(connection: sqlite3.Connection, worker: int, expires_at: int) -> bool:
    """See `Store.beat`."""
    with transaction(connection):
        return connection.execute(_BEAT, (expires_at, worker)).rowcount == 1


def retire_worker(connection: sqlite3.Connection, worker: int, now: int) -> int:
    """See `Store.retire`."""
    with transaction(connection):
        connection.execute(_BURY, (worker,))
    lose_jobs(connection, worker, Lost.RELEASED, now)
    return _queue_runs(connection, worker, Cause.RELEASED, now)


def expire_workers(connection: sqlite3.Connection, known_dead: Collection[int], now: int) -> Expired:
    """See `Store.expire`. Also goes on where an earlier sweep was killed."""
    crashpoint("CP21")
    with transaction(connection):
        found = sorted({*known_dead, *(no for (no,) in connection.execute(_LATE, (now,)))})
        dead = [no for no in found if connection.execute(_BURY, (no,)).rowcount]
    left = [no for (no,) in connection.execute(_LEFT).fetchall()]
    jobs = sum(lose_jobs(connection, worker, Lost.EXPIRED, now) for worker in left)
    return Expired(dead, sum(_queue_runs(connection, worker, Cause.EXPIRED, now) for worker in left), jobs)


def list_alive(connection: sqlite3.Connection) -> dict[int, str]:
    """See `Store.alive`."""
    return dict(connection.execute("SELECT no, name FROM workers WHERE dead=0 ORDER BY no").fetchall())


def _queue_runs(connection: sqlite3.Connection, worker: int, cause: Cause, now: int) -> int:
    queued = 0
    while True:
        crashpoint("CP22")
        with transaction(connection):
            owned = [no for (no,) in connection.execute(_OWNED, (worker, BATCH))]
            for_keys(connection, _DISOWN, owned, given=(1 if cause is Cause.EXPIRED else 0,))
            for_keys(connection, _QUEUE, owned, given=(now, cause, now))
        queued += len(owned)
        if len(owned) < BATCH:
            return queued
