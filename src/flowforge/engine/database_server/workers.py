"""Workers: birth, beats, death. Plan: workers by key; what a worker owns by the index on `runs.owner`.

Claims and starts hold the worker's row (`share`) until COMMIT, so that nobody is declared dead between the look and what follows it.
"""

from collections.abc import Collection
from typing import Final

from flowforge.engine.database_server.dialect import Row, Session, Writing
from flowforge.engine.database_server.jobs import lose_jobs
from flowforge.engine.database_server.rows import change_keys, upsert_rows
from flowforge.engine.queueing import Cause, Lost
from flowforge.engine.store import Expired, WorkerFacts
from flowforge.kit.crashpoint import crashpoint

BATCH: Final = 500
_REGISTER = """INSERT INTO workers(name, expires_at, dead, role, version, host, pid, queues, address, started_at)
 VALUES (%s, %s, 0, %s, %s, %s, %s, %s, %s, %s)"""
_BEAT = "UPDATE workers SET expires_at=%s WHERE dead=0 AND no=%s"
_IS_ALIVE = "SELECT 1 FROM workers WHERE dead=0 AND no=%s"
_BURY = "UPDATE workers SET dead=1 WHERE dead=0 AND no=%s"
_LATE = "SELECT no FROM workers WHERE dead=0 AND expires_at<=%s"
_BURY_LATE = f"{_BURY} AND expires_at<=%s"
_LEFT = """SELECT no FROM workers w WHERE dead=1
 AND (EXISTS (SELECT 1 FROM runs WHERE owner=w.no) OR EXISTS (SELECT 1 FROM jobs WHERE owner=w.no)) ORDER BY no"""
_OWNED = "SELECT no, workspace_id, crashes, priority FROM runs WHERE owner=%s ORDER BY no LIMIT %s FOR UPDATE"
_QUEUE: Final = ("workspace_id", "suspect", "priority", "due_at", "cause", "since")
_DISOWN = """UPDATE runs SET owner=NULL, crashes=crashes+%s, status=CASE status WHEN 'running' THEN 'queued' ELSE status END
 WHERE no IN"""
_ALIVE = "SELECT no, name FROM workers WHERE dead=0 ORDER BY no"


def register_worker(session: Session, name: str, expiry_ms: int, facts: WorkerFacts, now: int) -> int:
    """See `Store.register`."""
    queues = ",".join(facts.queues)
    values = (name, now + expiry_ms, facts.role, facts.version, facts.host, facts.pid, queues, facts.address, now)
    with session.transaction():
        return session.insert(_REGISTER, values)


def beat_worker(session: Session, worker: int, expires_at: int) -> bool:
    """See `Store.beat`."""
    # MySQL counts only rows that were not so before.
    return session.change(_BEAT, (expires_at, worker)) == 1 or bool(session.fetch(_IS_ALIVE, (worker,)))


def retire_worker(write: Writing, worker: int) -> int:
    """See `Store.retire`."""
    write(lambda session, _: session.change(_BURY, (worker,)))
    _lose_all(write, worker, Lost.RELEASED)
    return _queue_all(write, worker, Cause.RELEASED)


def expire_workers(write: Writing, known_dead: Collection[int]) -> Expired:
    """See `Store.expire`. Also goes on where an earlier sweep was killed."""
    crashpoint("CP21")
    dead = write(lambda session, now: _bury(session, known_dead, now))
    left: list[int] = write(lambda session, _: [no for (no,) in session.fetch(_LEFT)])
    jobs = sum(_lose_all(write, worker, Lost.EXPIRED) for worker in left)
    return Expired(dead, sum(_queue_all(write, worker, Cause.EXPIRED) for worker in left), jobs)


def list_alive(session: Session) -> dict[int, str]:
    """See `Store.alive`."""
    return {no: name for no, name in session.fetch(_ALIVE)}  # noqa: C416 -- rows of any kind


def _bury(session: Session, known_dead: Collection[int], now: int) -> list[int]:
    with session.transaction():
        late = {no for (no,) in session.fetch(_LATE, (now,))}
        dead: list[int] = []
        for no in sorted({*known_dead, *late}):
            # A beat that came since the look counts.
            text, values = (_BURY, (no,)) if no in known_dead else (_BURY_LATE, (no, now))
            if session.change(text, values):
                dead.append(no)
    return dead


def _lose_all(write: Writing, worker: int, how: Lost) -> int:
    lost = 0
    while some := write(lambda session, now: lose_jobs(session, worker, how, now)):
        lost += some
    return lost


def _queue_all(write: Writing, worker: int, cause: Cause) -> int:
    queued = 0
    while True:
        crashpoint("CP22")
        some = write(lambda session, now: _queue_some(session, worker, cause, now))
        if not some:
            return queued
        queued += some


def _queue_some(session: Session, worker: int, cause: Cause, now: int) -> int:
    blame = 1 if cause is Cause.EXPIRED else 0
    with session.transaction():
        owned = session.fetch(_OWNED, (worker, BATCH))
        change_keys(session, _DISOWN, [row[0] for row in owned], given=(blame,))
        rows: list[Row] = [
            (no, workspace_id, int(crashes + blame > 0), priority, now, cause, now)
            for no, workspace_id, crashes, priority in owned
        ]
        upsert_rows(session, "queue", ("run_no",), _QUEUE, rows)
    return len(owned)
