"""The bus of one process."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from flowforge.kit.bus.events import Message
from flowforge.kit.bus.listeners import Listeners
from flowforge.kit.bus.subscription import ReadMissed, Subscription


class MemoryBus:
    """For one event loop."""

    def __init__(self) -> None:
        self._listeners = Listeners()

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._listeners.tell(message.topic, message.event)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: int | None = None, read_missed: ReadMissed | None = None
    ) -> AsyncGenerator[Subscription]:
        subscription = Subscription(topic, after, read_missed)
        self._listeners.add(subscription)
        try:
            yield subscription
        finally:
            self._listeners.remove(subscription)

    async def close(self) -> None:
        self._listeners.close()
