"""Authority: one owner at a time, whatever races with whatever (F11, F15, F16)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from tests.support.stores import COMPLETED, ENDED, Shop, check_sound, read_runs

from flowforge.engine.store import Claimed, ClaimRequest, Store, Turn, Verdict


def take_over(shop: Shop, times: int) -> tuple[int, list[int]]:
    """A run that was claimed `times` times, each by a worker that then died; its number and all its epochs."""
    run = shop.started()
    epochs = [1]
    shop.kill()
    for _ in range(times):
        worker = shop.hire()
        [claimed] = shop.claim(worker)
        epochs.append(claimed.epoch)
        shop.kill(worker)
    return run.no, epochs


def test_f11_epochs_grow_over_claim_release_and_expiry(shop: Shop, store: Store):
    run = shop.started()
    shop.release(run, 2)
    [first] = shop.claim()
    assert (first.epoch, [row.epoch for row in first.rows]) == (2, [1, 1, 2])
    shop.release(run, 4, epoch=2)
    [second] = shop.claim()
    shop.kill()
    [third] = shop.claim(shop.hire())
    assert [second.epoch, third.epoch] == [3, 4]
    assert list(read_runs(store)[run.no].epochs) == [1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize("kind", ["append", "finish", "release"])
def test_f11_each_older_epoch_is_refused_by_the_epoch(shop: Shop, store: Store, kind: str):
    no, epochs = take_over(shop, 4)
    length = len(store.load(no))
    for epoch in epochs[:-1]:
        # Its seq is free, so it is the epoch that refuses it.
        turn = Turn(no, epoch, 0, length + 1, ENDED, 1)
        if kind == "finish":
            turn = replace(turn, finish=COMPLETED)
        assert shop.commit(turn).verdict is Verdict.STALE
    assert len(store.load(no)) == length


def test_f11_each_older_writer_is_refused_by_the_seq_its_successor_took(shop: Shop, store: Store):
    no, epochs = take_over(shop, 4)
    rows = list(store.load(no))
    for seq in range(2, len(rows) + 1):
        # A zombie that believes in the newest epoch: only the row that each claim wrote stands in its way.
        assert shop.commit(Turn(no, epochs[-1], 0, seq, b"[]", 0)).verdict is Verdict.STALE
    assert list(store.load(no)) == rows


def test_late_append_passes_until_someone_claims(shop: Shop, store: Store):
    run = shop.started()
    shop.kill()
    assert shop.append(run, 2).verdict is Verdict.DONE
    [claimed] = shop.claim(shop.hire())
    assert [row.seq for row in claimed.rows] == [1, 2, 3]
    assert shop.append(run, 4).verdict is Verdict.STALE


def test_late_finish_takes_the_run_out_of_the_queue(shop: Shop, store: Store):
    run = shop.started()
    shop.kill()
    assert shop.finish(run, 2).verdict is Verdict.DONE
    assert shop.claim(shop.hire()) == []
    assert read_runs(store)[run.no].is_finished


def test_released_by_a_late_worker_the_run_keeps_one_queue_row(shop: Shop, store: Store):
    run = shop.started()
    shop.kill()
    assert shop.release(run, 2, due_at=5).verdict is Verdict.DONE
    assert read_runs(store)[run.no].due_at == 5


def test_f16_two_claimers_and_a_zombie_have_one_winner_each_time(shop: Shop, store: Store):
    run = shop.started()
    epoch, seq, owner = 1, 2, shop.worker
    with ThreadPoolExecutor(3) as pool:
        for _ in range(60):
            claimers = [shop.hire(), shop.hire()]
            shop.kill(owner)
            gate = Barrier(3)

            def claim(worker: int, gate: Barrier = gate) -> list[Claimed]:
                gate.wait()
                return list(store.claim(ClaimRequest(worker, 1)))

            def write_late(turn: Turn, gate: Barrier = gate) -> Verdict:
                gate.wait()
                return store.commit([turn])[0].verdict

            claims = [pool.submit(claim, worker) for worker in claimers]
            zombie = pool.submit(write_late, Turn(run.no, epoch, 0, seq, b"[]", 0, progressed=True))
            won = [(worker, future.result()) for worker, future in zip(claimers, claims, strict=True) if future.result()]
            assert len(won) == 1
            owner, [claimed] = won[0]
            wrote_first = zombie.result() is Verdict.DONE
            rows = store.load(run.no)
            assert len(rows) == seq + wrote_first
            assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
            assert rows[-1] == claimed.rows[-1]
            epoch, seq = claimed.epoch, len(rows) + 1
            shop.commit(Turn(run.no, epoch, 0, seq, b"[]", 0, progressed=True))
            seq += 1
    assert epoch == 61


def test_f15_expiry_killed_anywhere_queues_each_run_once(shop: Shop, store: Store):
    for _ in range(20):
        shop.started()
    for round_no in range(20):
        dead = shop.worker
        store.expire([dead])
        store.expire([dead])
        assert {run.crashes for run in read_runs(store).values()} == {round_no + 1}
        check_sound(store)
        shop.worker = shop.hire()
        assert len(shop.claim()) == 20


def test_claimed_rows_end_with_the_claim(shop: Shop):
    run = shop.started()
    shop.release(run, 2)
    [claimed] = shop.claim()
    assert claimed.rows[-1].body == b'[{"type":"run.claimed","epoch":2,"worker":%d,"why":"due"}]' % shop.worker


def test_dead_worker_claims_nothing(shop: Shop):
    shop.started()
    worker = shop.worker
    shop.kill()
    assert shop.claim(worker) == []
    assert len(shop.claim(shop.hire())) == 1


def test_two_workers_on_threads_share_all_runs(shop: Shop, store: Store):
    runs = [shop.new(is_queued=True) for _ in range(200)]
    shop.start(*runs)
    workers = [shop.worker, shop.hire()]

    def drain(worker: int) -> list[int]:
        mine: list[int] = []
        while claimed := store.claim(ClaimRequest(worker, 7)):
            mine.extend(one.run_no for one in claimed)
        return mine

    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(drain, workers))
    assert sorted([*shares[0], *shares[1]]) == sorted(run.no for run in runs)
