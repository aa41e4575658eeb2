"""Named events. Each side writes, commits, then looks, so that one sees the other; `dedup` makes two sightings one mail.

Plan: waits by (workspace_id, name, correlation); events by (workspace_id, name, correlation, at); those not matched by (matched, at).
"""

import sqlite3

from flowforge.engine.queueing import EVENT_KEPT_MS
from flowforge.engine.sqlite.deliver import post_mails
from flowforge.engine.sqlite.rows import transaction
from flowforge.engine.store import Delivery, NewEvent, NewMail, WaitRow
from flowforge.kit.crashpoint import crashpoint

_PUBLISH = "INSERT INTO events(workspace_id, name, correlation, body, sender, at, matched) VALUES (?, ?, ?, ?, ?, ?, 0)"
_EVENT = "SELECT workspace_id, name, correlation, CAST(body AS BLOB), sender, at FROM events WHERE no=?"
# Two halves, or SQLite would read all that wait for the name.
_WAITING = """SELECT run_no FROM waits WHERE workspace_id=?1 AND name=?2 AND correlation=?3 AND since<=?4
 UNION SELECT run_no FROM waits WHERE workspace_id=?1 AND name=?2 AND correlation IS NULL AND since<=?4"""
_MATCHED = "UPDATE events SET matched=1 WHERE no=?"
_UNMATCHED = "SELECT no FROM events WHERE matched=0 ORDER BY at, no"
_WORKSPACE = "SELECT workspace_id FROM runs WHERE no=?"
_EARLIER = "SELECT at, no, CAST(body AS BLOB), sender FROM events WHERE workspace_id=? AND name=? AND at>=?"
_EARLIER_OF_KEY = f"{_EARLIER} AND correlation=?"


def publish_event(connection: sqlite3.Connection, event: NewEvent, now: int) -> int:
    """See `Store.publish`."""
    values = (event.workspace_id, event.name, event.correlation, event.body.decode(), event.by, event.at)
    with transaction(connection):
        number = connection.execute(_PUBLISH, values).lastrowid
    assert number is not None
    crashpoint("CP29")
    return match_event(connection, number, now)


def match_events(connection: sqlite3.Connection, now: int) -> int:
    """See `Store.match`."""
    left = [no for (no,) in connection.execute(_UNMATCHED).fetchall()]
    return sum(match_event(connection, number, now) for number in left)


def match_event(connection: sqlite3.Connection, number: int, now: int) -> int:
    """Delivers one event to those who wait for it. Returns how many have it."""
    with transaction(connection):
        found = connection.execute(_EVENT, (number,)).fetchone()
        if found is None:
            return 0
        workspace_id, name, correlation, body, sender, at = found
        waiting = connection.execute(_WAITING, (workspace_id, name, correlation, at)).fetchall()
        mails = [_as_mail(run_no, number, body, sender) for (run_no,) in waiting]
        # A run that had looked back meanwhile has it already.
        reached = sum(answer in {Delivery.DELIVERED, Delivery.DUPLICATE} for answer in post_mails(connection, mails, now))
        connection.execute(_MATCHED, (number,))
    return reached


def look_back(connection: sqlite3.Connection, run_no: int, wait: WaitRow, now: int) -> int:
    """See `Store.look_back`."""
    with transaction(connection):
        run = connection.execute(_WORKSPACE, (run_no,)).fetchone()
        if run is None:
            return 0
        place = (run[0], wait.name, max(wait.since, now - EVENT_KEPT_MS))
        if wait.correlation is None:
            earlier = connection.execute(_EARLIER, place).fetchall()
        else:
            earlier = connection.execute(_EARLIER_OF_KEY, (*place, wait.correlation)).fetchall()
        mails = [_as_mail(run_no, number, body, sender) for _, number, body, sender in sorted(earlier)]
        return post_mails(connection, mails, now).count(Delivery.DELIVERED)


def _as_mail(run_no: int, number: int, body: bytes, sender: str) -> NewMail:
    return NewMail(run_no, "signal", body, sender, f"event {number}")
