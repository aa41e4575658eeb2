"""Events by their number, and a listener's ear."""

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary

from flowforge.kit.bus import BusEvent, Message, Resync, Subscription

_ears: WeakKeyDictionary[Subscription, AsyncIterator[BusEvent | Resync]] = WeakKeyDictionary()


def event_no(number: int) -> BusEvent:
    return BusEvent(
        f"run_1.{number}", number, "run.paused", "2026-01-02T03:04:05Z", "ws_1", "run_1", "user:ann", None, {"n": number}
    )


def messages(topic: str, *numbers: int) -> list[Message]:
    return [Message(topic, event_no(number)) for number in numbers]


async def heard(subscription: Subscription, count: int, timeout_s: float = 10) -> list[int | Resync]:
    """The next news: numbers of events, and words to begin anew."""
    ear = _ears.setdefault(subscription, aiter(subscription))
    found: list[int | Resync] = []
    async with asyncio.timeout(timeout_s):
        while len(found) < count:
            news = await anext(ear)
            found.append(news if isinstance(news, Resync) else news.seq)
    return found
