"""Jobs: planned in the turn's commit, taken by one worker, ended with mail, and never lost without word."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import orjson
import pytest
from tests.support.clock import ManualClock
from tests.support.stores import COMPLETED, ENDED, EXPIRY_MS, Shop, read_runs

from flowforge.engine.store import FAR_FUTURE_MS, Expired, NewJob, NewMail, NewRun, Release, Store, TakenJob, Verdict

OUTCOME = b'{"step":"s","attempt":1,"port":"out","output":1}'


def job(run: NewRun, key: str = "s", attempt: int = 1, *, queue: str = "heavy", priority: int = 5, at: int = 1) -> NewJob:
    return NewJob(run.no, key, attempt, run.workspace_id, queue, priority, at, b'{"with":"\xc3\xb6"}')


def plan(shop: Shop, *jobs: NewJob, run: NewRun | None = None) -> NewRun:
    """A run that has planned these jobs and waits for them."""
    run = run or shop.started()
    seq = len(shop.store.load(run.no)) + 1
    assert shop.commit(replace(shop.turn(run, seq), jobs=jobs)).verdict is Verdict.DONE
    return run


def planned(shop: Shop, **choices: object) -> NewRun:
    run = shop.started()
    return plan(shop, replace(job(run), **choices), run=run)


def take(shop: Shop, worker: int | None = None, queues: tuple[str, ...] = ("heavy",), limit: int = 10) -> list[TakenJob]:
    return list(shop.store.take_jobs(worker or shop.worker, queues, limit))


def outcome(run: NewRun) -> NewMail:
    return NewMail(run.no, "job", OUTCOME, "system")


def read_mail(shop: Shop, worker: int | None = None) -> list[tuple[int, str, object]]:
    return [(mail.run_no, mail.kind, orjson.loads(mail.body)) for mail in shop.store.mail(worker or shop.worker)]


def test_planned_job_is_taken_once_with_all_that_its_worker_needs(shop: Shop):
    run = planned(shop)
    assert take(shop) == [TakenJob(run.no, run.id, "s", 1, "ws", "heavy", 1, b'{"with":"\xc3\xb6"}')]
    assert take(shop) == []


def test_job_of_a_refused_turn_is_not_there(shop: Shop):
    run = shop.started()
    assert shop.commit(replace(shop.turn(run, 2, epoch=7), jobs=[job(run)])).verdict is Verdict.STALE
    assert take(shop) == []


def test_jobs_are_taken_by_priority_then_age_from_the_served_queues_only(shop: Shop, clock: ManualClock):
    run, now = shop.started(), clock.now_ms()
    jobs = [
        job(run, "late", at=now - 1),
        job(run, "soon", at=now - 9),
        job(run, "first", priority=0, at=now),
        job(run, "other", queue="io", at=now - 5),
        job(run, "foreign", queue="elsewhere"),
    ]
    plan(shop, *jobs, run=run)
    assert [one.key for one in take(shop, queues=("heavy", "io"), limit=3)] == ["first", "soon", "other"]
    assert [one.key for one in take(shop, queues=("heavy", "io"))] == ["late"]
    assert take(shop, queues=()) == []
    assert take(shop, queues=("elsewhere",), limit=0) == []


def test_low_priority_of_a_job_rises_by_one_for_each_minute_that_it_waits(shop: Shop, clock: ManualClock):
    run = shop.started()
    plan(shop, job(run, "low", priority=9, at=clock.now_ms()), run=run)
    clock.advance(9 * 60_000)
    plan(shop, job(run, "high", priority=0, at=clock.now_ms()), run=run)
    assert [one.key for one in take(shop)] == ["low", "high"]


def crowd(shop: Shop, workspace: str, count: int, queue: str = "heavy", **choices: int) -> NewRun:
    """A run of the workspace with so many jobs."""
    run = shop.started(workspace_id=workspace)
    now = shop.clock.now_ms()
    jobs = [job(run, f"{queue}{number}", queue=queue, at=now + number, **choices) for number in range(count)]
    return plan(shop, *jobs, run=run)


def test_f76_jobs_of_one_workspace_cannot_keep_anothers_waiting(shop: Shop):
    crowd(shop, "big", 300, priority=0)
    crowd(shop, "small", 10, priority=9)
    assert Counter(one.workspace_id for one in take(shop, limit=20)) == {"big": 10, "small": 10}
    assert Counter(one.workspace_id for one in take(shop, limit=400)) == {"big": 290}


def test_f76_workspaces_are_served_in_turn_over_small_takes_of_jobs(shop: Shop):
    for workspace, count in (("a", 300), ("b", 3), ("c", 2)):
        crowd(shop, workspace, count)
    served = [take(shop, limit=1)[0].workspace_id for _ in range(9)]
    assert served == ["a", "b", "c", "a", "b", "c", "a", "b", "a"]


def test_f76_workspace_with_jobs_in_many_queues_has_one_turn(shop: Shop):
    for queue in ("heavy", "io", "gpu"):
        crowd(shop, "big", 100, queue)
    crowd(shop, "small", 4, "io")
    taken = take(shop, queues=("heavy", "io", "gpu"), limit=8)
    assert Counter(one.workspace_id for one in taken) == {"big": 4, "small": 4}
    served = [one.workspace_id for _ in range(3) for one in take(shop, queues=("gpu", "heavy"), limit=1)]
    assert served == ["big", "big", "big"]


def test_f76_takes_of_other_queues_do_not_move_the_turn(shop: Shop):
    for workspace in ("a", "b"):
        crowd(shop, workspace, 10, "heavy")
        crowd(shop, workspace, 10, "io")
    served = [(take(shop, limit=1)[0].workspace_id, take(shop, queues=("io",), limit=1)[0].workspace_id) for _ in range(4)]
    assert served == [("a", "a"), ("b", "b"), ("a", "a"), ("b", "b")]


def test_priority_of_jobs_counts_within_their_workspace(shop: Shop, clock: ManualClock):
    now = clock.now_ms()
    for workspace, urgent in (("a", 1), ("b", 0)):
        run = shop.started(workspace_id=workspace)
        keys = [job(run, f"{workspace}{priority}", priority=priority, at=now - priority) for priority in (9, 5, urgent)]
        plan(shop, *(replace(one, workspace_id=workspace) for one in keys), run=run)
    assert [one.key for one in take(shop, limit=4)] == ["a1", "b0", "a5", "b5"]
    assert sorted(one.key for one in take(shop)) == ["a9", "b9"]


def test_jobs_of_a_new_workspace_are_seen_at_once_where_there_is_room_and_soon_where_there_is_none(
    shop: Shop, clock: ManualClock
):
    crowd(shop, "big", 300)
    take(shop, limit=1)
    crowd(shop, "new", 1)
    assert "new" in {one.workspace_id for one in take(shop, limit=301)}
    crowd(shop, "big", 300)
    take(shop, limit=1)
    crowd(shop, "new", 1)
    clock.advance(1_000)
    assert "new" in {one.workspace_id for one in take(shop, limit=2)}


def test_attempts_of_one_step_are_jobs_of_their_own(shop: Shop):
    run = shop.started()
    plan(shop, job(run, attempt=1), job(run, attempt=2, at=2), run=run)
    assert [(one.key, one.attempt) for one in take(shop)] == [("s", 1), ("s", 2)]


def test_dead_worker_takes_no_job(shop: Shop):
    planned(shop)
    dead = shop.hire()
    shop.kill(dead)
    assert take(shop, dead) == []
    assert len(take(shop)) == 1


def test_end_of_a_job_is_mail_to_its_run(shop: Shop, store: Store):
    run = planned(shop)
    helper = shop.hire()
    [taken] = take(shop, helper)
    assert store.end_job(helper, taken, outcome(run))
    assert read_mail(shop) == [(run.no, "job", orjson.loads(OUTCOME))]
    assert not store.end_job(helper, taken, outcome(run))
    assert read_runs(store)[run.no].mail == 1


def test_end_of_a_job_wakes_its_run(shop: Shop, store: Store):
    run = planned(shop)
    shop.commit(replace(shop.turn(run, 3), release=Release("waiting", FAR_FUTURE_MS, "{}")))
    [taken] = take(shop)
    store.changed()
    assert store.end_job(shop.worker, taken, outcome(run))
    assert store.changed()
    [claimed] = shop.claim()
    assert [(mail.kind, mail.body) for mail in claimed.mails] == [("job", OUTCOME)]


def test_objects_of_an_outcome_belong_to_the_run(shop: Shop, store: Store):
    run = planned(shop)
    [taken] = take(shop)
    assert store.end_job(shop.worker, taken, outcome(run), ["value_1", "value_1"])
    assert list(store.find_unnamed(["value_1", "value_2"])) == ["value_2"]


@pytest.mark.parametrize("ended_by", ["another worker", "an older epoch"])
def test_end_of_a_job_that_is_not_ours_changes_nothing(shop: Shop, store: Store, ended_by: str):
    run = planned(shop)
    [taken] = take(shop)
    worker, as_taken = (shop.hire(), taken) if ended_by == "another worker" else (shop.worker, replace(taken, epoch=0))
    assert not store.end_job(worker, as_taken, outcome(run), ["value_1"])
    assert read_runs(store)[run.no].mail == 0
    assert list(store.find_unnamed(["value_1"])) == ["value_1"]
    assert store.end_job(shop.worker, taken, outcome(run))


def test_jobs_of_an_expired_worker_are_reported_lost(shop: Shop, store: Store, clock: ManualClock):
    run = planned(shop)
    helper = shop.hire()
    [taken] = take(shop, helper)
    clock.advance(EXPIRY_MS)
    assert store.beat(shop.worker, EXPIRY_MS)
    assert store.expire() == Expired([helper], 0, 1)
    assert read_mail(shop) == [(run.no, "job", {"step": "s", "attempt": 1, "lost": "expired"})]
    assert not store.end_job(helper, taken, outcome(run))
    assert store.expire() == Expired([], 0, 0)
    assert take(shop) == []


def test_jobs_of_a_retired_worker_are_reported_released(shop: Shop, store: Store):
    run = planned(shop)
    helper = shop.hire()
    take(shop, helper)
    assert store.retire(helper) == 0
    assert read_mail(shop) == [(run.no, "job", {"step": "s", "attempt": 1, "lost": "released"})]


def test_run_and_job_of_one_dead_worker_meet_again(shop: Shop, store: Store):
    run = planned(shop)
    take(shop)
    assert store.expire([shop.worker]) == Expired([shop.worker], 1, 1)
    [claimed] = shop.claim(shop.hire())
    assert (claimed.run_no, claimed.mail, [mail.kind for mail in claimed.mails]) == (run.no, 1, ["job"])


def test_many_jobs_of_a_dead_worker_are_all_reported(shop: Shop, store: Store):
    run = shop.started()
    plan(shop, *(job(run, f"s{number}", at=number) for number in range(620)), run=run)
    helper = shop.hire()
    assert len(take(shop, helper, limit=1_000)) == 620
    assert store.expire([helper]).jobs == 620
    assert read_runs(store)[run.no].mail == 620


def test_dropped_job_that_nobody_has_taken_goes_and_its_run_is_told(shop: Shop):
    run = planned(shop)
    shop.commit(replace(shop.turn(run, 3), jobs_dropped=[("s", 1), ("unknown", 1)]))
    assert take(shop) == []
    assert read_mail(shop) == [(run.no, "job", {"step": "s", "attempt": 1, "lost": "aborted"})]


def test_dropped_job_that_is_taken_is_told_to_its_worker_and_may_still_end(shop: Shop, store: Store):
    run = planned(shop)
    helper = shop.hire()
    [taken] = take(shop, helper)
    assert list(store.dropped_jobs(helper)) == []
    shop.commit(replace(shop.turn(run, 3), jobs_dropped=[("s", 1)]))
    assert [tuple(one) for one in store.dropped_jobs(helper)] == [(run.no, "s", 1)]
    assert list(store.dropped_jobs(shop.worker)) == []
    assert read_mail(shop) == []
    assert store.end_job(helper, taken, outcome(run))
    assert list(store.dropped_jobs(helper)) == []
    assert len(read_mail(shop)) == 1


def test_finish_drops_the_jobs_of_its_run(shop: Shop, store: Store):
    run, other = shop.started(), shop.started()
    plan(shop, job(run, "taken"), run=run)
    [taken] = take(shop)
    plan(shop, job(run, "waiting"), run=run)
    plan(shop, job(other, "other"), run=other)
    shop.commit(replace(shop.turn(run, 4, body=ENDED), finish=COMPLETED))
    assert [one.key for one in take(shop)] == ["other"]
    assert [tuple(one) for one in store.dropped_jobs(shop.worker)] == [(run.no, "taken", 1)]
    assert store.end_job(shop.worker, taken, outcome(run))
    assert read_mail(shop) == []


def test_job_that_a_turn_plans_and_drops_is_gone(shop: Shop):
    run = shop.started()
    shop.commit(replace(shop.turn(run, 2), jobs=[job(run)], jobs_dropped=[("s", 1)]))
    assert take(shop) == []


def test_pruned_run_leaves_no_job(shop: Shop, store: Store, clock: ManualClock):
    run = planned(shop)
    [taken] = take(shop)
    shop.commit(replace(shop.turn(run, 3, body=ENDED), finish=COMPLETED))
    store.prune(clock.now_ms() + 1, 10)
    assert list(store.dropped_jobs(shop.worker)) == []
    assert not store.end_job(shop.worker, taken, outcome(run))


def test_workers_on_threads_share_all_jobs_and_none_has_two_owners(shop: Shop, store: Store):
    run = shop.started()
    plan(shop, *(job(run, f"s{number}", at=number) for number in range(200)), run=run)
    workers = [shop.worker, shop.hire()]

    def drain(worker: int) -> list[str]:
        return [one.key for taken in iter(lambda: store.take_jobs(worker, ["heavy"], 7), []) for one in taken]

    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(drain, workers))
    assert sorted(chain(*shares)) == sorted(f"s{number}" for number in range(200))


def test_end_and_expiry_on_threads_tell_the_run_once(shop: Shop, store: Store):
    run = shop.started()
    for attempt in range(1, 21):
        plan(shop, job(run, attempt=attempt), run=run)
        helper = shop.hire()
        [taken] = take(shop, helper)
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(store.end_job, helper, taken, outcome(run))
            swept = pool.submit(store.expire, [helper])
        assert ended.result() == (swept.result().jobs == 0)
        assert read_runs(store)[run.no].mail == attempt
