"""Stores to test on, the things that one puts into them, and a look at what they hold."""

import shutil
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.clock import ManualClock
from tests.support.server_databases import open_reader

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    Claimed,
    ClaimRequest,
    Finish,
    JournalRow,
    LogLine,
    NewEvent,
    NewJob,
    NewMail,
    NewOutboxEvent,
    NewRun,
    Release,
    SlotRequest,
    SlotScope,
    Store,
    Turn,
    TurnResult,
    Verdict,
    WaitRow,
    WorkerFacts,
)
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite

EXPIRY_MS = 30_000
STARTED = b'[{"type":"run.started"}]'
MIDDLE = b'[{"type":"step.completed"}]'
ENDED = b'[{"type":"run.finished"}]'
COMPLETED = Finish("completed", None, None)


def make_sqlite_file(folder: Path) -> Path:
    """An upgraded database; copy it, since upgrading takes longer than most tests."""
    path = folder / "template.db"
    upgrade_database(name_sqlite(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def open_sqlite(template: Path, path: Path, clock: ManualClock) -> SqliteStore:
    """A store on a fresh copy of the template, which never really sleeps."""
    shutil.copyfile(template, path)
    return reopen_sqlite(path, clock)


def reopen_sqlite(path: Path, clock: ManualClock) -> SqliteStore:
    """A further store on the same file, as another process would have it."""
    return SqliteStore(path, clock, lambda: 0.5, sleep=lambda _: None)


@dataclass(slots=True)
class Shop:
    """A store, one worker, and short ways to say what it does. Runs are numbered r1, r2, …"""

    store: Store
    clock: ManualClock
    worker: int
    counter: "count[int]" = field(default_factory=lambda: count(1))

    def hire(self, name: str = "other") -> int:
        return self.store.register(name, EXPIRY_MS)

    def new(
        self, *, workspace: str = "ws", owner: int | None = None, is_queued: bool = False, slot: SlotScope | None = None
    ) -> NewRun:
        number = next(self.counter)
        no = (owner or self.worker) << 32 | number
        born_by = None if is_queued else (owner or self.worker)
        at = self.clock.now_ms()
        return NewRun(no, f"r{number}", workspace, "wf", "order", 1, "digest", 5, "user", at, STARTED, born_by, slot=slot)

    def start(self, run: NewRun, *others: NewRun) -> list[TurnResult]:
        return list(self.store.commit([self.birth(one) for one in (run, *others)]))

    def started(self, **choices: object) -> NewRun:
        """A run that is there, owned by the worker unless said otherwise."""
        run = replace(self.new(), **choices)
        self.start(run)
        return run

    def birth(self, run: NewRun, body: bytes = b"") -> Turn:
        return Turn(run.no, 1, self.clock.now_ms(), 2, body, 1 if body else 0, start=run)

    def turn(self, run: NewRun, seq: int, epoch: int = 1, body: bytes = MIDDLE) -> Turn:
        return Turn(run.no, epoch, self.clock.now_ms(), seq, body, 1 if body else 0)

    def append(self, run: NewRun, seq: int, epoch: int = 1, body: bytes = MIDDLE) -> TurnResult:
        return self.commit(self.turn(run, seq, epoch, body))

    def finish(self, run: NewRun, seq: int, epoch: int = 1, mail_seen: int = 0) -> TurnResult:
        return self.commit(replace(self.turn(run, seq, epoch, ENDED), finish=COMPLETED, mail_seen=mail_seen))

    def ending(self, no: int, seq: int, epoch: int, mail_seen: int) -> Turn:
        return Turn(no, epoch, self.clock.now_ms(), seq, ENDED, 1, mail_seen, finish=COMPLETED)

    def release(self, run: NewRun, seq: int, epoch: int = 1, *, due_at: int = 0, mail_seen: int = 0) -> TurnResult:
        end = Release("waiting", due_at, '{"kind":"timer"}')
        return self.commit(replace(self.turn(run, seq, epoch), release=end, mail_seen=mail_seen))

    def commit(self, turn: Turn) -> TurnResult:
        return self.store.commit([turn])[0]

    def claim(
        self, worker: int | None = None, limit: int = 100, suspects: int = 100, only: Collection[int] | None = None
    ) -> list[Claimed]:
        return list(self.store.claim(ClaimRequest(worker or self.worker, limit, suspects, only)))

    def send(self, run: NewRun, kind: str = "signal", dedup: str | None = None) -> str:
        return self.store.deliver([NewMail(run.no, kind, b"{}", "user", dedup)])[0]

    def kill(self, worker: int | None = None) -> int:
        """The worker is dead and known to be; returns how many runs it left."""
        return self.store.expire([worker or self.worker]).runs


@dataclass(frozen=True, slots=True)
class RunView:
    """What a store holds of a run."""

    no: int
    status: str
    owner: int | None
    epoch: int
    mail: int
    crashes: int
    is_finished: bool
    due_at: int | None
    """None: not in the queue."""
    seqs: Sequence[int]
    epochs: Sequence[int]


def read_runs(store: Store) -> dict[int, RunView]:
    """All runs of a store, past its port."""
    if isinstance(store, MemoryStore):
        return {
            run.no: RunView(
                run.no,
                run.status,
                run.owner,
                run.epoch,
                run.mail,
                run.crashes,
                run.end is not None,
                None if run.queued is None else run.queued.due_at,
                *_columns(run.journal),
            )
            for run in store.tables.runs.values()
        }
    rows = read_rows(
        store,
        """SELECT r.no, status, owner, epoch, mail, crashes, finished_at IS NOT NULL, q.due_at
        FROM runs r LEFT JOIN queue q ON q.run_no=r.no ORDER BY r.no""",
    )
    return {
        no: RunView(no, status, owner, epoch, mail, crashes, bool(is_finished), due_at, *_columns(store.load(no)))
        for no, status, owner, epoch, mail, crashes, is_finished, due_at in rows
    }


def _columns(rows: Sequence[JournalRow]) -> tuple[list[int], list[int]]:
    return [row.seq for row in rows], [row.epoch for row in rows]


def read_slots(store: Store) -> dict[str, dict[int, int]]:
    """Scope to place to run, of all slots that are taken."""
    if isinstance(store, MemoryStore):
        held = store.limits.held.items()
        return {scope: {n: slot.run_no for n, slot in places.items()} for scope, places in held if places}
    slots: dict[str, dict[int, int]] = {}
    for scope, n, run_no in read_rows(store, "SELECT scope, n, run_no FROM slots"):
        slots.setdefault(scope, {})[n] = run_no
    return slots


def read_outbox(store: Store) -> list[tuple[Any, ...]]:
    """Workspace, aggregate, type, payload, time and trace of the events for the outside, in their order, all of them due."""
    if isinstance(store, MemoryStore):
        return [
            (
                one.workspace_id,
                one.aggregate_type,
                one.aggregate_id,
                one.event_type,
                one.payload.decode(),
                one.at,
                one.traceparent,
            )
            for one in store.tables.outbox
        ]
    columns = "workspace_id, aggregate_type, aggregate_id, event_type, payload, created_at, traceparent"
    where = "due_at=created_at AND attempts=0 AND published_at IS NULL AND dead_at IS NULL"
    return [tuple(row) for row in read_rows(store, f"SELECT {columns} FROM outbox WHERE {where} ORDER BY no")]


def read_facts(store: Store, worker: int) -> tuple[WorkerFacts, int]:
    """What a worker told of itself, and when it registered."""
    if isinstance(store, MemoryStore):
        kept = store.tables.workers[worker]
        return kept.facts, kept.started_at
    columns = "role, version, host, pid, queues, address, started_at"
    [row] = read_rows(store, f"SELECT {columns} FROM workers WHERE no={worker}")
    role, version, host, pid, queues, address, started_at = row
    return WorkerFacts(role, version, host, pid, tuple(queues.split(",")) if queues else (), address), started_at


def read_rows(store: Store, text: str) -> list[Any]:
    """What a SELECT without values gives, past the port of a store that has a database."""
    if isinstance(store, DatabaseServerStore):
        with open_reader(store.url) as session:
            return session.fetch(text)
    assert isinstance(store, SqliteStore)
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute(text).fetchall()


def check_sound(store: Store) -> None:
    """The invariants that hold at every instant: I2 (no gap), I4 (epochs grow), I6 (owner xor queue row)."""
    living = set(store.alive())
    for run in read_runs(store).values():
        assert list(run.seqs) == list(range(1, len(run.seqs) + 1)), run
        assert list(run.epochs) == sorted(run.epochs), run
        if run.is_finished:
            assert run.owner is None, run
            assert run.due_at is None, run
        else:
            assert (run.owner is None) == (run.due_at is not None), run
            assert run.owner is None or run.owner in living, run


def do_everything(shop: Shop) -> None:
    """Every method of the store, and every kind of turn."""
    store, clock = shop.store, shop.clock
    slot = SlotScope("wf", 1, "cancel_oldest")
    holder, waiting = (replace(shop.new(slot=slot), dedup=name, labels={"a": "b"}) for name in ("x", "y"))
    shop.start(holder, waiting)
    child = replace(shop.new(slot=slot), parent_no=holder.no, parent_key="c#1")
    shop.commit(replace(shop.turn(holder, 2), children=[child], logs=[LogLine(1, "info", "s", 1, "m", b"{}")]))
    wait = WaitRow("k", "paid", "a", 0)
    shop.commit(replace(shop.turn(child, 2), waits_added=[wait], mails=[NewMail(holder.no, "child", b"{}", "system", "d")]))
    store.look_back(child.no, wait)
    store.publish(NewEvent("ws", "paid", "a", b"{}", "u", clock.now_ms()))
    store.match()
    mails = store.mail(shop.worker)
    store.acquire([SlotRequest("api", holder.no, "s", 2, 10, 1_000)] * 2)
    read = [mail.no for mail in mails if mail.run_no == holder.no]
    shop.commit(replace(shop.turn(holder, 3), mail_read=read, slots_freed=["s"], waits_removed=["k"], progressed=True))
    release = Release("waiting", FAR_FUTURE_MS, "{}", b"snapshot", 1)
    shop.commit(replace(shop.turn(holder, 4), mail_seen=2, release=release))
    shop.send(holder)
    store.next_due()
    shop.claim(only=[holder.no])
    shop.claim()
    shop.kill()
    shop.worker = shop.hire()
    shop.claim()
    store.beat(shop.worker, EXPIRY_MS)
    shop.commit(replace(shop.turn(holder, 7, epoch=3), progressed=True))
    shop.commit(replace(shop.turn(holder, 8, epoch=3), blobs=[(holder.no, "value_1")]))
    jobs = [NewJob(holder.no, key, 1, "ws", "heavy", 5, 1, b"{}") for key in ("a", "b", "c", "d")]
    outside = NewOutboxEvent("ws", "run", holder.id, "run.completed", b"{}", 1)
    shop.commit(replace(shop.turn(holder, 9, epoch=3), jobs=jobs, outbox=[outside], jobs_dropped=[("a", 1)]))
    [job] = store.take_jobs(shop.worker, ["heavy"], 1)
    store.end_job(shop.worker, job, NewMail(holder.no, "job", b"{}", "system"), ["value_2"])
    helper = shop.hire()
    store.take_jobs(helper, ["heavy"], 1)
    shop.commit(replace(shop.turn(holder, 10, epoch=3), jobs_dropped=[("c", 1)]))
    store.dropped_jobs(helper)
    store.retire(helper)
    assert shop.finish(holder, 11, epoch=3, mail_seen=6).verdict is Verdict.DONE
    shop.append(holder, 12, epoch=3)
    store.load(holder.no)
    store.define("d", b"{}")
    store.definition("d")
    store.alive()
    store.find_unnamed(["value_1"])
    store.prune(clock.now_ms() + 1, 10)
    store.retire(shop.worker)
