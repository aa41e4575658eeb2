"""What finish and release change. Plan: every statement by the run's key; the journal's range of the run behind `counted_seq`."""

import sqlite3
from collections.abc import Sequence

from flowforge.engine.queueing import Cause
from flowforge.engine.sqlite.jobs import drop_jobs_of
from flowforge.engine.sqlite.rows import Row, for_keys, write_rows
from flowforge.engine.sqlite.run_slots import wake_waiting
from flowforge.engine.store import Finish, Release, Turn

_COUNTED = """(events, bytes, counted_seq) = (SELECT runs.events + coalesce(sum(j.events), 0),
 runs.bytes + coalesce(sum(length(CAST(j.body AS BLOB))), 0), coalesce(max(j.seq), runs.counted_seq)
 FROM journal j WHERE j.run_no=runs.no AND j.seq>runs.counted_seq)"""
_BY_RUN = ") AS v WHERE runs.no=v.column1"
_FINISH = f"""UPDATE runs SET owner=NULL, status=v.column2, finished_at=v.column3, error_code=v.column4, error_key=v.column5,
 {_COUNTED} FROM ("""  # noqa: S608 -- constants
_RELEASE = f"UPDATE runs SET owner=NULL, status=v.column2, {_COUNTED} FROM ("  # noqa: S608 -- constants
_QUEUE = """INSERT OR REPLACE INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, why, since, needs)
 SELECT r.no, r.workspace_id, r.crashes>0, r.priority, v.column2, v.column3, v.column4, v.column5, v.column6 FROM ("""
_QUEUE_OF_RUN = ") AS v JOIN runs r ON r.no=v.column1"
_SNAPSHOT = "INSERT OR REPLACE INTO snapshots(run_no, seq, format, body)"
_DROP_QUEUE = "DELETE FROM queue WHERE run_no IN"
_DROP_WAITS = "DELETE FROM waits WHERE run_no IN"
_DROP_INBOX = "DELETE FROM inbox WHERE run_no IN"
_DROP_SNAPSHOT = "DELETE FROM snapshots WHERE run_no IN"
_FREE = "DELETE FROM slots WHERE run_no IN"
_FREE_STEP = "DELETE FROM slots WHERE run_no=? AND key=? RETURNING scope"


def finish_runs(connection: sqlite3.Connection, ends: Sequence[tuple[Turn, Finish]], now: int) -> None:
    """Ends the runs of the turns: their last state, and nothing left of them but journal, labels and logs."""
    rows = [(turn.run_no, end.status, turn.at, end.error_code, end.error_key) for turn, end in ends]
    write_rows(connection, _FINISH, rows, _BY_RUN)
    run_nos = [turn.run_no for turn, _ in ends]
    for_keys(connection, _DROP_WAITS, run_nos)
    for_keys(connection, _DROP_QUEUE, run_nos)
    for_keys(connection, _DROP_INBOX, run_nos)
    for_keys(connection, _DROP_SNAPSHOT, run_nos)
    drop_jobs_of(connection, run_nos)
    for scope in dict.fromkeys(scope for (scope,) in for_keys(connection, _FREE, run_nos, "RETURNING scope")):
        wake_waiting(connection, scope, now)


def release_runs(connection: sqlite3.Connection, ends: Sequence[tuple[Turn, Release]], now: int) -> None:
    """Puts the runs of the turns into the queue, with a snapshot where there is one."""
    write_rows(connection, _RELEASE, [(turn.run_no, end.status) for turn, end in ends], _BY_RUN)
    queued = [(turn.run_no, end.due_at, Cause.DUE, end.why, now, end.needs) for turn, end in ends]
    write_rows(connection, _QUEUE, queued, _QUEUE_OF_RUN)
    snapshots: list[Row] = [
        (turn.run_no, turn.seq if turn.body else turn.seq - 1, end.snapshot_format, end.snapshot)
        for turn, end in ends
        if end.snapshot is not None
    ]
    write_rows(connection, _SNAPSHOT, snapshots)


def free_steps(connection: sqlite3.Connection, turns: Sequence[Turn], now: int) -> None:
    """Takes back the slots that steps give up."""
    for turn in turns:
        for key in turn.slots_freed:
            for (scope,) in connection.execute(_FREE_STEP, (turn.run_no, key)).fetchall():
                wake_waiting(connection, scope, now)
