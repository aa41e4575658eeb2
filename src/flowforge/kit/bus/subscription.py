"""One listener: what arrives waits for it within bounds, each event comes once, and what it missed is read before it goes on."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from flowforge.kit.bus.events import BusEvent, Resync, is_of_journal

BUFFER_MAX: Final = 1_000
"""Events that wait for a slow listener; with one more they go, and it is told to begin anew."""
_REMEMBERED_MAX: Final = 4_096

TOO_SLOW: Final = Resync("too_slow")
MISSED: Final = Resync("missed")

ReadMissed: TypeAlias = Callable[[str, int], Awaitable[Sequence[BusEvent] | None]]
"""The next events of a topic after a number, in order, some at a time; None: they are not kept any more."""


class Subscription:
    """An endless iterator of BusEvent and Resync; it ends when the bus is closed. For one task at a time."""

    def __init__(self, topic: str, after: int | None, read_missed: ReadMissed | None) -> None:
        self.topic = topic
        self._last = after
        # Two relays may publish a topic's events out of order, so that what came late is not what was heard already. A run's journal
        # was read in order up to `after`: nothing of before can be news.
        self._floor = after if after is not None and is_of_journal(topic) else None
        self._read_missed = read_missed
        self._heard: set[int] = set()
        self._heard_in_order: deque[int] = deque()
        self._waiting: deque[BusEvent] = deque()
        self._is_behind = after is not None
        self._is_overrun = False
        self._is_closed = False
        self._has_news = asyncio.Event()

    # --- the bus's side ------------------------------------------------------------------------------------------------------

    def put(self, event: BusEvent) -> None:
        """An event arrived. Never waits."""
        if self._is_overrun:
            return
        if len(self._waiting) >= BUFFER_MAX:
            self._waiting.clear()
            self._is_overrun = True
        else:
            self._waiting.append(event)
        self._has_news.set()

    def fall_behind(self) -> None:
        """Something may not have arrived: what the listener missed is read before it goes on."""
        self._is_behind = True
        self._has_news.set()

    def close(self) -> None:
        self._is_closed = True
        self._has_news.set()

    # --- the listener's side -------------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[BusEvent | Resync]:
        while not self._is_closed:
            self._has_news.clear()
            if self._is_behind:
                self._is_behind = False
                async for news in self._catch_up():
                    yield news
            while self._waiting:
                event = self._waiting.popleft()
                if self._note(event):
                    yield event
            if self._is_overrun:
                self._is_overrun = False
                yield TOO_SLOW
                continue
            await self._has_news.wait()

    async def _catch_up(self) -> AsyncIterator[BusEvent | Resync]:
        """What was missed, page by page, until a page has no news."""
        while self._read_missed is not None and self._last is not None:
            page = await self._read_missed(self.topic, self._last)
            if page is None:
                self._last = None
                break
            fresh = [event for event in page if self._note(event)]
            if not fresh:
                return
            for event in fresh:
                yield event
        yield MISSED

    def _note(self, event: BusEvent) -> bool:
        """Whether the event is news; from now on it is none."""
        seq = event.seq
        if seq in self._heard or (self._floor is not None and seq <= self._floor):
            return False
        self._heard.add(seq)
        self._heard_in_order.append(seq)
        if len(self._heard_in_order) > _REMEMBERED_MAX:
            self._heard.discard(self._heard_in_order.popleft())
        self._last = seq if self._last is None else max(self._last, seq)
        return True
