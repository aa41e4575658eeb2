"""The doorbell and the consumer, on real brokers."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.support.brokers import broker_url, open_connection, own_queue, read_raw, send_foreign, send_ring
from tests.support.own_servers import OwnRedis, wait_until

from flowforge.cluster.consumer import BrokerState, Hearing, RingConsumer
from flowforge.cluster.doorbell import CeleryDoorbell
from flowforge.cluster.messages import QUEUE_PREFIX, Refusal
from flowforge.kit.clock import SystemClock
from flowforge.kit.telemetry.metrics import Metrics

KINDS = ("redis", "amqp")
TASK: dict[str, object] = {"task": "flowforge.ring", "id": "1"}


@dataclass
class Ears:
    """What a consumer heard."""

    rings: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    refused: list[tuple[str, Refusal]] = field(default_factory=list[tuple[str, Refusal]])
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def hearing(self) -> Hearing:
        return Hearing(
            lambda queue, run_no: self.rings.append((queue, run_no)), lambda queue, why: self.refused.append((queue, why))
        )


@contextmanager
def consuming(url: str, *queues: str) -> Generator[tuple[RingConsumer, Ears]]:
    ears = Ears()
    consumer = RingConsumer(url, queues, ears.hearing, ears.metrics)
    consumer.start()
    try:
        wait_until(lambda: consumer.state is not BrokerState.CONNECTING, "the consumer has not tried to connect")
        yield consumer, ears
    finally:
        consumer.stop()


@contextmanager
def ringing(url: str) -> Generator[tuple[CeleryDoorbell, Metrics]]:
    metrics = Metrics()
    bell = CeleryDoorbell(url, SystemClock(), metrics)
    try:
        yield bell, metrics
    finally:
        bell.close()


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"flowforge_{name}", labels) or 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_ring_is_heard_by_whom_it_is_for(kind: str) -> None:
    url = broker_url(kind)
    with (
        own_queue(url) as queue,
        own_queue(url) as other,
        consuming(url, queue) as (consumer, ears),
        ringing(url) as (bell, metrics),
    ):
        assert consumer.state is BrokerState.CONNECTED
        bell.ring(other, 1, 1)
        bell.ring(queue, 42, 3)
        wait_until(lambda: len(ears.rings) == 1, "the ring is not heard")
        assert ears.rings == [(queue, 42)]
        assert count(metrics, "rings_total", outcome="sent") == 2
        assert count(ears.metrics, "rings_heard_total") == 1
        assert bell.trouble is None


@pytest.mark.parametrize("kind", KINDS)
def test_f37_no_message_has_a_time_to_wait_for(kind: str) -> None:
    url = broker_url(kind)
    with own_queue(url) as queue:
        with consuming(url, queue):
            pass  # RabbitMQ: the queue is there now
        with ringing(url) as (bell, _):
            bell.ring(queue, 42, 3)
        with open_connection(url) as connection:
            (message,) = read_raw(connection, queue)
    headers, properties = message.headers, message.properties
    assert headers["task"] == "flowforge.ring"
    assert headers["eta"] is None
    assert headers["expires"] is not None
    assert "countdown" not in headers
    assert properties["expiration"] == "60000"
    assert properties["delivery_mode"] == 1
    assert json.loads(message.body)[:2] == [[42, 3], {}]


def test_f37_nothing_is_left_unacknowledged_on_redis() -> None:
    url = broker_url("redis")
    with own_queue(url) as queue, consuming(url, queue) as (_, ears), open_connection(url) as connection:
        client = connection.channel().client
        before = client.hlen("unacked")
        for number in range(1, 51):
            send_ring(connection, queue, number)
        wait_until(lambda: len(ears.rings) == 50, "the rings are not heard")
        assert client.hlen("unacked") == before
        assert client.llen(QUEUE_PREFIX + queue) == 0


def test_f38_rabbitmq_has_nothing_to_wait_for() -> None:
    """A consumer's time-out counts from a delivery to its acknowledgement: here there is none in between."""
    url = broker_url("amqp")
    with own_queue(url) as queue, consuming(url, queue) as (_, ears), open_connection(url) as connection:
        send_ring(connection, queue, 1)
        wait_until(lambda: len(ears.rings) == 1, "the ring is not heard")
        declared = connection.channel().queue_declare(QUEUE_PREFIX + queue, passive=True)
        assert (declared.message_count, declared.consumer_count) == (0, 1)
    # What was heard is gone though nobody acknowledged it: the consumer left, and nothing came back.
    with own_queue(url) as queue:
        with consuming(url, queue) as (_, ears), open_connection(url) as connection:
            send_ring(connection, queue, 1)
            wait_until(lambda: len(ears.rings) == 1, "the ring is not heard")
        with open_connection(url) as connection:
            assert read_raw(connection, queue) == []


def test_rings_that_nobody_hears_do_not_pile_up_on_redis() -> None:
    url = broker_url("redis")
    with own_queue(url) as queue, open_connection(url) as connection, ringing(url) as (bell, metrics):
        client = connection.channel().client
        for number in range(1, 101):
            bell.ring(queue, number, 1)
            wait_until(lambda: _told(metrics) >= number, "the ring is not told", every_s=0.002)  # noqa: B023 (used at once)
        assert client.llen(QUEUE_PREFIX + queue) == 64
        assert 0 < client.ttl(QUEUE_PREFIX + queue) <= 60


def _told(metrics: Metrics) -> float:
    return sum(count(metrics, "rings_total", outcome=outcome) for outcome in ("sent", "merged", "lost"))


def test_rings_that_nobody_hears_do_not_pile_up_on_rabbitmq() -> None:
    url = broker_url("amqp")
    with own_queue(url) as queue:
        with consuming(url, queue):
            pass
        with open_connection(url) as connection:
            for number in range(1, 1_101):
                send_ring(connection, queue, number)
            found = read_raw(connection, queue)
        assert len(found) == 1_000
        assert json.loads(found[0].body)[0][0] == 101


def test_a_burst_is_told_by_a_few_rings() -> None:
    url = broker_url("redis")
    with own_queue(url) as queue, consuming(url, queue) as (_, ears), ringing(url) as (bell, metrics):
        for number in range(1, 10_001):
            bell.ring(queue, number, 1)
        wait_until(lambda: _told(metrics) == 10_000, "not every ring is counted")
        sent = count(metrics, "rings_total", outcome="sent")
        wait_until(lambda: len(ears.rings) == sent, "a ring that was sent is not heard")
        assert 0 < sent < 10_000


FOREIGN: list[tuple[str, bytes, str, dict[str, object]]] = [
    ("no JSON", b"{nothing", "application/json", TASK),
    ("content type", b"\x80\x04canary\x94.", "application/x-python-serialize", TASK),
    ("content type", b"[[1, 2], {}, {}]", "text/plain", TASK),
    ("task", b"[[1, 2], {}, {}]", "application/json", {"task": "celery.backend_cleanup", "id": "1"}),
    ("task", b"[[1, 2], {}, {}]", "application/json", {}),
    ("arguments", b'[["1", 2], {}, {}]', "application/json", TASK),
    ("arguments", b'[[1, 2], {"countdown": 3}, {}]', "application/json", TASK),
    ("arguments", b"[[true, 2], {}, {}]", "application/json", TASK),
    ("arguments", b"[[-1, 2], {}, {}]", "application/json", TASK),
    ("arguments", b"[[9223372036854775808, 2], {}, {}]", "application/json", TASK),
    ("arguments", b'{"task": "flowforge.ring", "args": [1, 2]}', "application/json", TASK),
    ("no JSON", b"[" * 4_000, "application/json", TASK),
    ("bytes", b"[[1, 2], {}, {}]" + b" " * 5_000, "application/json", TASK),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_f40_foreign_messages_are_refused_and_the_next_ring_is_heard(kind: str) -> None:
    url = broker_url(kind)
    with own_queue(url) as queue, consuming(url, queue) as (consumer, ears), open_connection(url) as connection:
        for _, body, content_type, headers in FOREIGN:
            send_foreign(connection, queue, body, content_type, headers)
        send_ring(connection, queue, 7)
        wait_until(lambda: len(ears.rings) == 1, "the ring behind them is not heard")
        assert ears.rings == [(queue, 7)]
        assert consumer.state is BrokerState.CONNECTED
    assert len(ears.refused) == len(FOREIGN) == count(ears.metrics, "refused_messages_total")
    for (expected, *_), (where, refusal) in zip(FOREIGN, ears.refused, strict=True):
        assert where == queue
        assert expected in refusal.reason
        assert refusal.excerpt.isprintable()
        assert len(refusal.excerpt.encode()) <= 1_024


@pytest.mark.parametrize("kind", KINDS)
def test_f40_a_body_of_50_mib_is_refused(kind: str) -> None:
    url = broker_url(kind)
    with own_queue(url) as queue, consuming(url, queue) as (_, ears), open_connection(url) as connection:
        send_foreign(connection, queue, b'["' + b"x" * (50 * 2**20) + b'"]', headers=TASK)
        send_ring(connection, queue, 7)
        wait_until(lambda: len(ears.rings) == 1, "the ring behind it is not heard")
    ((_, refusal),) = ears.refused
    assert "bytes" in refusal.reason
    assert len(refusal.excerpt) <= 1_024


@pytest.mark.parametrize(
    "junk", [b"\xff\x00garbage", b"plain", b"{}", b"[]", b"12", b'{"properties": {}}', b'{"properties": 3, "body": "%%%"}']
)
def test_f40_what_is_no_message_at_all_is_refused(junk: bytes) -> None:
    url = broker_url("redis")
    with own_queue(url) as queue, consuming(url, queue) as (consumer, ears), open_connection(url) as connection:
        connection.channel().client.lpush(QUEUE_PREFIX + queue, junk)
        send_ring(connection, queue, 7)
        wait_until(lambda: len(ears.rings) == 1, "the ring behind it is not heard")
        assert consumer.state is BrokerState.CONNECTED
    assert [refusal.reason for _, refusal in ears.refused] == ["it is no message of Celery"]


def test_a_broker_that_is_down_costs_those_who_ring_nothing() -> None:
    server = OwnRedis.make()
    try:
        server.end()
        with ringing(server.url()) as (bell, metrics):
            for number in range(1, 1_001):
                bell.ring("default", number, 1)
            wait_until(lambda: bell.trouble is not None, "nobody noticed")
            wait_until(lambda: _told(metrics) == 1_000, "not every ring is counted")
            assert count(metrics, "rings_total", outcome="sent") == 0
            server.start()
            with consuming(server.url(), "default") as (_, ears):
                _ring_until(bell, lambda: bool(ears.rings))
                assert bell.trouble is None
    finally:
        server.close()


def _ring_until(bell: CeleryDoorbell, condition: Callable[[], bool]) -> None:
    def is_so() -> bool:
        bell.ring("default", 1, 1)
        return condition()

    wait_until(is_so, "no ring arrives", timeout_s=15, every_s=0.1)


def test_f33_a_restarted_broker_is_found_again() -> None:
    server = OwnRedis.make()
    try:
        with consuming(server.url(), "default") as (consumer, ears), ringing(server.url()) as (bell, _):
            _ring_until(bell, lambda: bool(ears.rings))
            server.end()
            wait_until(lambda: consumer.state is BrokerState.UNREACHABLE, "the consumer has not noticed")
            assert consumer.trouble
            server.start()
            ears.rings.clear()
            _ring_until(bell, lambda: bool(ears.rings))
            assert consumer.state is BrokerState.CONNECTED
    finally:
        server.close()


def test_f32_an_emptied_broker_still_carries_rings() -> None:
    server = OwnRedis.make()
    try:
        with consuming(server.url(), "default") as (_, ears), ringing(server.url()) as (bell, metrics):
            _ring_until(bell, lambda: bool(ears.rings))
            server.flush()
            ears.rings.clear()
            bell.ring("default", 5, 1)
            wait_until(lambda: ("default", 5) in ears.rings, "the ring after it is not heard")
            assert count(metrics, "rings_total", outcome="lost") == 0
    finally:
        server.close()


def test_closing_sends_what_waits_and_takes_nothing_more() -> None:
    url = broker_url("redis")
    with own_queue(url) as queue, consuming(url, queue) as (_, ears):
        bell = CeleryDoorbell(url, SystemClock())
        bell.ring(queue, 1, 1)
        bell.close(timeout_s=10)
        bell.ring(queue, 2, 1)
        wait_until(lambda: len(ears.rings) == 1, "the last ring is not heard")
        bell.close()
        assert ears.rings == [(queue, 1)]
        wait_until(lambda: not _is_alive("flowforge-doorbell"), "the thread has not ended")


def _is_alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())
