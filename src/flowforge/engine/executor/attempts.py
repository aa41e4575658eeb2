"""Attempts: effects that the journal has planned, run as tasks for the runs in memory."""

import asyncio
from collections import deque
from collections.abc import Callable

from flowforge.engine.executor.live import Flight, LiveRun
from flowforge.engine.executor.making import AttemptMaker, Ending, halt
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.machine.work import Abort, Aborted, Effect, Outcome, Settled


class Attempts:
    """At most `effects_max` in flight; the others wait in order. Each outcome is appended to its run, which is then woken."""

    def __init__(self, maker: AttemptMaker, settings: EngineSettings, wake: Callable[[LiveRun], None]) -> None:
        self._maker = maker
        self._settings = settings
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._waiting: deque[tuple[LiveRun, Flight]] = deque()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def start(self, live: LiveRun, work: Effect) -> None:
        flight = live.flights[work.key] = Flight(work)
        if self._in_flight < self._settings.effects_max:
            self._launch(live, flight)
        else:
            self._waiting.append((live, flight))

    def _launch(self, live: LiveRun, flight: Flight) -> None:
        self._in_flight += 1
        self._quiet.clear()
        flight.task = self._loop.create_task(self._run(live, flight))
        self._maker.clock.start(flight)

    def abort(self, live: LiveRun, work: Abort) -> None:
        """Stops an attempt; its run hears what became of it, at the latest after the grace."""
        flight = live.flights.get(work.key)
        if flight is None:
            attempt = live.state.aborting.get(work.key)
            if attempt is not None:
                self._report(live, Aborted(work.key, attempt.attempt))
            return
        flight.is_aborted = True
        if flight.task is None:
            self._waiting.remove((live, flight))
            self._end(live, flight, Aborted(work.key, flight.work.attempt))
            return
        halt(flight)
        self.settle_later(live)

    def settle_later(self, live: LiveRun) -> None:
        """After the grace the run waits no longer for the outcomes of what was aborted."""
        self._loop.call_later(self._settings.abort_grace_ms / 1_000, self._report, live, Settled())

    def drop(self, live: LiveRun) -> None:
        """Stops everything of a run that is no longer ours; nobody hears of it."""
        live.is_dropped = True
        for flight in list(live.flights.values()):
            if flight.task is None:
                self._waiting.remove((live, flight))
            else:
                halt(flight)
        live.flights.clear()

    async def close(self) -> None:
        """Ends the processes of heavy operations; call it when no attempt is in flight."""
        await self._maker.close()

    async def quiet(self) -> None:
        """Returns when no attempt is in flight."""
        await self._quiet.wait()

    async def _run(self, live: LiveRun, flight: Flight) -> None:
        try:
            outcome = await self._maker.make(live, flight)
        finally:
            self._in_flight -= 1
        self._end(live, flight, outcome)
        self._launch_next()
        if not self._in_flight:
            self._quiet.set()

    def _end(self, live: LiveRun, flight: Flight, outcome: Ending) -> None:
        if live.flights.get(flight.work.key) is flight:
            del live.flights[flight.work.key]
        self._maker.count(flight.work, outcome)
        self._report(live, outcome)

    def _report(self, live: LiveRun, outcome: Outcome) -> None:
        if not live.is_dropped:
            live.outcomes.append(outcome)
            self._wake(live)

    def _launch_next(self) -> None:
        while self._waiting and self._in_flight < self._settings.effects_max:
            self._launch(*self._waiting.popleft())
