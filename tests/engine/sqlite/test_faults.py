"""A full, read-only, locked or damaged database: one sentence, nothing lost, and work goes on by itself."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, read_runs

from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import ClaimRequest, NewRun, Verdict
from flowforge.kit.database.errors import DatabaseLockedError, DatabaseReadOnlyError
from flowforge.kit.errors import StorageFullError


class Rival:
    """Another process that holds the write lock until the store has slept for it `patience` times."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.patience = 0
        self.sleeps = 0

    def hold(self, patience: int) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.patience = patience

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds < 1
        self.sleeps += 1
        self.patience -= 1
        if self.patience == 0:
            self.connection.execute("COMMIT")


@pytest.fixture
def rival(store: SqliteStore) -> Iterator[Rival]:
    one = Rival(store.path)
    yield one
    one.connection.close()


@pytest.fixture
def hasty(store: SqliteStore, rival: Rival, clock: ManualClock) -> Iterator[Shop]:
    """A shop whose store does not wait inside SQLite."""
    opened = SqliteStore(store.path, clock, lambda: 0.5, sleep=rival.sleep, busy_timeout_ms=0)
    yield Shop(opened, clock, opened.register("hasty", EXPIRY_MS))
    opened.close()


def test_f23_busy_database_is_tried_again_with_pauses(hasty: Shop, rival: Rival, store: SqliteStore):
    chance = random.Random(23)
    run = hasty.started()
    for seq in range(2, 80):
        if chance.random() < 0.3:
            rival.hold(chance.randint(1, 4))
        assert hasty.append(run, seq).verdict is Verdict.DONE
    assert rival.sleeps > 20
    assert [row.seq for row in store.load(run.no)] == list(range(1, 80))


def test_f23_database_locked_for_good_gives_one_sentence_and_stores_nothing(hasty: Shop, rival: Rival, store: SqliteStore):
    run = hasty.started()
    rival.hold(patience=5)
    with pytest.raises(DatabaseLockedError, match="is locked by another process"):
        hasty.append(run, 2)
    assert rival.sleeps == 4
    rival.connection.execute("COMMIT")
    assert len(store.load(run.no)) == 1
    assert hasty.append(run, 2).verdict is Verdict.DONE


def test_f25_reads_do_not_wait_for_a_writer(hasty: Shop, rival: Rival):
    run = hasty.started()
    rival.hold(patience=1)
    assert len(hasty.store.load(run.no)) == 1
    assert hasty.store.next_due() is None
    assert rival.sleeps == 0
    rival.sleep(0.1)


def set_bound(store: SqliteStore, pages: int) -> None:
    store._connection.execute(f"PRAGMA max_page_count={pages}")  # pyright: ignore[reportPrivateUsage]


def append_for_ever(shop: Shop, run: NewRun) -> None:
    for seq in count(2):
        assert shop.append(run, seq, body=b'["%s"]' % (b"x" * 2_000)).verdict is Verdict.DONE


def test_f24_full_disk_loses_nothing_and_work_goes_on_with_space(shop: Shop, store: SqliteStore):
    run = shop.started()
    set_bound(store, 1)
    with pytest.raises(StorageFullError, match="There is no room left on the disk"):
        append_for_ever(shop, run)
    stored = len(store.load(run.no))
    assert read_runs(store)[run.no].seqs[-1] == stored
    with pytest.raises(StorageFullError):
        shop.start(*(shop.new() for _ in range(500)))
    assert list(read_runs(store)) == [run.no]
    set_bound(store, 1_000_000)
    assert shop.append(run, stored + 1).verdict is Verdict.DONE
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_f28_read_only_database_is_told_and_recovers_by_itself(shop: Shop, store: SqliteStore):
    run = shop.started()
    connection = store._connection  # pyright: ignore[reportPrivateUsage]
    connection.execute("PRAGMA query_only=ON")
    for write in (lambda: shop.append(run, 2), lambda: shop.send(run), lambda: store.define("d", b"{}")):
        with pytest.raises(DatabaseReadOnlyError, match="cannot be written to"):
            write()
    assert len(store.load(run.no)) == 1
    connection.execute("PRAGMA query_only=OFF")
    assert shop.append(run, 2).verdict is Verdict.DONE


def test_failed_claim_leaves_the_runs_in_the_queue(shop: Shop, store: SqliteStore):
    run = shop.new(is_queued=True)
    shop.start(run)
    store._connection.execute("PRAGMA query_only=ON")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(DatabaseReadOnlyError):
        store.claim(ClaimRequest(shop.worker, 10))
    store._connection.execute("PRAGMA query_only=OFF")  # pyright: ignore[reportPrivateUsage]
    assert [one.run_no for one in shop.claim()] == [run.no]


def test_closed_store_may_be_opened_again(shop: Shop, store: SqliteStore, clock: ManualClock):
    run = shop.started()
    again = SqliteStore(store.path, clock, lambda: 0.5)
    assert len(again.load(run.no)) == 1
    again.close()
