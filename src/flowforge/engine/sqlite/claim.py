"""Claiming: due rows leave the queue, their runs get owner and epoch, and `run.claimed` occupies a seq.

Plan: runs, queue, snapshots by key; the last seq and the journal behind the snapshot by (run_no, seq).
"""

import sqlite3
from collections.abc import Sequence

from flowforge.engine.candidates import Candidate, Group, WorkspaceTurns, choose_runs
from flowforge.engine.queueing import encode_claimed
from flowforge.engine.sqlite.candidates import Finder
from flowforge.engine.sqlite.deliver import find_mail_of
from flowforge.engine.sqlite.rows import for_keys, transaction, write_rows
from flowforge.engine.sqlite.run_slots import take_slot
from flowforge.engine.store import FAR_FUTURE_MS, Claimed, ClaimRequest, JournalRow, Mail
from flowforge.kit.crashpoint import crashpoint

_IS_ALIVE = "SELECT 1 FROM workers WHERE no=? AND dead=0"
_IS_ANY_DUE = "SELECT EXISTS (SELECT 1 FROM queue WHERE due_at<=?)"
_PUT_BACK = "UPDATE queue SET due_at=?, cause='concurrency' WHERE run_no=?"
_TAKE = "DELETE FROM queue WHERE run_no IN"
_OWN = """UPDATE runs SET owner=?, epoch=epoch+1, status=CASE WHEN status IN ('queued', 'waiting') THEN 'running' ELSE status END
 WHERE no IN"""
_OWNED = """SELECT no, id, workspace_id, epoch, crashes, mail, (SELECT max(seq) FROM journal WHERE run_no=runs.no), priority
 FROM runs WHERE no IN"""
_JOURNAL = "INSERT INTO journal(run_no, seq, epoch, at, events, body)"
_SNAPSHOTS = "SELECT run_no, seq, format, body FROM snapshots WHERE run_no IN"
_ROWS = """SELECT j.run_no, j.seq, j.epoch, j.at, CAST(j.body AS BLOB) FROM runs r LEFT JOIN snapshots s ON s.run_no=r.no
 CROSS JOIN journal j ON j.run_no=r.no AND j.seq>coalesce(s.seq, 0) WHERE r.no IN"""


def claim_runs(connection: sqlite3.Connection, turns: WorkspaceTurns[Group], request: ClaimRequest, now: int) -> list[Claimed]:
    """See `Store.claim`."""
    crashpoint("CP05")
    if not connection.execute(_IS_ANY_DUE, (now,)).fetchone()[0]:
        # The common case of a worker that looks again: no lock for that.
        return []
    with transaction(connection):
        if connection.execute(_IS_ALIVE, (request.worker,)).fetchone() is None:
            return []
        chosen = choose_runs(turns, Finder(connection), request, now)
        crashpoint("CP13")
        taken = {one.run_no: one for one in chosen if _has_slot(connection, one)}
        claimed = _take(connection, taken, request, now) if taken else []
    if claimed:
        crashpoint("CP06")
        turns.served = claimed[-1].workspace_id
    return claimed


def _has_slot(connection: sqlite3.Connection, one: Candidate) -> bool:
    if one.scope is None or one.slot_limit is None:
        return True
    if take_slot(connection, one.scope, one.slot_limit, one.run_no, "", one.since):
        return True
    connection.execute(_PUT_BACK, (FAR_FUTURE_MS, one.run_no))
    return False


def _take(connection: sqlite3.Connection, taken: dict[int, Candidate], request: ClaimRequest, now: int) -> list[Claimed]:
    for_keys(connection, _TAKE, taken)
    for_keys(connection, _OWN, taken, given=(request.worker,))
    owned = {row[0]: row for row in for_keys(connection, _OWNED, taken)}
    events = [
        (no, last_seq + 1, epoch, now, 1, _claimed_event(epoch, crashes, taken[no].cause, request))
        for no, _, _, epoch, crashes, _, last_seq, _ in owned.values()
    ]
    write_rows(connection, _JOURNAL, events)
    # Before COMMIT: what is claimed and not handed over would belong to nobody until this worker dies.
    return _load(connection, [owned[no] for no in taken])


def _claimed_event(epoch: int, crashes: int, cause: str, request: ClaimRequest) -> str:
    return encode_claimed(epoch, request.worker, cause, is_poison=crashes >= request.poison_limit).decode()


def _load(connection: sqlite3.Connection, owned: Sequence[tuple[int, str, str, int, int, int, int, int]]) -> list[Claimed]:
    run_nos = [row[0] for row in owned]
    snapshots = {row[0]: row for row in for_keys(connection, _SNAPSHOTS, run_nos)}
    rows: dict[int, list[JournalRow]] = {no: [] for no in run_nos}
    for no, *row in for_keys(connection, _ROWS, run_nos, "ORDER BY r.no, j.seq"):
        rows[no].append(JournalRow(*row))
    mails: dict[int, list[Mail]] = {no: [] for no in run_nos}
    for mail in find_mail_of(connection, [row[0] for row in owned if row[5]]):
        mails[mail.run_no].append(mail)
    claimed: list[Claimed] = []
    for no, run_id, workspace_id, epoch, crashes, mail, _, priority in owned:
        _, seq, form, body = snapshots.get(no, (no, 0, 0, None))
        claimed.append(Claimed(no, run_id, workspace_id, epoch, crashes, mail, rows[no], mails[no], body, seq, form, priority))
    return claimed
