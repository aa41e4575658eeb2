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
    """`run_once` is a pass that may be repeated and made by several processes at a time; it is made every `every_ms`."""

    name: str
    every_ms: int
    run_once: Callable[[], Awaitable[None]]


class DutyLoops:
    """Makes the passes until it is closed; each begins with one at once."""

    def __init__(self, duties: Sequence[DomainDuty], metrics: Metrics, may_work: Callable[[], bool]) -> None:
        """`may_work`: asked before each pass; of several processes only the elected one makes them."""
        self._duties = list(duties)
        self._may_work = may_work
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

    async def _run(self, duty: DomainDuty) -> None:
        """Supervisor: whatever becomes of one pass, another one follows."""
        while not self._stopped.is_set():
            try:
                if self._may_work():
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
