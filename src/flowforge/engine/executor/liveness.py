"""Proof of life: beats over a connection of their own, a file lock that dies with the process, and the sweep for the dead."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.store import Store
from flowforge.kit.clock import Clock
from flowforge.kit.errors import StorageError
from flowforge.kit.lock import FileLock, acquire_lock, is_lock_held
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

_JOIN_S: Final = 10.0
"""A thread that hangs in a call to the database for longer is left behind; it ends with the process."""

logger = get_logger("engine.liveness")


class WorkerLocks:
    """A lock file a worker, in the data folder: a free lock proves that its worker is dead, at once and without a clock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, worker: int) -> Path:
        return self._folder / f"worker-{worker}.lock"

    def acquire(self, worker: int) -> FileLock:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return acquire_lock(self._path(worker))

    def find_dead(self, workers: list[int]) -> list[int]:
        """Those of the workers whose lock file is there and free."""
        return [worker for worker in workers if self._path(worker).exists() and not is_lock_held(self._path(worker))]

    def remove(self, workers: list[int]) -> None:
        """Numbers are never used again, so the files of the dead can go."""
        for worker in workers:
            self._path(worker).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PulseCalls:
    """What the pulse tells the loop; each is called from one of its threads. `declared_dead`: who was."""

    declared_dead: Callable[[int], None]
    lost_touch: Callable[[], None]
    found_runs: Callable[[], None]


class Pulse:
    """Beats, looks for dead workers, and watches that its own beats arrive: in a thread each.

    A busy loop must not look like a dead one, so nothing of it is in the loop. A sweep waits for its turn behind commits: beats must not
    wait for it. And a database that neither answers nor refuses holds a beat up for ever: the watch tells the time without it.
    """

    def __init__(
        self, store: Store, locks: WorkerLocks | None, clock: Clock, settings: EngineSettings, calls: PulseCalls, metrics: Metrics
    ) -> None:
        self._store = store
        self._locks = locks
        self._clock = clock
        self._settings = settings
        self._calls = calls
        self._metrics = metrics
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock: FileLock | None = None
        self._last_beat_s = clock.monotonic_s()
        self._has_lost_touch = False
        self.worker = 0

    def register(self) -> int:
        """A new worker number, with its lock; the dead are swept at once."""
        worker = self.register_anew()
        try:
            self.sweep()
        except StorageError as fault:
            logger.warning("Dead workers could not be looked for; the next sweep does it.", cause=fault.message)
        return worker

    def register_anew(self) -> int:
        """A new worker number, with its lock, after the last one was declared dead."""
        self.worker = self._store.register(self._settings.name, self._settings.expiry_ms, self._settings.facts)
        if self._locks is not None:
            previous, self._lock = self._lock, self._locks.acquire(self.worker)
            if previous is not None:
                previous.release()
        self._last_beat_s = self._clock.monotonic_s()
        return self.worker

    def start(self) -> None:
        for name, work in (("pulse", self._beat_on), ("sweep", self._sweep_on), ("watch", self._watch_on)):
            self._threads.append(threading.Thread(target=work, name=f"flowforge-{name}", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The worker leaves in order."""
        self.die()
        if self._locks is not None:
            self._locks.remove([self.worker])

    def die(self) -> None:
        """No further beat, and the lock is free; the lock file stays, as after a death."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_JOIN_S)
        if self._lock is not None:
            self._lock.release()

    def _beat_on(self) -> None:
        period_s = self._settings.beat_ms / 1_000
        next_s = self._clock.monotonic_s() + period_s
        while not self._stop.wait(max(next_s - self._clock.monotonic_s(), 0.0)):
            next_s = self._clock.monotonic_s() + period_s
            try:
                self.beat()
            except StorageError as fault:
                logger.warning("A beat did not succeed.", cause=fault.message)

    def _sweep_on(self) -> None:
        while not self._stop.wait((self._settings.sweep_ms or self._settings.beat_ms) / 1_000):
            try:
                if self.sweep():
                    self._calls.found_runs()
            except (StorageError, OSError) as fault:
                # OSError: the lock files of others cannot be looked at, for want of descriptors; the next sweep may do better.
                logger.warning("Dead workers could not be looked for; the next sweep does it.", cause=str(fault))

    def _watch_on(self) -> None:
        expiry_s = self._settings.expiry_ms / 1_000
        while not self._stop.wait(self._settings.beat_ms / 1_000):
            if self._clock.monotonic_s() - self._last_beat_s > expiry_s:
                self._has_lost_touch = True
                # The loop itself may hang in a commit, and could not stop anything.
                self._store.interrupt()
                self._calls.lost_touch()

    def run_once(self) -> None:
        """A beat, and a look for the dead."""
        self.beat()
        if self.sweep():
            self._calls.found_runs()

    def beat(self) -> None:
        """Proof of life; tells the loop where it came too late."""
        worker = self.worker
        begun_s = self._clock.monotonic_s()
        if self._has_lost_touch:
            # Its effects were stopped: what it still owns must begin anew, under another number, though nobody declared it dead.
            self._store.retire(worker)
            self._has_lost_touch = False
        if self._store.beat(worker, self._settings.expiry_ms):
            self._last_beat_s = begun_s
        else:
            self._calls.declared_dead(worker)

    def sweep(self) -> int:
        """Expires dead workers; returns how many runs have something to do again: back in the queue, or told of a lost job."""
        # First: after a jump of the clock everybody is late, and nobody should bury himself.
        self._store.beat(self.worker, self._settings.expiry_ms)
        dead: list[int] = []
        if self._locks is not None:
            dead = self._locks.find_dead([worker for worker in self._store.alive() if worker != self.worker])
        expired = self._store.expire(dead)
        if self._locks is not None:
            self._locks.remove(list(expired.workers))
        if expired.runs:
            self._metrics.crashes.inc(expired.runs)
            logger.info("Runs of dead workers go on here.", workers=list(expired.workers), runs=expired.runs)
        if expired.jobs:
            self._metrics.jobs_lost.inc(expired.jobs)
            logger.info("Jobs of dead workers were reported lost.", workers=list(expired.workers), jobs=expired.jobs)
        return expired.runs + expired.jobs
