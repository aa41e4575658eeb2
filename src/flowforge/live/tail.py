"""The end of the outbox of one process on SQLite: what is stored is told to whoever listens, in the order of its numbers.

SQLite has one writer at a time and gives numbers as it commits, so that nothing comes late below a number that was read. While nobody
listens nothing is read: whoever comes later and was away reads on from its own number.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from flowforge.cluster.outbox import find_last_no, list_after, list_messages
from flowforge.kit.bus import MemoryBus, Message, ReadMissed, Subscription
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import InvariantError, StorageError
from flowforge.kit.telemetry.logs import get_logger

_POLL_S: Final = 0.5
"""Changes that are no runs' poke nobody."""
_RETRY_S: Final = 1.0

logger = get_logger("live.tail")


class OutboxTail:
    """`kit.bus.Bus` of an embedded server: what is published comes from the outbox itself. For one event loop."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._bus = MemoryBus()
        self._listeners = 0
        self._last_no: int | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def poke(self) -> None:
        """There are new rows. For the loop's own thread; costs next to nothing."""
        if self._listeners:
            self._news.set()

    # --- Bus -----------------------------------------------------------------------------------------------------------------

    async def publish(self, messages: Sequence[Message]) -> None:
        """What is no row of the outbox, for those who listen now."""
        await self._bus.publish(messages)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: int | None = None, read_missed: ReadMissed | None = None
    ) -> AsyncGenerator[Subscription]:
        async with self._bus.subscribe(topic, after=after, read_missed=read_missed) as subscription:
            self._listeners += 1
            try:
                await self._begin_listening()
                yield subscription
            finally:
                self._listeners -= 1

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._bus.close()

    # --- reading -------------------------------------------------------------------------------------------------------------

    async def _begin_listening(self) -> None:
        if self._listeners == 1:
            # What was stored while nobody listened is of the past.
            self._last_no = None
        if self._last_no is None:
            async with self._sessions() as session:
                last_no = await find_last_no(session)
            self._last_no = last_no if self._last_no is None else self._last_no
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._news.wait()
            self._news.clear()
            try:
                while self._listeners and await self._tell():
                    continue
            except StorageError as fault:
                logger.warning("New events could not be read; they are told later.", cause=fault.message)
                await asyncio.sleep(_RETRY_S)

    async def _tell(self) -> bool:
        """Whether there may be more."""
        after = self._last_no
        if after is None:
            return False
        async with self._sessions() as session:
            rows = await list_after(session, after)
        messages: list[Message] = []
        for row in rows:
            try:
                messages.extend(list_messages(row))
            except InvariantError as fault:
                logger.error("A row of the outbox is no event; it is left out.", row=row.no, cause=fault.message)
        if rows and self._last_no == after:
            self._last_no = rows[-1].no
            await self._bus.publish(messages)
        return bool(rows)
