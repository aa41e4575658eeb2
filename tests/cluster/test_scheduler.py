"""Schedulers as processes: one is elected, another takes its place; F48."""

import signal

import pytest
from tests.support.cluster import Cluster
from tests.support.cluster_fixtures import MakeCluster
from tests.support.nursery import Child
from tests.support.templates import Templates

LEASE = "SELECT holder, epoch FROM leases WHERE name = 'scheduler'"
WAIT = """
flowforge: 1
name: later
steps:
  - {id: pause, uses: flow.wait, with: {for: 1s}}
"""


@pytest.fixture
def cluster(make_cluster: MakeCluster, shared_postgres: Templates) -> Cluster:
    return make_cluster(shared_postgres, STUCK_AFTER="1s")


def leader(cluster: Cluster) -> tuple[int, int]:
    """Number and epoch of the one that has the lease, once somebody has."""
    cluster.until(lambda: bool(cluster.rows(LEASE + " AND expires_at > 0")), "nobody was elected")
    holder, epoch = cluster.rows(LEASE)[0]
    return int(holder), int(epoch)


def numbers(cluster: Cluster, child: Child) -> list[int]:
    """Under which numbers a process has registered, the last one at the end."""
    return [
        no for (no,) in cluster.rows("SELECT no FROM workers WHERE pid = :pid AND role = 'scheduler' ORDER BY no", pid=child.pid)
    ]


def start_two(cluster: Cluster) -> tuple[Child, Child]:
    """The elected one, and the one that stands by."""
    first = cluster.add_scheduler()
    leader(cluster)
    second = cluster.add_scheduler()
    cluster.until(lambda: bool(numbers(cluster, second)), "the second one did not register")
    return first, second


def until_led_by(cluster: Cluster, child: Child, epoch: int) -> None:
    cluster.until(lambda: leader(cluster)[0] in numbers(cluster, child) and leader(cluster)[1] == epoch, "nobody took over")


def test_f48_frozen_leader_is_replaced_and_comes_back_as_one_that_stands_by(cluster: Cluster):
    first, second = start_two(cluster)
    _, epoch = leader(cluster)
    first.send(signal.SIGSTOP)
    until_led_by(cluster, second, epoch + 1)
    cluster.until(
        lambda: bool(cluster.value("SELECT dead FROM workers WHERE no = :no", no=numbers(cluster, first)[0])), "not dead"
    )
    first.send(signal.SIGCONT)
    cluster.until(lambda: len(numbers(cluster, first)) == 2, "it did not register again")
    assert first.is_alive
    cluster.until(lambda: "stands by" in cluster.logs(first), "it does not know that it is not elected")
    assert leader(cluster)[1] == epoch + 1
    second.kill()
    until_led_by(cluster, first, epoch + 2)
    assert "Traceback" not in cluster.logs(first)


def test_leader_that_is_told_to_end_makes_room_at_once(cluster: Cluster):
    first, second = start_two(cluster)
    _, epoch = leader(cluster)
    cluster.stop(first)
    until_led_by(cluster, second, epoch + 1)
    assert "elected" in cluster.logs(second)
    assert cluster.value("SELECT dead FROM workers WHERE no = :no", no=numbers(cluster, first)[0]) == 1
    cluster.stop(second)


def test_schedulers_that_are_killed_again_and_again_leave_no_run_behind(cluster: Cluster):
    """Of a cluster whose workers die too."""
    cluster.add_scheduler()
    definition = cluster.client.define(WAIT)
    started = [cluster.client.start(definition) for _ in range(20)]
    for _ in range(3):
        worker, scheduler = cluster.add_worker(), cluster.add_scheduler()
        cluster.until_workers(1)
        worker.kill()
        scheduler.kill()
    cluster.add_worker()
    assert cluster.until_ended(started) == {"completed": 20}
    orphans = """SELECT count(*) FROM runs r LEFT JOIN queue q ON q.run_no = r.no
     WHERE finished_at IS NULL AND (owner IS NULL) <> (q.run_no IS NOT NULL)"""
    assert cluster.value(orphans) == 0
