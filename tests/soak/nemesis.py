"""What befalls a cluster, at random times, by a seed."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.support.cluster import EXPIRY_S, Cluster
from tests.support.nursery import Child
from tests.support.own_servers import OwnMariadb, OwnPostgres, OwnRabbitmq, OwnRedis
from tests.support.tcp_proxy import TcpProxy

WORKERS: Final = 2
SCHEDULERS: Final = 2


@dataclass
class Nemesis:
    """Keeps the processes of a cluster alive, and does them harm. `proxy` stands between them and the database."""

    cluster: Cluster
    random: Random
    database: OwnPostgres | OwnMariadb
    broker: OwnRedis | OwnRabbitmq
    proxy: TcpProxy
    pause_s: tuple[float, float]
    """Least and most time between two faults."""
    workers: list[Child] = field(default_factory=list[Child])
    schedulers: list[Child] = field(default_factory=list[Child])
    counts: Counter[str] = field(default_factory=Counter[str])
    _healings: list[tuple[float, Callable[[], Any]]] = field(default_factory=list[tuple[float, Callable[[], Any]]])
    _due_s: float = 0.0

    def prepare(self) -> None:
        for _ in range(WORKERS):
            self.workers.append(self.cluster.add_worker())
        for _ in range(SCHEDULERS):
            self.schedulers.append(self.cluster.add_scheduler())
        self._due_s = time.monotonic() + self.random.uniform(*self.pause_s)

    def step(self, now_s: float) -> str:
        """Does what is due; the name of the fault, if it was one."""
        for due in [each for each in self._healings if each[0] <= now_s]:
            self._healings.remove(due)
            due[1]()
        self._respawn()
        if now_s < self._due_s:
            return ""
        self._due_s = now_s + self.random.uniform(*self.pause_s)
        name, act = self.random.choices(*zip(*[((name, act), weight) for name, act, weight in self._list_faults()], strict=True))[
            0
        ]
        act(now_s)
        self.counts[name] += 1
        return name

    def heal(self) -> None:
        """Everything is well from here on."""
        for _, act in self._healings:
            act()
        self._healings.clear()
        self.proxy.heal()
        self._respawn()

    def _list_faults(self) -> list[tuple[str, Callable[[float], None], int]]:
        return [
            ("kill a worker", self._kill_worker, 5),
            ("stop a worker", self._stop_worker, 4),
            ("end a worker in order", self._end_worker, 2),
            ("kill the leading scheduler", self._kill_leader, 3),
            ("stop a scheduler", self._stop_scheduler, 2),
            ("cut the connections to the database", self._cut, 4),
            ("freeze the connections to the database", self._freeze, 2),
            ("lose the answer to a commit", self._lose_answer, 3),
            ("empty the broker", self._empty_broker, 4),
            ("restart the broker", self._restart_broker, 1),
            ("restart the database", self._restart_database, 2),
        ]

    def _respawn(self) -> None:
        for place, worker in enumerate(self.workers):
            if not worker.is_alive:
                self.workers[place] = self.cluster.add_worker()
        for place, scheduler in enumerate(self.schedulers):
            if not scheduler.is_alive:
                self.schedulers[place] = self.cluster.add_scheduler()

    def _kill_worker(self, now_s: float) -> None:
        del now_s
        self.random.choice(self.workers).kill()

    def _end_worker(self, now_s: float) -> None:
        del now_s
        self.random.choice(self.workers).send(signal.SIGTERM)

    def _stop_worker(self, now_s: float) -> None:
        self._stop(self.random.choice(self.workers), now_s)

    def _stop_scheduler(self, now_s: float) -> None:
        self._stop(self.random.choice(self.schedulers), now_s)

    def _stop(self, child: Child, now_s: float) -> None:
        """Sometimes for less than its expiry, sometimes for more."""
        child.send(signal.SIGSTOP)
        self._healings.append((now_s + self.random.uniform(0.2, 2.5) * EXPIRY_S, lambda: child.send(signal.SIGCONT)))

    def _kill_leader(self, now_s: float) -> None:
        del now_s
        leading = self.cluster.rows("SELECT w.pid FROM leases l JOIN workers w ON w.no = l.holder WHERE l.name = 'scheduler'")
        pids = {pid for (pid,) in leading}
        chosen = next((child for child in self.schedulers if child.pid in pids), None) or self.random.choice(self.schedulers)
        chosen.kill()

    def _cut(self, now_s: float) -> None:
        del now_s
        self.proxy.drop()

    def _freeze(self, now_s: float) -> None:
        self.proxy.freeze()
        self._healings.append((now_s + self.random.uniform(0.2, 1.5) * EXPIRY_S, self.proxy.heal))

    def _lose_answer(self, now_s: float) -> None:
        del now_s
        self.proxy.lose_answer(b"COMMIT")

    def _empty_broker(self, now_s: float) -> None:
        del now_s
        with suppress(OSError):  # one that is away holds nothing
            if isinstance(self.broker, OwnRedis):
                self.broker.flush()
            else:
                self.broker.purge("flowforge.default", "flowforge.heavy")

    def _restart_broker(self, now_s: float) -> None:
        """It stays away for a while; a node of RabbitMQ takes seconds to come back anyway."""
        self.broker.end()
        self._healings.append((now_s + self.random.uniform(0.1, 1.0), self.broker.launch))

    def _restart_database(self, now_s: float) -> None:
        del now_s
        self.database.restart(self.random.choice([self.database.in_order, signal.SIGKILL]))
