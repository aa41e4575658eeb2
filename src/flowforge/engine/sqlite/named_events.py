"""Named events. Each side writes, commits, then looks, so that one sees the other; `dedup` makes two sightings one mail.

Plan: waits by (workspace_id, name, correlation); events by (workspace_id, name, at); those not matched by (matched, at).
"""

import sqlite3
from typing import Final

from flowforge.engine.queueing import EVENT_KEPT_MS
from flowforge.engine.sqlite.deliver import post_mails
from flowforge.engine.sqlite.rows import transaction
from flowforge.engine.store import Delivery, NewEvent, NewMail, WaitRow
from flowforge.kit.crashpoint import crashpoint

_PUBLISH = "INSERT INTO events(workspace_id, name, correlation, body, sender, at, matched) VALUES (?, ?, ?, ?, ?, ?, 0)"
_EVENT = "SELECT workspace_id, name, correlation, CAST(body AS BLOB), sender, at FROM events WHERE no=?"
WAITING: Final = """SELECT DISTINCT run_no FROM waits
 WHERE workspace_id=? AND name=? AND (correlation IS NULL OR correlation=?) AND since<=? ORDER BY run_no"""
_MATCHED = "UPDATE events SET matched=1 WHERE no=?"
UNMATCHED: Final = "SELECT no FROM events WHERE matched=0 ORDER BY no"
_WORKSPACE = "SELECT workspace_id FROM runs WHERE no=?"
EARLIER: Final = """SELECT no, CAST(body AS BLOB), sender FROM events
 WHERE workspace_id=? AND name=? AND at>=? AND (? IS NULL OR correlation=?) ORDER BY at, no"""


def publish_event(connection: sqlite3.Connection, event: NewEvent, now: int) -> int:
    """See `Store.publish`."""
    values = (event.workspace_id, event.name, event.correlation, event.body.decode(), event.by, event.at)
    with transaction(connection):
        number = connection.execute(_PUBLISH, values).lastrowid
    assert number is not None
    crashpoint("CP29")
    return _match_event(connection, number, now)


def match_events(connection: sqlite3.Connection, now: int) -> int:
    """See `Store.match`."""
    left = [no for (no,) in connection.execute(UNMATCHED).fetchall()]
    return sum(_match_event(connection, number, now) for number in left)


def _match_event(connection: sqlite3.Connection, number: int, now: int) -> int:
    with transaction(connection):
        found = connection.execute(_EVENT, (number,)).fetchone()
        if found is None:
            return 0
        workspace_id, name, correlation, body, sender, at = found
        waiting = connection.execute(WAITING, (workspace_id, name, correlation, at)).fetchall()
        mails = [_as_mail(run_no, number, body, sender) for (run_no,) in waiting]
        reached = post_mails(connection, mails, now).count(Delivery.DELIVERED)
        connection.execute(_MATCHED, (number,))
    return reached


def look_back(connection: sqlite3.Connection, run_no: int, wait: WaitRow, now: int) -> int:
    """See `Store.look_back`."""
    with transaction(connection):
        run = connection.execute(_WORKSPACE, (run_no,)).fetchone()
        if run is None:
            return 0
        since = max(wait.since, now - EVENT_KEPT_MS)
        earlier = connection.execute(EARLIER, (run[0], wait.name, since, wait.correlation, wait.correlation)).fetchall()
        mails = [_as_mail(run_no, number, body, sender) for number, body, sender in earlier]
        return post_mails(connection, mails, now).count(Delivery.DELIVERED)


def _as_mail(run_no: int, number: int, body: bytes, sender: str) -> NewMail:
    return NewMail(run_no, "signal", body, sender, f"event {number}")
