"""Mail to runs. Plan: runs by key; inbox by (run_no, dedup); queue by key.

The count `runs.mail` grows with each message in the transaction that stores it, and finish and release test it: no wake-up is lost.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence

from flowforge.engine.sqlite.rows import for_keys, write_rows
from flowforge.engine.sqlite.run_slots import let_cancel, wake_waiting
from flowforge.engine.store import Delivery, Mail, NewMail

_STATES = "SELECT no, finished_at IS NOT NULL FROM runs WHERE no IN"
_IS_KNOWN = "SELECT 1 FROM inbox WHERE run_no=? AND dedup=?"
_STORE = "INSERT INTO inbox(run_no, kind, dedup, body, sender, unread)"
_COUNT = "UPDATE runs SET mail=mail+v.column2 FROM ("
_COUNT_BY_RUN = ") AS v WHERE runs.no=v.column1"
_WAKE = """UPDATE queue SET cause=CASE WHEN due_at>? THEN 'mail' ELSE cause END, due_at=min(due_at, ?)
 WHERE scope IS NULL AND run_no IN"""
_FIND_SCOPE = "SELECT scope FROM queue WHERE run_no=? AND scope IS NOT NULL"


def post_mails(connection: sqlite3.Connection, mails: Sequence[NewMail], now: int) -> list[Delivery]:
    """Stores messages and makes their runs due, within the caller's transaction."""
    states = dict[int, int](for_keys(connection, _STATES, {mail.run_no for mail in mails}))
    seen: set[tuple[int, str]] = set()
    answers: list[Delivery] = []
    fresh: list[NewMail] = []
    for mail in mails:
        answer = _judge(connection, mail, states.get(mail.run_no), seen)
        answers.append(answer)
        if answer is Delivery.DELIVERED:
            fresh.append(mail)
    if fresh:
        _store(connection, fresh, now)
    return answers


def _judge(connection: sqlite3.Connection, mail: NewMail, is_finished: int | None, seen: set[tuple[int, str]]) -> Delivery:
    if is_finished is None:
        return Delivery.UNKNOWN
    if is_finished:
        return Delivery.FINISHED
    if mail.dedup is not None:
        name = (mail.run_no, mail.dedup)
        if name in seen or connection.execute(_IS_KNOWN, name).fetchone() is not None:
            return Delivery.DUPLICATE
        seen.add(name)
    return Delivery.DELIVERED


def _store(connection: sqlite3.Connection, mails: Sequence[NewMail], now: int) -> None:
    write_rows(connection, _STORE, [(mail.run_no, mail.kind, mail.dedup, mail.body.decode(), mail.by, 1) for mail in mails])
    counts = Counter(mail.run_no for mail in mails)
    for_keys(connection, _WAKE, counts, given=(now, now))
    write_rows(connection, _COUNT, list(counts.items()), _COUNT_BY_RUN)
    for run_no in {mail.run_no for mail in mails if mail.kind == "cancel"}:
        waiting = connection.execute(_FIND_SCOPE, (run_no,)).fetchone()
        if waiting is not None:
            let_cancel(connection, run_no, now)
            wake_waiting(connection, waiting[0], now)


_UNREAD = """SELECT i.no, i.run_no, i.kind, CAST(i.body AS BLOB), i.sender FROM runs r CROSS JOIN inbox i ON i.run_no=r.no
 WHERE r.owner=? AND r.mail>0 AND i.unread=1 ORDER BY i.no"""
_UNREAD_OF = "SELECT no, run_no, kind, CAST(body AS BLOB), sender FROM inbox WHERE unread=1 AND run_no IN"
_DROP_READ = "DELETE FROM inbox WHERE dedup IS NULL AND no IN"
_MARK_READ = "UPDATE inbox SET unread=0, body='' WHERE no IN"


def find_mail(connection: sqlite3.Connection, worker: int) -> list[Mail]:
    """Unread mail of the worker's runs, oldest first."""
    return [Mail(*row) for row in connection.execute(_UNREAD, (worker,))]


def find_mail_of(connection: sqlite3.Connection, run_nos: Sequence[int]) -> list[Mail]:
    """Unread mail of these runs, oldest first."""
    return sorted((Mail(*row) for row in for_keys(connection, _UNREAD_OF, run_nos)), key=lambda mail: mail.no)


def mark_read(connection: sqlite3.Connection, mail_nos: Sequence[int]) -> None:
    """Takes consumed mail out of the inbox; what has a `dedup` stays as a mark, lest it be delivered again."""
    for_keys(connection, _DROP_READ, mail_nos)
    for_keys(connection, _MARK_READ, mail_nos)
