"""Those who want to see a run: listeners hear each commit, waiters learn when it ends or stands still."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from flowforge.engine.events import Event

_ENDED_KEPT_MAX: Final = 10_000

Listener = Callable[[int, int, Sequence[Event]], None]
"""Takes the journal row's seq, its time in ms, and its events; called in the loop after the commit."""


class Watch:
    """What this process knows of the runs that somebody watches."""

    def __init__(self) -> None:
        self._listeners: dict[int, list[Listener]] = {}
        self._news: dict[int, asyncio.Event] = {}
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}
        self.ended: OrderedDict[int, str] = OrderedDict()
        """How the last runs ended that ended here."""

    def listen(self, run_no: int, listener: Listener) -> None:
        self._listeners.setdefault(run_no, []).append(listener)

    def leave(self, run_no: int, listener: Listener) -> None:
        """The listener hears nothing more; one that was never there is none."""
        listeners = self._listeners.get(run_no, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(run_no, None)

    def tell(self, run_no: int, seq: int, at: int, events: Sequence[Event]) -> None:
        for listener in self._listeners.get(run_no, ()):
            listener(seq, at, events)

    def end(self, run_no: int, status: str) -> None:
        self.ended[run_no] = status
        self._listeners.pop(run_no, None)
        if len(self.ended) > _ENDED_KEPT_MAX:
            self.ended.popitem(last=False)
        self.wake(run_no)

    def wake(self, run_no: int) -> None:
        news = self._news.get(run_no)
        if news is not None:
            news.set()
        for waiter in self._waiters.pop(run_no, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def await_leaving(self, run_no: int, timeout_s: float) -> None:
        """Returns when the run, which has not ended here yet, ends or leaves memory, or after the time. Cheaper than `wait`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run_no, []).append(waiter)
        timer = waiter.get_loop().call_later(timeout_s, self._give_up, run_no, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    def _give_up(self, run_no: int, waiter: "asyncio.Future[None]") -> None:
        waiters = self._waiters.get(run_no, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiters.pop(run_no, None)
        if not waiter.done():
            waiter.set_result(None)

    def is_watched(self, run_no: int) -> bool:
        return run_no in self._news or run_no in self._listeners

    async def wait(self, run_no: int, timeout_s: float) -> None:
        """Returns when the run ends or leaves memory, or after the time."""
        news = self._news.setdefault(run_no, asyncio.Event())
        news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await news.wait()
        if run_no in self.ended:
            self._news.pop(run_no, None)
