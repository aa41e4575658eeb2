from collections import Counter
from dataclasses import replace

import orjson
from tests.support.clock import ManualClock
from tests.support.stores import MIDDLE, Shop

from flowforge.engine.store import FAR_FUTURE_MS, Claimed, ClaimRequest, Glance, Release, Store


def ids(claimed: list[Claimed]) -> list[str]:
    return [one.run_id for one in claimed]


def last_event(claimed: Claimed) -> dict[str, object]:
    return orjson.loads(claimed.rows[-1].body)[-1]


def queue(shop: Shop, **choices: object) -> str:
    run = replace(shop.new(is_queued=True), **choices)
    shop.start(run)
    return run.id


def test_claim_without_due_runs_is_empty(shop: Shop, clock: ManualClock):
    queue(shop, due_at=clock.now_ms() + 1)
    assert shop.claim() == []
    clock.advance(1)
    assert ids(shop.claim()) == ["r1"]


def test_claim_takes_the_best_priority_first_then_the_longest_due(shop: Shop, clock: ManualClock):
    now = clock.now_ms()
    order = [queue(shop, priority=priority, due_at=now - late) for priority, late in ((5, 0), (5, 9), (0, 0), (9, 0))]
    assert ids(shop.claim(limit=3)) == [order[2], order[1], order[0]]
    assert ids(shop.claim()) == [order[3]]


def test_claimed_run_brings_its_priority_along(shop: Shop):
    queue(shop, priority=2)
    assert [one.priority for one in shop.claim()] == [2]


def test_glance_tells_where_a_run_stands_from_its_rows(shop: Shop, clock: ManualClock):
    run = shop.started()
    assert shop.store.glance(run.no + 1) is None
    assert shop.store.glance(run.no) == Glance("running", is_finished=False, due_at=None, why=None)
    shop.release(run, 2, due_at=clock.now_ms() + 5)
    assert shop.store.glance(run.no) == Glance("waiting", is_finished=False, due_at=clock.now_ms() + 5, why='{"kind":"timer"}')


def test_low_priority_rises_by_one_for_each_minute_overdue(shop: Shop, clock: ManualClock):
    low = queue(shop, priority=9, due_at=clock.now_ms())
    clock.advance(9 * 60_000)
    high = queue(shop, priority=0, due_at=clock.now_ms())
    assert ids(shop.claim()) == [low, high]


def test_f76_one_workspace_cannot_keep_another_waiting(shop: Shop, clock: ManualClock):
    shop.start(*(shop.new(workspace="big", is_queued=True) for _ in range(1_000)))
    shop.claim(limit=1)
    clock.advance(1_000)
    shop.start(*(shop.new(workspace="small", is_queued=True) for _ in range(10)))
    served = Counter(one.workspace_id for one in shop.claim(limit=20))
    assert served == {"big": 10, "small": 10}


def test_f76_workspaces_are_served_in_turn_over_small_claims(shop: Shop):
    for workspace in ("a", "b", "c"):
        shop.start(*(shop.new(workspace=workspace, is_queued=True) for _ in range(4)))
    served = [shop.claim(limit=1)[0].workspace_id for _ in range(6)]
    assert served == ["a", "b", "c", "a", "b", "c"]


def test_f76_every_workspace_has_its_turn_where_there_are_more_than_places(shop: Shop):
    for workspace in ("a", "b", "c"):
        shop.start(*(shop.new(workspace=workspace, is_queued=True) for _ in range(4)))
    assert [one.workspace_id for one in shop.claim(limit=4)] == ["a", "b", "c", "a"]


def test_new_workspace_is_seen_at_once_where_there_is_room(shop: Shop):
    queue(shop, workspace_id="a")
    assert len(shop.claim()) == 1
    queue(shop, workspace_id="b")
    assert len(shop.claim()) == 1


def test_share_that_a_small_workspace_leaves_goes_to_the_others(shop: Shop):
    shop.start(*(shop.new(workspace="a", is_queued=True) for _ in range(20)), shop.new(workspace="b", is_queued=True))
    assert Counter(one.workspace_id for one in shop.claim(limit=10)) == {"a": 9, "b": 1}


def test_claim_takes_500_at_most(shop: Shop):
    shop.start(*(shop.new(is_queued=True) for _ in range(510)))
    assert [len(shop.claim(limit=1_000)) for _ in range(3)] == [500, 10, 0]


def test_claim_with_limit_0_takes_nothing(shop: Shop):
    queue(shop)
    assert shop.claim(limit=0) == []


def test_claim_of_named_runs_takes_no_others(shop: Shop, store: Store):
    runs = [shop.new(is_queued=True) for _ in range(3)]
    shop.start(*runs)
    assert ids(shop.claim(only=[runs[1].no, 99])) == ["r2"]
    assert shop.claim(only=[]) == []
    assert ids(shop.claim()) == ["r1", "r3"]


def test_suspects_are_claimed_no_more_than_allowed(shop: Shop):
    for _ in range(3):
        shop.started()
    shop.kill()
    worker = shop.hire()
    shop.worker = worker
    queue(shop)
    assert ids(shop.claim(suspects=1)) == ["r1", "r4"]
    assert shop.claim(suspects=0) == []
    assert ids(shop.claim(suspects=5)) == ["r2", "r3"]


def test_suspects_among_named_runs_are_limited_too(shop: Shop):
    runs = [shop.started() for _ in range(3)]
    shop.kill()
    assert len(shop.claim(shop.hire(), suspects=2, only=[run.no for run in runs])) == 2


def test_progress_clears_a_suspect(shop: Shop):
    run = shop.started()
    shop.kill()
    shop.worker = shop.hire()
    [claimed] = shop.claim()
    assert claimed.crashes == 1
    shop.commit(replace(shop.turn(run, 3, epoch=2), progressed=True))
    shop.release(run, 4, epoch=2)
    [again] = shop.claim(suspects=0)
    assert again.crashes == 0


def test_released_suspect_without_progress_stays_one(shop: Shop):
    run = shop.started()
    shop.kill()
    shop.worker = shop.hire()
    shop.claim()
    shop.release(run, 3, epoch=2)
    assert shop.claim(suspects=0) == []


def test_poison_is_told_at_the_third_crash(shop: Shop, store: Store):
    shop.started()
    told: list[object] = []
    for _ in range(4):
        shop.kill()
        shop.worker = shop.hire()
        [claimed] = store.claim(ClaimRequest(shop.worker, 1, poison_limit=3))
        told.append(last_event(claimed).get("poison", False))
    assert told == [False, False, True, True]


def test_claim_says_why(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    shop.release(run, 2, due_at=clock.now_ms() + 10)
    clock.advance(10)
    whys = [last_event(shop.claim()[0])["why"]]
    shop.release(run, 4, epoch=2, due_at=FAR_FUTURE_MS)
    shop.send(run)
    whys.append(last_event(shop.claim()[0])["why"])
    shop.kill()
    shop.worker = shop.hire()
    whys.append(last_event(shop.claim()[0])["why"])
    store.retire(shop.worker)
    shop.worker = shop.hire()
    whys.append(last_event(shop.claim()[0])["why"])
    assert whys == ["due", "mail", "expired", "released"]


def test_claim_brings_snapshot_and_the_rows_behind_it(shop: Shop):
    run = shop.started()
    shop.append(run, 2)
    end = Release("waiting", 0, "{}", b"\x00state", 7)
    shop.commit(replace(shop.turn(run, 3), release=end))
    [claimed] = shop.claim()
    assert (claimed.snapshot, claimed.snapshot_seq, claimed.snapshot_format) == (b"\x00state", 3, 7)
    assert [row.seq for row in claimed.rows] == [4]
    # A release without a row of its own: the snapshot covers what was there.
    shop.commit(replace(shop.turn(run, 5, epoch=2, body=b""), release=end))
    [again] = shop.claim()
    assert (again.snapshot_seq, [row.seq for row in again.rows]) == (4, [5])


def test_claim_without_snapshot_brings_the_whole_journal(shop: Shop):
    run = shop.started()
    for seq in range(2, 40):
        shop.append(run, seq)
    shop.release(run, 40)
    [claimed] = shop.claim()
    assert [row.seq for row in claimed.rows] == list(range(1, 42))
    assert claimed.rows[5].body == MIDDLE


def test_next_due_is_the_earliest(shop: Shop, store: Store):
    assert store.next_due() is None
    queue(shop, due_at=70)
    queue(shop, due_at=50)
    assert store.next_due() == 50
