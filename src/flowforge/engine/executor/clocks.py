"""The time-outs of attempts in flight."""

import asyncio
from typing import Final

from flowforge.engine.executor.live import Flight

_SWEPT_FROM_MS: Final = 5_000
_SWEEP_S: Final = 0.25


class AttemptClock:
    """Cancels attempts whose time is over. Long time-outs share one timer: a timer for each attempt costs more than its bookkeeping."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._swept: set[Flight] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self, flight: Flight) -> None:
        timeout_ms = flight.work.timeout_ms
        if timeout_ms is None:
            return
        if timeout_ms < _SWEPT_FROM_MS:
            flight.timer = self._loop.call_later(timeout_ms / 1_000, _time_out, flight)
        else:
            flight.deadline_s = self._loop.time() + timeout_ms / 1_000
            self._swept.add(flight)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def stop(self, flight: Flight) -> None:
        self._swept.discard(flight)
        if flight.timer is not None:
            flight.timer.cancel()

    def _sweep(self) -> None:
        now_s = self._loop.time()
        for flight in [flight for flight in self._swept if flight.deadline_s <= now_s]:
            self._swept.discard(flight)
            _time_out(flight)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if self._swept else None


def _time_out(flight: Flight) -> None:
    flight.is_timed_out = True
    if flight.task is not None:
        flight.task.cancel()
