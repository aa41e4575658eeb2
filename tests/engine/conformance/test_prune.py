from dataclasses import replace

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import Shop, read_rows, read_runs

from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.store import LogLine, NewEvent, NewRun, Pruned, Store, WaitRow
from flowforge.kit.crashpoint import crash_hook

DAY_MS = 24 * 60 * 60 * 1000


def finished(shop: Shop, amount: int) -> list[NewRun]:
    runs: list[NewRun] = []
    for _ in range(amount):
        shop.clock.advance(1)
        run = shop.started(labels={"team": "a"})
        shop.commit(replace(shop.turn(run, 2), logs=[LogLine(1, "info", "s", 1, "m", b"{}")]))
        shop.finish(run, 3)
        runs.append(run)
    return runs


def test_prune_takes_the_oldest_finished_runs_first(shop: Shop, store: Store, clock: ManualClock):
    runs = finished(shop, 5)
    living = shop.started()
    assert store.prune(clock.now_ms() + 1, 3) == Pruned([run.id for run in runs[:3]], [])
    assert set(read_runs(store)) == {runs[3].no, runs[4].no, living.no}
    assert store.load(runs[0].no) == []


def test_prune_leaves_runs_that_finished_at_or_after_the_time(shop: Shop, store: Store, clock: ManualClock):
    [run] = finished(shop, 1)
    assert store.prune(clock.now_ms(), 10) == Pruned([], [])
    assert len(store.load(run.no)) == 3


def test_f74_prune_killed_in_the_middle_leaves_whole_runs_and_is_done_again(shop: Shop, store: Store, clock: ManualClock):
    runs = finished(shop, 250)
    clock.advance(1)
    reached: list[str] = []

    def kill(name: str) -> None:
        reached.append(name)
        # In memory a prune is one batch.
        if reached.count("CP24") == (1 if isinstance(store, MemoryStore) else 2):
            raise ConnectionAbortedError

    with crash_hook(kill), pytest.raises(ConnectionAbortedError):
        store.prune(clock.now_ms(), 1_000)
    left = read_runs(store)
    assert all(len(view.seqs) == 3 for view in left.values())
    again = store.prune(clock.now_ms(), 1_000)
    assert sorted(again.runs) == sorted(run.id for run in runs if run.no in left)
    assert read_runs(store) == {}


def test_prune_drops_log_lines_older_than_their_own_time_also_of_runs_that_stay(shop: Shop, store: Store, clock: ManualClock):
    [run], living = finished(shop, 1), shop.started()
    lines = [LogLine(at, "info", "s", 1, f"at {at}", b"{}") for at in (5, 7, 9)]
    shop.commit(replace(shop.turn(living, 2), logs=lines))
    assert store.prune(0, 10, 8) == Pruned([], [], 3)
    assert list_logs(store, run.no, living.no) == ["at 9"]
    assert store.prune(0, 10, 8).logs == 0
    assert set(read_runs(store)) == {run.no, living.no}


def list_logs(store: Store, *run_nos: int) -> list[str]:
    if isinstance(store, MemoryStore):
        return [line.message for no in run_nos for line in store.tables.runs[no].logs]
    return [message for (message,) in read_rows(store, "SELECT message FROM step_logs ORDER BY no")]


def test_prune_drops_events_older_than_a_day(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    store.publish(NewEvent("ws", "paid", None, b"{}", "u", clock.now_ms()))
    clock.advance(DAY_MS)
    store.prune(0, 10)
    row = WaitRow("k", "paid", None, 0)
    assert store.look_back(run.no, row) == 1
    clock.advance(1)
    store.prune(0, 10)
    clock.set_wall(clock.now_ms() - 1)
    assert store.look_back(shop.started().no, row) == 0


def test_prune_tells_which_objects_no_run_names_any_more(shop: Shop, store: Store, clock: ManualClock):
    one, other, living = shop.started(), shop.started(), shop.started()
    shop.commit(replace(shop.turn(one, 2), blobs=[(one.no, "value_1"), (one.no, "value_2"), (one.no, "value_1")]))
    shop.commit(replace(shop.turn(other, 2), blobs=[(other.no, "value_2"), (living.no, "value_3"), (other.no, "value_3")]))
    assert store.find_unnamed(["value_0", "value_1", "value_2", "value_3"]) == ["value_0"]
    shop.finish(one, 3)
    clock.advance(1)
    assert store.prune(clock.now_ms(), 10) == Pruned([one.id], ["value_1"])
    assert store.find_unnamed(["value_1", "value_2"]) == ["value_1"]
    shop.finish(other, 3)
    clock.advance(1)
    assert store.prune(clock.now_ms(), 10) == Pruned([other.id], ["value_2"])
    assert store.find_unnamed(["value_3"]) == []


def test_object_named_for_a_run_that_is_gone_is_not_kept(shop: Shop, store: Store, clock: ManualClock):
    [gone] = finished(shop, 1)
    clock.advance(1)
    store.prune(clock.now_ms(), 10)
    run = shop.started()
    shop.commit(replace(shop.turn(run, 2), blobs=[(gone.no, "value_1")]))
    assert store.find_unnamed(["value_1"]) == ["value_1"]


def test_objects_of_a_turn_that_is_refused_are_not_named(shop: Shop, store: Store):
    run = shop.started()
    shop.commit(replace(shop.turn(run, 2, epoch=9), blobs=[(run.no, "value_1")]))
    assert store.find_unnamed(["value_1"]) == ["value_1"]
