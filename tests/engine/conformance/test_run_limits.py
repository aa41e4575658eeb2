"""`concurrency`: never more runs than the limit, and nobody waits for a free place."""

from dataclasses import replace

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import Shop, read_runs, read_slots

from flowforge.engine.store import FAR_FUTURE_MS, NewMail, NewRun, SlotScope, Store, Verdict

QUEUE = SlotScope("wf", 2, "queue")


def start(shop: Shop, slot: SlotScope = QUEUE, **choices: object) -> tuple[NewRun, Verdict]:
    run = replace(shop.new(slot=slot), **choices)
    return run, shop.start(run)[0].verdict


def start_many(shop: Shop, amount: int, slot: SlotScope = QUEUE) -> list[NewRun]:
    runs: list[NewRun] = []
    for _ in range(amount):
        shop.clock.advance(1)
        runs.append(start(shop, slot)[0])
    return runs


def test_starts_beyond_the_limit_are_queued_and_their_turn_is_not_stored(shop: Shop, store: Store):
    runs = [shop.new(slot=QUEUE) for _ in range(4)]
    results = store.commit([shop.birth(run, b"[]") for run in runs])
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.DONE, Verdict.QUEUED, Verdict.QUEUED]
    assert [len(store.load(run.no)) for run in runs] == [2, 2, 1, 1]
    assert read_slots(store) == {"wf": {1: runs[0].no, 2: runs[1].no}}
    view = read_runs(store)[runs[2].no]
    assert (view.status, view.owner, view.epoch, view.due_at) == ("queued", None, 0, FAR_FUTURE_MS)
    assert shop.claim() == []


def test_finish_hands_the_slot_to_the_oldest_of_the_best_priority(shop: Shop, store: Store, clock: ManualClock):
    holders = start_many(shop, 2)
    late = start(shop, priority=7)[0]
    clock.advance(1)
    first, second = start_many(shop, 2)
    for holder, expected in zip([*holders, first], [first, second, late], strict=True):
        shop.finish(holder, len(store.load(holder.no)) + 1, epoch=read_runs(store)[holder.no].epoch)
        [claimed] = shop.claim()
        assert claimed.run_no == expected.no
        assert len(read_slots(store)["wf"]) == 2


def test_slot_is_held_while_the_run_waits_and_over_expiry(shop: Shop, store: Store):
    first, second = start_many(shop, 2)
    shop.release(first, 2, due_at=FAR_FUTURE_MS)
    shop.kill()
    shop.worker = shop.hire()
    assert start(shop)[1] is Verdict.QUEUED
    assert set(read_slots(store)["wf"].values()) == {first.no, second.no}
    assert [one.run_no for one in shop.claim()] == [second.no]


def test_start_that_may_not_wait_is_rejected_and_nothing_is_stored(shop: Shop, store: Store):
    slot = SlotScope("wf", 1, "reject")
    start_many(shop, 1, slot)
    run, verdict = start(shop, slot)
    assert verdict is Verdict.REJECTED
    assert store.load(run.no) == []
    assert run.no not in read_runs(store)


def test_child_is_queued_where_a_start_would_be_rejected(shop: Shop, store: Store):
    slot = SlotScope("wf", 1, "reject")
    [holder] = start_many(shop, 1, slot)
    parent = shop.started()
    child = replace(shop.new(slot=slot), parent_no=parent.no, parent_key="call#1")
    result = shop.commit(replace(shop.turn(parent, 2), children=[child]))
    assert list(result.children) == [Verdict.QUEUED]
    shop.finish(holder, 2)
    assert [one.run_no for one in shop.claim()] == [child.no]


def test_run_below_a_holder_passes_without_a_slot(shop: Shop, store: Store):
    slot = SlotScope("wf", 1, "queue")
    [holder] = start_many(shop, 1, slot)
    child = replace(shop.new(), parent_no=holder.no, parent_key="a#1")
    grandchild = replace(shop.new(slot=slot), parent_no=child.no, parent_key="b#1")
    shop.commit(replace(shop.turn(holder, 2), children=[child]))
    result = shop.commit(replace(shop.turn(child, 2), children=[grandchild]))
    assert list(result.children) == [Verdict.DONE]
    assert read_slots(store) == {"wf": {1: holder.no}}


def test_run_below_a_holder_born_in_the_same_commit_passes_too(shop: Shop, store: Store):
    slot = SlotScope("wf", 1, "queue")
    holder = shop.new(slot=slot)
    child = replace(shop.new(slot=slot), parent_no=holder.no, parent_key="a#1")
    [result] = store.commit([replace(shop.birth(holder, b"[]"), children=[child])])
    assert (result.verdict, list(result.children)) == (Verdict.DONE, [Verdict.DONE])


def test_queued_start_takes_its_slot_when_it_is_claimed(shop: Shop, store: Store):
    runs = [shop.new(slot=QUEUE, is_queued=True) for _ in range(3)]
    assert [result.verdict for result in shop.start(*runs)] == [Verdict.DONE, Verdict.DONE, Verdict.QUEUED]
    assert read_slots(store) == {}
    assert len(shop.claim()) == 2
    assert len(read_slots(store)["wf"]) == 2


def test_newcomer_does_not_pass_those_who_wait(shop: Shop, store: Store):
    first, _, waiting = start_many(shop, 3)
    shop.finish(first, 2)
    assert start(shop)[1] is Verdict.QUEUED
    assert [one.run_no for one in shop.claim()] == [waiting.no]


def test_cancel_oldest_cancels_the_oldest_holder_and_the_new_one_waits(shop: Shop, store: Store):
    slot = SlotScope("wf", 2, "cancel_oldest")
    first, second, third = start_many(shop, 3, slot)
    assert [(mail.run_no, mail.kind, mail.by) for mail in store.mail(shop.worker)] == [(first.no, "cancel", "system")]
    shop.finish(first, 2, mail_seen=1)
    assert [one.run_no for one in shop.claim()] == [third.no]
    assert set(read_slots(store)["wf"].values()) == {second.no, third.no}


def test_cancel_oldest_cancels_one_for_each_newcomer(shop: Shop, store: Store):
    runs = start_many(shop, 5, SlotScope("wf", 2, "cancel_oldest"))
    assert [mail.run_no for mail in store.mail(shop.worker)] == [runs[0].no, runs[1].no]
    # The third was the oldest that stays when the fifth came: it waits no more, and is told.
    [claimed] = shop.claim()
    assert (claimed.run_no, [mail.kind for mail in claimed.mails]) == (runs[2].no, ["cancel"])
    assert set(read_slots(store)["wf"].values()) == {runs[0].no, runs[1].no}


def test_cancel_oldest_works_within_one_commit(shop: Shop, store: Store):
    runs = [replace(shop.new(slot=SlotScope("wf", 1, "cancel_oldest")), at=place) for place in range(3)]
    results = shop.start(*runs)
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.QUEUED, Verdict.QUEUED]
    assert [mail.run_no for mail in store.mail(shop.worker)] == [runs[0].no]
    assert [one.run_no for one in shop.claim()] == [runs[1].no]


def test_cancel_reaches_a_run_that_waits_for_a_slot(shop: Shop, store: Store):
    *_, waiting = start_many(shop, 3)
    shop.send(waiting, "signal")
    assert shop.claim() == []
    shop.send(waiting, "cancel")
    [claimed] = shop.claim()
    assert [mail.kind for mail in claimed.mails] == ["signal", "cancel"]
    assert len(read_slots(store)["wf"]) == 2


def test_place_of_a_cancelled_waiter_goes_to_the_next(shop: Shop, store: Store):
    first, _, next_one, last = start_many(shop, 4)
    shop.finish(first, 2)
    shop.send(next_one, "cancel")
    assert {one.run_no for one in shop.claim()} == {next_one.no, last.no}


@pytest.mark.parametrize("limit", [3, 5])
def test_higher_limit_of_a_newer_version_holds_for_all_that_wait(shop: Shop, store: Store, limit: int):
    start_many(shop, 4)
    start(shop, SlotScope("wf", limit, "queue"))
    shop.claim()
    assert len(read_slots(store)["wf"]) == limit


def test_lower_limit_of_a_newer_version_holds_once_enough_have_ended(shop: Shop, store: Store):
    holders = start_many(shop, 2)
    start_many(shop, 2, SlotScope("wf", 1, "queue"))
    shop.finish(holders[0], 2)
    assert shop.claim() == []
    shop.finish(holders[1], 2)
    assert len(shop.claim()) == 1


def test_scopes_do_not_touch_each_other(shop: Shop, store: Store):
    for scope in ("a", "b"):
        assert start(shop, SlotScope(scope, 1, "queue"))[1] is Verdict.DONE
    assert len(read_slots(store)) == 2


def test_claimed_run_whose_place_was_lost_goes_back(shop: Shop, store: Store):
    one = SlotScope("wf", 1, "queue")
    holder, first, second = start_many(shop, 3, one)
    shop.finish(holder, 2)
    # The slot goes to the first; the second is claimed by name, before its time.
    assert len(shop.claim(only=[first.no])) == 1
    store.deliver([NewMail(second.no, "signal", b"{}", "user")])
    assert shop.claim(only=[second.no]) == []
    assert read_runs(store)[second.no].due_at == FAR_FUTURE_MS
    shop.finish(first, 3, epoch=1)
    assert [claimed.run_no for claimed in shop.claim()] == [second.no]
