"""From a turn in one process to a listener in another: a worker's relay, Redis, and reading on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from tests.support.cluster import Cluster
from tests.support.cluster_fixtures import MakeCluster
from tests.support.own_servers import OwnRedis
from tests.support.templates import Templates

from flowforge.cluster.outbox import TAKEN_MS
from flowforge.entrypoints.publishing import Missed, open_bus, open_relay
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.bus import Bus, BusEvent, MemoryBus, Resync, Subscription, run_topic, workspace_topic
from flowforge.kit.errors import ValidationError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.metrics import Metrics

IN_WORKSPACE = workspace_topic(DEFAULT_WORKSPACE_ID)
TWO_WAITS = """
flowforge: 1
name: patient
steps:
  - {id: first, uses: flow.wait, with: {signal: go}}
  - {id: second, uses: flow.wait, with: {for: 10ms}}
"""


@pytest.fixture
def cluster(make_cluster: MakeCluster, shared_postgres: Templates, own_redis: OwnRedis) -> Cluster:
    own_redis.flush()
    return make_cluster(shared_postgres, REDIS_URL=own_redis.url())


@asynccontextmanager
async def listening(installation: Installation) -> AsyncGenerator[Bus]:
    bus = open_bus(installation.settings)
    try:
        yield bus
    finally:
        await bus.close()
        await installation.database.close()


async def hear(subscription: Subscription, until_type: str) -> list[BusEvent]:
    heard: list[BusEvent] = []
    async with asyncio.timeout(20):
        async for event in subscription:
            assert not isinstance(event, Resync)
            heard.append(event)
            if event.type == until_type:
                return heard
    raise AssertionError("the subscription ended")


async def test_f04_f05_events_of_a_worker_that_is_killed_are_heard_elsewhere_once(cluster: Cluster):
    client = cluster.client
    definition = client.define(TWO_WAITS)
    worker = cluster.add_worker()
    missed = Missed(client.installation, DEFAULT_WORKSPACE_ID)
    async with listening(client.installation) as bus:
        async with bus.subscribe(IN_WORKSPACE, after=0, read_missed=missed.read) as in_workspace:
            run = await asyncio.to_thread(client.start, definition)
            first = await hear(in_workspace, "run.waiting")
            await asyncio.to_thread(worker.kill)
            cluster.add_worker()
            await asyncio.to_thread(client.signal, run, "go")
            heard = [*first, *await hear(in_workspace, "run.finished")]
        assert [event.type for event in heard][:2] == ["run.started", "run.waiting"]
        assert len({event.id for event in heard}) == len(heard)
        assert {event.subject for event in heard} == {run.id}
        # Who was away reads on: from the journal for the run, which tells of steps too, from the outbox for the workspace.
        async with bus.subscribe(run_topic(run.id), after=0, read_missed=missed.read) as in_run:
            journalled = await hear(in_run, "run.finished")
        async with bus.subscribe(IN_WORKSPACE, after=heard[0].seq, read_missed=missed.read) as again:
            assert [event.id for event in await hear(again, "run.finished")] == [event.id for event in heard[1:]]
    by_id = {event.id: event for event in journalled}
    for event in heard:
        derived = by_id[event.id].as_json() | {"seq": event.seq}
        assert derived == event.as_json()
    assert TAKEN_MS < 5_000


async def test_who_starts_a_run_without_workers_tells_of_it_by_the_next_relay(cluster: Cluster):
    client = cluster.client
    run = client.start(client.define(TWO_WAITS))
    async with listening(client.installation) as bus, bus.subscribe(IN_WORKSPACE) as in_workspace:
        async with open_relay(client.installation, Metrics()):
            (started,) = await hear(in_workspace, "run.started")
        assert started.subject == run.id
        assert started.data["triggered_by"] == "user:tester"


def test_bus_is_that_of_redis_url_else_of_the_broker_else_of_this_process_alone():
    assert isinstance(open_bus(Settings()), MemoryBus)
    assert isinstance(open_bus(Settings.model_validate({"BROKER_URL": "amqp://guest@127.0.0.1//"})), MemoryBus)
    by_broker = open_bus(Settings.model_validate({"BROKER_URL": "redis://127.0.0.1:1/0"}))
    assert not isinstance(by_broker, MemoryBus)
    with pytest.raises(ValidationError, match="REDIS_URL does not begin with a scheme"):
        open_bus(Settings.model_validate({"REDIS_URL": "http://127.0.0.1", "BROKER_URL": "redis://127.0.0.1:1/0"}))
