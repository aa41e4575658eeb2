"""Jobs: attempts that any worker of their queue may make, each a row of its own.

Plan: rows by (run_no, key, attempt); those that wait by (queue, status, workspace_id, priority, at), one range a group and
no sort; a worker's by the index on `owner`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from flowforge.engine.database_server.deliver import post_mails
from flowforge.engine.database_server.dialect import Row, Session
from flowforge.engine.database_server.rows import change_keys, for_keys, select_pairs, upsert_rows, write_rows
from flowforge.engine.job_turns import AllJobTurns, JobGroup, JobRow, choose_jobs
from flowforge.engine.queueing import JOBS_LOST_AT_ONCE, Lost, report_lost
from flowforge.engine.store import NewMail, TakenJob, Turn

_ADD = 'INSERT INTO jobs(run_no, "key", attempt, workspace_id, queue, status, priority, at, epoch, params)'
_OF_JOB = 'run_no=%s AND "key"=%s AND attempt=%s'
_NAME: Final = ("run_no", '"key"', "attempt")
_STATUS = 'SELECT run_no, "key", attempt, status FROM jobs WHERE'
_IN_ORDER = 'ORDER BY run_no, "key", attempt FOR UPDATE'
_MARK = f"UPDATE jobs SET status='dropped' WHERE {_OF_JOB}"  # noqa: S608 -- constants
_FORGET_OF_RUNS = "DELETE FROM jobs WHERE status='queued' AND run_no IN"
_MARK_OF_RUNS = "UPDATE jobs SET status='dropped' WHERE run_no IN"
_IS_ALIVE = "SELECT 1 FROM workers WHERE dead=0 AND no=%s"
_IS_ANY_WAITING = "SELECT 1 FROM jobs WHERE queue=%s AND status='queued' LIMIT 1"
_WAITING = """SELECT priority, at, run_no, "key", attempt, workspace_id, queue, epoch+1, params FROM jobs
 WHERE workspace_id=%s AND priority=%s AND queue=%s AND status='queued' ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED"""
_IDS = "SELECT no, id FROM runs WHERE no IN"
_TAKE = f"UPDATE jobs SET status='running', owner=%s, epoch=epoch+1 WHERE {_OF_JOB}"  # noqa: S608 -- constants
_IS_OURS = f"SELECT 1 FROM jobs WHERE {_OF_JOB} AND owner=%s AND epoch=%s"  # noqa: S608 -- constants
_LOSE = f"DELETE FROM jobs WHERE {_OF_JOB}"  # noqa: S608 -- constants
_DROPPED = "SELECT run_no, \"key\", attempt FROM jobs WHERE owner=%s AND status='dropped'"
_OWNED = 'SELECT run_no, "key", attempt FROM jobs WHERE owner=%s ORDER BY run_no, "key", attempt LIMIT %s FOR UPDATE'


@dataclass(slots=True)
class Taking:
    """What a store remembers of jobs: whose turn it is, and those whose COMMIT was not answered."""

    turns: AllJobTurns = field(default_factory=AllJobTurns)
    in_doubt: list[TakenJob] = field(default_factory=list[TakenJob])


def change_jobs(session: Session, turns: Sequence[Turn]) -> list[NewMail]:
    """What turns do to the jobs of their runs, within the caller's transaction. Gives the messages about those that are gone."""
    fresh: list[Row] = [
        (job.run_no, job.key, job.attempt, job.workspace_id, job.queue, "queued", job.priority, job.at, 0, job.params.decode())
        for turn in turns
        for job in turn.jobs
    ]
    write_rows(session, _ADD, fresh)
    dropped = sorted({(turn.run_no, *job) for turn in turns for job in turn.jobs_dropped})
    if not dropped:
        return []
    answers = session.fetch_each(select_pairs(_STATUS, _NAME, dropped, _IN_ORDER))
    told: list[NewMail] = []
    for run_no, key, attempt, status in (row for rows in answers for row in rows):
        if status == "queued":
            session.send(_LOSE, (run_no, key, attempt))
            told.append(report_lost(run_no, key, attempt, Lost.ABORTED))
        else:
            session.send(_MARK, (run_no, key, attempt))
    return told


def drop_jobs_of(session: Session, run_nos: Sequence[int]) -> None:
    """Jobs of runs that end: those that nobody has taken go, the others are marked."""
    change_keys(session, _FORGET_OF_RUNS, run_nos)
    change_keys(session, _MARK_OF_RUNS, run_nos)


@dataclass(frozen=True, slots=True)
class _Finder:
    """See `JobFinder`. What other takes hold is not there for it (SKIP LOCKED)."""

    session: Session

    def list_groups(self, queues: Collection[str]) -> Iterator[JobGroup]:
        asked = sorted(set(queues))
        answers = self.session.fetch_each([(self.session.texts.job_groups, (queue,)) for queue in asked])
        for queue, groups in zip(asked, answers, strict=True):
            for workspace_id, priority in groups:
                yield workspace_id, priority, queue

    def list_oldest(self, groups: Sequence[JobGroup], limit: int) -> Iterator[JobRow]:
        for rows in self.session.fetch_each([(_WAITING, (*group, limit)) for group in groups]):
            yield from rows


def take_jobs(session: Session, taking: Taking, worker: int, queues: Collection[str], limit: int, now: int) -> list[TakenJob]:
    """See `Store.take_jobs`."""
    if taking.in_doubt:
        ours = [job for job in taking.in_doubt if _is_ours(session, worker, job)]
        # Not before the answers are here: the connection may break once more.
        taking.in_doubt = []
        if ours:
            return ours
    if limit <= 0 or not any(session.fetch_each([(_IS_ANY_WAITING, (queue,)) for queue in queues])):
        # The common case of a worker that looks again: no transaction for that.
        return []
    with session.transaction():
        if not session.fetch(f"{_IS_ALIVE} {session.texts.share}", (worker,)):
            return []
        turns = taking.turns.of(queues)
        taken = _read_taken(session, choose_jobs(turns, _Finder(session), queues, limit, now))
        for job in taken:
            session.send(_TAKE, (worker, job.run_no, job.key, job.attempt))
        taking.in_doubt = taken
    taking.in_doubt = []
    if taken:
        turns.served = taken[-1].workspace_id
    return taken


def _read_taken(session: Session, rows: Sequence[JobRow]) -> list[TakenJob]:
    ids: dict[int, str] = dict(for_keys(session, _IDS, {row[2] for row in rows})) if rows else {}
    taken: list[TakenJob] = []
    for _, _, run_no, key, attempt, workspace_id, queue, epoch, params in rows:
        taken.append(TakenJob(run_no, ids[run_no], key, attempt, workspace_id, queue, epoch, params.encode()))
    return taken


def _is_ours(session: Session, worker: int, job: TakenJob) -> bool:
    return bool(session.fetch(_IS_OURS, (job.run_no, job.key, job.attempt, worker, job.epoch)))


def end_job(session: Session, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str], now: int) -> bool:
    """See `Store.end_job`."""
    name = (job.run_no, job.key, job.attempt)
    with session.transaction():
        if not session.fetch(f"{_IS_OURS} FOR UPDATE", (*name, worker, job.epoch)):
            return False
        session.send(_LOSE, name)
        upsert_rows(session, "run_blobs", ("run_no", '"blob"'), (), [(job.run_no, blob) for blob in blobs])
        post_mails(session, [mail], now)
    return True


def list_dropped_jobs(session: Session, worker: int) -> list[tuple[int, str, int]]:
    """See `Store.dropped_jobs`."""
    return [(run_no, key, attempt) for run_no, key, attempt in session.fetch(_DROPPED, (worker,))]


def lose_jobs(session: Session, worker: int, how: Lost, now: int) -> int:
    """Reports some of what the worker has to the runs. Returns how many; ask again until there are none."""
    with session.transaction():
        owned = session.fetch(_OWNED, (worker, JOBS_LOST_AT_ONCE))
        for name in owned:
            session.send(_LOSE, name)
        post_mails(session, [report_lost(run_no, key, attempt, how) for run_no, key, attempt in owned], now)
    return len(owned)
