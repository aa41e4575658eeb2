"""Engines that are woken by rings, on real brokers: the database decides what is done, and the broker only when."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.brokers import open_connection, send_foreign, send_ring
from tests.support.own_servers import OwnRabbitmq, OwnRedis, find_free_port, wait_until
from tests.support.tcp_proxy import open_tcp_proxy

from flowforge.cluster.consumer import BrokerState, RingConsumer
from flowforge.cluster.doorbell import CeleryDoorbell
from flowforge.cluster.hearing import hearing_rings
from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine
from flowforge.engine.store import WorkerFacts
from flowforge.entrypoints.cli.starting import pin_target, start_detached
from flowforge.entrypoints.running import ClusterPart, open_engine
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.metrics import Metrics

WORKFLOW = """\
flowforge: 1
name: rung
input: {type: object}
steps:
  - {id: note, uses: log.write, with: {message: done}}
"""
LONG_POLL_MS = 60_000
TASK: dict[str, object] = {"task": "flowforge.ring", "id": "1"}


@pytest.fixture(scope="module")
def redis() -> Generator[OwnRedis]:
    server = OwnRedis.make()
    yield server
    server.close()


@pytest.fixture(scope="module")
def rabbitmq() -> Generator[OwnRabbitmq]:
    server = OwnRabbitmq.make()
    yield server
    server.close()


@dataclass
class Worker:
    installation: Installation
    engine: Engine
    consumer: RingConsumer

    def count(self, name: str, **labels: str) -> float:
        return self.installation.metrics.registry.get_sample_value(f"flowforge_{name}", labels) or 0.0


@dataclass
class House:
    """A data folder, the broker's URL, and what is asked of the database from outside."""

    data: Path
    url: str

    def settings(self, **given: Any) -> Settings:
        return Settings(data=self.data, broker_url=SecretStr(self.url), **given)

    @asynccontextmanager
    async def worker(self, **given: Any) -> AsyncGenerator[Worker]:
        installation = open_installation(self.settings(**{"poll_ms": LONG_POLL_MS, **given}))
        queues = ("default",)
        part = ClusterPart(WorkerFacts(queues=queues), queues)
        try:
            async with AsyncExitStack() as stack:
                engine = await stack.enter_async_context(
                    open_engine(installation, name="worker", takes_all=True, grace_ms=5_000, masker=Masker(), part=part)
                )
                consumer = await stack.enter_async_context(
                    hearing_rings(
                        engine,
                        self.url,
                        queues,
                        database=installation.database,
                        clock=installation.clock,
                        metrics=installation.metrics,
                    )
                )
                await until(lambda: consumer.state is not BrokerState.CONNECTING, "the broker was not looked for")
                yield Worker(installation, engine, consumer)
        finally:
            await installation.aclose()

    @asynccontextmanager
    async def outside(self, *, rings: bool = True) -> AsyncGenerator["Starter"]:
        """Another process, as `flowforge run --detach` is one."""
        settings = self.settings() if rings else Settings(data=self.data)
        installation = open_installation(settings)
        file = self.data / "rung.yaml"
        file.write_text(WORKFLOW)
        try:
            yield Starter(installation, await pin_target(installation, str(file), None))
        finally:
            await installation.aclose()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.data / "flowforge.db") as database:
            return database.execute(query).fetchall()

    def count_finished(self) -> int:
        return self.ask("SELECT count(*) FROM runs WHERE status = 'completed'")[0][0]

    async def until_finished(self, number: int) -> None:
        await until(lambda: self.count_finished() >= number, f"fewer than {number} runs have finished")

    def check_effects(self, number: int) -> None:
        """Every run has finished, has had its effect once, and was planned once."""
        assert self.count_finished() == number
        assert self.ask("SELECT count(*), count(DISTINCT run_no) FROM step_logs") == [(number, number)]
        bodies = [json.loads(body) for (body,) in self.ask("SELECT body FROM journal")]
        planned = [event for body in bodies for event in body if event["type"] == "step.planned"]
        assert len(planned) == number


@dataclass
class Starter:
    installation: Installation
    pinned: Any

    async def start(self, number: int = 1, priorities: Sequence[int] = ()) -> list[int]:
        """Starts runs; their numbers."""
        numbers: list[int] = []
        for index in range(number):
            request = StartRequest(
                workspace_id=DEFAULT_WORKSPACE_ID,
                workflow=self.pinned.version,
                input={},
                actor="user:test",
                trigger={"kind": "manual"},
                priority=priorities[index] if priorities else 5,
            )
            run_id = await start_detached(self.installation, request, self.pinned.workflow)
            numbers.append(find_number(self.installation, run_id))
        return numbers


def find_number(installation: Installation, run_id: str) -> int:
    with sqlite3.connect(installation.database_url.file) as database:
        return database.execute("SELECT no FROM runs WHERE id = ?", (run_id,)).fetchone()[0]


async def until(condition: Any, what: str, timeout_s: float = 20) -> None:
    await asyncio.to_thread(wait_until, condition, what, timeout_s, 0.01)


async def test_a_ring_wakes_a_worker_that_would_not_look_for_a_minute(tmp_path: Path, redis: OwnRedis) -> None:
    redis.flush()
    house = House(tmp_path, redis.url())
    async with house.worker() as worker, house.outside(rings=False) as silent, house.outside() as starter:
        await silent.start()
        await worker.engine.committer.call(worker.engine.store.next_due)
        assert house.count_finished() == 0
        await starter.start()
        await house.until_finished(2)


@pytest.mark.slow(90)  # starting a RabbitMQ takes 4 s, 12 s on a busy machine, and this test does so twice
async def test_f33_a_ring_wakes_through_rabbitmq_before_and_after_it_forgot_everything(
    tmp_path: Path, rabbitmq: OwnRabbitmq
) -> None:
    house = House(tmp_path, rabbitmq.url())
    async with house.worker() as worker, house.outside() as starter:
        await starter.start()
        await house.until_finished(1)
        await asyncio.to_thread(rabbitmq.forget)
        await until(lambda: worker.consumer.state is BrokerState.UNREACHABLE, "nobody noticed")
        await asyncio.to_thread(rabbitmq.start)
        await until(lambda: worker.consumer.state is BrokerState.CONNECTED, "the broker is not found again", 30)
        async with house.outside() as other:
            await other.start()
            await house.until_finished(2)
    house.check_effects(2)


async def test_f32_an_emptied_redis_loses_no_run(tmp_path: Path, redis: OwnRedis) -> None:
    house = House(tmp_path, redis.url())
    async with house.outside() as starter:
        await starter.start(30)
        redis.flush()
        async with house.worker(poll_ms=100):
            await starter.start(10)
            redis.flush()
            await house.until_finished(40)
    house.check_effects(40)


async def test_f33_a_redis_that_restarts_empty_loses_no_run(tmp_path: Path) -> None:
    server = OwnRedis.make()
    try:
        house = House(tmp_path, server.url())
        async with house.worker(poll_ms=100) as worker, house.outside() as starter:
            await starter.start(10)
            server.end()
            await starter.start(10)
            server.start()
            await starter.start(10)
            await house.until_finished(30)
            await until(lambda: worker.consumer.state is BrokerState.CONNECTED, "the broker is not found again")
        house.check_effects(30)
    finally:
        server.close()


async def test_f34_without_a_broker_runs_start_and_go_on(tmp_path: Path) -> None:
    house = House(tmp_path, f"redis://127.0.0.1:{find_free_port()}/0")
    async with house.worker(poll_ms=100) as worker, house.outside() as starter:
        await starter.start(20)
        await house.until_finished(20)
        assert worker.consumer.state is BrokerState.UNREACHABLE
        assert worker.count("broker_up") == 0
        await until(lambda: _lost(starter.installation) == 20, "the rings that were lost are not counted")
    house.check_effects(20)


def _lost(installation: Installation) -> float:
    return installation.metrics.registry.get_sample_value("flowforge_rings_total", {"outcome": "lost"}) or 0.0


def _send_three_times(url: str, run_no: int) -> None:
    with open_connection(url) as connection:
        for _ in range(3):
            send_ring(connection, "default", run_no)


async def test_f35_every_message_three_times_to_three_workers(tmp_path: Path, redis: OwnRedis) -> None:
    redis.flush()
    house = House(tmp_path, redis.url())
    async with house.worker() as one, house.worker() as two, house.worker() as three, house.outside() as starter:
        for _ in range(20):
            (run_no,) = await starter.start()
            await asyncio.to_thread(_send_three_times, house.url, run_no)
        await house.until_finished(20)
        heard = [worker.count("rings_heard_total") for worker in (one, two, three)]
        assert sum(heard) > 20
    house.check_effects(20)


async def test_f36_messages_in_reverse_order_do_not_turn_the_order_of_the_queue(tmp_path: Path, redis: OwnRedis) -> None:
    redis.flush()
    house = House(tmp_path, redis.url())
    async with house.outside(rings=False) as starter:
        numbers = await starter.start(5, priorities=(9, 0, 7, 3, 5))
        with open_connection(house.url) as connection:
            for run_no in reversed(numbers):
                send_ring(connection, "default", run_no)
        async with house.worker(runs_max=1):
            await house.until_finished(5)
    finished = [
        priority for (priority,) in house.ask("SELECT r.priority FROM step_logs l JOIN runs r ON r.no = l.run_no ORDER BY l.no")
    ]
    assert finished == [0, 3, 5, 7, 9]
    house.check_effects(5)


async def test_f39_a_publication_whose_answer_is_lost_is_made_again(tmp_path: Path, redis: OwnRedis) -> None:
    redis.flush()
    house = House(tmp_path, redis.url())
    metrics = Metrics()
    with open_tcp_proxy(redis.port) as proxy:
        bell = CeleryDoorbell(redis.url(proxy.port), SystemClock(), metrics)
        async with house.worker() as worker, house.outside(rings=False) as starter:
            bell.ring("default", 1, 0)
            await until(lambda: worker.count("rings_heard_total") == 1, "the first ring is not heard")
            (run_no,) = await starter.start()
            proxy.lose_answer(b"LPUSH")
            bell.ring("default", run_no, 0)
            await house.until_finished(1)
            await until(lambda: worker.count("rings_heard_total") == 3, "it was not sent again")
        bell.close()
    assert proxy.losses == 1
    assert metrics.registry.get_sample_value("flowforge_rings_total", {"outcome": "lost"}) is None
    house.check_effects(1)


async def test_f40_refused_messages_are_kept_and_bounded(
    tmp_path: Path, redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.flush()
    monkeypatch.setattr("flowforge.cluster.hearing.REFUSED_KEPT", 3)
    house = House(tmp_path, redis.url())
    async with house.worker() as worker, house.outside() as starter:
        with open_connection(house.url) as connection:
            send_foreign(connection, "default", b"\x80\x04\x95canary", "application/x-python-serialize", TASK)
            for number in range(4):
                send_foreign(connection, "default", b"{no %d" % number, headers=TASK)
        await until(lambda: worker.count("refused_messages_total") == 5, "they are not counted")
        # Not before all is written: a start here holds up the loop, and what it waits for would be written by this very loop.
        await until(lambda: house.ask("SELECT min(no), max(no) FROM refused_messages") == [(3, 5)], "they are not kept")
        await starter.start()
        await house.until_finished(1)
    rows = house.ask("SELECT no, queue, reason, excerpt FROM refused_messages ORDER BY no")
    assert [(queue, excerpt) for _, queue, _, excerpt in rows] == [("default", f"{{no {number}") for number in (1, 2, 3)]
    assert {reason for _, _, reason, _ in rows} == {"its body is no JSON"}


async def test_f41_rings_for_no_open_run_are_counted(tmp_path: Path, redis: OwnRedis) -> None:
    redis.flush()
    house = House(tmp_path, redis.url())
    async with house.outside(rings=False) as starter:
        async with house.worker(poll_ms=50):
            (finished,) = await starter.start()
            await house.until_finished(1)
        async with house.worker() as worker:
            with open_connection(house.url) as connection:
                send_ring(connection, "default", 4_711)
                send_ring(connection, "default", finished)
            await until(lambda: worker.count("unknown_run_total", why="unknown") == 1, "the unknown run is not counted")
            await until(lambda: worker.count("unknown_run_total", why="finished") == 1, "the finished run is not counted")
            with open_connection(house.url) as connection:
                (run_no,) = await starter.start()
                send_ring(connection, "default", run_no)
            await house.until_finished(2)
            assert worker.consumer.state is BrokerState.CONNECTED
    house.check_effects(2)
