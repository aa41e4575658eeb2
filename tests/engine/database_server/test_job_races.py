"""Jobs in several processes at the same moment: each is made by one, and its run hears of it once, whatever comes between."""

from collections import Counter
from dataclasses import replace
from functools import partial

from tests.engine.database_server.test_races import at_once, rounds
from tests.support.stores import COMPLETED, ENDED, Shop, read_rows, read_runs

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.queueing import Lost, report_lost
from flowforge.engine.store import NewJob, NewMail, NewRun, TakenJob, Turn, Verdict

QUEUES = ["heavy", "io"]


def with_jobs(shop: Shop, *keys: str) -> NewRun:
    run = shop.started()
    jobs = [NewJob(run.no, key, 1, "ws", QUEUES[place % 2], 5, 1, b"{}") for place, key in enumerate(keys)]
    assert shop.commit(replace(shop.turn(run, 2), jobs=jobs)).verdict is Verdict.DONE
    return run


def take(shop: Shop, limit: int = 50) -> list[TakenJob]:
    return list(shop.store.take_jobs(shop.worker, QUEUES, limit))


def tell(shop: Shop, job: TakenJob) -> bool:
    return shop.store.end_job(shop.worker, job, NewMail(job.run_no, "job", b'{"port":"out"}', "system"))


def take_and_tell(shop: Shop) -> int:
    return sum(tell(shop, job) for job in take(shop))


def mails_of(store: DatabaseServerStore, run: NewRun) -> int:
    [(unread,)] = read_rows(store, f"SELECT count(*) FROM inbox WHERE run_no={run.no}")
    assert read_runs(store)[run.no].mail == unread
    return unread


def jobs_of(store: DatabaseServerStore, run: NewRun) -> list[tuple[str, str, int | None]]:
    return [tuple(row) for row in read_rows(store, f'SELECT "key", status, owner FROM jobs WHERE run_no={run.no}')]


def test_f35_job_is_taken_by_one_of_three(shop: Shop, other: Shop, third: Shop):
    for _ in rounds(100):
        run = with_jobs(shop, *"abcdefgh")
        taken = Counter(job.key for jobs in at_once(*[partial(take, each, 3) for each in (shop, other, third)]) for job in jobs)
        assert set(taken.values()) == {1}
        rest = Counter(job.key for each in (shop, other, third) for job in take(each))
        assert sorted(taken + rest) == sorted("abcdefgh")
        shop.finish(run, 3)


def test_job_that_ends_while_its_worker_expires_is_told_once(shop: Shop, other: Shop, store: DatabaseServerStore):
    for _ in rounds(200):
        run = with_jobs(shop, "a", "b")
        other.worker = other.hire()
        jobs = take(other)
        at_once(*[partial(tell, other, job) for job in jobs[:1]], partial(shop.store.expire, [other.worker]))
        assert (mails_of(store, run), jobs_of(store, run)) == (2, [])
        assert not tell(other, jobs[1])
        shop.finish(run, 3, mail_seen=2)


def test_job_that_is_taken_while_its_worker_retires_is_not_lost(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    for _ in rounds(200):
        run = with_jobs(shop, "a")
        other.worker = other.hire()
        jobs, _ = at_once(partial(take, other), partial(third.store.retire, other.worker))
        left = jobs_of(store, run)
        assert (mails_of(store, run), left) in ((1, []), (0, [("a", "queued", None)]))
        assert len(jobs) == 1 - len(left)
        shop.finish(run, 3, mail_seen=1 - len(left))


def test_f66_job_that_is_dropped_while_it_is_taken_is_told_once(shop: Shop, other: Shop, store: DatabaseServerStore):
    for _ in rounds(200):
        run = with_jobs(shop, "a", "b")
        drop = replace(shop.turn(run, 3), jobs_dropped=[("a", 1), ("b", 1)])
        _, jobs = at_once(partial(shop.commit, drop), partial(take, other))
        dropped = sorted((run_no, key) for run_no, key, _ in other.store.dropped_jobs(other.worker))
        assert dropped == [(run.no, job.key) for job in sorted(jobs, key=lambda job: job.key)]
        for job in jobs:
            assert other.store.end_job(other.worker, job, report_lost(run.no, job.key, 1, Lost.ABORTED))
        assert (mails_of(store, run), jobs_of(store, run)) == (2, [])
        shop.finish(run, 4, mail_seen=2)


def test_f65_run_that_finishes_while_its_jobs_end_leaves_none(shop: Shop, other: Shop, third: Shop, store: DatabaseServerStore):
    def finish(run: NewRun) -> None:
        seen = 0
        ending: Turn = replace(shop.turn(run, 3, body=ENDED), finish=COMPLETED)
        while shop.commit(replace(ending, mail_seen=seen)).verdict is Verdict.MAIL:
            seen += 1

    for _ in rounds(200):
        run = with_jobs(shop, *"abcd")
        at_once(partial(finish, run), partial(take_and_tell, other), partial(take_and_tell, third))
        assert read_runs(store)[run.no].is_finished
        assert read_rows(store, f"SELECT 1 FROM inbox WHERE run_no={run.no}") == []
        take_and_tell(other)
        take_and_tell(third)
        assert jobs_of(store, run) == []
