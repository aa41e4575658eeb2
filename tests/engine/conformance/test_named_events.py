"""F72: each side writes, commits, then looks; whatever the order, an event reaches a waiting run once."""

from dataclasses import replace

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import Shop, read_rows, read_runs

from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.store import FAR_FUTURE_MS, NewEvent, NewRun, Store, WaitRow
from flowforge.kit.crashpoint import crash_hook

DAY_MS = 24 * 60 * 60 * 1000


def event(clock: ManualClock, correlation: str | None = None, name: str = "paid", workspace: str = "ws") -> NewEvent:
    return NewEvent(workspace, name, correlation, b'{"name":"paid"}', "user:a", clock.now_ms())


def wait(run: NewRun, correlation: str | None = None, key: str = "hold") -> WaitRow:
    return WaitRow(key, "paid", correlation, run.at)


def wait_for(shop: Shop, run: NewRun, row: WaitRow, seq: int = 2) -> int:
    """As the engine does it: the wait row, its commit, the look back."""
    shop.commit(replace(shop.turn(run, seq), waits_added=[row]))
    return shop.store.look_back(run.no, row)


def test_f72_event_after_its_wait_arrives(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    assert wait_for(shop, run, wait(run)) == 0
    assert store.publish(event(clock)) == 1
    assert [(mail.run_no, mail.kind, mail.body, mail.by) for mail in store.mail(shop.worker)] == [
        (run.no, "signal", b'{"name":"paid"}', "user:a")
    ]


def test_f72_event_before_its_wait_arrives(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    clock.advance(DAY_MS)
    assert store.publish(event(clock)) == 0
    assert wait_for(shop, run, wait(run)) == 1
    assert len(store.mail(shop.worker)) == 1


def test_f72_event_between_commit_and_look_arrives_once(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    row = wait(run)
    shop.commit(replace(shop.turn(run, 2), waits_added=[row]))
    assert store.publish(event(clock)) == 1
    assert store.look_back(run.no, row) == 0
    assert read_runs(store)[run.no].mail == 1


def test_f72_event_that_was_read_does_not_come_again(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    wait_for(shop, run, wait(run))
    store.publish(event(clock))
    [mail] = store.mail(shop.worker)
    shop.commit(replace(shop.turn(run, 3), mail_read=[mail.no], waits_removed=["hold"]))
    assert wait_for(shop, run, wait(run, key="again"), seq=4) == 0


def test_event_wakes_a_sleeping_run(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    wait_for(shop, run, wait(run))
    shop.release(run, 3, due_at=FAR_FUTURE_MS)
    store.publish(event(clock))
    assert [len(one.mails) for one in shop.claim()] == [1]


@pytest.mark.parametrize(
    ("wanted", "sent", "reaches"),
    [(None, None, 1), (None, "a", 1), ("a", "a", 1), ("a", "b", 0), ("a", None, 0)],
)
def test_correlation_decides_in_both_directions(
    shop: Shop, store: Store, clock: ManualClock, wanted: str | None, sent: str | None, reaches: int
):
    early, late = shop.started(), shop.started()
    wait_for(shop, early, wait(early, wanted))
    assert store.publish(event(clock, sent)) == reaches
    assert wait_for(shop, late, wait(late, wanted)) == reaches


def test_other_names_and_workspaces_do_not_match(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    wait_for(shop, run, wait(run))
    assert store.publish(event(clock, name="shipped")) == 0
    assert store.publish(event(clock, workspace="ws2")) == 0


def test_event_before_the_run_or_older_than_a_day_does_not_count(shop: Shop, store: Store, clock: ManualClock):
    store.publish(event(clock))
    clock.advance(1)
    run = shop.started()
    assert wait_for(shop, run, wait(run)) == 0
    store.publish(event(clock, "x"))
    clock.advance(DAY_MS + 1)
    assert wait_for(shop, run, wait(run, key="again"), seq=3) == 0


def test_event_reaches_every_run_that_waits_and_each_once(shop: Shop, store: Store, clock: ManualClock):
    runs = [shop.started() for _ in range(300)]
    for run in runs:
        shop.commit(replace(shop.turn(run, 2), waits_added=[wait(run), wait(run, key="second")]))
    assert store.publish(event(clock)) == 300
    assert {run.mail for run in read_runs(store).values()} == {1}


def test_ended_wait_takes_no_event(shop: Shop, store: Store, clock: ManualClock):
    run, ended = shop.started(), shop.started()
    wait_for(shop, run, wait(run))
    wait_for(shop, ended, wait(ended))
    shop.commit(replace(shop.turn(run, 3), waits_removed=["hold"]))
    shop.finish(ended, 3)
    assert store.publish(event(clock)) == 0


def test_sweep_delivers_what_a_killed_publisher_had_stored(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    wait_for(shop, run, wait(run))

    def kill(name: str) -> None:
        if name == "CP29":
            raise ConnectionAbortedError

    with crash_hook(kill), pytest.raises(ConnectionAbortedError):
        store.publish(event(clock))
    assert store.mail(shop.worker) == []
    assert store.match() == 1
    assert len(store.mail(shop.worker)) == 1
    assert store.match() == 0


def test_look_back_of_unknown_run_finds_nothing(shop: Shop, store: Store):
    run = shop.new()
    assert store.look_back(run.no, wait(run)) == 0


def test_event_of_a_number_is_delivered_once_however_often(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    wait_for(shop, run, wait(run))
    store.publish(event(clock))
    [mail] = store.mail(shop.worker)
    number = 1 if isinstance(store, MemoryStore) else read_rows(store, "SELECT max(no) FROM events")[0][0]
    assert [store.match(no) for no in (number, number, number + 1)] == [1, 1, 0]
    assert [found.no for found in store.mail(shop.worker)] == [mail.no]
