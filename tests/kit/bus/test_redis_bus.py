import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from tests.kit.bus.events import event_no, heard, messages
from tests.kit.bus.servers import own_redis
from tests.support.brokers import redis_url
from tests.support.own_servers import OwnRedis, find_free_port

from flowforge.kit.bus import BusError, BusEvent, Resync
from flowforge.kit.bus.redis_bus import RedisBus
from flowforge.kit.bus.redis_urls import parse_redis_url
from flowforge.kit.clock import SystemClock

TOPIC = "workspace:ws_1"


@asynccontextmanager
async def open_bus(url: str, prefix: str | None = None) -> AsyncGenerator[RedisBus]:
    bus = RedisBus(parse_redis_url(url), SystemClock(), prefix=prefix or f"test-{uuid4().hex[:8]}:")
    try:
        yield bus
    finally:
        await bus.close()


class Journal:
    """Everything that ever was, as the database has it."""

    def __init__(self) -> None:
        self.last = 0

    def take(self, count: int) -> list[int]:
        numbers = list(range(self.last + 1, self.last + count + 1))
        self.last = numbers[-1]
        return numbers

    async def read(self, topic: str, after: int) -> Sequence[BusEvent] | None:
        assert topic == TOPIC
        return [event_no(number) for number in range(after + 1, self.last + 1)][:50]


async def test_events_reach_listeners_of_other_processes():
    prefix = f"test-{uuid4().hex[:8]}:"
    async with open_bus(redis_url(), prefix) as here, open_bus(redis_url(), prefix) as there:
        async with there.subscribe(TOPIC) as one, there.subscribe("run:run_2") as other:
            await here.publish([*messages(TOPIC, 1, 2), *messages("run:run_2", 65_536)])
            assert await heard(one, 2) == [1, 2]
            assert await heard(other, 1) == [65_536]
        async with there.subscribe(TOPIC) as again:
            await here.publish(messages(TOPIC, 3))
            assert await heard(again, 1) == [3]


@pytest.fixture
def server() -> Generator[OwnRedis]:
    with own_redis() as opened:
        yield opened


async def test_listener_goes_on_by_number_when_redis_was_restarted(server: OwnRedis):
    journal = Journal()
    async with open_bus(server.url(), "x:") as here, open_bus(server.url(), "x:") as there:
        listening = there.subscribe(TOPIC, after=0, read_missed=journal.read)
        async with listening as subscription:
            await here.publish(messages(TOPIC, *journal.take(3)))
            assert await heard(subscription, 3) == [1, 2, 3]
            server.end()
            lost = journal.take(4)
            with pytest.raises(BusError, match="cannot be used now"):
                await here.publish(messages(TOPIC, *lost))
            server.start()
            assert await heard(subscription, 4) == lost
            # The relay tries again what it could not publish: nobody hears it twice.
            await here.publish(messages(TOPIC, *lost, *journal.take(1)))
            assert await heard(subscription, 1) == [8]


async def test_listener_without_a_number_to_read_on_from_is_told_of_an_interruption():
    with own_redis() as server:
        async with open_bus(server.url(), "x:") as bus, bus.subscribe(TOPIC) as subscription:
            server.restart()
            assert await heard(subscription, 1) == [Resync("missed")]
            await bus.publish(messages(TOPIC, 5))
            assert await heard(subscription, 1) == [5]


async def test_message_that_is_no_event_is_left_out():
    prefix = f"test-{uuid4().hex[:8]}:"
    async with open_bus(redis_url(), prefix) as bus, bus.subscribe(TOPIC) as subscription:
        stranger: Any = Redis
        async with stranger.from_url(redis_url()) as client:
            for body in (b"\xff", b"[]", b"{}", b'{"seq": 1}'):
                await client.publish(prefix + TOPIC, body)
        await bus.publish(messages(TOPIC, 5))
        assert await heard(subscription, 1) == [5]


async def test_unreachable_redis_is_a_sentence_without_the_password():
    async with open_bus("redis://:s3cret@127.0.0.1:1/0") as bus:
        with pytest.raises(BusError, match=r"127\.0\.0\.1:1 cannot be used now") as caught:
            await bus.publish(messages(TOPIC, 1))
        assert "s3cret" not in str(caught.value)


async def test_master_is_found_through_sentinels_and_after_it_changed():
    with own_redis() as master, own_redis("--replicaof", "127.0.0.1", str(master.port)):
        await _await_replica(master)
        configuration = (
            f"sentinel monitor events 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds events 500\n"
            "sentinel failover-timeout events 2000\n"
        )
        with own_redis("--sentinel", configuration=configuration) as sentinel:
            await _await_sentinel(sentinel)
            journal = Journal()
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/events"
            async with open_bus(url) as bus, bus.subscribe(TOPIC, after=0, read_missed=journal.read) as subscription:
                await bus.publish(messages(TOPIC, *journal.take(1)))
                assert await heard(subscription, 1) == [1]
                master.end()
                lost = journal.take(2)
                assert await heard(subscription, 2, 20) == lost
                await _publish_until_done(bus, journal.take(1)[0])
                assert await heard(subscription, 1) == [4]


async def _await_replica(master: OwnRedis) -> None:
    client: Any = Redis(port=master.port)
    async with client, asyncio.timeout(15):
        while (await client.info("replication"))["connected_slaves"] < 1:
            await asyncio.sleep(0.05)


async def _await_sentinel(sentinel: OwnRedis) -> None:
    """Until it knows the replica, there is nothing that it could make the master."""
    client: Any = Redis(port=sentinel.port)
    async with client, asyncio.timeout(20):
        while not await client.sentinel_slaves("events"):
            await asyncio.sleep(0.05)


async def _publish_until_done(bus: RedisBus, number: int) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                return await bus.publish(messages(TOPIC, number))
            except BusError:
                await asyncio.sleep(0.1)


async def test_any_server_of_a_cluster_that_answers_will_do():
    with own_redis("--cluster-enabled", "yes", "--cluster-port", str(find_free_port())) as server:
        client: Any = Redis(port=server.port)
        async with client:
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{server.port}"
        async with open_bus(url, "c:") as bus, bus.subscribe(TOPIC) as subscription:
            await _publish_until_done(bus, 7)
            assert await heard(subscription, 1) == [7]
