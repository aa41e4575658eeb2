from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, read_runs

from flowforge.engine.store import Expired, Store


def test_worker_numbers_are_never_given_twice(shop: Shop, store: Store):
    numbers = [shop.worker]
    for _ in range(5):
        store.retire(numbers[-1])
        numbers.append(shop.hire())
    assert numbers == sorted(set(numbers))
    assert store.alive() == {numbers[-1]: "other"}


def test_worker_without_beat_expires_at_its_time(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    clock.advance(EXPIRY_MS - 1)
    assert store.expire() == Expired([], 0)
    clock.advance(1)
    assert store.expire() == Expired([shop.worker], 1)
    assert store.expire() == Expired([], 0)
    view = read_runs(store)[run.no]
    assert (view.status, view.owner, view.crashes, view.due_at) == ("queued", None, 1, clock.now_ms())


def test_beat_keeps_a_worker_alive(shop: Shop, store: Store, clock: ManualClock):
    for _ in range(5):
        clock.advance(EXPIRY_MS - 1)
        assert store.beat(shop.worker, EXPIRY_MS)
        assert store.expire() == Expired([], 0)


def test_late_beat_before_the_sweep_still_counts(shop: Shop, store: Store, clock: ManualClock):
    clock.advance(EXPIRY_MS * 3)
    assert store.beat(shop.worker, EXPIRY_MS)
    assert store.expire() == Expired([], 0)


def test_dead_worker_learns_it_by_its_beat(shop: Shop, store: Store):
    shop.kill()
    assert not store.beat(shop.worker, EXPIRY_MS)
    assert not store.beat(9_999, EXPIRY_MS)


def test_known_dead_worker_expires_at_once(shop: Shop, store: Store):
    other = shop.hire()
    shop.started()
    assert store.expire([shop.worker, 9_999]) == Expired([shop.worker], 1)
    assert list(store.alive()) == [other]


def test_expiry_goes_through_many_runs(shop: Shop, store: Store):
    shop.start(*(shop.new() for _ in range(1_203)))
    assert shop.kill() == 1_203
    assert all(run.owner is None for run in read_runs(store).values())


def test_retired_worker_leaves_its_runs_due_and_without_blame(shop: Shop, store: Store):
    runs = [shop.started() for _ in range(3)]
    shop.finish(runs[0], 2)
    assert store.retire(shop.worker) == 2
    assert store.retire(shop.worker) == 0
    assert not store.beat(shop.worker, EXPIRY_MS)
    assert {run.crashes for run in read_runs(store).values()} == {0}
    assert len(shop.claim(shop.hire(), suspects=0)) == 2
