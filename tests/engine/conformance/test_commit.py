from dataclasses import replace

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import COMPLETED, ENDED, MIDDLE, STARTED, Shop, read_runs

from flowforge.engine.store import Finish, LogLine, Pruned, Store, Turn, TurnResult, Verdict

DONE = TurnResult(Verdict.DONE)


def bodies(store: Store, run_no: int) -> list[bytes]:
    return [row.body for row in store.load(run_no)]


def test_start_stores_first_row_and_turn_row(shop: Shop, store: Store, clock: ManualClock):
    run = shop.new()
    assert store.commit([shop.birth(run, MIDDLE)]) == [DONE]
    rows = store.load(run.no)
    assert [(row.seq, row.epoch, row.at, row.body) for row in rows] == [
        (1, 1, clock.now_ms(), STARTED),
        (2, 1, clock.now_ms(), MIDDLE),
    ]
    view = read_runs(store)[run.no]
    assert (view.status, view.owner, view.epoch, view.due_at) == ("running", shop.worker, 1, None)


def test_start_with_empty_body_stores_one_row(shop: Shop, store: Store):
    run = shop.started()
    assert bodies(store, run.no) == [STARTED]


def test_queued_start_waits_unowned_with_epoch_0(shop: Shop, store: Store):
    run = shop.new(is_queued=True)
    assert shop.start(run) == [DONE]
    view = read_runs(store)[run.no]
    assert (view.status, view.owner, view.epoch, view.due_at) == ("queued", None, 0, 0)


def test_run_is_born_worked_and_finished_in_one_commit(shop: Shop, store: Store):
    run = shop.new()
    turns = [shop.birth(run, MIDDLE), shop.turn(run, 3), replace(shop.turn(run, 4, body=ENDED), finish=COMPLETED)]
    assert store.commit(turns) == [DONE] * 3
    assert bodies(store, run.no) == [STARTED, MIDDLE, MIDDLE, ENDED]
    assert read_runs(store)[run.no].is_finished


def test_start_by_dead_worker_is_queued(shop: Shop, store: Store):
    shop.kill()
    run = shop.new()
    assert store.commit([shop.birth(run, MIDDLE)]) == [TurnResult(Verdict.QUEUED)]
    assert bodies(store, run.no) == [STARTED]
    assert [one.run_no for one in shop.claim(shop.hire())] == [run.no]


def test_duplicate_of_dedup_names_the_run_that_is_there(shop: Shop, store: Store):
    first = shop.started(dedup="order-1")
    again = replace(shop.new(), dedup="order-1")
    assert store.commit([shop.birth(again)]) == [TurnResult(Verdict.DUPLICATE, first.id, first.no)]
    assert store.load(again.no) == []


def test_duplicates_within_one_commit_make_one_run(shop: Shop, store: Store):
    runs = [replace(shop.new(), dedup="order-1") for _ in range(3)]
    results = shop.start(*runs)
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.DUPLICATE, Verdict.DUPLICATE]
    assert {result.run_id for result in results[1:]} == {runs[0].id}
    assert list(read_runs(store)) == [runs[0].no]


def test_same_dedup_in_another_workspace_is_another_run(shop: Shop, store: Store):
    shop.started(dedup="order-1")
    shop.started(dedup="order-1", workspace_id="ws2")
    assert len(read_runs(store)) == 2


def test_child_is_born_in_its_parents_commit(shop: Shop, store: Store):
    parent = shop.started()
    child = replace(shop.new(), parent_no=parent.no, parent_key="call#1")
    result = shop.commit(replace(shop.turn(parent, 2), children=[child]))
    assert (result.verdict, list(result.children)) == (Verdict.DONE, [Verdict.DONE])
    assert bodies(store, child.no) == [STARTED]


def test_child_of_refused_turn_is_not_born(shop: Shop, store: Store):
    parent = shop.started()
    child = replace(shop.new(), parent_no=parent.no, parent_key="call#1")
    assert shop.commit(replace(shop.turn(parent, 2, epoch=7), children=[child])).verdict is Verdict.STALE
    assert store.load(child.no) == []


def test_second_child_of_one_parent_key_is_a_duplicate(shop: Shop, store: Store):
    parent = shop.started()
    children = [replace(shop.new(), parent_no=parent.no, parent_key="call#1") for _ in range(2)]
    shop.commit(replace(shop.turn(parent, 2), children=children[:1]))
    result = shop.commit(replace(shop.turn(parent, 3), children=children[1:]))
    assert list(result.children) == [Verdict.DUPLICATE]
    assert store.load(children[1].no) == []


def test_stale_turn_leaves_alone(shop: Shop, store: Store):
    runs = [shop.started() for _ in range(5)]
    turns = [shop.turn(run, 2, epoch=9 if place == 2 else 1) for place, run in enumerate(runs)]
    verdicts = [result.verdict for result in store.commit(turns)]
    assert verdicts == [Verdict.DONE, Verdict.DONE, Verdict.STALE, Verdict.DONE, Verdict.DONE]
    assert [len(store.load(run.no)) for run in runs] == [2, 2, 1, 2, 2]


def test_turns_behind_a_refused_one_of_the_same_run_are_refused_too(shop: Shop, store: Store):
    run, other = shop.started(), shop.started()
    shop.send(run)
    turns = [replace(shop.turn(run, 2), release=None, finish=COMPLETED), shop.turn(run, 3), shop.turn(other, 2)]
    assert [result.verdict for result in store.commit(turns)] == [Verdict.MAIL, Verdict.MAIL, Verdict.DONE]
    assert (len(store.load(run.no)), len(store.load(other.no))) == (1, 2)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_bad_content_leaves_alone(shop: Shop, store: Store, place: int):
    runs = [shop.started() for _ in range(3)]
    turns = [shop.turn(run, 2, body=b"\xff" if number == place else MIDDLE) for number, run in enumerate(runs)]
    results = store.commit([*turns, shop.turn(runs[place], 3)])
    for number, result in enumerate(results[:3]):
        assert result.verdict is (Verdict.UNSTORABLE if number == place else Verdict.DONE)
    assert results[place].problem
    assert results[3].verdict is Verdict.UNSTORABLE
    assert [len(store.load(run.no)) for run in runs] == [1 if number == place else 2 for number in range(3)]


def test_nothing_is_appended_after_finish(shop: Shop, store: Store):
    run = shop.started()
    shop.finish(run, 2)
    assert shop.append(run, 3).verdict is Verdict.STALE
    assert len(store.load(run.no)) == 2


def test_turn_of_unknown_run_is_stale(shop: Shop, store: Store):
    assert shop.append(shop.new(), 2).verdict is Verdict.STALE


def test_logs_and_labels_are_stored_with_their_turn(shop: Shop, store: Store):
    run = replace(shop.new(), labels={"team": "orders", "city": "Köln"})
    line = LogLine(5, "info", "fetch", 1, "got it", b'{"n":1}')
    assert store.commit([replace(shop.birth(run, MIDDLE), logs=[line])]) == [DONE]
    assert store.prune(0, 10) == Pruned([], [])
    assert len(store.load(run.no)) == 2


def test_failed_run_keeps_its_error(shop: Shop, store: Store):
    run = shop.started()
    end = Finish("failed", "http_500", "fetch:http_500")
    assert shop.commit(replace(shop.turn(run, 2, body=ENDED), finish=end)) == DONE
    assert read_runs(store)[run.no].status == "failed"


def test_empty_commit_does_nothing(store: Store):
    assert store.commit([]) == []


def test_large_commit_keeps_order_of_rows(shop: Shop, store: Store):
    run = shop.started()
    turns: list[Turn] = [shop.turn(run, seq, body=b"[%d]" % seq) for seq in range(2, 702)]
    assert {result.verdict for result in store.commit(turns)} == {Verdict.DONE}
    assert [row.body for row in store.load(run.no)[1:]] == [b"[%d]" % seq for seq in range(2, 702)]


def test_definition_stays_as_first_defined(store: Store):
    assert store.definition("d1") is None
    store.define("d1", b'{"a":1}')
    store.define("d1", b'{"a":2}')
    assert store.definition("d1") == b'{"a":1}'
