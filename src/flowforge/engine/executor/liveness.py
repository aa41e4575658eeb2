"""Proof of life: a beat from a thread with a connection of its own, a file lock that dies with the process, and the sweep for the dead."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.store import Store
from flowforge.kit.clock import Clock
from flowforge.kit.errors import StorageError
from flowforge.kit.lock import FileLock, acquire_lock, is_lock_held
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

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
    """What the pulse tells the loop; each is called from its thread."""

    declared_dead: Callable[[], None]
    lost_touch: Callable[[], None]
    found_runs: Callable[[], None]


class Pulse:
    """Beats, and looks for dead workers, in a thread: a busy loop must not look like a dead one."""

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
        self._thread: threading.Thread | None = None
        self._lock: FileLock | None = None
        self._last_beat_s = clock.monotonic_s()
        self._has_lost_touch = False
        self.worker = 0

    def register(self) -> int:
        """A new worker number, with its lock; the dead are swept at once."""
        self.worker = self._store.register(self._settings.name, self._settings.expiry_ms)
        if self._locks is not None:
            previous, self._lock = self._lock, self._locks.acquire(self.worker)
            if previous is not None:
                previous.release()
        self._last_beat_s = self._clock.monotonic_s()
        try:
            self.sweep()
        except StorageError as fault:
            logger.warning("Dead workers could not be looked for; the next beat does it.", cause=fault.message)
        return self.worker

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="flowforge-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The worker leaves in order."""
        self.die()
        if self._locks is not None:
            self._locks.remove([self.worker])

    def die(self) -> None:
        """No further beat, and the lock is free; the lock file stays, as after a death."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._lock is not None:
            self._lock.release()

    def _run(self) -> None:
        while not self._stop.wait(self._settings.beat_ms / 1_000):
            try:
                self.run_once()
            except (StorageError, OSError) as fault:
                # OSError: the lock files of others cannot be looked at, for want of descriptors; the next beat may do better.
                logger.warning("A beat did not succeed.", cause=str(fault))
                if self._clock.monotonic_s() - self._last_beat_s > self._settings.expiry_ms / 1_000:
                    self._has_lost_touch = True
                    self._calls.lost_touch()

    def run_once(self) -> None:
        if self._has_lost_touch:
            # Its effects were stopped: what it still owns must begin anew, under another number, though nobody declared it dead.
            self._store.retire(self.worker)
            self._has_lost_touch = False
        if self._store.beat(self.worker, self._settings.expiry_ms):
            self._last_beat_s = self._clock.monotonic_s()
        else:
            self._calls.declared_dead()
        if self.sweep():
            self._calls.found_runs()

    def sweep(self) -> int:
        """Expires dead workers; returns how many runs went back to the queue."""
        dead: list[int] = []
        if self._locks is not None:
            dead = self._locks.find_dead([worker for worker in self._store.alive() if worker != self.worker])
        expired = self._store.expire(dead)
        if self._locks is not None:
            self._locks.remove(list(expired.workers))
        if expired.runs:
            self._metrics.crashes.inc(expired.runs)
            logger.info("Runs of dead workers go on here.", workers=list(expired.workers), runs=expired.runs)
        return expired.runs
