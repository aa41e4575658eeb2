"""Real brokers for tests: the machine's where they answer, else (Redis) a Valkey of this process.

Tests share them, so every test takes queues of names of its own (`make_queue_name`) and removes them; one that stops, empties or breaks
a broker takes its own (tests/support/own_servers.py).
"""

import atexit
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from tests.support.databases import answers
from tests.support.own_servers import OwnRedis

from flowforge.cluster.messages import QUEUE_PREFIX

REDIS_PORT = 6379
AMQP_PORT = 5672


@cache
def redis_url() -> str:
    """A Redis: the machine's, else one started here that ends with the process. Nobody may empty it."""
    if answers(REDIS_PORT):
        return f"redis://127.0.0.1:{REDIS_PORT}/0"
    server = OwnRedis.make()
    atexit.register(server.close)
    return server.url()


def amqp_url() -> str:
    """The machine's RabbitMQ; where there is none, the test is skipped."""
    if not answers(AMQP_PORT):
        pytest.skip(f"there is no RabbitMQ on port {AMQP_PORT}")
    return f"amqp://guest:guest@127.0.0.1:{AMQP_PORT}//"


def broker_url(kind: str) -> str:
    """`redis` or `amqp`."""
    return redis_url() if kind == "redis" else amqp_url()


def make_queue_name() -> str:
    return f"test-{uuid4().hex[:12]}"


@contextmanager
def own_queue(url: str) -> Generator[str]:
    """The name of a FlowForge queue on a shared broker that nobody else has; it is removed at the end."""
    name = make_queue_name()
    try:
        yield name
    finally:
        with open_connection(url) as connection:
            remove_queue(connection, name)


@contextmanager
def open_connection(url: str) -> Generator[Any]:
    from kombu.connection import Connection

    make: Any = Connection
    connection: Any = make(url, connect_timeout=5)
    try:
        yield connection
    finally:
        connection.release()


def remove_queue(connection: Any, queue: str) -> None:
    channel = connection.channel()
    if connection.transport.driver_type == "redis":
        channel.client.delete(QUEUE_PREFIX + queue)
        return
    with suppress(*connection.channel_errors):
        channel.queue_delete(QUEUE_PREFIX + queue)


def send_foreign(
    connection: Any, queue: str, body: bytes, content_type: str = "application/json", headers: Mapping[str, object] | None = None
) -> None:
    """A message as any program may send one: nothing about it needs to be right."""
    message = {"content_type": content_type, "content_encoding": "utf-8", "headers": dict(headers or {})}
    connection.Producer(auto_declare=False).publish(body, exchange="", routing_key=QUEUE_PREFIX + queue, **message)


def send_ring(connection: Any, queue: str, run_no: int, epoch: int = 1) -> None:
    """A ring as Celery sends it."""
    headers = {"task": "flowforge.ring", "id": uuid4().hex, "lang": "py", "eta": None, "expires": None}
    send_foreign(connection, queue, json.dumps([[run_no, epoch], {}, {}]).encode(), headers=headers)


def read_raw(connection: Any, queue: str) -> list[Any]:
    """The messages that wait in a queue, taken from it: each with `headers`, `properties`, `body`."""
    channel = connection.channel()
    found: list[Any] = []
    while (message := channel.basic_get(QUEUE_PREFIX + queue, no_ack=True)) is not None:
        found.append(message)
    return found
