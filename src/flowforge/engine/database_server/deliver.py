"""Mail to runs. Plan: runs by key; inbox by (run_no, dedup); queue by key.

In this order: inbox, queue, then the run, as a claim takes the queue before the run. The run's row, locked, tells what it is now: a release
or finish that tests `runs.mail` comes either before, and is seen here, or after, and sees the mail: no wake-up is lost.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import Reading, change_keys, for_keys, select_keys, select_pairs, write_rows
from flowforge.engine.database_server.run_slots import let_cancel, lock_scopes, wake_waiting
from flowforge.engine.store import Delivery, Mail, NewMail

_STATES = "SELECT no, finished_at FROM runs WHERE no IN"
_KNOWN = "SELECT run_no, dedup FROM inbox WHERE"
_STORE = "INSERT INTO inbox(run_no, kind, dedup, body, sender, unread)"
_WAKE = """UPDATE queue SET cause=CASE WHEN due_at>%s THEN 'mail' ELSE cause END, due_at=least(due_at, %s)
 WHERE scope IS NULL AND run_no IN"""
_LOCK = "SELECT no, owner, finished_at FROM runs WHERE no IN"
_IN_ORDER = "ORDER BY no FOR UPDATE"
_COUNT = "UPDATE runs SET mail=mail+%s WHERE no IN"
_TAKE_BACK = "DELETE FROM inbox WHERE run_no IN"
_FIND_SCOPES = "SELECT run_no, scope FROM queue WHERE scope IS NOT NULL AND run_no IN"


def post_mails(session: Session, mails: Sequence[NewMail], now: int) -> list[Delivery]:
    """Stores messages and makes their runs due, within the caller's transaction."""
    if not mails:
        return []
    reading = Reading()
    reading.add("states", select_keys(_STATES, {mail.run_no for mail in mails}))
    named = [(mail.run_no, mail.dedup) for mail in mails if mail.dedup is not None]
    reading.add("known", select_pairs(_KNOWN, ("run_no", "dedup"), named))
    found = reading.read(session)
    states = {no: finished_at is not None for no, finished_at in found["states"]}
    seen = {(run_no, dedup) for run_no, dedup in found["known"]}
    answers = [_judge(mail, states, seen) for mail in mails]
    fresh = [mail for mail, answer in zip(mails, answers, strict=True) if answer is Delivery.DELIVERED]
    if not fresh:
        return answers
    finished = _store(session, fresh, now)
    if finished:
        late = (Delivery.DELIVERED, Delivery.DUPLICATE)
        return [
            Delivery.FINISHED if mail.run_no in finished and answer in late else answer
            for mail, answer in zip(mails, answers, strict=True)
        ]
    return answers


def _judge(mail: NewMail, states: Mapping[int, bool], seen: set[tuple[int, str]]) -> Delivery:
    """`states`: whether the run has ended, of those that there are."""
    if mail.run_no not in states:
        return Delivery.UNKNOWN
    if states[mail.run_no]:
        return Delivery.FINISHED
    if mail.dedup is not None:
        if (mail.run_no, mail.dedup) in seen:
            return Delivery.DUPLICATE
        seen.add((mail.run_no, mail.dedup))
    return Delivery.DELIVERED


def _store(session: Session, mails: Sequence[NewMail], now: int) -> Collection[int]:
    """Returns the runs that ended meanwhile: nothing stays of their mail."""
    write_rows(session, _STORE, [(mail.run_no, mail.kind, mail.dedup, mail.body.decode(), mail.by, 1) for mail in mails])
    counts = Counter(mail.run_no for mail in mails)
    change_keys(session, _WAKE, counts, given=(now, now))
    locked = {no: (owner, finished_at) for no, owner, finished_at in for_keys(session, _LOCK, counts, _IN_ORDER)}
    finished = {no for no, (_, finished_at) in locked.items() if finished_at is not None}
    change_keys(session, _TAKE_BACK, finished)
    # Released since the queue was changed, or not: nobody can take it from us now.
    unowned = [no for no, (owner, finished_at) in locked.items() if owner is None and finished_at is None]
    change_keys(session, _WAKE, unowned, given=(now, now))
    live = {no: count for no, count in counts.items() if no not in finished}
    for count in sorted(set(live.values())):
        change_keys(session, _COUNT, [no for no, its in live.items() if its == count], given=(count,))
    _cancel_waiting(session, {mail.run_no for mail in mails if mail.kind == "cancel"} & set(unowned), now)
    return finished


def _cancel_waiting(session: Session, run_nos: Collection[int], now: int) -> None:
    waiting = for_keys(session, _FIND_SCOPES, run_nos) if run_nos else []
    lock_scopes(session, (scope for _, scope in waiting))
    for run_no, scope in waiting:
        let_cancel(session, run_no, now)
        wake_waiting(session, scope, now)


_UNREAD = """SELECT i.no, i.run_no, i.kind, i.body, i.sender FROM runs r JOIN inbox i ON i.run_no=r.no
 WHERE r.owner=%s AND r.mail>0 AND i.unread=1 ORDER BY i.no"""
_UNREAD_OF = "SELECT no, run_no, kind, body, sender FROM inbox WHERE unread=1 AND run_no IN"
_DROP_READ = "DELETE FROM inbox WHERE dedup IS NULL AND no IN"
_MARK_READ = "UPDATE inbox SET unread=0, body='' WHERE no IN"


def find_mail(session: Session, worker: int) -> list[Mail]:
    """Unread mail of the worker's runs, oldest first."""
    return [_as_mail(*row) for row in session.fetch(_UNREAD, (worker,))]


def find_mail_of(session: Session, run_nos: Sequence[int]) -> list[Mail]:
    """Unread mail of these runs, oldest first."""
    return sorted((_as_mail(*row) for row in for_keys(session, _UNREAD_OF, run_nos)), key=lambda mail: mail.no)


def mark_read(session: Session, mail_nos: Sequence[int]) -> None:
    """Takes consumed mail out of the inbox; what has a `dedup` stays as a mark, lest it be delivered again."""
    change_keys(session, _DROP_READ, mail_nos)
    change_keys(session, _MARK_READ, mail_nos)


def _as_mail(no: int, run_no: int, kind: str, body: str, sender: str) -> Mail:
    return Mail(no, run_no, kind, body.encode(), sender)
