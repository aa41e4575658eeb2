"""The store port on an SQLite file."""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from flowforge.engine.candidates import Group, WorkspaceTurns
from flowforge.engine.job_turns import AllJobTurns
from flowforge.engine.sqlite.claim import claim_runs
from flowforge.engine.sqlite.commit import commit_turns
from flowforge.engine.sqlite.deliver import find_mail, post_mails
from flowforge.engine.sqlite.jobs import end_job, list_dropped_jobs, take_jobs
from flowforge.engine.sqlite.log_room import make_log_room
from flowforge.engine.sqlite.named_events import look_back, match_event, match_events, publish_event
from flowforge.engine.sqlite.prune import find_unnamed, prune_runs
from flowforge.engine.sqlite.rows import transaction
from flowforge.engine.sqlite.slots import acquire_slots
from flowforge.engine.sqlite.workers import beat_worker, expire_workers, list_alive, register_worker, retire_worker
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
from flowforge.kit.database.connect import BUSY_TIMEOUT_MS, connect_sqlite
from flowforge.kit.database.errors import DatabaseLockedError, explained
from flowforge.kit.database.url import name_sqlite

T = TypeVar("T")

_TRIES: Final = 5
_PAUSE_S: Final = 0.05
_LOAD = "SELECT seq, epoch, at, CAST(body AS BLOB) FROM journal WHERE run_no=? ORDER BY seq"
_GLANCE = "SELECT r.status, r.finished_at, q.due_at, q.why FROM runs r LEFT JOIN queue q ON q.run_no=r.no WHERE r.no=?"
_NEXT_DUE = "SELECT min(due_at) FROM queue"
_DEFINE = "INSERT OR IGNORE INTO definitions(digest, document) VALUES (?, ?)"
_DEFINITION = "SELECT CAST(document AS BLOB) FROM definitions WHERE digest=?"


class SqliteStore:
    """See `Store`. Methods may be called from any thread; they run one at a time, but `beat` has a connection of its own.

    The file must be at the present revision (`flowforge.kit.database.schema`). `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        jitter: Callable[[], float],
        *,
        sleep: Callable[[float], None] = time.sleep,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self.path = path
        self._url = name_sqlite(path)
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._connection = connect_sqlite(path, busy_timeout_ms=busy_timeout_ms)
        self._beats = connect_sqlite(path, busy_timeout_ms=busy_timeout_ms)
        self._lock = threading.RLock()
        self._beat_lock = threading.Lock()
        self._turns = WorkspaceTurns[Group]()
        self._job_turns = AllJobTurns()
        self.tells_outbox = False
        """Events for the outside count as published as they are stored: the process that stores them tells whoever listens."""
        self._data_version: int = -1
        self._has_own_changes = True

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def register(self, name: str, expiry_ms: int, facts: WorkerFacts = NO_FACTS) -> int:
        def work(db: sqlite3.Connection, now: int) -> int:
            make_log_room(db, self.path)
            return register_worker(db, name, expiry_ms, facts, now)

        return self._write(work)

    def beat(self, worker: int, expiry_ms: int) -> bool:
        with self._beat_lock, explained(self._url):
            return beat_worker(self._beats, worker, self.now_ms() + expiry_ms)

    def retire(self, worker: int) -> int:
        return self._write(lambda db, now: retire_worker(db, worker, now))

    def expire(self, known_dead: Collection[int] = ()) -> Expired:
        return self._write(lambda db, now: expire_workers(db, known_dead, now))

    def alive(self) -> Mapping[int, str]:
        with self._reading() as db:
            return list_alive(db)

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        results = self._write(lambda db, now: commit_turns(db, turns, now, tells_outbox=self.tells_outbox))
        self._has_own_changes = self._has_own_changes or any(turn.mails or turn.start or turn.children for turn in turns)
        return results

    def claim(self, request: ClaimRequest) -> Sequence[Claimed]:
        return self._write(lambda db, now: claim_runs(db, self._turns, request, now))

    def next_due(self) -> int | None:
        with self._reading() as db:
            return db.execute(_NEXT_DUE).fetchone()[0]

    def deliver(self, mails: Sequence[NewMail]) -> Sequence[Delivery]:
        answers = self._write(lambda db, now: _deliver(db, mails, now))
        self._has_own_changes = True
        crashpoint("CP19")
        return answers

    def mail(self, worker: int) -> Sequence[Mail]:
        with self._reading() as db:
            return find_mail(db, worker)

    def changed(self) -> bool:
        with self._reading() as db:
            version: int = db.execute("PRAGMA data_version").fetchone()[0]
            has_changed = self._has_own_changes or version != self._data_version
            self._data_version, self._has_own_changes = version, False
            return has_changed

    def publish(self, event: NewEvent) -> int:
        reached = self._write(lambda db, now: publish_event(db, event, now))
        self._has_own_changes = True
        return reached

    def match(self, number: int | None = None) -> int:
        reached = self._write(lambda db, now: match_events(db, now) if number is None else match_event(db, number, now))
        self._has_own_changes = self._has_own_changes or reached > 0
        return reached

    def look_back(self, run_no: int, wait: WaitRow) -> int:
        crashpoint("CP28b")
        reached = self._write(lambda db, now: look_back(db, run_no, wait, now))
        self._has_own_changes = self._has_own_changes or reached > 0
        return reached

    def acquire(self, requests: Sequence[SlotRequest]) -> Sequence[SlotAnswer]:
        return self._write(lambda db, now: acquire_slots(db, requests, now))

    def take_jobs(self, worker: int, queues: Collection[str], limit: int) -> Sequence[TakenJob]:
        turns = self._job_turns.of(queues)
        return self._write(lambda db, now: take_jobs(db, turns, worker, queues, limit, now))

    def end_job(self, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str] = ()) -> bool:
        is_ended = self._write(lambda db, now: end_job(db, worker, job, mail, blobs, now))
        self._has_own_changes = True
        return is_ended

    def dropped_jobs(self, worker: int) -> Sequence[tuple[int, str, int]]:
        with self._reading() as db:
            return list_dropped_jobs(db, worker)

    def define(self, digest: str, document: bytes) -> None:
        self._write(lambda db, _: db.execute(_DEFINE, (digest, document.decode())))

    def definition(self, digest: str) -> bytes | None:
        with self._reading() as db:
            row = db.execute(_DEFINITION, (digest,)).fetchone()
            return None if row is None else row[0]

    def load(self, run_no: int) -> Sequence[JournalRow]:
        with self._reading() as db:
            return [JournalRow(*row) for row in db.execute(_LOAD, (run_no,))]

    def glance(self, run_no: int) -> Glance | None:
        with self._reading() as db:
            row = db.execute(_GLANCE, (run_no,)).fetchone()
            return None if row is None else Glance(row[0], row[1] is not None, row[2], row[3])

    def prune(self, before_ms: int, limit: int, logs_before_ms: int = 0) -> Pruned:
        return self._write(lambda db, now: prune_runs(db, before_ms, limit, logs_before_ms, now))

    def find_unnamed(self, blobs: Sequence[str]) -> Sequence[str]:
        with self._reading() as db:
            return find_unnamed(db, blobs)

    def interrupt(self) -> None:
        """A file has nobody who could not answer."""

    def close(self) -> None:
        with self._lock, self._beat_lock:
            self._connection.close()
            self._beats.close()

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._lock, explained(self._url):
            yield self._connection

    def _write(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """Does the work, again with pauses while others hold the write lock. The work is one transaction, or takes up where it was."""
        with self._lock:
            for _ in range(_TRIES - 1):
                try:
                    return self._try_write(work)
                except DatabaseLockedError:
                    self._sleep(_PAUSE_S * (1 + self._jitter()))
            return self._try_write(work)

    def _try_write(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        with explained(self._url):
            return work(self._connection, self._clock.now_ms())


def _deliver(connection: sqlite3.Connection, mails: Sequence[NewMail], now: int) -> list[Delivery]:
    with transaction(connection):
        return post_mails(connection, mails, now)
