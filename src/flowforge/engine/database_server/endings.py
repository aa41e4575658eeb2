"""What finish and release change. Plan: every statement by the run's key; the journal's range of the run behind `counted_seq`.

The caller holds the rows of the runs (`FOR UPDATE`) and of the scopes in which they have slots.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from flowforge.engine.database_server.dialect import Row, Session
from flowforge.engine.database_server.jobs import drop_jobs_of
from flowforge.engine.database_server.rows import change_keys, for_keys, upsert_rows
from flowforge.engine.database_server.run_slots import wake_waiting
from flowforge.engine.queueing import Cause
from flowforge.engine.store import Finish, Release, Turn

# MySQL sets one column after the other, so `counted_seq` is the last.
_COUNTED = """events=events+(SELECT coalesce(sum(j.events), 0) FROM journal j WHERE j.run_no=runs.no AND j.seq>runs.counted_seq),
 bytes=bytes+(SELECT coalesce(sum(octet_length(j.body)), 0) FROM journal j WHERE j.run_no=runs.no AND j.seq>runs.counted_seq),
 counted_seq=greatest(counted_seq, (SELECT coalesce(max(j.seq), 0) FROM journal j WHERE j.run_no=runs.no))"""
_FINISH = f"""UPDATE runs SET owner=NULL, status=%s, finished_at=%s, error_code=%s, error_key=%s,
 {_COUNTED} WHERE no IN"""  # noqa: S608 -- constants
_RELEASE = f"UPDATE runs SET owner=NULL, status=%s, {_COUNTED} WHERE no IN"  # noqa: S608 -- constants
_QUEUE = (
    "workspace_id",
    "suspect",
    "priority",
    "due_at",
    "cause",
    "why",
    "since",
    "scope",
    "slot_limit",
    "needs",
)
_DROP_QUEUE = "DELETE FROM queue WHERE run_no IN"
_DROP_WAITS = "DELETE FROM waits WHERE run_no IN"
_DROP_INBOX = "DELETE FROM inbox WHERE run_no IN"
_DROP_SNAPSHOT = "DELETE FROM snapshots WHERE run_no IN"
_FREE = "DELETE FROM slots WHERE run_no IN"
_SCOPES_OF_RUNS = "SELECT scope FROM slots WHERE run_no IN"
_SCOPES_OF_STEP = 'SELECT scope FROM slots WHERE run_no=%s AND "key"=%s'
_FREE_STEP = 'DELETE FROM slots WHERE run_no=%s AND "key"=%s'


def finish_runs(session: Session, ends: Sequence[tuple[Turn, Finish]]) -> None:
    """Ends the runs of the turns: their last state, and nothing left of them but journal, labels and logs."""
    for values, run_nos in _group([((end.status, turn.at, end.error_code, end.error_key), turn.run_no) for turn, end in ends]):
        change_keys(session, _FINISH, run_nos, given=values)
    run_nos = [turn.run_no for turn, _ in ends]
    change_keys(session, _DROP_WAITS, run_nos)
    change_keys(session, _DROP_QUEUE, run_nos)
    change_keys(session, _DROP_INBOX, run_nos)
    change_keys(session, _DROP_SNAPSHOT, run_nos)
    drop_jobs_of(session, run_nos)


def free_runs(session: Session, run_nos: Sequence[int], now: int) -> None:
    """Takes back all slots of runs that have ended."""
    scopes = sorted({scope for (scope,) in for_keys(session, _SCOPES_OF_RUNS, run_nos)})
    if scopes:
        change_keys(session, _FREE, run_nos)
    for scope in scopes:
        wake_waiting(session, scope, now)


def release_runs(
    session: Session, ends: Sequence[tuple[Turn, Release]], about: Mapping[int, tuple[str, int, int]], now: int
) -> None:
    """Puts the runs of the turns into the queue, with a snapshot where there is one. `about`: workspace, suspect and priority."""
    for values, run_nos in _group([((end.status,), turn.run_no) for turn, end in ends]):
        change_keys(session, _RELEASE, run_nos, given=values)
    queued: list[Row] = [
        (turn.run_no, *about[turn.run_no], end.due_at, Cause.DUE, end.why, now, None, None, end.needs) for turn, end in ends
    ]
    upsert_rows(session, "queue", ("run_no",), _QUEUE, queued)
    snapshots: list[Row] = [
        (turn.run_no, turn.seq if turn.body else turn.seq - 1, end.snapshot_format, end.snapshot)
        for turn, end in ends
        if end.snapshot is not None
    ]
    upsert_rows(session, "snapshots", ("run_no",), ("seq", "format", "body"), snapshots)


def free_steps(session: Session, turns: Sequence[Turn], now: int) -> None:
    """Takes back the slots that steps give up."""
    for turn in turns:
        for key in turn.slots_freed:
            scopes = [scope for (scope,) in session.fetch(_SCOPES_OF_STEP, (turn.run_no, key))]
            if scopes:
                session.send(_FREE_STEP, (turn.run_no, key))
            for scope in scopes:
                wake_waiting(session, scope, now)


def _group(pairs: Sequence[tuple[Row, int]]) -> list[tuple[Row, list[int]]]:
    """Runs that get the same values, together."""
    ordered = sorted(pairs, key=lambda pair: ([str(value) for value in pair[0]], pair[1]))
    return [(values, [no for _, no in members]) for values, members in groupby(ordered, key=lambda pair: pair[0])]
