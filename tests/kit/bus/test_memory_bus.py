import asyncio
from collections.abc import Sequence

from tests.kit.bus.events import event_no, heard, messages

from flowforge.kit.bus import BusEvent, MemoryBus, Message, Resync
from flowforge.kit.bus.subscription import BUFFER_MAX

TOPIC = "workspace:ws_1"


class Kept:
    """What can be read on from, and who asked."""

    def __init__(self, *numbers: int, page: int = 100) -> None:
        self.numbers = list(numbers)
        self.page = page
        self.asked: list[int] = []

    async def read(self, topic: str, after: int) -> Sequence[BusEvent] | None:
        assert topic.partition(":")[2]
        self.asked.append(after)
        return [event_no(number) for number in self.numbers if number > after][: self.page]


async def test_event_reaches_all_listeners_of_its_topic_and_no_others():
    bus = MemoryBus()
    async with bus.subscribe(TOPIC) as one, bus.subscribe(TOPIC) as two, bus.subscribe("run:run_2") as other:
        await bus.publish([*messages(TOPIC, 1), *messages("run:run_2", 9)])
        assert await heard(one, 1) == [1]
        assert await heard(two, 1) == [1]
        assert await heard(other, 1) == [9]


async def test_what_was_missed_comes_first_and_nothing_twice():
    bus, kept = MemoryBus(), Kept(3, 4, 5, 6, page=2)
    async with bus.subscribe(TOPIC, after=3, read_missed=kept.read) as subscription:
        await bus.publish(messages(TOPIC, 5, 6, 7))
        assert await heard(subscription, 4) == [4, 5, 6, 7]
        await bus.publish(messages(TOPIC, 7, 8))
        assert await heard(subscription, 1) == [8]
    assert kept.asked == [3, 5, 6]


async def test_late_event_of_a_topic_without_a_journal_still_comes():
    bus = MemoryBus()
    async with bus.subscribe(TOPIC) as subscription:
        await bus.publish(messages(TOPIC, 5, 4, 5))
        assert await heard(subscription, 2) == [5, 4]


async def test_event_of_a_run_that_was_heard_before_the_subscription_does_not_come_again():
    bus, kept = MemoryBus(), Kept(1, 2, 3)
    async with bus.subscribe("run:run_1", after=2, read_missed=kept.read) as subscription:
        await bus.publish(messages("run:run_1", 2, 1, 3, 4))
        assert await heard(subscription, 2) == [3, 4]


async def test_what_is_not_kept_any_more_is_a_resync():
    async def read_nothing(_topic: str, _after: int) -> Sequence[BusEvent] | None:
        return None

    bus = MemoryBus()
    async with bus.subscribe(TOPIC, after=1, read_missed=read_nothing) as subscription:
        await bus.publish(messages(TOPIC, 7))
        assert await heard(subscription, 2) == [Resync("missed"), 7]


async def test_slow_listener_is_told_to_begin_anew_and_holds_no_more_than_the_buffer():
    bus = MemoryBus()
    async with bus.subscribe(TOPIC) as subscription:
        await bus.publish(messages(TOPIC, *range(1, BUFFER_MAX + 500)))
        assert await heard(subscription, 1) == [Resync("too_slow")]
        await bus.publish(messages(TOPIC, 9_000))
        assert await heard(subscription, 1) == [9_000]


async def test_subscription_ends_when_the_bus_is_closed():
    bus = MemoryBus()

    async def listen() -> list[BusEvent | Resync]:
        async with bus.subscribe(TOPIC) as subscription:
            return [news async for news in subscription]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await bus.close()
    assert await asyncio.wait_for(listening, 5) == []


async def test_nobody_listening_costs_nothing_and_event_reads_back_from_json():
    event = event_no(4)
    assert BusEvent.from_json(event.as_json()) == event
    await MemoryBus().publish([Message(TOPIC, event)])
