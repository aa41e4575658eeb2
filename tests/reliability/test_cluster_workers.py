"""F01-F16, F42 in processes: workers on a server's database die, stall, are cut off, and leave in order."""

import resource
import signal
from collections import Counter
from pathlib import Path
from random import Random
from typing import cast

import pytest
from tests.support.cluster import EXPIRY_S, Cluster, Definition, RunRef, make_effects
from tests.support.cluster_fixtures import MakeCluster
from tests.support.documents import make_document
from tests.support.nursery import Child
from tests.support.tcp_proxy import open_tcp_proxy
from tests.support.templates import Templates

from flowforge.kit.values import JsonObject

pytestmark = pytest.mark.slow(120)


def define(cluster: Cluster, *names: str, **extra: str) -> Definition:
    """A workflow of effects, one behind the other."""
    return cluster.client.define(make_document(make_effects(cluster.world, *names, **extra)))


def hold_first(cluster: Cluster, *names: str, **extra: str) -> RunRef:
    """A run on one worker, whose first effect has reached the world and waits there."""
    cluster.gate(f"/{names[0]}")
    run = cluster.client.start(define(cluster, *names, **extra))
    cluster.until_requests(f"/{names[0]}")
    return run


def free(cluster: Cluster, name: str) -> None:
    """From now on requests of that name are answered at once."""
    cluster.world.routes.pop(f"/{name}")


def claims(cluster: Cluster, run: RunRef) -> list[tuple[object, object]]:
    return [(event["epoch"], event["why"]) for event in cluster.of(run, "run.claimed")]


def test_f01_run_of_a_worker_that_died_after_its_claim_runs_once_elsewhere(cluster_on_each: Cluster):
    cluster = cluster_on_each
    dead = cluster.add_worker(environment={"TEST_DIE_AT": "CP06"})
    run = cluster.client.start(define(cluster, "a"))
    assert dead.wait() == -signal.SIGKILL
    cluster.add_worker()
    cluster.add_scheduler()

    assert cluster.until_ended([run]) == {"completed": 1}
    assert claims(cluster, run) == [(1, "due"), (2, "expired")]
    assert [event["attempt"] for event in cluster.of(run, "step.planned")] == [1]
    assert len(cluster.requests("/a")) == 1
    cluster.check(served={"a"})


@pytest.mark.parametrize(
    ("policy", "requests", "status"), [("repeat", 2, "completed"), ("ask", 1, "waiting"), ("fail", 1, "failed")]
)
def test_f02_effect_of_a_killed_worker_goes_by_on_interrupt(cluster: Cluster, policy: str, requests: int, status: str):
    worker = cluster.add_worker()
    run = hold_first(cluster, "a", a=f"on_interrupt: {policy}")
    worker.kill()
    free(cluster, "a")
    cluster.add_worker()
    cluster.add_scheduler()

    cluster.until_status(run, status)
    assert len(cluster.requests("/a")) == requests
    assert len(cluster.keys("/a")) == 1
    assert len(cluster.of(run, "step.completed")) == (1 if policy == "repeat" else 0)
    parked = [event["reason"] for event in cluster.of(run, "step.parked")]
    assert parked == (["outcome_unknown"] if policy == "ask" else [])
    cluster.check(served={"a"}, open_runs=[run] if policy == "ask" else [])


def test_f03_step_whose_outcome_was_committed_does_not_run_again(cluster: Cluster):
    worker = cluster.add_worker()
    cluster.gate("/b")
    run = cluster.client.start(define(cluster, "a", "b"))
    cluster.until_requests("/b")
    worker.kill()
    free(cluster, "b")
    cluster.add_worker()
    cluster.add_scheduler()

    assert cluster.until_ended([run]) == {"completed": 1}
    assert (len(cluster.requests("/a")), len(cluster.requests("/b"))) == (1, 2)
    cluster.check(served={"a", "b"})


def test_f06_step_in_flight_ends_within_the_grace_and_no_attempt_is_lost(cluster: Cluster):
    worker = cluster.add_worker()
    gate = cluster.gate("/a")
    run = cluster.client.start(define(cluster, "a", "b"))
    cluster.until_requests("/a")
    worker.send(signal.SIGTERM)
    cluster.add_worker()
    cluster.until_workers(2)
    gate.open()

    assert worker.wait() == 0, worker.tail()
    assert cluster.until_ended([run]) == {"completed": 1}
    assert (len(cluster.requests("/a")), len(cluster.requests("/b"))) == (1, 1)
    assert cluster.row(run)[2] == 0
    cluster.check(served={"a", "b"})


def test_f06_run_is_handed_back_at_once_when_the_grace_is_over(cluster: Cluster):
    worker = cluster.add_worker(SHUTDOWN_GRACE="200ms")
    run = hold_first(cluster, "a", "b")
    free(cluster, "a")
    cluster.stop(worker)
    cluster.add_worker()

    assert cluster.until_ended([run]) == {"completed": 1}
    assert claims(cluster, run)[-1][1] == "released"
    assert cluster.row(run)[2] == 0
    assert len(cluster.requests("/a")) == 2
    assert len(cluster.keys("/a")) == 1
    cluster.check(served={"a", "b"})


def live_through(cluster: Cluster, workers: list[Child], run: RunRef, status: str) -> int:
    """Puts a new worker in the place of each that dies, until the run is in that status. How many died."""
    deaths = 0

    def look() -> bool:
        nonlocal deaths
        for place, worker in enumerate(workers):
            if not worker.is_alive:
                deaths += 1
                workers[place] = cluster.add_worker()
        return cluster.status(run) == status

    cluster.until(look, f"the run does not come to be {status}", 60)
    return deaths


@pytest.mark.parametrize("kind", ["die", "die_heavy"])
def test_f07_step_that_kills_its_worker_each_time_becomes_a_dead_letter(cluster: Cluster, kind: str, tmp_path: Path):
    steps = f'- {{id: a, uses: test.{kind}, with: {{url: "{cluster.world.url}/a", cure: "{tmp_path}/cure"}}, retry: {{attempts: 2}}}}\n'
    poison = cluster.client.define(make_document(steps))
    others = [cluster.client.start(define(cluster, "b", "c")) for _ in range(10)]
    redriven, discarded = cluster.client.start(poison), cluster.client.start(poison)
    cluster.add_scheduler()
    workers = [cluster.add_worker() for _ in range(2)]
    deaths = sum(live_through(cluster, workers, run, "waiting") for run in (redriven, discarded))
    assert cluster.until_ended(others) == {"completed": 10}

    for run in (redriven, discarded):
        assert [event["reason"] for event in cluster.of(run, "step.parked")] == ["poison"]
        assert len(cluster.of(run, "step.planned")) == 3
        assert not cluster.of(run, "step.failed")
    assert deaths <= 6
    listed = {str(row["id"]) for row in cluster.command("dead-letters", "list")}
    assert listed == {redriven.id, discarded.id}
    cluster.check(open_runs=[redriven, discarded])
    (tmp_path / "cure").touch()
    cluster.client.send(redriven, "retry", step="a")
    cluster.client.send(discarded, "discard")
    assert cluster.until_ended([redriven, discarded]) == {"completed": 1, "failed": 1}
    assert cluster.status(redriven) == "completed"
    assert len(cluster.keys("/a")) == 2
    cluster.check(served={"b", "c"})


@pytest.mark.parametrize("name", ["another", "worker0"], ids=["F08", "F09"])
def test_worker_that_was_stopped_and_comes_back_writes_nothing(cluster_on_each: Cluster, name: str):
    """F08, F09: authority is the worker's number and the run's epoch, not a name."""
    cluster = cluster_on_each
    zombie = cluster.add_worker(name="worker0")
    gate = cluster.gate("/a")
    run = cluster.client.start(define(cluster, "a", "b"))
    cluster.until_requests("/a")
    [(number,)] = cluster.rows("SELECT owner FROM runs WHERE no = :no", no=run.no)
    zombie.send(signal.SIGSTOP)
    free(cluster, "a")
    successor = cluster.add_worker(name=name)
    cluster.add_scheduler()
    assert cluster.until_ended([run]) == {"completed": 1}
    before = cluster.events(run)

    gate.open()
    zombie.send(signal.SIGCONT)
    cluster.stop(successor)
    later = cluster.client.start(define(cluster, "c"))

    assert cluster.until_ended([later]) == {"completed": 1}
    assert number not in [claim["worker"] for claim in cluster.of(later, "run.claimed")]
    assert cluster.events(run) == before
    assert (len(cluster.requests("/a")), len(cluster.requests("/b"))) == (2, 1)
    assert len(cluster.keys("/a")) == 1
    cluster.check(served={"a", "b", "c"})


def test_f10_zombie_that_ends_after_the_run_was_cancelled_appends_nothing(cluster: Cluster):
    zombie = cluster.add_worker()
    gate = cluster.gate("/a")
    run = cluster.client.start(define(cluster, "a", "b"))
    cluster.until_requests("/a")
    zombie.send(signal.SIGSTOP)
    cluster.client.send(run, "cancel")
    cluster.add_worker()
    cluster.add_scheduler()
    assert cluster.until_ended([run]) == {"cancelled": 1}
    before = cluster.events(run)

    gate.open()
    zombie.send(signal.SIGCONT)
    cluster.until_workers(2)

    assert cluster.events(run) == before
    assert before[-1]["type"] == "run.finished"
    assert not cluster.of(run, "step.completed")
    cluster.check()


@pytest.mark.parametrize("how", ["cut", "frozen"])
def test_f12_worker_that_is_cut_off_from_the_database_stops_its_effects(
    make_cluster: MakeCluster, shared_postgres: Templates, how: str
):
    with open_tcp_proxy(shared_postgres.port) as proxy:
        cluster = make_cluster(shared_postgres, database_port=proxy.port)
        worker = cluster.add_worker()
        gate = cluster.gate("/a")
        run = cluster.client.start(define(cluster, "a", "b"))
        cluster.until_requests("/a")
        (proxy.cut if how == "cut" else proxy.freeze)()
        cluster.until(lambda: gate.abandoned == 1, "the effect goes on", EXPIRY_S * 6)
        free(cluster, "a")
        cluster.add_worker(DATABASE_URL=cluster.direct_url)
        cluster.add_scheduler(DATABASE_URL=cluster.direct_url)

        assert cluster.until_ended([run]) == {"completed": 1}
        proxy.heal()
        cluster.until_workers(2)
        assert worker.is_alive
    assert len(cluster.requests("/a")) == 2
    assert len(cluster.keys("/a")) == 1
    assert len(cluster.of(run, "step.completed", "a")) == 1
    cluster.check(served={"a", "b"})


def test_f13_all_runs_in_flight_go_on_after_every_worker_was_killed(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/a")
    definition = define(cluster, "a", "b")
    runs = cluster.client.start_many(definition, 150)
    workers = [cluster.add_worker() for _ in range(2)]
    cluster.until_requests("/a", 100)
    for worker in workers:
        worker.kill()
    gate.open()
    for _ in range(2):
        cluster.add_worker()
    cluster.add_scheduler()

    assert cluster.until_ended(runs) == {"completed": 150}
    assert len(cluster.keys("/a")) == len(cluster.keys("/b")) == len(cluster.requests("/b")) == 150
    cluster.check(served={"a", "b"})


def test_f14_runs_end_while_workers_are_killed_again_and_again(cluster: Cluster):
    random = Random(14)
    definition = define(cluster, "a", "b", "c", a="retry: {attempts: 5, initial: 50ms}")
    cluster.world.fail_ratio = 0.02
    workers = [cluster.add_worker(LIMIT_POISON_LIMIT="50") for _ in range(3)]
    cluster.add_scheduler(LIMIT_POISON_LIMIT="50")
    cluster.until_workers(3)
    runs: list[RunRef] = []
    kills = 0
    for _ in range(5):
        runs += [cluster.client.start(definition) for _ in range(20)]
        cluster.until_requests("/c", len(runs) // 2)
        place = random.randrange(3)
        workers[place].kill()
        kills += 1
        workers[place] = cluster.add_worker(LIMIT_POISON_LIMIT="50")
    cluster.world.fail_ratio = 0.0

    ended = cluster.until_ended(runs)
    assert ended["completed"] + ended["failed"] == 100
    cluster.check(served={"a", "b", "c"}, poison_limit=50)
    repeats = Counter(
        key for path in ("/a", "/b", "/c") for key in (r.headers["idempotency-key"] for r in cluster.requests(path))
    )
    assert max(repeats.values()) <= kills + 5


def test_f15_runs_of_a_dead_worker_are_queued_once_though_whoever_expires_it_is_killed(cluster_on_each: Cluster):
    cluster = cluster_on_each
    gate = cluster.gate("/a")
    definition = define(cluster, "a", "b")
    runs = [cluster.client.start(definition) for _ in range(20)]
    worker = cluster.add_worker()
    cluster.until_requests("/a", 20)
    worker.kill()
    gate.open()
    for place in ("CP21", "CP21:2", "CP22"):
        killed = cluster.add_scheduler(environment={"TEST_DIE_AT": place})
        assert killed.wait() == -signal.SIGKILL
        split = "SELECT count(*) FROM runs r LEFT JOIN queue q ON q.run_no = r.no WHERE (r.owner IS NULL) = (q.run_no IS NULL)"
        assert cluster.value(split) == 0
    cluster.add_scheduler()
    cluster.add_worker()

    assert cluster.until_ended(runs) == {"completed": 20}
    for run in runs:
        assert [why for _, why in claims(cluster, run)] == ["due", "expired"]
        assert cluster.row(run)[2] == 0
    cluster.check(served={"a", "b"})


def test_f16_two_recoverers_and_the_starter_have_one_winner_each_time(cluster_on_each: Cluster):
    cluster = cluster_on_each
    definition = define(cluster, "a", "b")
    gate = cluster.gate("/a")
    runs = [cluster.client.start(definition) for _ in range(40)]
    starter = cluster.add_worker()
    cluster.until_requests("/a", 40)
    starter.send(signal.SIGSTOP)
    gate.open()
    for _ in range(2):
        cluster.add_scheduler()
        cluster.add_worker()
    cluster.until_requests("/a", 60)
    starter.send(signal.SIGCONT)

    assert cluster.until_ended(runs) == {"completed": 40}
    assert len(cluster.keys("/b")) == 40  # that none of them was repeated without a reason is looked at below, by the journals
    for run in runs:
        assert len(cluster.of(run, "step.completed", "a")) == 1
    cluster.check(served={"a", "b"})


def test_f42_clock_of_a_machine_that_is_an_hour_ahead_takes_nothing_over_and_fires_nothing_early(cluster: Cluster):
    honest = cluster.add_worker()
    gate = cluster.gate("/a")
    run = cluster.client.start(define(cluster, "a"))
    cluster.until_requests("/a")
    ahead = {"TEST_CLOCK_SHIFT_S": "3600"}
    cluster.add_worker(environment=ahead)
    cluster.add_scheduler(environment=ahead)
    cluster.until_workers(2)
    steps = (
        make_effects(cluster.world, "b") + "- {id: nap, uses: flow.wait, with: {for: 2s}}\n" + make_effects(cluster.world, "c")
    )
    sleepers = [cluster.client.start(cluster.client.define(make_document(steps))) for _ in range(10)]

    assert cluster.until_ended(sleepers) == {"completed": 10}
    gate.open()
    assert cluster.until_ended([run]) == {"completed": 1}
    assert honest.is_alive
    assert cluster.row(run) == ("completed", 1, 0)
    for sleeper in sleepers:
        assert [event["why"] for event in cluster.of(sleeper, "run.claimed") if event["why"] == "expired"] == []
    b, c = (min(request.at_ms for request in cluster.requests(path)) for path in ("/b", "/c"))
    assert c - b >= 2_000
    cluster.check(served={"a", "b", "c"})


def test_f19_worker_without_descriptors_fails_steps_with_a_code_and_recovers_without_a_restart(cluster: Cluster):
    worker = cluster.add_worker()
    warm = cluster.client.start(define(cluster, "warm"))
    assert cluster.until_ended([warm]) == {"completed": 1}
    definition = cluster.client.define(
        make_document(
            f"""
- id: each
  uses: flow.foreach
  with: {{items: "${{{{ lists.range(30) }}}}", concurrency: unlimited}}
  steps:
    - id: a
      uses: test.knock
      with: {{url: "{cluster.world.url}/a"}}
      retry: {{attempts: 1000, initial: 50ms, backoff: fixed}}
"""
        )
    )
    used = len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (used + 2, hard))
    gate = cluster.gate("/a")
    run = cluster.client.start(definition)
    cluster.until(lambda: len(cluster.of(run, "step.failed")) >= 10, "no step fails for want of descriptors")
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
    gate.open()

    failures = cluster.of(run, "step.failed")
    assert {cast("JsonObject", event["error"])["code"] == "no_answer" for event in failures} == {True}
    assert all(event["retry_at"] is not None for event in failures)
    assert cluster.until_ended([run]) == {"completed": 1}
    assert worker.is_alive
    assert claims(cluster, run) == [(1, "due")]
    cluster.check(served={"warm", "a"})
