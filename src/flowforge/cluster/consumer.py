"""Hears the rings of a worker's queues, in a thread beside the engine's loop, and tells the engine to look."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from flowforge.cluster.messages import (
    QUEUE_PREFIX,
    RING_TASK,
    Refusal,
    connect_to_read,
    describe_unreadable,
    make_celery,
    make_queue,
    read_ring,
)
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

logger = get_logger("cluster.consumer")

_DRAIN_S: Final = 0.3
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 10.0
_UNREADABLE_MAX: Final = 100
"""So many unreadable messages one after the other on one connection, and it is made anew: it may be out of step."""
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError)


class BrokerState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is told of a message, from the consumer's thread: each must return at once and never raise."""

    on_ring: Callable[[str, int], None]
    """Queue and run."""
    on_refused: Callable[[str, Refusal], None]
    """Queue, and why."""


class _ForeignMessageError(Exception):
    """A message could not be read, and the connection cannot be trusted after it."""


class RingConsumer:
    """Consumes the Celery queues of `queues` for ever, through every failure of the broker. Messages are acknowledged on arrival.

    Raises ValidationError where the URL names no broker, or Celery is not installed.
    """

    def __init__(self, broker_url: str, queues: Sequence[str], hearing: Hearing, metrics: Metrics) -> None:
        self._app = make_celery(broker_url)
        self._queues = list(queues)
        self._hearing = hearing
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowforge-rings", daemon=True)
        self._unreadable = 0
        self.state = BrokerState.CONNECTING
        self.trouble: str | None = None
        """Why the broker is not reached; None while it is."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 1.5) -> None:
        """Ends the thread. One that hangs in a call to the broker is left behind; it ends with the process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        """Supervisor: nothing that comes from a broker or its client ends the thread."""
        backoff_s = _BACKOFF_FIRST_S
        while not self._stop.is_set():
            try:
                self._consume()
            except Exception as fault:  # noqa: BLE001 - supervisor
                if self.state is BrokerState.CONNECTED:
                    backoff_s = _BACKOFF_FIRST_S
                self._tell_unreachable(fault)
                self._stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)

    def _consume(self) -> None:
        with connect_to_read(self._app) as connection:
            channel = connection.channel()
            queues = [make_queue(queue) for queue in self._queues]
            consumer = self._app.amqp.Consumer(channel, queues=queues, no_ack=True, on_message=self._on_message)
            with consumer:
                self._tell_connected()
                while not self._stop.is_set():
                    self._drain(connection)

    def _drain(self, connection: Any) -> None:
        try:
            connection.drain_events(timeout=_DRAIN_S)
        except TimeoutError:
            self._unreadable = 0
        except _UNREADABLE as fault:
            # Redis' transport takes a message from its list before it reads the envelope, and stays usable where that is none.
            self._refuse(self._queues[0], describe_unreadable(fault))
            self._unreadable += 1
            if connection.transport.driver_type != "redis" or self._unreadable >= _UNREADABLE_MAX:
                self._unreadable = 0
                raise _ForeignMessageError("A message could not be read; the connection is made anew.") from fault
        connection.heartbeat_check()

    def _on_message(self, message: Any) -> None:
        self._unreadable = 0
        delivery: dict[str, object] = message.delivery_info or {}
        key = str(delivery.get("routing_key") or "")
        queue = key.removeprefix(QUEUE_PREFIX)
        ring = read_ring(message.content_type, message.headers, message.body)
        if isinstance(ring, Refusal):
            self._refuse(queue, ring)
            return
        heard = self._app.tasks[RING_TASK](ring.run_no, ring.epoch)
        self._metrics.rings_heard.inc()
        self._hearing.on_ring(queue, heard.run_no)

    def _refuse(self, queue: str, refusal: Refusal) -> None:
        self._metrics.refused_messages.inc()
        self._hearing.on_refused(queue, refusal)

    def _tell_connected(self) -> None:
        if self.state is BrokerState.UNREACHABLE:
            logger.info("The broker is reached again.")
        self.state, self.trouble = BrokerState.CONNECTED, None
        self._metrics.broker_up.set(1)

    def _tell_unreachable(self, fault: Exception) -> None:
        if self._stop.is_set():
            return
        cause = str(fault) or type(fault).__name__
        if self.state is not BrokerState.UNREACHABLE:
            logger.warning("The broker cannot be reached: work is found by looking.", cause=cause)
        self.state, self.trouble = BrokerState.UNREACHABLE, cause
        self._metrics.broker_up.set(0)
