"""The connection breaks: while COMMIT is on its way, in the middle of a transaction, or while nobody looks. Nothing is lost or done twice."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.support.clock import ManualClock
from tests.support.server_databases import open_reader, open_server_store
from tests.support.stores import COMPLETED, ENDED, EXPIRY_MS, MIDDLE, Shop, read_rows, read_runs, read_slots
from tests.support.tcp_proxy import TcpProxy, open_tcp_proxy

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    ClaimRequest,
    NewEvent,
    NewJob,
    NewMail,
    Release,
    SlotScope,
    Turn,
    Verdict,
    WaitRow,
)
from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.errors import DatabaseUnreachableError
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

COMMIT = b"COMMIT"


@pytest.fixture
def proxy(url: DatabaseUrl) -> Iterator[TcpProxy]:
    with open_tcp_proxy(url.port) as opened:
        yield opened


@pytest.fixture
def far_store(url: DatabaseUrl, proxy: TcpProxy, clock: ManualClock, store: DatabaseServerStore) -> Iterator[DatabaseServerStore]:
    """A store behind the proxy. (`store` is the direct one, to look.)"""
    assert store.url == url
    opened = open_server_store(replace(url, port=proxy.port), clock)
    yield opened
    opened.close()


@pytest.fixture
def far(far_store: DatabaseServerStore, clock: ManualClock) -> Shop:
    return Shop(far_store, clock, far_store.register("far", EXPIRY_MS))


def lose(proxy: TcpProxy, how: str, marker: bytes = COMMIT) -> None:
    if how == "answer":
        proxy.lose_answer(marker)
    else:
        proxy.lose_request(marker)


@pytest.mark.parametrize("how", ["answer", "request"])
class TestF21:
    def test_f21_middle_turns_are_stored_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        runs = [far.started() for _ in range(3)]
        lose(proxy, how)
        results = far.store.commit([far.turn(run, seq) for run in runs for seq in (2, 3)])
        assert [result.verdict for result in results] == [Verdict.DONE] * 6
        assert proxy.losses == 1
        assert [[row.seq for row in store.load(run.no)] for run in runs] == [[1, 2, 3]] * 3

    def test_f21_start_child_and_slot_are_stored_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        run = replace(far.new(slot=SlotScope("wf", 1, "reject")), dedup="d", labels={"a": "b"})
        child = replace(far.new(), parent_no=run.no, parent_key="call#1")
        lose(proxy, how)
        result = far.commit(replace(far.birth(run, MIDDLE), children=[child]))
        assert (result.verdict, proxy.losses) == (Verdict.DONE, 1)
        assert set(read_runs(store)) == {run.no, child.no}
        assert read_slots(store) == {"wf": {1: run.no}}

    def test_f21_finish_sends_its_mail_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        child, parent = far.started(), far.started()
        turn = replace(far.turn(child, 2, body=ENDED), finish=COMPLETED, mails=[NewMail(parent.no, "child", b"{}", "system")])
        lose(proxy, how)
        assert far.commit(turn).verdict is Verdict.DONE
        assert (read_runs(store)[parent.no].mail, read_runs(store)[child.no].is_finished, proxy.losses) == (1, True, 1)

    def test_f21_release_is_stored_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        run = far.started()
        lose(proxy, how)
        turn = replace(far.turn(run, 2), release=Release("waiting", FAR_FUTURE_MS, "{}"))
        assert far.commit(turn).verdict is Verdict.DONE
        assert list(read_runs(store)[run.no].seqs) == [1, 2]

    def test_f21_claimed_runs_belong_to_who_claimed_them(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        runs = [far.new(is_queued=True) for _ in range(3)]
        far.start(*runs)
        lose(proxy, how)
        claimed = far.claim()
        assert proxy.losses == 1
        assert sorted(one.run_no for one in claimed) == [run.no for run in runs]
        assert {one.epoch for one in claimed} == {1}
        assert [[row.epoch for row in store.load(run.no)] for run in runs] == [[0, 1]] * 3
        assert far.claim() == []

    def test_f21_taken_jobs_belong_to_who_took_them(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        run = far.started()
        far.commit(replace(far.turn(run, 2), jobs=[NewJob(run.no, "s", 1, "ws", "heavy", 5, 1, b"{}")]))
        lose(proxy, how)
        [job] = far.store.take_jobs(far.worker, ["heavy"], 5)
        assert (job.epoch, proxy.losses) == (1, 1)
        assert far.store.take_jobs(far.worker, ["heavy"], 5) == []
        assert far.store.end_job(far.worker, job, NewMail(run.no, "job", b"{}", "system"))
        assert read_runs(store)[run.no].mail == 1

    def test_f21_end_of_a_job_is_told_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        run = far.started()
        far.commit(replace(far.turn(run, 2), jobs=[NewJob(run.no, "s", 1, "ws", "heavy", 5, 1, b"{}")]))
        [job] = far.store.take_jobs(far.worker, ["heavy"], 5)
        lose(proxy, how)
        far.store.end_job(far.worker, job, NewMail(run.no, "job", b"{}", "system"))
        assert (read_runs(store)[run.no].mail, proxy.losses) == (1, 1)

    def test_f21_mail_whose_fate_is_unknown_is_not_sent_twice(
        self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str
    ):
        run = far.started()
        lose(proxy, how)
        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
            far.send(run)
        assert read_runs(store)[run.no].mail == (how == "answer")

    def test_f21_event_whose_fate_is_unknown_is_not_published_twice(
        self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str
    ):
        run = far.started()
        far.commit(replace(far.turn(run, 2), waits_added=[WaitRow("hold", "paid", None, 0)]))
        lose(proxy, how)
        with pytest.raises(DatabaseUnreachableError):
            far.store.publish(NewEvent("ws", "paid", None, b"{}", "user", far.clock.now_ms()))
        assert far.store.match() == (how == "answer")
        assert read_runs(store)[run.no].mail == (how == "answer")

    def test_f21_expiry_blames_once(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore, how: str):
        run = far.started(owner=far.hire())
        lose(proxy, how)
        far.store.expire([run.owner or 0])
        view = read_runs(store)[run.no]
        assert (view.owner, view.crashes, proxy.losses) == (None, 1, 1)


def test_f22_connection_that_breaks_in_the_middle_leaves_nothing(far: Shop, proxy: TcpProxy, store: DatabaseServerStore):
    parent = far.started()
    child = replace(far.new(slot=SlotScope("wf", 1, "queue")), parent_no=parent.no, parent_key="call#1")
    turn = replace(
        far.turn(parent, 2),
        children=[child],
        mails=[NewMail(parent.no, "signal", b'{"marked":true}', "u")],
        jobs=[NewJob(parent.no, "s", 1, "ws", "heavy", 5, 1, b"{}")],
    )
    before = read_runs(store)
    proxy.lose_request(b"marked")
    with pytest.raises(DatabaseUnreachableError):
        commit_once(far, proxy, turn)
    assert read_runs(store) == before
    assert read_slots(store) == {}
    for table in ("inbox", "queue", "jobs"):
        assert read_rows(store, f"SELECT * FROM {table}") == []
    proxy.heal()
    assert far.commit(turn).verdict is Verdict.DONE
    assert (read_runs(store)[parent.no].mail, len(store.take_jobs(far.worker, ["heavy"], 5))) == (1, 1)
    assert set(read_runs(store)) == {parent.no, child.no}


def commit_once(far: Shop, proxy: TcpProxy, turn: Turn) -> None:
    """Commits while the server cannot be reached any more once the request was lost."""
    store = far.store
    assert isinstance(store, DatabaseServerStore)
    line = store._line  # pyright: ignore[reportPrivateUsage]
    sleep = line._sleep  # pyright: ignore[reportPrivateUsage]

    def cut(_seconds: float) -> None:
        proxy.cut()

    line._sleep = cut  # pyright: ignore[reportPrivateUsage]
    try:
        store.commit([turn])
    finally:
        line._sleep = sleep  # pyright: ignore[reportPrivateUsage]


def test_idle_connections_that_were_ended_are_made_anew(far: Shop, proxy: TcpProxy):
    run = far.started()
    proxy.drop()
    assert far.append(run, 2).verdict is Verdict.DONE
    assert far.store.beat(far.worker, EXPIRY_MS)
    assert far.hire() > far.worker


def test_reading_goes_on_where_the_connection_was_lost(far: Shop, proxy: TcpProxy):
    run = far.started()
    proxy.drop()
    assert len(far.store.load(run.no)) == 1
    proxy.cut()
    with pytest.raises(DatabaseUnreachableError):
        far.store.load(run.no)


def test_server_that_is_gone_is_told_and_work_goes_on_when_it_is_back(far: Shop, proxy: TcpProxy):
    run = far.started()
    proxy.cut()
    with pytest.raises(DatabaseUnreachableError, match="check that it runs"):
        far.append(run, 2)
    with pytest.raises(DatabaseUnreachableError):
        far.store.claim(ClaimRequest(far.worker, 5))
    with pytest.raises(DatabaseUnreachableError):
        far.store.beat(far.worker, EXPIRY_MS)
    proxy.heal()
    assert far.append(run, 2).verdict is Verdict.DONE
    assert far.store.beat(far.worker, EXPIRY_MS)


def test_connections_that_the_server_ends_are_made_anew(shop: Shop, store: DatabaseServerStore):
    run = shop.started()
    for seq in range(2, 6):
        end_all_connections(store.url)
        assert shop.append(run, seq).verdict is Verdict.DONE
    assert [row.seq for row in store.load(run.no)] == [1, 2, 3, 4, 5]


def end_all_connections(url: DatabaseUrl) -> None:
    """As an administrator, or a server that shuts down, does."""
    with open_reader(url) as session:
        if url.kind is DatabaseKind.POSTGRES:
            text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()"
            session.fetch(text)
            return
        own = session.fetch("SELECT connection_id()")[0][0]
        for (number,) in session.fetch("SELECT id FROM information_schema.processlist WHERE db=database()"):
            if number != own:
                session.send(f"KILL {number}")


def test_clock_of_the_database_is_set_at_each_connect_and_beat(url: DatabaseUrl):
    clock = DatabaseClock()
    opened = DatabaseServerStore(url, clock, lambda: 0.5)
    worker = opened.register("w", EXPIRY_MS)
    with open_reader(url) as session:
        before = opened.now_ms()
        told = session.read_time_ms()
        assert 0 <= told - before < 60_000
        assert opened.beat(worker, EXPIRY_MS)
        [(expires_at,)] = session.fetch("SELECT expires_at FROM workers WHERE no=%s", (worker,))
        assert expires_at <= session.read_time_ms() + EXPIRY_MS
    opened.close()


class TestF21Twice:
    """The answer to COMMIT is lost, and the connection once more while it is read back what happened."""

    def test_f21_claimed_runs_are_not_forgotten(self, far: Shop, proxy: TcpProxy, store: DatabaseServerStore):
        runs = [far.new(is_queued=True) for _ in range(3)]
        far.start(*runs)
        lose_twice(far, proxy, b"finished_at IS NULL AND owner=")
        assert sorted(one.run_no for one in far.claim()) == [run.no for run in runs]
        assert proxy.losses == 2
        assert far.claim() == []

    def test_f21_taken_jobs_are_not_forgotten(self, far: Shop, proxy: TcpProxy):
        run = far.started()
        far.commit(replace(far.turn(run, 2), jobs=[NewJob(run.no, "s", 1, "ws", "heavy", 5, 1, b"{}")]))
        lose_twice(far, proxy, b"AND owner=")
        assert [job.key for job in far.store.take_jobs(far.worker, ["heavy"], 5)] == ["s"]
        assert proxy.losses == 2
        assert far.store.take_jobs(far.worker, ["heavy"], 5) == []


def lose_twice(far: Shop, proxy: TcpProxy, marker: bytes) -> None:
    """The next COMMIT's answer, and the first request behind it that holds the marker."""
    line: Any = vars(far.store)["_line"]
    proxy.lose_answer(COMMIT)

    def lose_next(_pause_s: float) -> None:
        if proxy.losses == 1:
            proxy.lose_request(marker)

    line._sleep = lose_next


def test_f12_call_that_hangs_is_ended_from_another_thread(far: Shop, proxy: TcpProxy, store: DatabaseServerStore):
    run = far.started()
    before = proxy.connections
    proxy.freeze()
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(far.append, run, 2)
        far.store.interrupt()
        until_s = time.monotonic() + 10
        while proxy.connections == before:  # it asks for a new connection, which hangs as well
            assert time.monotonic() < until_s
            far.store.interrupt()
            time.sleep(0.05)
        proxy.heal()
        assert turn.result(20).verdict is Verdict.DONE
    assert [row.seq for row in store.load(run.no)] == [1, 2]
    far.store.interrupt()
    assert far.append(run, 3).verdict is Verdict.DONE
    far.store.close()
    far.store.interrupt()
