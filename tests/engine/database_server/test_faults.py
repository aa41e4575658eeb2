"""Others in the way, deadlocks, a full or read-only server: the whole again, at most five times; nothing half, and work goes on."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pymysql
import pytest
from tests.support.clock import ManualClock
from tests.support.server_databases import open_reader
from tests.support.stores import COMPLETED, ENDED, EXPIRY_MS, Shop, read_runs

from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.line import open_session
from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.store import ClaimRequest, NewMail, NewRun, SlotAnswer, SlotRequest, Verdict
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database.errors import DatabaseLockedError, DatabaseReadOnlyError, DatabaseUnsafeError
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl


def contention(url: DatabaseUrl, chance: random.Random) -> Exception:
    """What the driver raises where the server chose this transaction as the victim."""
    if url.kind is DatabaseKind.MYSQL:
        return pymysql.OperationalError(*chance.choice([(1213, "Deadlock found"), (1205, "Lock wait timeout exceeded")]))
    return chance.choice([psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])("in the way")


@pytest.mark.parametrize("place", ["CP10a", "CP10b"])
def test_f23_commits_that_lose_are_made_again(shop: Shop, store: DatabaseServerStore, place: str):
    """CP10b: the commit happened, and its victim does not know."""
    chance = random.Random(23)
    faults = 0

    def fail(name: str) -> None:
        nonlocal faults
        if name == place and chance.random() < 0.3:
            faults += 1
            raise contention(store.url, chance)

    parent, runs = shop.started(), [shop.started() for _ in range(4)]
    with crash_hook(fail):
        for seq in range(2, 22):
            results = store.commit([shop.turn(run, seq, body=b"[%d]" % seq) for run in runs])
            assert {result.verdict for result in results} == {Verdict.DONE}
        for run in runs:
            mail = NewMail(parent.no, "child", b"{}", "system")
            assert shop.commit(replace(shop.turn(run, 22, body=ENDED), finish=COMPLETED, mails=[mail])).verdict is Verdict.DONE
    assert faults > 3
    assert [[row.seq for row in store.load(run.no)] for run in runs] == [list(range(1, 23))] * 4
    assert read_runs(store)[parent.no].mail == 4


def test_f23_commit_that_never_gets_through_is_split_into_its_turns(shop: Shop, store: DatabaseServerStore):
    chance = random.Random(5)
    runs = [shop.started() for _ in range(3)]
    tries = 0

    def fail(name: str) -> None:
        nonlocal tries
        if name == "CP10a":
            tries += 1
            if tries <= 5:
                raise contention(store.url, chance)

    stale = shop.turn(runs[1], 2, epoch=9)
    with crash_hook(fail):
        results = store.commit([shop.turn(runs[0], 2), stale, shop.turn(runs[1], 3, epoch=9), shop.turn(runs[2], 2)])
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.STALE, Verdict.STALE, Verdict.DONE]
    assert tries == 9
    assert [len(store.load(run.no)) for run in runs] == [2, 1, 2]


def test_f23_error_leaves_after_five_tries_and_nothing_is_stored(shop: Shop, store: DatabaseServerStore):
    chance = random.Random(5)
    run = shop.started()
    tries = 0

    def fail(name: str) -> None:
        nonlocal tries
        if name == "CP10a":
            tries += 1
            raise contention(store.url, chance)

    with crash_hook(fail), pytest.raises(DatabaseLockedError, match="in the way for too long"):
        shop.append(run, 2)
    assert tries == 5
    assert len(store.load(run.no)) == 1
    assert shop.append(run, 2).verdict is Verdict.DONE


class Rival:
    """Another process's transaction that holds a run's row until the store has slept for it `patience` times."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.session: Session = open_session(url)
        self.patience = 0
        self.sleeps = 0

    def hold(self, run: NewRun, patience: int) -> None:
        self.session.send("BEGIN")
        assert self.session.fetch("SELECT no FROM runs WHERE no=%s FOR UPDATE", (run.no,))
        self.patience = patience

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds < 1
        self.sleeps += 1
        self.patience -= 1
        if self.patience == 0:
            self.session.send("COMMIT")


@pytest.fixture
def rival(url: DatabaseUrl) -> Iterator[Rival]:
    one = Rival(url)
    yield one
    one.session.close()


@pytest.fixture
def hasty(url: DatabaseUrl, rival: Rival, clock: ManualClock, store: DatabaseServerStore) -> Iterator[Shop]:
    """A shop whose store waits for a lock as short as its server can."""
    assert store.url == url
    opened = DatabaseServerStore(url, clock, lambda: 0.5, sleep=rival.sleep)
    session = opened._line.open()  # pyright: ignore[reportPrivateUsage]
    is_mysql = url.kind is DatabaseKind.MYSQL
    session.send("SET SESSION innodb_lock_wait_timeout=1" if is_mysql else "SET lock_timeout TO 50")
    yield Shop(opened, clock, opened.register("hasty", EXPIRY_MS))
    opened.close()


def test_f23_lock_wait_in_the_middle_of_a_transition_makes_it_again(hasty: Shop, rival: Rival, store: DatabaseServerStore):
    first, second = hasty.started(), hasty.started()
    rival.hold(second, patience=1)
    turns = [replace(hasty.turn(run, 2, body=ENDED), finish=COMPLETED) for run in (first, second)]
    assert [result.verdict for result in hasty.store.commit(turns)] == [Verdict.DONE, Verdict.DONE]
    assert rival.sleeps == 1
    assert all(view.is_finished and list(view.seqs) == [1, 2] for view in read_runs(store).values())


def test_f23_mail_waits_for_whoever_holds_its_run(hasty: Shop, rival: Rival, store: DatabaseServerStore):
    run = hasty.started()
    rival.hold(run, patience=1)
    assert hasty.send(run) == "delivered"
    assert (rival.sleeps, read_runs(store)[run.no].mail, len(store.mail(hasty.worker))) == (1, 1, 1)


def test_middle_turns_do_not_wait_for_whoever_holds_their_run(hasty: Shop, rival: Rival):
    run = hasty.started()
    rival.hold(run, patience=1)
    assert hasty.append(run, 2).verdict is Verdict.DONE
    assert rival.sleeps == 0


def test_claim_passes_by_rows_that_others_hold(hasty: Shop, rival: Rival):
    runs = [hasty.new(is_queued=True) for _ in range(3)]
    hasty.start(*runs)
    rival.session.send("BEGIN")
    rival.session.fetch("SELECT run_no FROM queue WHERE run_no=%s FOR UPDATE", (runs[0].no,))
    assert [one.run_no for one in hasty.claim()] == [runs[1].no, runs[2].no]
    rival.session.send("COMMIT")
    assert [one.run_no for one in hasty.claim()] == [runs[0].no]


def deny_writes(store: DatabaseServerStore, *, is_denied: bool) -> None:
    session = store._line.open()  # pyright: ignore[reportPrivateUsage]
    if store.url.kind is DatabaseKind.MYSQL:
        session.send(f"SET SESSION TRANSACTION READ {'ONLY' if is_denied else 'WRITE'}")
    else:
        session.send(f"SET default_transaction_read_only TO {'on' if is_denied else 'off'}")


def test_f28_read_only_server_is_told_and_recovers_by_itself(shop: Shop, store: DatabaseServerStore):
    """As after a change-over, while the connection still leads to the old primary."""
    run, queued = shop.started(), shop.new(is_queued=True)
    shop.start(queued)
    deny_writes(store, is_denied=True)
    writes: list[Callable[[], object]] = [
        lambda: shop.append(run, 2),
        lambda: shop.send(run),
        lambda: store.define("d", b"{}"),
        lambda: store.claim(ClaimRequest(shop.worker, 10)),
    ]
    for write in writes:
        with pytest.raises(DatabaseReadOnlyError, match="can only be read"):
            write()
    assert len(store.load(run.no)) == 1
    deny_writes(store, is_denied=False)
    assert shop.append(run, 2).verdict is Verdict.DONE
    assert [one.run_no for one in shop.claim()] == [queued.no]


@pytest.mark.parametrize("content", ["x" * 500, "\x00"])
def test_value_that_the_server_does_not_take_leaves_alone(shop: Shop, store: DatabaseServerStore, content: str):
    good, bad = shop.started(), replace(shop.new(), subject=content)
    is_taken = store.url.kind is DatabaseKind.MYSQL and content == "\x00"
    results = store.commit([shop.turn(good, 2), shop.birth(bad), shop.turn(bad, 2)])
    assert results[0].verdict is Verdict.DONE
    if not is_taken:
        assert [result.verdict for result in results[1:]] == [Verdict.UNSTORABLE] * 2
        assert results[1].problem
        assert bad.no not in read_runs(store)


def test_names_that_differ_in_case_or_accent_are_different(shop: Shop, store: DatabaseServerStore):
    names = ["order", "Order", "ordér", "order "]
    results = shop.start(*(replace(shop.new(), dedup=name) for name in names))
    assert [result.verdict for result in results] == [Verdict.DONE] * 4
    run = shop.started()
    assert {shop.send(run, dedup=name) for name in names} == {"delivered"}
    assert {shop.send(run, dedup=name) for name in names} == {"duplicate"}
    with open_reader(store.url) as session:
        assert len(session.fetch("SELECT DISTINCT dedup FROM runs WHERE dedup IS NOT NULL")) == 4


def test_text_beyond_the_basic_plane_comes_back_as_it_was(shop: Shop, store: DatabaseServerStore):
    body = '["\U0001f600 Köln \\u0000 % %s \' \\" \\\\"]'.encode()
    run = shop.started()
    assert shop.append(run, 2, body=body).verdict is Verdict.DONE
    assert store.load(run.no)[1].body == body


def test_f31_store_does_not_open_where_a_power_cut_would_lose_what_was_confirmed(postgres_url: DatabaseUrl, clock: ManualClock):
    with open_reader(postgres_url) as session:
        session.send(f"ALTER DATABASE {postgres_url.name} SET synchronous_commit TO off")
        try:
            with pytest.raises(DatabaseUnsafeError, match="a power cut loses runs"):
                DatabaseServerStore(postgres_url, clock, lambda: 0.5)
        finally:
            session.send(f"ALTER DATABASE {postgres_url.name} RESET synchronous_commit")


def test_events_and_bytes_of_a_run_are_counted_when_it_leaves(shop: Shop, store: DatabaseServerStore):
    run = shop.started()
    shop.append(run, 2, body='["ö"]'.encode())
    shop.release(run, 3)
    shop.claim()
    assert shop.finish(run, 5, epoch=2).verdict is Verdict.DONE
    with open_reader(store.url) as session:
        [counted] = session.fetch("SELECT events, bytes, counted_seq FROM runs")
    rows = store.load(run.no)
    assert tuple(counted) == (5, sum(len(row.body) for row in rows), 5)


def test_rates_that_nobody_needs_are_pruned_and_those_in_use_stay(shop: Shop, store: DatabaseServerStore, clock: ManualClock):
    run = shop.started()
    held, rated = SlotRequest("held", run.no, "a", 1, None, None), SlotRequest("rated", run.no, "b", None, 1, 60_000)
    gone = SlotRequest("gone", run.no, "c", 1, None, None)
    assert all(answer.granted for answer in store.acquire([held, rated, gone]))
    assert shop.commit(replace(shop.turn(run, 2), slots_freed=["c"])).verdict is Verdict.DONE
    store.prune(0, 10)
    with open_reader(store.url) as session:
        assert {scope for (scope,) in session.fetch("SELECT scope FROM rates")} == {"held", "rated"}
    assert store.acquire([replace(gone, key="d"), replace(held, key="e")]) == [
        SlotAnswer(granted=True),
        SlotAnswer(granted=False),
    ]
    clock.advance(60_000)
    store.prune(0, 10)
    assert store.acquire([rated])[0].granted
