"""F32-F36 in processes: the broker of a cluster forgets, restarts, is down, repeats and reorders. Rings cost or save time, nothing else."""

import shutil
import time
from collections.abc import Sequence

import pytest
from tests.support.cluster import Cluster, Definition, RunRef, make_effects
from tests.support.cluster_fixtures import MakeCluster
from tests.support.documents import make_document
from tests.support.own_servers import OwnRabbitmq, OwnRedis, find_free_port
from tests.support.tcp_proxy import open_tcp_proxy
from tests.support.templates import Templates

from flowforge.cluster.messages import Ring, connect_to_write, make_celery, make_queue, publish_ring

pytestmark = pytest.mark.slow(120)


def define(cluster: Cluster) -> Definition:
    """An effect, a heavy job, a nap, an effect."""
    steps = (
        make_effects(cluster.world, "a")
        + f'- {{id: job, uses: test.work, with: {{url: "{cluster.world.url}/job", work_ms: 20}}}}\n'
        + "- {id: nap, uses: flow.wait, with: {for: 300ms}}\n"
        + make_effects(cluster.world, "b")
    )
    return cluster.client.define(make_document(steps))


def assert_each_effect_once(cluster: Cluster, count: int) -> None:
    for path in ("/a", "/job", "/b"):
        assert len(cluster.requests(path)) == len(cluster.keys(path)) == count
    cluster.check(served={"a", "job", "b"})


def ring(url: str, runs: Sequence[RunRef], copies: int = 1) -> None:
    """Tells the workers to look, once or more for each run."""
    celery = make_celery(url)
    with connect_to_write(celery) as connection:
        channel = connection.channel()
        make_queue("default")(channel).declare()
        producer = celery.amqp.Producer(channel, auto_declare=False)
        for run in runs:
            for _ in range(copies):
                publish_ring(celery, producer, "default", Ring(run.no, 0))


def test_f32_emptied_broker_costs_no_run_and_no_job(make_cluster: MakeCluster, shared_postgres: Templates, own_redis: OwnRedis):
    cluster = make_cluster(shared_postgres, broker_url=own_redis.url())
    definition = define(cluster)
    runs = [cluster.client.start(definition) for _ in range(40)]
    ring(own_redis.url(), runs)
    own_redis.flush()
    for _ in range(2):
        cluster.add_worker()
    cluster.add_scheduler()
    cluster.until_requests("/a", 5)
    for _ in range(5):
        own_redis.flush()
        time.sleep(0.05)

    assert cluster.until_ended(runs) == {"completed": 40}
    assert_each_effect_once(cluster, 40)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_f33_broker_that_restarts_empty_costs_no_run_and_no_job(
    make_cluster: MakeCluster, shared_postgres: Templates, request: pytest.FixtureRequest, kind: str
):
    broker: OwnRedis | OwnRabbitmq = request.getfixturevalue(f"own_{kind}")
    cluster = make_cluster(shared_postgres, broker_url=broker.url())
    definition = define(cluster)
    workers = [cluster.add_worker() for _ in range(2)]
    scheduler = cluster.add_scheduler()
    runs = [cluster.client.start(definition) for _ in range(20)]
    cluster.until_requests("/a", 5)
    broker.end()
    shutil.rmtree(broker.folder / "mnesia", ignore_errors=True)
    broker.start()
    runs += [cluster.client.start(definition) for _ in range(20)]

    assert cluster.until_ended(runs) == {"completed": 40}
    assert all(process.is_alive for process in (*workers, scheduler))
    assert_each_effect_once(cluster, 40)


def test_f34_runs_and_jobs_go_on_while_the_broker_is_down(make_cluster: MakeCluster, shared_postgres: Templates):
    cluster = make_cluster(shared_postgres, broker_url=f"redis://127.0.0.1:{find_free_port()}/0")
    started = cluster.client.publish(make_document(make_effects(cluster.world, "detached"), name="detached"))
    cluster.add_worker()
    cluster.add_scheduler()
    definition = define(cluster)
    runs = [cluster.client.start(definition) for _ in range(10)]
    [told] = cluster.command("run", started.workflow.name, "--detach")

    assert cluster.until_ended(runs) == {"completed": 10}
    cluster.until_requests("/detached")
    cluster.until(lambda: not cluster.rows("SELECT id FROM runs WHERE finished_at IS NULL"), f"{told} does not end")
    assert_each_effect_once(cluster, 10)


def test_f34_rings_wake_workers_again_once_the_broker_is_back(
    make_cluster: MakeCluster, shared_postgres: Templates, own_redis: OwnRedis
):
    with open_tcp_proxy(own_redis.port) as proxy:
        proxy.cut()
        cluster = make_cluster(shared_postgres, broker_url=own_redis.url(proxy.port), POLL="60s", SWEEP="60s")
        cluster.add_worker()
        cluster.until_workers()
        proxy.heal()
        tried = proxy.connections
        cluster.until(lambda: proxy.connections > tried, "the worker does not try again")
        run = cluster.client.start(cluster.client.define(make_document(make_effects(cluster.world, "a"))))
        cluster.until(lambda: _ring_until(own_redis.url(), cluster, run), "nobody hears the ring")

        assert cluster.until_ended([run]) == {"completed": 1}
    cluster.check(served={"a"})


def _ring_until(url: str, cluster: Cluster, run: RunRef) -> bool:
    ring(url, [run])
    return bool(cluster.requests("/a"))


@pytest.mark.parametrize("order", ["F35 three times", "F36 reversed"])
def test_repeated_and_reordered_rings_do_nothing_twice(
    make_cluster: MakeCluster, shared_postgres: Templates, own_redis: OwnRedis, order: str
):
    cluster = make_cluster(shared_postgres, broker_url=own_redis.url(), POLL="60s")
    definition = cluster.client.define(make_document(make_effects(cluster.world, "a", "b")))
    runs = [cluster.client.start(definition, priority=number % 10) for number in range(30)]
    for _ in range(3):
        cluster.add_worker()
    cluster.until_workers(3)
    ring(own_redis.url(), runs if order.startswith("F35") else runs[::-1], copies=3 if order.startswith("F35") else 1)

    assert cluster.until_ended(runs) == {"completed": 30}
    ring(own_redis.url(), runs, copies=3)
    for run in runs:
        assert len(cluster.of(run, "run.claimed")) == 1
        assert [event["step"] for event in cluster.of(run, "step.completed")] == ["a", "b"]
    assert len(cluster.requests("/a")) == len(cluster.requests("/b")) == 30
    cluster.check(served={"a", "b"})
