"""Named events. Each side writes, commits, then looks, so that one sees the other; `dedup` makes two sightings one mail.

Plan: waits by (workspace_id, name, correlation); events by (workspace_id, name, correlation, at); those not matched by (matched, at).
"""

from flowforge.engine.database_server.deliver import post_mails
from flowforge.engine.database_server.dialect import Session, Statement
from flowforge.engine.queueing import EVENT_KEPT_MS
from flowforge.engine.store import Delivery, NewEvent, NewMail, WaitRow

_PUBLISH = "INSERT INTO events(workspace_id, name, correlation, body, sender, at, matched) VALUES (%s, %s, %s, %s, %s, %s, 0)"
_EVENT = "SELECT workspace_id, name, correlation, body, sender, at FROM events WHERE no=%s"
_WAITING_FOR_KEY = "SELECT run_no FROM waits WHERE workspace_id=%s AND name=%s AND correlation=%s AND since<=%s"
_WAITING_FOR_ANY = "SELECT run_no FROM waits WHERE workspace_id=%s AND name=%s AND correlation IS NULL AND since<=%s"
_MATCHED = "UPDATE events SET matched=1 WHERE no=%s"
_UNMATCHED = "SELECT no FROM events WHERE matched=0 ORDER BY at, no"
_WORKSPACE = "SELECT workspace_id FROM runs WHERE no=%s"
_EARLIER = "SELECT at, no, body, sender FROM events WHERE workspace_id=%s AND name=%s AND at>=%s"
_EARLIER_OF_KEY = f"{_EARLIER} AND correlation=%s"


def store_event(session: Session, event: NewEvent) -> int:
    """The first half of `Store.publish`: its number."""
    values = (event.workspace_id, event.name, event.correlation, event.body.decode(), event.by, event.at)
    with session.transaction():
        return session.insert(_PUBLISH, values)


def match_events(session: Session, now: int) -> int:
    """See `Store.match`."""
    return sum(match_event(session, number, now) for (number,) in session.fetch(_UNMATCHED))


def match_event(session: Session, number: int, now: int) -> int:
    """Delivers one event to those who wait for it. Returns how many have it."""
    with session.transaction():
        found = session.fetch(_EVENT, (number,))
        if not found:
            return 0
        workspace_id, name, correlation, body, sender, at = found[0]
        place = (workspace_id, name)
        statements: list[Statement] = [(_WAITING_FOR_ANY, (*place, at))]
        if correlation is not None:
            statements.append((_WAITING_FOR_KEY, (*place, correlation, at)))
        waiting = {run_no for rows in session.fetch_each(statements) for (run_no,) in rows}
        mails = [_as_mail(run_no, number, body, sender) for run_no in sorted(waiting)]
        # A run that had looked back meanwhile has it already.
        reached = sum(answer in {Delivery.DELIVERED, Delivery.DUPLICATE} for answer in post_mails(session, mails, now))
        session.send(_MATCHED, (number,))
    return reached


def look_back(session: Session, run_no: int, wait: WaitRow, now: int) -> int:
    """See `Store.look_back`."""
    run = session.fetch(_WORKSPACE, (run_no,))
    if not run:
        return 0
    place = (run[0][0], wait.name, max(wait.since, now - EVENT_KEPT_MS))
    with session.transaction():
        if wait.correlation is None:
            earlier = session.fetch(_EARLIER, place)
        else:
            earlier = session.fetch(_EARLIER_OF_KEY, (*place, wait.correlation))
        mails = [_as_mail(run_no, number, body, sender) for _, number, body, sender in sorted(earlier)]
        return post_mails(session, mails, now).count(Delivery.DELIVERED)


def _as_mail(run_no: int, number: int, body: str, sender: str) -> NewMail:
    return NewMail(run_no, "signal", body.encode(), sender, f"event {number}")
