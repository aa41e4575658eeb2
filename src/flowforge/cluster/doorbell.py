"""The doorbell over Celery: rings are handed to one thread, which tells the broker and never keeps anybody waiting."""

import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

from flowforge.cluster.messages import (
    QUEUE_PREFIX,
    RING_TTL_S,
    Ring,
    check_broker_url,
    connect_to_write,
    make_celery,
    publish_ring,
)
from flowforge.kit.clock import Clock
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

logger = get_logger("cluster.doorbell")

_BURST: Final = 8
"""Rings of one queue in one pass. Each wakes one worker, which claims up to 500 runs; further ones tell nothing new."""
_PASS_S: Final = 0.003
_QUEUES_MAX: Final = 256
_WAITING_MAX: Final = 64
"""On Redis: with that many rings waiting, one more would wake nobody."""
_BACKOFF_FIRST_S: Final = 1.0
_BACKOFF_MAX_S: Final = 10.0
_FLUSH_S: Final = 0.5


class CeleryDoorbell:
    """Implements `engine.ports.Doorbell`. While the broker is down rings are dropped; whom they were for looks by itself.

    Raises ValidationError where the URL names no broker, or Celery is not installed.
    """

    def __init__(self, broker_url: str, clock: Clock, metrics: Metrics | None = None) -> None:
        check_broker_url(broker_url)
        self._url = broker_url
        self._app: Any = None
        self._clock = clock
        self._metrics = metrics
        self._waiting: dict[str, deque[Ring]] = {}
        self._changed = threading.Condition()
        self._is_busy = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="flowforge-doorbell", daemon=True)
        self._connection: Any = None
        self._producer: Any = None
        self._backoff_s = 0.0
        self._silent_until_s = float("-inf")
        self.trouble: str | None = None
        """Why the last ring did not get out; None: it did."""
        # It imports Celery at once, 0.1 s, beside whatever its owner does before the first ring.
        self._thread.start()

    def ring(self, queue: str, run_no: int, epoch: int) -> None:
        """Hands a ring over, from any thread. One beyond what a pass takes is merged into those that wait."""
        with self._changed:
            if self._is_closing:
                return
            rings = self._waiting.get(queue)
            if rings is None:
                if len(self._waiting) >= _QUEUES_MAX:
                    self._count("lost")
                    return
                rings = self._waiting[queue] = deque()
            if len(rings) >= _BURST:
                self._count("merged")
                return
            rings.append(Ring(run_no, epoch))
            self._changed.notify_all()

    def close(self, timeout_s: float = _FLUSH_S) -> None:
        """Lets what waits get out, for at most `timeout_s` seconds. No ring is taken afterwards. May be called again."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_busy, timeout_s)

    def _run(self) -> None:
        self._app = make_celery(self._url)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    break
                taken, self._waiting = self._waiting, {}
                self._is_busy = True
            self._send_all(taken)
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                if not self._is_closing:
                    # Rings of a moment are told together: a thousand starts need not be a thousand messages.
                    self._changed.wait_for(lambda: self._is_closing, _PASS_S)
        self._disconnect()

    def _send_all(self, taken: dict[str, deque[Ring]]) -> None:
        """Supervisor: whatever a broker or its client does, nothing of it reaches those who ring.

        Where a connection was lost, what was not sent yet goes out on a second one: a ring that is told twice does no harm.
        """
        if self._clock.monotonic_s() < self._silent_until_s:
            self._count("lost", _count_rings(taken))
            return
        for is_last in (self._connection is None, True):
            try:
                self._send(taken)
            except Exception as fault:  # noqa: BLE001 - supervisor
                self._disconnect()
                if is_last:
                    self._fall_silent(fault, _count_rings(taken))
                    return
            else:
                self._recover()
                return

    def _send(self, taken: dict[str, deque[Ring]]) -> None:
        if self._connection is None:
            self._connection = connect_to_write(self._app)
            self._producer = self._app.amqp.Producer(self._connection.channel(), auto_declare=False)
        for queue, rings in taken.items():
            if not self._has_room(queue):
                self._count("merged", len(rings))
                rings.clear()
                continue
            while rings:
                publish_ring(self._app, self._producer, queue, rings[0])
                rings.popleft()
                self._count("sent")
            self._limit_life(queue)

    def _has_room(self, queue: str) -> bool:
        """Redis bounds no list by itself; RabbitMQ's queues have a bound of their own."""
        client = self._redis()
        return client is None or client.llen(QUEUE_PREFIX + queue) < _WAITING_MAX

    def _limit_life(self, queue: str) -> None:
        client = self._redis()
        if client is not None:
            client.expire(QUEUE_PREFIX + queue, RING_TTL_S)

    def _redis(self) -> Any:
        is_redis = self._connection.transport.driver_type == "redis"
        return self._producer.channel.client if is_redis else None

    def _fall_silent(self, fault: Exception, lost: int) -> None:
        self._count("lost", lost)
        if self.trouble is None:
            logger.warning("The broker cannot be reached: workers find work by looking.", cause=str(fault))
        self.trouble = str(fault) or type(fault).__name__
        self._backoff_s = min(self._backoff_s * 2, _BACKOFF_MAX_S) if self._backoff_s else _BACKOFF_FIRST_S
        self._silent_until_s = self._clock.monotonic_s() + self._backoff_s

    def _recover(self) -> None:
        if self.trouble is not None:
            logger.info("The broker is reached again.")
        self.trouble = None
        self._backoff_s = 0.0

    def _disconnect(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            # What is being thrown away may be broken in any way.
            with suppress(Exception):
                connection.release()

    def _count(self, outcome: str, number: int = 1) -> None:
        if self._metrics is not None:
            self._metrics.count_rings(outcome, number)


def _count_rings(taken: dict[str, deque[Ring]]) -> int:
    return sum(len(rings) for rings in taken.values())
