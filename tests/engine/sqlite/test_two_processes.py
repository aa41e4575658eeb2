"""Two stores on one file, as two processes have them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, check_sound, read_runs, reopen_sqlite

from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import ClaimRequest, NewMail, Store, Verdict


@pytest.fixture
def other(store: SqliteStore, clock: ManualClock) -> Iterator[Shop]:
    opened = reopen_sqlite(store.path, clock)
    yield Shop(opened, clock, opened.register("second", EXPIRY_MS))
    opened.close()


def test_mail_from_another_process_is_noticed(shop: Shop, store: SqliteStore, other: Shop):
    run = shop.started()
    store.changed()
    assert not store.changed()
    other.send(run, "cancel")
    assert store.changed()
    assert [mail.kind for mail in store.mail(shop.worker)] == ["cancel"]
    assert not store.changed()


def test_own_turns_are_no_change(shop: Shop, store: SqliteStore):
    run = shop.started()
    store.changed()
    shop.append(run, 2)
    assert not store.changed()


def test_f16_runs_are_claimed_by_one_process_only(shop: Shop, store: SqliteStore, other: Shop):
    runs = [shop.new(is_queued=True) for _ in range(150)]
    shop.start(*runs)

    def drain(place: tuple[Store, int]) -> list[int]:
        mine: list[int] = []
        while claimed := place[0].claim(ClaimRequest(place[1], 5)):
            mine.extend(one.run_no for one in claimed)
        return mine

    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(drain, [(store, shop.worker), (other.store, other.worker)]))
    assert sorted([*shares[0], *shares[1]]) == sorted(run.no for run in runs)
    assert {run.epoch for run in read_runs(store).values()} == {1}


def test_f16_zombie_in_another_process_never_writes_behind_its_successor(shop: Shop, store: SqliteStore, other: Shop):
    run = shop.started()
    for _ in range(40):
        view = read_runs(store)[run.no]
        assert view.owner is not None
        epoch, seq = view.epoch, len(view.seqs) + 1
        other.worker = other.hire()
        other.kill(view.owner)
        with ThreadPoolExecutor(2) as pool:
            late = pool.submit(shop.append, run, seq, epoch, b'["late"]')
            claim = pool.submit(other.claim)
        [claimed] = claim.result()
        rows = store.load(run.no)
        is_first = late.result().verdict is Verdict.DONE
        assert [row.epoch for row in rows[seq - 1 :]] == ([epoch, epoch + 1] if is_first else [epoch + 1])
        assert rows[-1] == claimed.rows[-1]
    check_sound(store)


def test_mail_races_with_finish_in_another_process(shop: Shop, store: SqliteStore, other: Shop):
    for _ in range(30):
        run = shop.started()
        with ThreadPoolExecutor(2) as pool:
            sent = pool.submit(other.store.deliver, [NewMail(run.no, "cancel", b"{}", "user")])
            ended = pool.submit(shop.finish, run, 2)
        is_done = ended.result().verdict is Verdict.DONE
        assert sent.result() == ["finished" if is_done else "delivered"]


def test_worker_numbers_differ_over_processes(shop: Shop, other: Shop):
    assert shop.worker != other.worker
    assert set(shop.store.alive()) == {shop.worker, other.worker}
