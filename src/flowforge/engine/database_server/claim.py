"""Claiming: due rows leave the queue, their runs get owner and epoch, and `run.claimed` occupies a seq.

Rows of the queue first, then scopes, then runs. A turn of an older epoch that took the seq meanwhile breaks the claim, which is then made
anew. Plan: runs, queue, snapshots by key; the last seq and the journal behind the snapshot by (run_no, seq).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowforge.engine.candidates import Candidate, Group, WorkspaceTurns, choose_runs
from flowforge.engine.database_server.candidates import Finder
from flowforge.engine.database_server.deliver import find_mail_of
from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import Reading, change_keys, for_keys, select_keys, write_rows
from flowforge.engine.database_server.run_slots import lock_scopes, take_slot
from flowforge.engine.queueing import encode_claimed
from flowforge.engine.store import FAR_FUTURE_MS, Claimed, ClaimRequest, JournalRow, Mail
from flowforge.kit.crashpoint import crashpoint

_IS_ALIVE = "SELECT 1 FROM workers WHERE dead=0 AND no=%s"
_FIRST_DUE = "SELECT 1 FROM queue WHERE due_at<=%s LIMIT 1"
_PUT_BACK = "UPDATE queue SET due_at=%s, cause='concurrency' WHERE run_no=%s"
_TAKE = "DELETE FROM queue WHERE run_no IN"
_OWN = """UPDATE runs SET owner=%s, epoch=epoch+1, status=CASE WHEN status IN ('queued', 'waiting') THEN 'running' ELSE status END
 WHERE no IN"""
_OWNED = """SELECT no, id, workspace_id, epoch, crashes, mail, (SELECT max(seq) FROM journal WHERE run_no=runs.no), priority
 FROM runs WHERE no IN"""
_JOURNAL = "INSERT INTO journal(run_no, seq, epoch, at, events, body)"
_SNAPSHOTS = "SELECT run_no, seq, format, body FROM snapshots WHERE run_no IN"
_ROWS = "SELECT run_no, seq, epoch, at, body FROM journal WHERE"
_IN_ORDER = "ORDER BY run_no, seq"
_STILL_OURS = "SELECT no, epoch FROM runs WHERE finished_at IS NULL AND owner=%s AND no IN"


@dataclass(slots=True)
class Claiming:
    """What a store remembers from claim to claim: whose turn it is, and what it may have claimed without being told."""

    turns: WorkspaceTurns[Group] = field(default_factory=WorkspaceTurns[Group])
    in_doubt: list[Claimed] = field(default_factory=list[Claimed])
    """Claimed by a COMMIT that was not answered."""
    doubting: int = 0
    """The worker that claimed them."""

    def settle(self, session: Session) -> list[Claimed]:
        """Those in doubt that are the worker's indeed. It must have them, or they would belong to nobody until it dies."""
        epochs = dict(for_keys(session, _STILL_OURS, [one.run_no for one in self.in_doubt], given=(self.doubting,)))
        # Not before the answer is here: the connection may break once more.
        doubtful, self.in_doubt = self.in_doubt, []
        return [one for one in doubtful if epochs.get(one.run_no) == one.epoch]


def claim_runs(session: Session, claiming: Claiming, request: ClaimRequest, now: int) -> list[Claimed]:
    """See `Store.claim`."""
    crashpoint("CP05")
    if claiming.in_doubt and (settled := claiming.settle(session)):
        return settled
    if not session.fetch(_FIRST_DUE, (now,)):
        # The common case of a worker that looks again: no transaction for that.
        return []
    with session.transaction():
        if not session.fetch(f"{_IS_ALIVE} {session.texts.share}", (request.worker,)):
            return []
        chosen = choose_runs(claiming.turns, Finder(session), request, now)
        crashpoint("CP13")
        claimed = _take(session, _with_slots(session, chosen), request, now)
        claiming.in_doubt, claiming.doubting = claimed, request.worker
    claiming.in_doubt = []
    if claimed:
        crashpoint("CP06")
        claiming.turns.served = claimed[-1].workspace_id
    return claimed


def _with_slots(session: Session, chosen: Sequence[Candidate]) -> dict[int, Candidate]:
    lock_scopes(session, (one.scope for one in chosen if one.scope is not None))
    return {one.run_no: one for one in chosen if _has_slot(session, one)}


def _has_slot(session: Session, one: Candidate) -> bool:
    if one.scope is None or one.slot_limit is None:
        return True
    if take_slot(session, one.scope, one.slot_limit, one.run_no, "", one.since):
        return True
    session.send(_PUT_BACK, (FAR_FUTURE_MS, one.run_no))
    return False


def _take(session: Session, taken: dict[int, Candidate], request: ClaimRequest, now: int) -> list[Claimed]:
    if not taken:
        return []
    change_keys(session, _TAKE, taken)
    change_keys(session, _OWN, taken, given=(request.worker,))
    reading = Reading()
    reading.add("runs", select_keys(_OWNED, taken))
    reading.add("snapshots", select_keys(_SNAPSHOTS, taken))
    found = reading.read(session)
    owned = {row[0]: row for row in found["runs"]}
    events = [
        (no, last_seq + 1, epoch, now, 1, _claimed_event(epoch, crashes, taken[no].cause, request))
        for no, _, _, epoch, crashes, _, last_seq, _ in owned.values()
    ]
    write_rows(session, _JOURNAL, sorted(events))
    # Before COMMIT: what is claimed and not handed over would belong to nobody until this worker dies.
    return _load(session, [owned[no] for no in taken], {row[0]: row for row in found["snapshots"]})


def _claimed_event(epoch: int, crashes: int, cause: str, request: ClaimRequest) -> str:
    return encode_claimed(epoch, request.worker, cause, is_poison=crashes >= request.poison_limit).decode()


def _load(
    session: Session,
    owned: Sequence[tuple[int, str, str, int, int, int, int, int]],
    snapshots: Mapping[int, tuple[int, int, int, bytes]],
) -> list[Claimed]:
    run_nos = [row[0] for row in owned]
    # No join: while PostgreSQL has no statistics of a table that has grown, it would read all of the journal for one.
    parts = select_keys(f"{_ROWS} run_no IN", [no for no in run_nos if no not in snapshots], _IN_ORDER)
    parts += [(f"{_ROWS} run_no=%s AND seq>%s {_IN_ORDER}", (no, row[1])) for no, row in snapshots.items()]
    rows: dict[int, list[JournalRow]] = {no: [] for no in run_nos}
    for found in session.fetch_each(parts):
        for no, seq, epoch, at, body in found:
            rows[no].append(JournalRow(seq, epoch, at, body.encode()))
    mails: dict[int, list[Mail]] = {no: [] for no in run_nos}
    with_mail = [row[0] for row in owned if row[5]]
    for mail in find_mail_of(session, with_mail) if with_mail else ():
        mails[mail.run_no].append(mail)
    claimed: list[Claimed] = []
    for no, run_id, workspace_id, epoch, crashes, mail, _, priority in owned:
        _, seq, form, body = snapshots.get(no, (no, 0, 0, None))
        claimed.append(Claimed(no, run_id, workspace_id, epoch, crashes, mail, rows[no], mails[no], body, seq, form, priority))
    return claimed
