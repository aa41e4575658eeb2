"""Steps that wait for a slot of their limit: asked for in the order of their coming, a few of each scope at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from flowforge.engine.executor.commits import Committer
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.machine.work import Acquire, SlotGranted
from flowforge.engine.store import SlotRequest, Store
from flowforge.kit.clock import Clock
from flowforge.kit.errors import StorageError
from flowforge.kit.telemetry.logs import get_logger

_ASKED_AT_ONCE: Final = 16

logger = get_logger("engine.slots")


class SlotQueue:
    """First come, first served within this process; across processes each look gives everyone a chance."""

    def __init__(self, store: Store, committer: Committer, clock: Clock, wake: Callable[[LiveRun], None]) -> None:
        self._store = store
        self._committer = committer
        self._clock = clock
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, OrderedDict[tuple[int, str], tuple[LiveRun, Acquire]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._is_wanted = False

    def add(self, live: LiveRun, work: Acquire) -> None:
        self._waiting.setdefault(work.scope, OrderedDict())[live.no, work.key] = (live, work)
        self.ask()

    def ask(self) -> None:
        """Asks the store for those at the head of each scope; while it is being asked, once more afterwards."""
        if not self._waiting:
            return
        self._is_wanted = True
        if self._asking is None or self._asking.done():
            self._asking = self._loop.create_task(self._ask_while_wanted())

    async def _ask_while_wanted(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                await self._ask_once()
            except StorageError as fault:
                # Nobody is forgotten: each look at the database asks again.
                logger.warning("Slots could not be asked for.", cause=fault.message)

    async def _ask_once(self) -> None:
        heads = [entry for queue in list(self._waiting.values()) for entry in self._take_heads(queue)]
        if not heads:
            return
        requests = [
            SlotRequest(work.scope, live.no, work.key, work.concurrency, work.rate_count, work.rate_per_ms)
            for live, work in heads
        ]
        answers = await self._committer.call(self._store.acquire, requests)
        for (live, work), answer in zip(heads, answers, strict=True):
            if answer.granted:
                self._grant(live, work)
            elif answer.retry_at is not None:
                delay_s = max(answer.retry_at - self._clock.now_ms(), 1) / 1_000
                self._loop.call_later(delay_s, self.ask)

    def _take_heads(self, queue: "OrderedDict[tuple[int, str], tuple[LiveRun, Acquire]]") -> list[tuple[LiveRun, Acquire]]:
        heads: list[tuple[LiveRun, Acquire]] = []
        for place, (live, work) in list(queue.items()):
            if live.is_dropped or work.key not in live.state.slot_waits:
                del queue[place]
                continue
            heads.append((live, work))
            if len(heads) == _ASKED_AT_ONCE:
                break
        return heads

    def _grant(self, live: LiveRun, work: Acquire) -> None:
        queue = self._waiting.get(work.scope)
        if queue is not None:
            queue.pop((live.no, work.key), None)
            if not queue:
                del self._waiting[work.scope]
        if not live.is_dropped:
            live.outcomes.append(SlotGranted(work.key))
            self._wake(live)
