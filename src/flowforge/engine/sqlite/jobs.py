"""Jobs: attempts that any worker of their queue may make, each a row of its own.

Plan: rows by (run_no, key, attempt); those that wait by (queue, status, workspace_id, priority, at), one range a group and
no sort; a worker's by the index on `owner`.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from flowforge.engine.candidates import WorkspaceTurns
from flowforge.engine.job_turns import JobGroup, JobRow, choose_jobs
from flowforge.engine.queueing import JOBS_LOST_AT_ONCE, Lost, report_lost
from flowforge.engine.sqlite.deliver import post_mails
from flowforge.engine.sqlite.rows import Row, for_keys, transaction, write_rows
from flowforge.engine.store import NewMail, TakenJob, Turn

_ADD = "INSERT INTO jobs(run_no, key, attempt, workspace_id, queue, status, priority, at, epoch, params)"
_FORGET = "DELETE FROM jobs WHERE run_no=? AND key=? AND attempt=? AND status='queued'"
_MARK = "UPDATE jobs SET status='dropped' WHERE run_no=? AND key=? AND attempt=?"
_FORGET_OF_RUNS = "DELETE FROM jobs WHERE status='queued' AND run_no IN"
_MARK_OF_RUNS = "UPDATE jobs SET status='dropped' WHERE run_no IN"
_IS_ALIVE = "SELECT 1 FROM workers WHERE no=? AND dead=0"
_IS_ANY_WAITING = "SELECT 1 FROM jobs WHERE queue=? AND status='queued' LIMIT 1"
_GROUP = "SELECT workspace_id, priority FROM jobs WHERE queue=? AND status='queued' AND workspace_id"
_NEXT_PRIORITY = f"{_GROUP}=? AND priority>? ORDER BY priority LIMIT 1"
_NEXT_WORKSPACE = f"{_GROUP}>? ORDER BY workspace_id, priority LIMIT 1"
_WAITING = """SELECT j.priority, j.at, j.run_no, r.id, j.key, j.attempt, j.workspace_id, j.queue, j.epoch+1, CAST(j.params AS BLOB)
 FROM jobs j CROSS JOIN runs r ON r.no=j.run_no
 WHERE j.workspace_id=? AND j.priority=? AND j.queue=? AND j.status='queued' ORDER BY j.at LIMIT ?"""
_TAKE = "UPDATE jobs SET status='running', owner=?, epoch=epoch+1 WHERE run_no=? AND key=? AND attempt=?"
_END = "DELETE FROM jobs WHERE run_no=? AND key=? AND attempt=? AND owner=? AND epoch=?"
_NAME_BLOB = "INSERT OR IGNORE INTO run_blobs(run_no, blob) VALUES (?, ?)"
_DROPPED = "SELECT run_no, key, attempt FROM jobs WHERE owner=? AND status='dropped'"
_OWNED = "SELECT run_no, key, attempt FROM jobs WHERE owner=? LIMIT ?"
_LOSE = "DELETE FROM jobs WHERE run_no=? AND key=? AND attempt=?"


def change_jobs(connection: sqlite3.Connection, turns: Sequence[Turn]) -> list[NewMail]:
    """What turns do to the jobs of their runs, within the caller's transaction. Gives the messages about those that are gone."""
    fresh: list[Row] = [
        (job.run_no, job.key, job.attempt, job.workspace_id, job.queue, "queued", job.priority, job.at, 0, job.params.decode())
        for turn in turns
        for job in turn.jobs
    ]
    write_rows(connection, _ADD, fresh)
    told: list[NewMail] = []
    for run_no, key, attempt in [(turn.run_no, *job) for turn in turns for job in turn.jobs_dropped]:
        if connection.execute(_FORGET, (run_no, key, attempt)).rowcount:
            told.append(report_lost(run_no, key, attempt, Lost.ABORTED))
        else:
            connection.execute(_MARK, (run_no, key, attempt))
    return told


def drop_jobs_of(connection: sqlite3.Connection, run_nos: Sequence[int]) -> None:
    """Jobs of runs that end: those that nobody has taken go, the others are marked."""
    for_keys(connection, _FORGET_OF_RUNS, run_nos)
    for_keys(connection, _MARK_OF_RUNS, run_nos)


@dataclass(frozen=True, slots=True)
class _Finder:
    """See `JobFinder`."""

    connection: sqlite3.Connection

    def list_groups(self, queues: Collection[str]) -> Iterator[JobGroup]:
        for queue in set(queues):
            workspace, priority = "", -1
            while (found := self._find_next(queue, workspace, priority)) is not None:
                workspace, priority = found
                yield workspace, priority, queue

    def _find_next(self, queue: str, workspace: str, priority: int) -> tuple[str, int] | None:
        found = self.connection.execute(_NEXT_PRIORITY, (queue, workspace, priority)).fetchone()
        return found or self.connection.execute(_NEXT_WORKSPACE, (queue, workspace)).fetchone()

    def list_oldest(self, groups: Sequence[JobGroup], limit: int) -> Iterator[JobRow]:
        for group in groups:
            yield from self.connection.execute(_WAITING, (*group, limit))


def take_jobs(
    connection: sqlite3.Connection, turns: WorkspaceTurns[JobGroup], worker: int, queues: Collection[str], limit: int, now: int
) -> list[TakenJob]:
    """See `Store.take_jobs`."""
    if limit <= 0 or not any(connection.execute(_IS_ANY_WAITING, (queue,)).fetchone() for queue in queues):
        # The common case of a worker that looks again: no lock for that.
        return []
    with transaction(connection):
        if connection.execute(_IS_ALIVE, (worker,)).fetchone() is None:
            return []
        taken = [TakenJob(*row[2:]) for row in choose_jobs(turns, _Finder(connection), queues, limit, now)]
        connection.executemany(_TAKE, [(worker, job.run_no, job.key, job.attempt) for job in taken])
    if taken:
        turns.served = taken[-1].workspace_id
    return taken


def end_job(connection: sqlite3.Connection, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str], now: int) -> bool:
    """See `Store.end_job`."""
    with transaction(connection):
        if not connection.execute(_END, (job.run_no, job.key, job.attempt, worker, job.epoch)).rowcount:
            return False
        connection.executemany(_NAME_BLOB, [(job.run_no, blob) for blob in blobs])
        post_mails(connection, [mail], now)
    return True


def list_dropped_jobs(connection: sqlite3.Connection, worker: int) -> list[tuple[int, str, int]]:
    """See `Store.dropped_jobs`."""
    return connection.execute(_DROPPED, (worker,)).fetchall()


def lose_jobs(connection: sqlite3.Connection, worker: int, how: Lost, now: int) -> int:
    """Reports what the worker has to the runs, so many in a transaction. Returns how many."""
    lost = 0
    while True:
        with transaction(connection):
            owned = connection.execute(_OWNED, (worker, JOBS_LOST_AT_ONCE)).fetchall()
            connection.executemany(_LOSE, owned)
            post_mails(connection, [report_lost(run_no, key, attempt, how) for run_no, key, attempt in owned], now)
        lost += len(owned)
        if len(owned) < JOBS_LOST_AT_ONCE:
            return lost
