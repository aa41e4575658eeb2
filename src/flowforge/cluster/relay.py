"""The relay: publishes what the outbox holds, soon after its commit or when it is found. Any number of them may run at once.

Take (a transaction), publish, mark (a transaction): a death before the mark publishes once more, under the same id and number, which
listeners hear once. So nothing is lost, and nothing is told that did not happen.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from flowforge.cluster.outbox import OutboxRow, has_due, list_messages, mark_failed, mark_published, take_due
from flowforge.kit.bus import Bus, BusError, Message
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import FlowForgeError, InvariantError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.telemetry.metrics import Metrics

ATTEMPTS_MAX: Final = 3
"""An event that cannot be published though the bus answers becomes a dead letter after so many attempts."""
GIVE_UP_MS: Final = 86_400_000
"""An event that the bus did not take for a day becomes a dead letter: who was away reads the present state by then."""
_RETRY_FIRST_MS: Final = 500
_RETRY_MAX_MS: Final = 10_000
_BREATH_S: Final = 0.002
"""Between two looks when one follows the other: commits that come meanwhile are published together."""

logger = get_logger("cluster.relay")


@dataclass(frozen=True, slots=True)
class RelayParts:
    """`read` and `write` are the sessions of one database; `clock` is that database's."""

    read: Sessions
    write: Sessions
    bus: Bus
    clock: Clock
    metrics: Metrics


class Relay:
    """Looks each `poll_ms`, and at once when poked."""

    def __init__(self, parts: RelayParts, poll_ms: int) -> None:
        self._parts = parts
        self._poll_ms = poll_ms
        self._poked = asyncio.Event()
        self._stopped = asyncio.Event()
        self._retry_ms = _RETRY_FIRST_MS
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def poke(self) -> None:
        """There are new rows. For the loop's own thread; costs next to nothing."""
        self._poked.set()

    async def stop(self) -> None:
        """What was taken is published and marked first."""
        self._stopped.set()
        self._poked.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        """Supervisor: whatever becomes of one look, another one follows, or the outbox would only grow."""
        while not self._stopped.is_set():
            self._poked.clear()
            try:
                taken = await self.run_once()
            except Exception as fault:
                if isinstance(fault, StorageError | BusError | OSError):
                    logger.warning("Events for the outside wait in the outbox.", cause=str(fault))
                else:
                    logger.exception("Events for the outside wait in the outbox: a fault of ours.")
                # Not to be poked out of it: while the bus is away each look would be in vain.
                await _wait(self._stopped, self._retry_ms)
                self._retry_ms = min(2 * self._retry_ms, _RETRY_MAX_MS)
                continue
            self._retry_ms = _RETRY_FIRST_MS
            if not taken:
                await _wait(self._poked, self._poll_ms)
            await asyncio.sleep(_BREATH_S)

    async def run_once(self) -> int:
        """Publishes the rows that are due, TAKE_MAX at most; returns how many it took.

        Raises:
            StorageError: the database cannot be used; what was taken is due again soon.
            BusError: the bus cannot be reached; what was taken is due again soon.
        """
        parts, now_ms = self._parts, self._parts.clock.now_ms()
        async with parts.read() as reading:
            if not await has_due(reading, now_ms):
                return 0
        async with parts.write.begin() as session:
            rows = await take_due(session, now_ms)
        crashpoint("CP03")
        good, messages = await self._read(rows)
        try:
            await parts.bus.publish(messages)
        except BusError as fault:
            await self._put_off(good, fault)
            raise
        crashpoint("CP04")
        async with parts.write.begin() as session:
            await mark_published(session, [row.no for row in good], parts.clock.now_ms())
        parts.metrics.outbox_published.inc(len(good))
        return len(rows)

    async def _read(self, rows: Sequence[OutboxRow]) -> tuple[list[OutboxRow], list[Message]]:
        """Rows that are events, and their messages; the others are put off, and in the end aside."""
        good: list[OutboxRow] = []
        messages: list[Message] = []
        for row in rows:
            try:
                messages.extend(list_messages(row))
                good.append(row)
            except InvariantError as fault:
                await self._fail([row], fault, is_final=row.attempts + 1 >= ATTEMPTS_MAX)
        return good, messages

    async def _put_off(self, rows: Sequence[OutboxRow], fault: BusError) -> None:
        now_ms = self._parts.clock.now_ms()
        old = [row for row in rows if now_ms - row.created_at >= GIVE_UP_MS]
        await self._fail(old, fault, is_final=True)
        await self._fail([row for row in rows if row not in old], fault, is_final=False)

    async def _fail(self, rows: Sequence[OutboxRow], fault: FlowForgeError, *, is_final: bool) -> None:
        if not rows:
            return
        now_ms = self._parts.clock.now_ms()
        due_at = None if is_final else now_ms + self._retry_ms
        async with self._parts.write.begin() as session:
            await mark_failed(session, [row.no for row in rows], fault.message, due_at=due_at, now_ms=now_ms)
        self._parts.metrics.outbox_failures.inc(len(rows))
        if is_final:
            self._parts.metrics.outbox_dead.inc(len(rows))
            logger.error("Events cannot be published: dead letters.", rows=len(rows), first=rows[0].no, cause=fault.message)


async def _wait(event: asyncio.Event, wait_ms: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_ms / 1_000):
            await event.wait()
