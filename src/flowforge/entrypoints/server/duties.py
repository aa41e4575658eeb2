"""What the domains want done again and again, in the process that serves: each duty in a loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flowforge.kit.errors import DependencyError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

logger = get_logger("server.duties")


@dataclass(frozen=True, slots=True)
class DomainDuty:
    """`run_once` is a pass that may be repeated and made by several processes at a time; it is made every `every_ms`.

    `idle_ms`: while nobody commits anything to the database, it is made only this often. For what looks at rows, and not at the minute.
    `close`: awaited after the last pass.
    """

    name: str
    every_ms: int
    run_once: Callable[[], Awaitable[None]]
    idle_ms: int = 0
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True)
class _Past:
    """The last pass of a duty: what the database was like before it, and when."""

    version: int = -1
    began_s: float = 0.0


class DutyLoops:
    """Makes the passes until it is closed; each begins with one at once."""

    def __init__(
        self,
        duties: Sequence[DomainDuty],
        metrics: Metrics,
        may_work: Callable[[], bool],
        read_version: Callable[[], int] | None = None,
    ) -> None:
        """`may_work`: asked before each pass; of several processes only the elected one makes them.

        `read_version`: a number that changes with each commit to the database; None: it cannot be known here.
        """
        self._duties = list(duties)
        self._may_work = may_work
        self._read_version = read_version
        self._metrics = metrics
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(duty)) for duty in self._duties]

    async def close(self) -> None:
        """Passes that are under way are ended first."""
        self._stopped.set()
        for task in self._tasks:
            await task
        for duty in self._duties:
            if duty.close is not None:
                await duty.close()

    async def _run(self, duty: DomainDuty) -> None:
        """Supervisor: whatever becomes of one pass, another one follows."""
        past = _Past()
        while not self._stopped.is_set():
            try:
                if self._may_work() and self._is_wanted(duty, past):
                    await duty.run_once()
            except DependencyError as fault:
                logger.warning("A duty of the server waits for what it depends on.", duty=duty.name, cause=fault.message)
                self._metrics.duty_failures.labels(duty.name).inc()
            except Exception:
                logger.exception("A duty of the server failed: a fault of ours. It is tried again.", duty=duty.name)
                self._metrics.duty_failures.labels(duty.name).inc()
            with suppress(TimeoutError):
                async with asyncio.timeout(duty.every_ms / 1_000):
                    await self._stopped.wait()

    def _is_wanted(self, duty: DomainDuty, past: _Past) -> bool:
        if self._read_version is None or not duty.idle_ms:
            return True
        version, now_s = self._read_version(), asyncio.get_running_loop().time()
        if version == past.version and now_s - past.began_s < duty.idle_ms / 1_000:
            return False
        past.version, past.began_s = version, now_s
        return True
