"""The bus as its users see it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from flowforge.kit.bus.events import Message
from flowforge.kit.bus.subscription import ReadMissed, Subscription
from flowforge.kit.errors import DependencyError


class BusError(DependencyError):
    """The bus cannot be reached now."""

    code = "SERVICE_UNAVAILABLE"


class Bus(Protocol):
    """Two implementations: MemoryBus in one process, RedisBus between many."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Tells whoever listens now, in this order.

        Raises:
            BusError: some may not have been told; publish them again.
        """
        ...

    def subscribe(
        self, topic: str, *, after: int | None = None, read_missed: ReadMissed | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Listens until the block ends. `after`: the number of the last event that was heard; those since then come first.

        Without `read_missed`, or without a number to read on from, an interruption is told as Resync.

        Raises:
            BusError: the bus cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Ends all subscriptions."""
        ...
