"""Stores in several processes on one database, at the same moment: each with connections of its own, on a thread of its own."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from tests.support.stores import COMPLETED, ENDED, MIDDLE, Shop, check_sound, read_runs, read_slots

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    Claimed,
    NewEvent,
    NewMail,
    NewRun,
    SlotRequest,
    SlotScope,
    Turn,
    Verdict,
    WaitRow,
)

ROUNDS = 400
ROUNDS_S = float(os.environ.get("FLOWFORGE_TEST_ROUNDS_S", "0.5"))
"""No test goes on for longer, once it has made one of 20 of its rounds."""


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Does them all at the same moment; what each gave."""
    gate = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        gate.wait(30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(run, work) for work in works]]


def rounds(most: int = ROUNDS) -> Iterator[int]:
    until_s = time.monotonic() + ROUNDS_S
    for number in range(most):
        if number > most // 20 and time.monotonic() > until_s:
            return
        yield number


def test_f16_zombie_and_two_claimers_have_one_winner_each_time(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    run = shop.started()
    epoch, seq, owner = 1, 2, shop.worker
    for _ in rounds():
        claimers = [(other, other.hire()), (third, third.hire())]
        shop.kill(owner)
        late = Turn(run.no, epoch, 0, seq, b'["late"]', 1)
        first, second, written = at_once(
            *(partial(place.claim, worker, 1) for place, worker in claimers),
            lambda late=late: shop.commit(late).verdict,
        )
        won: list[tuple[int, Claimed]] = [(claimers[n][1], one) for n, found in enumerate((first, second)) for one in found]
        if not won:
            # Each was in the way of the other: the run is still there for the next look.
            won = [(claimers[0][1], other.claim(claimers[0][1], 1)[0])]
        [(owner, claimed)] = won
        rows = store.load(run.no)
        epochs = [row.epoch for row in rows]
        assert epochs == sorted(epochs)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) == seq + (written is Verdict.DONE)
        assert (rows[-1].epoch, rows[-1].seq) == (claimed.epoch, claimed.rows[-1].seq)
        assert claimed.epoch == epoch + 1
        epoch, seq = claimed.epoch, len(rows) + 1
        # Progress, lest the run becomes poison.
        assert shop.commit(Turn(run.no, epoch, 0, seq, b"[]", 0, progressed=True)).verdict is Verdict.DONE
        seq += 1
    assert epoch > 10


def test_f16_two_recoverers_and_the_starter_have_one_owner(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    for _ in rounds(100):
        starter = shop.hire()
        run = shop.started(owner=starter, no=starter << 32 | 1)

        def recover(place: Shop, dead: int = starter) -> list[Claimed]:
            place.kill(dead)
            return place.claim(suspects=100)

        turn = Turn(run.no, 1, 0, 2, MIDDLE, 1)
        mine, theirs, _ = at_once(lambda: recover(other), lambda: recover(third), lambda turn=turn: shop.commit(turn).verdict)
        owners = [other.worker for _ in mine] + [third.worker for _ in theirs]
        if not owners:
            owners = [other.worker for _ in other.claim(suspects=100)]
        assert len(owners) == 1
        view = read_runs(store)[run.no]
        assert (view.owner, view.epoch) == (owners[0], 2)
        place = other if owners[0] == other.worker else third
        assert place.commit(place.ending(run.no, len(view.seqs) + 1, 2, 0)).verdict is Verdict.DONE


def test_many_runs_are_shared_by_three_processes(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    runs = [shop.new(is_queued=True) for _ in range(300)]
    shop.start(*runs)

    def drain(place: Shop) -> list[int]:
        mine: list[int] = []
        while place.store.next_due() is not None:
            mine.extend(one.run_no for one in place.claim(limit=7))
        return mine

    shares = at_once(*(lambda place=place: drain(place) for place in (shop, other, third)))
    assert sorted(no for share in shares for no in share) == sorted(run.no for run in runs)
    assert {run.epoch for run in read_runs(store).values()} == {1}


def test_f65_mail_races_with_finish(shop: Shop, other: Shop, store: DatabaseServerStore):
    for _ in rounds(150):
        run = shop.started()
        [sent], ended = at_once(
            lambda run=run: other.store.deliver([NewMail(run.no, "cancel", b"{}", "user")]),
            lambda run=run: shop.finish(run, 2).verdict,
        )
        assert (sent, ended) in {("finished", Verdict.DONE), ("delivered", Verdict.MAIL)}
        assert len(store.mail(shop.worker)) == (sent == "delivered")
        if sent == "delivered":
            [mail] = store.mail(shop.worker)
            shop.commit(replace(shop.ending(run.no, 2, 1, 1), mail_read=[mail.no]))


def test_f65_no_wake_up_is_lost_between_mail_and_release(shop: Shop, other: Shop):
    for _ in rounds(150):
        run = shop.started()
        sent, released = at_once(
            lambda run=run: other.send(run), lambda run=run: shop.release(run, 2, due_at=FAR_FUTURE_MS).verdict
        )
        assert sent == "delivered"
        if released is Verdict.DONE:
            [claimed] = shop.claim()
            assert (claimed.run_no, claimed.mail, len(claimed.mails)) == (run.no, 1, 1)
        assert (
            shop.finish(run, 4 if released is Verdict.DONE else 2, 2 if released is Verdict.DONE else 1, 1).verdict
            is Verdict.DONE
        )


def test_no_wake_up_is_lost_between_mail_and_claim(shop: Shop, other: Shop, store: DatabaseServerStore):
    for _ in rounds(100):
        run = shop.started()
        shop.release(run, 2, due_at=0)
        sent, claimed = at_once(lambda run=run: other.send(run), shop.claim)
        assert sent == "delivered"
        epoch, seq = 2, 4
        if not claimed:
            claimed = shop.claim()
        [one] = claimed
        seen = [*one.mails, *(mail for mail in store.mail(shop.worker) if mail.no not in {each.no for each in one.mails})]
        assert len(seen) == 1
        assert shop.finish(run, seq, epoch, 1).verdict is Verdict.DONE


def test_f72_event_and_wait_on_two_processes_meet_once(shop: Shop, other: Shop, store: DatabaseServerStore):
    for number in rounds(100):
        run = shop.started()
        row = WaitRow("hold", f"paid{number}", None, 0)
        event = NewEvent("ws", row.name, "k", b"{}", "user", shop.clock.now_ms())

        def wait(run: NewRun = run, row: WaitRow = row) -> int:
            shop.commit(replace(shop.turn(run, 2), waits_added=[row]))
            return shop.store.look_back(run.no, row)

        found, reached = at_once(wait, lambda event=event: other.store.publish(event))
        assert 1 <= found + reached <= 2, "who comes second finds that it is there"
        assert read_runs(store)[run.no].mail == 1
        shop.finish(run, 3, mail_seen=1)


def test_starts_with_one_dedup_make_one_run(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    made = 0
    for number in rounds(100):
        starts = [
            (place, replace(place.new(), id=f"r{place.worker}.{number}", dedup=f"order-{number}"))
            for place in (shop, other, third)
        ]
        results = [result for [result] in at_once(*(partial(place.start, run) for place, run in starts))]
        winners = [run for (_, run), result in zip(starts, results, strict=True) if result.verdict is Verdict.DONE]
        assert len(winners) == 1
        losers = [result for result in results if result.verdict is Verdict.DUPLICATE]
        assert [(one.run_id, one.run_no) for one in losers] == [(winners[0].id, winners[0].no)] * 2
        made += 1
    assert len(read_runs(store)) == made


@pytest.mark.parametrize("when_full", ["queue", "reject"])
def test_limit_is_never_exceeded_and_nobody_is_forgotten(
    shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore, when_full: str
):
    slot = SlotScope("wf", 2, when_full)
    started: list[int] = []

    def work(place: Shop) -> None:
        for number in range(15):
            run = replace(place.new(slot=slot), id=f"r{place.worker}.{number}")
            verdict = place.start(run)[0].verdict
            if verdict is not Verdict.REJECTED:
                started.append(run.no)
            if verdict is Verdict.DONE:
                place.finish(run, 2)
            for claimed in place.claim(limit=1):
                place.commit(place.ending(claimed.run_no, claimed.rows[-1].seq + 1, claimed.epoch, claimed.mail))

    def watch() -> int:
        most = 0
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s and not stopped:
            most = max(most, len(third_reader()))
        return most

    def third_reader() -> dict[int, int]:
        return read_slots(store).get("wf", {})

    stopped: list[bool] = []
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            at_once(*(lambda place=place: work(place) for place in (shop, other, third)))
        finally:
            stopped.append(True)
        assert watching.result(30) <= 2
    for _ in range(60):
        for claimed in shop.claim(limit=10):
            shop.commit(shop.ending(claimed.run_no, claimed.rows[-1].seq + 1, claimed.epoch, claimed.mail))
    views = read_runs(store)
    assert [no for no in started if not views[no].is_finished] == []
    assert read_slots(store) == {}


def test_two_places_freed_at_once_wake_two_runs(shop: Shop, other: Shop, store: DatabaseServerStore):
    slot = SlotScope("wf", 2, "queue")
    for _ in rounds(60):
        holders = [shop.new(slot=slot), replace(other.new(slot=slot), id=f"o{other.counter}")]
        shop.start(holders[0])
        other.start(holders[1])
        shop.start(shop.new(slot=slot), shop.new(slot=slot))
        at_once(partial(shop.finish, holders[0], 2), partial(other.finish, holders[1], 2))
        claimed = shop.claim()
        assert len(claimed) == 2
        for one in claimed:
            shop.commit(shop.ending(one.run_no, 3, 1, 0))
    assert read_slots(store) == {}


def test_cancel_oldest_by_two_processes_keeps_the_limit(shop: Shop, other: Shop, store: DatabaseServerStore):
    slot = SlotScope("wf", 1, "cancel_oldest")
    started: list[NewRun] = []

    def start(place: Shop) -> None:
        for number in range(12):
            run = replace(place.new(slot=slot), id=f"r{place.worker}.{number}")
            started.append(run)
            place.start(run)

    at_once(lambda: start(shop), lambda: start(other))
    assert len(read_slots(store)["wf"]) == 1
    views = read_runs(store)
    # All are told to go but the last one.
    assert sum(views[run.no].mail for run in started) == len(started) - 1


def test_slots_of_steps_are_never_more_than_the_limit(shop: Shop, other: Shop, store: DatabaseServerStore):
    mine, theirs = shop.started(), other.started(id="theirs")
    for number in rounds(60):

        def ask(place: Shop, run: NewRun, number: int = number) -> int:
            requests = [SlotRequest("api", run.no, f"s{number}.{key}", 3, None, None) for key in range(3)]
            return sum(answer.granted for answer in place.store.acquire(requests))

        granted = at_once(lambda: ask(shop, mine), lambda: ask(other, theirs))
        assert sum(granted) == 3
        assert len(read_slots(store)["api"]) == 3
        keys = [f"s{number}.{key}" for key in range(3)]
        shop.commit(replace(shop.turn(mine, number + 2), slots_freed=keys))
        other.commit(replace(other.turn(theirs, number + 2), slots_freed=keys))
        assert read_slots(store) == {}


def test_f15_sweeps_by_two_processes_queue_each_run_once(shop: Shop, other: Shop, store: DatabaseServerStore):
    for number in rounds(30):
        dead = shop.hire()
        runs = [replace(shop.new(owner=dead), no=dead << 32 | place, id=f"r{number}.{place}") for place in range(1, 21)]
        shop.start(*runs)
        mine, theirs = at_once(lambda dead=dead: shop.store.expire([dead]), lambda dead=dead: other.store.expire([dead]))
        assert sorted([*mine.workers, *theirs.workers]) == [dead]
        assert mine.runs + theirs.runs == 20
        check_sound(store)
        assert {one.crashes for one in read_runs(store).values() if not one.is_finished} == {1}
        for one in shop.claim(suspects=100):
            shop.commit(shop.ending(one.run_no, 3, 2, 0))


def test_children_that_finish_at_once_all_reach_their_parent(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    for _ in rounds(40):
        parent = shop.started()
        shop.release(parent, 2, due_at=FAR_FUTURE_MS)
        turns: list[tuple[Shop, list[Turn]]] = []
        for place in (shop, other, third):
            children = [replace(place.new(), id=f"c{place.worker}.{next(place.counter)}") for _ in range(4)]
            place.start(*children)
            mail = NewMail(parent.no, "child", b"{}", "system")
            turns.append((place, [replace(place.ending(child.no, 2, 1, 0), mails=[mail]) for child in children]))
        at_once(*(partial(place.store.commit, ending) for place, ending in turns))
        [claimed] = shop.claim()
        assert (claimed.run_no, claimed.mail, len(claimed.mails)) == (parent.no, 12, 12)
        assert shop.commit(shop.ending(parent.no, 4, 2, 12)).verdict is Verdict.DONE


def test_f23_commits_that_lock_each_other_out_both_happen(shop: Shop, other: Shop, store: DatabaseServerStore):
    """Each finishes its own run and tells the other's: real deadlocks, done again."""
    for _ in rounds(25):
        runs = [shop.started(), other.started(id=f"o{next(other.counter)}")]

        def end(place: Shop, mine: NewRun, theirs: NewRun) -> Verdict:
            mail = NewMail(theirs.no, "signal", b"{}", "system")
            return place.commit(replace(place.turn(mine, 2, body=ENDED), finish=COMPLETED, mails=[mail])).verdict

        verdicts = at_once(lambda runs=runs: end(shop, runs[0], runs[1]), lambda runs=runs: end(other, runs[1], runs[0]))
        # Whoever is second has mail before it may end, and reads it first.
        assert Verdict.DONE in verdicts
        assert set(verdicts) <= {Verdict.DONE, Verdict.MAIL}
        for place, run, verdict in zip((shop, other), runs, verdicts, strict=True):
            if verdict is Verdict.MAIL:
                assert place.finish(run, 2, mail_seen=1).verdict is Verdict.DONE
    assert all(run.is_finished for run in read_runs(store).values())
