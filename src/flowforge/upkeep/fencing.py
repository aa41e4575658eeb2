"""After a restore or a copy: nobody of before may go on with it, and no number of before is given again.

A process that still runs on the database of before (or on a later state of the same one) knows worker numbers and epochs that the older
database has not seen. Worker numbers go on above any that can have been given (they follow the seconds since 2020), and each open run
gets the present time as its epoch, which no run can have counted to.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, literal, select, update

from flowforge.engine.queueing import Cause, Lost, report_lost
from flowforge.engine.tables import inbox, jobs, leases, queue, runs, workers
from flowforge.upkeep.tables import list_present, raise_next_numbers

YEAR_2020_MS: Final = 1_577_836_800_000
_DAY_MS: Final = 86_400_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Fenced:
    """What was done: workers declared dead, runs taken from them, jobs reported lost. `next_worker`: the lowest number to come."""

    workers: int
    runs: int
    jobs: int
    next_worker: int


def fence(connection: Connection, now_ms: int) -> Fenced:
    """Within the caller's transaction, which on MySQL is begun anew by the first statement.

    Every worker is dead, every open run is nobody's and due now if a worker had it, jobs that a worker had are reported to their runs as
    lost (their outcome is unknown), and the scheduler's lease is free under a higher epoch.
    """
    numbers = list_numbers_after(now_ms)
    raise_next_numbers(connection, numbers)
    buried = connection.execute(update(workers).where(workers.c.dead == 0).values(dead=1)).rowcount
    connection.execute(update(runs).where(runs.c.finished_at.is_(None)).values(epoch=_above(runs.c.epoch, now_ms)))
    queued = _disown(connection, now_ms)
    present = list_present(connection)
    lost = _lose_jobs(connection, now_ms) if jobs.name in present else 0
    if leases.name in present:
        free = update(leases).values(
            holder=0, expires_at=0, epoch=case((leases.c.epoch < now_ms, now_ms), else_=leases.c.epoch + 1)
        )
        connection.execute(free)
    return Fenced(buried, queued, lost, numbers[workers.name])


def list_numbers_after(now_ms: int) -> dict[str, int]:
    """For each table whose numbers others keep (in journals, in messages, as a subscriber's place), the lowest that is safe.

    Workers come less often than one a second, rows of the others less often than one a microsecond.
    """
    past_ms = now_ms - YEAR_2020_MS
    return {"workers": past_ms // 1_000, "inbox": past_ms * 1_000, "events": past_ms * 1_000, "outbox": past_ms * 1_000}


def _above(epoch: ColumnElement[int], now_ms: int) -> ColumnElement[int]:
    """The present time; a day more than an epoch that is beyond it, from a restore by a clock that was ahead."""
    return case((epoch < now_ms, now_ms), else_=epoch + _DAY_MS)


def _disown(connection: Connection, now_ms: int) -> int:
    had = runs.c.owner.is_not(None)
    places = select(
        runs.c.no,
        runs.c.workspace_id,
        case((runs.c.crashes > 0, 1), else_=0),
        runs.c.priority,
        literal(now_ms),
        literal(Cause.RELEASED.value),
        literal(now_ms),
    ).where(had, runs.c.finished_at.is_(None))
    columns = ("run_no", "workspace_id", "suspect", "priority", "due_at", "cause", "since")
    connection.execute(insert(queue).from_select(columns, places, include_defaults=False))
    status = case((runs.c.status == "running", "queued"), else_=runs.c.status)
    return connection.execute(update(runs).where(had).values(owner=None, status=status)).rowcount


def _lose_jobs(connection: Connection, now_ms: int) -> int:
    taken = jobs.c.owner.is_not(None)
    query = select(jobs.c.run_no, jobs.c.key, jobs.c.attempt).select_from(jobs.join(runs, runs.c.no == jobs.c.run_no))
    lost = connection.execute(query.where(taken, runs.c.finished_at.is_(None))).all()
    connection.execute(delete(jobs).where(taken))
    mails = [report_lost(run_no, key, attempt, Lost.EXPIRED) for run_no, key, attempt in lost]
    rows = [
        {"run_no": mail.run_no, "kind": mail.kind, "body": mail.body.decode(), "sender": mail.by, "unread": 1} for mail in mails
    ]
    if rows:
        connection.execute(insert(inbox), rows)
        _wake(connection, Counter(mail.run_no for mail in mails), now_ms)
    return len(rows)


def _wake(connection: Connection, counts: Counter[int], now_ms: int) -> None:
    counted = update(runs).where(runs.c.no == bindparam("run")).values(mail=runs.c.mail + bindparam("count"))
    connection.execute(counted, [{"run": run_no, "count": count} for run_no, count in counts.items()])
    for part in _parts(sorted(counts)):
        due = update(queue).where(queue.c.run_no.in_(part), queue.c.scope.is_(None), queue.c.due_at > now_ms)
        connection.execute(due.values(due_at=now_ms, cause=Cause.MAIL.value))


def _parts(run_nos: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(run_nos), _AT_ONCE):
        yield run_nos[start : start + _AT_ONCE]
