"""The store port on PostgreSQL and MySQL or MariaDB."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from flowforge.engine.database_server.claim import Claiming, claim_runs
from flowforge.engine.database_server.commit import commit_apart, commit_turns
from flowforge.engine.database_server.deliver import find_mail, post_mails
from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.jobs import Taking, end_job, list_dropped_jobs, take_jobs
from flowforge.engine.database_server.line import Line
from flowforge.engine.database_server.named_events import look_back, match_event, match_events, store_event
from flowforge.engine.database_server.prune import find_unnamed, prune_runs
from flowforge.engine.database_server.slots import acquire_slots
from flowforge.engine.database_server.workers import beat_worker, expire_workers, list_alive, register_worker, retire_worker
from flowforge.engine.store import (
    NO_FACTS,
    Claimed,
    ClaimRequest,
    Delivery,
    Expired,
    Glance,
    JournalRow,
    Mail,
    NewEvent,
    NewMail,
    Pruned,
    SlotAnswer,
    SlotRequest,
    TakenJob,
    Turn,
    TurnResult,
    WaitRow,
    WorkerFacts,
)
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.errors import DatabaseLockedError
from flowforge.kit.database.url import DatabaseUrl

T = TypeVar("T")

_LOOK_AGAIN_S: Final = 2.0
_LOAD = "SELECT seq, epoch, at, body FROM journal WHERE run_no=%s ORDER BY seq"
_GLANCE = "SELECT r.status, r.finished_at, q.due_at, q.why FROM runs r LEFT JOIN queue q ON q.run_no=r.no WHERE r.no=%s"
_NEXT_DUE = "SELECT min(due_at) FROM queue"
_LAST_MAIL = "SELECT max(no) FROM inbox"
_DEFINITION = "SELECT document FROM definitions WHERE digest=%s"


class DatabaseServerStore:
    """See `Store`. Methods may be called from any thread; they run one at a time, but `register` and `beat` have a connection of their own.

    The database must be at the present revision (`flowforge.kit.database.schema`). `jitter` gives numbers from 0 to 1. A `DatabaseClock`
    is set by the server's time at each connect and beat. What deadlocks or waits for too long is made again, at most 5 times; a lost
    connection is made anew once. What may have happened though its answer was lost is read back (turns, claims, taken jobs); mail
    and named events are not, and raise DatabaseUnreachableError.

    Raises:
        StorageError: the server cannot be reached, or loses what it confirms.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        clock: Clock,
        jitter: Callable[[], float],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._clock = clock
        self._line = Line(url, clock, jitter, sleep)
        self._beats = Line(url, clock, jitter, sleep)
        self._lock = threading.RLock()
        self._beat_lock = threading.Lock()
        self._claiming = Claiming()
        self._taking = Taking()
        self._has_own_changes = True
        self._last_mail: int | None = None
        self._looked_at_s = clock.monotonic_s()
        self._line.open()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def register(self, name: str, expiry_ms: int, facts: WorkerFacts = NO_FACTS) -> int:
        with self._beat_lock:
            return self._beats.write(lambda session, now: register_worker(session, name, expiry_ms, facts, now))

    def beat(self, worker: int, expiry_ms: int) -> bool:
        with self._beat_lock:
            self._beats.set_clock()
            return self._beats.write(lambda session, now: beat_worker(session, worker, now + expiry_ms))

    def retire(self, worker: int) -> int:
        with self._lock:
            return retire_worker(self._line.write, worker)

    def expire(self, known_dead: Collection[int] = ()) -> Expired:
        with self._lock:
            return expire_workers(self._line.write, known_dead)

    def alive(self) -> Mapping[int, str]:
        return self._read(list_alive)

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        if not turns:
            return []
        with self._lock:
            try:
                results = self._line.write(lambda session, now: commit_turns(session, turns, now))
            except DatabaseLockedError:
                if len(turns) == 1:
                    raise
                results = self._commit_apart(turns)
        self._has_own_changes = self._has_own_changes or any(turn.mails or turn.start or turn.children for turn in turns)
        return results

    def _commit_apart(self, turns: Sequence[Turn]) -> list[TurnResult]:
        """Each turn in a transaction of its own. What was stored before an error is known when the same turns come again."""
        blocked: dict[int, TurnResult] = {}
        return [self._line.write(lambda session, now, turn=turn: commit_apart(session, turn, blocked, now)) for turn in turns]

    def claim(self, request: ClaimRequest) -> Sequence[Claimed]:
        return self._write(lambda session, now: claim_runs(session, self._claiming, request, now))

    def next_due(self) -> int | None:
        return self._read(lambda session: session.fetch(_NEXT_DUE)[0][0])

    def deliver(self, mails: Sequence[NewMail]) -> Sequence[Delivery]:
        answers = self._write(lambda session, now: _deliver(session, mails, now), is_repeatable=False)
        self._has_own_changes = True
        crashpoint("CP19")
        return answers

    def mail(self, worker: int) -> Sequence[Mail]:
        return self._read(lambda session: find_mail(session, worker))

    def changed(self) -> bool:
        """By the highest number in the inbox: one read at an index's end.

        Numbers are given before COMMIT, so that a lower one may come later: it says yes every two seconds in any case, which costs
        its caller one look at the mail of the runs that it owns.
        """
        with self._lock:
            last: int | None = self._read(lambda session: session.fetch(_LAST_MAIL)[0][0])
            now_s = self._clock.monotonic_s()
            is_due = now_s - self._looked_at_s >= _LOOK_AGAIN_S
            has_changed = self._has_own_changes or last != self._last_mail or is_due
            self._last_mail, self._has_own_changes = last, False
            if has_changed:
                self._looked_at_s = now_s
            return has_changed

    def publish(self, event: NewEvent) -> int:
        number = self._write(lambda session, _: store_event(session, event), is_repeatable=False)
        crashpoint("CP29")
        reached = self._write(lambda session, now: match_event(session, number, now))
        self._has_own_changes = True
        return reached

    def match(self, number: int | None = None) -> int:
        reached = self._write(
            lambda session, now: match_events(session, now) if number is None else match_event(session, number, now)
        )
        self._has_own_changes = self._has_own_changes or reached > 0
        return reached

    def look_back(self, run_no: int, wait: WaitRow) -> int:
        crashpoint("CP28b")
        reached = self._write(lambda session, now: look_back(session, run_no, wait, now))
        self._has_own_changes = self._has_own_changes or reached > 0
        return reached

    def acquire(self, requests: Sequence[SlotRequest]) -> Sequence[SlotAnswer]:
        return self._write(lambda session, now: acquire_slots(session, requests, now))

    def take_jobs(self, worker: int, queues: Collection[str], limit: int) -> Sequence[TakenJob]:
        return self._write(lambda session, now: take_jobs(session, self._taking, worker, queues, limit, now))

    def end_job(self, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str] = ()) -> bool:
        # Made again after a lost answer, it says False: the outcome is with the run, or the job is somebody else's.
        is_ended = self._write(lambda session, now: end_job(session, worker, job, mail, blobs, now))
        self._has_own_changes = self._has_own_changes or is_ended
        return is_ended

    def dropped_jobs(self, worker: int) -> Sequence[tuple[int, str, int]]:
        return self._read(lambda session: list_dropped_jobs(session, worker))

    def define(self, digest: str, document: bytes) -> None:
        self._write(lambda session, _: _define(session, digest, document))

    def definition(self, digest: str) -> bytes | None:
        rows = self._read(lambda session: session.fetch(_DEFINITION, (digest,)))
        return rows[0][0].encode() if rows else None

    def load(self, run_no: int) -> Sequence[JournalRow]:
        rows = self._read(lambda session: session.fetch(_LOAD, (run_no,)))
        return [JournalRow(seq, epoch, at, body.encode()) for seq, epoch, at, body in rows]

    def glance(self, run_no: int) -> Glance | None:
        rows = self._read(lambda session: session.fetch(_GLANCE, (run_no,)))
        return Glance(rows[0][0], rows[0][1] is not None, rows[0][2], rows[0][3]) if rows else None

    def prune(self, before_ms: int, limit: int, logs_before_ms: int = 0) -> Pruned:
        with self._lock:
            return prune_runs(self._line.write, before_ms, limit, logs_before_ms)

    def find_unnamed(self, blobs: Sequence[str]) -> Sequence[str]:
        return self._read(lambda session: find_unnamed(session, blobs))

    def interrupt(self) -> None:
        self._line.interrupt()
        self._beats.interrupt()

    def close(self) -> None:
        with self._lock, self._beat_lock:
            self._line.close()
            self._beats.close()

    def _read(self, work: Callable[[Session], T]) -> T:
        with self._lock:
            return self._line.read(work)

    def _write(self, work: Callable[[Session, int], T], *, is_repeatable: bool = True) -> T:
        with self._lock:
            return self._line.write(work, is_repeatable=is_repeatable)


def _deliver(session: Session, mails: Sequence[NewMail], now: int) -> list[Delivery]:
    with session.transaction():
        return post_mails(session, mails, now)


def _define(session: Session, digest: str, document: bytes) -> None:
    before, after = session.upsert("definitions", ("digest",), ("document",), keeps=True)
    session.send(f"{before} VALUES (%s, %s) {after}", (digest, document.decode()))
