import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.cluster.places import RUN, WORKSPACE, Place

from flowforge.cluster.outbox import TAKEN_MS, MissedEvents, prune_outbox
from flowforge.cluster.relay import ATTEMPTS_MAX, GIVE_UP_MS, Relay, RelayParts
from flowforge.engine.outbox_events import PLACES_PER_ROW
from flowforge.engine.tables import outbox
from flowforge.kit.bus import BusError, BusEvent, MemoryBus, Message, run_topic, workflow_topic, workspace_topic
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.telemetry.metrics import Metrics

IN_WORKSPACE = workspace_topic(WORKSPACE)


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class NotedBus(MemoryBus):
    """Remembers what was published, and may be away."""

    published: list[Message] = field(default_factory=list[Message])
    is_away: bool = False
    refusals: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.is_away:
            self.refusals += 1
            raise BusError("Redis at nowhere cannot be used now.")
        self.published.extend(messages)
        await super().publish(messages)

    def numbers(self) -> list[int]:
        return [message.event.seq for message in self.published if message.topic == IN_WORKSPACE]


def open_relay(place: Place, bus: NotedBus, poll_ms: int = 20) -> Relay:
    return Relay(RelayParts(place.sessions.read, place.sessions.write, bus, place.clock, Metrics()), poll_ms)


async def die_at(relay: Relay, point: str) -> None:
    def hook(name: str) -> None:
        if name == point:
            raise KilledError

    with crash_hook(hook), pytest.raises(KilledError):
        await relay.run_once()


async def column(place: Place, name: str) -> list[Any]:
    return [row[name] for row in await place.rows(outbox)]


async def test_event_is_published_under_each_of_its_topics_and_marked(place: Place):
    bus = NotedBus()
    await place.tell(0, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert await open_relay(place, bus).run_once() == 1
    (row,) = await place.rows(outbox)
    assert [(message.topic, message.event.seq) for message in bus.published] == [
        (IN_WORKSPACE, row["no"]),
        (workflow_topic("wf_1"), row["no"]),
        (run_topic(RUN), PLACES_PER_ROW),
    ]
    assert bus.published[2].event.as_json() == {
        "id": f"{RUN}.{PLACES_PER_ROW}",
        "seq": PLACES_PER_ROW,
        "type": "run.paused",
        "time": "2025-06-15T15:06:40Z",
        "workspace_id": WORKSPACE,
        "subject": RUN,
        "actor": "user:ann",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "data": {"run_id": RUN, "workflow_id": "wf_1"},
    }
    assert (row["published_at"], row["due_at"], row["attempts"]) == (place.clock.now_ms(), None, 0)
    assert await open_relay(place, bus).run_once() == 0


async def test_f04_event_of_a_relay_that_died_before_it_published_is_published_within_five_seconds(place: Place):
    bus = NotedBus()
    await place.tell(0, 1)
    await die_at(open_relay(place, bus), "CP03")
    assert bus.published == []
    assert await open_relay(place, bus).run_once() == 0
    place.clock.advance(TAKEN_MS)
    assert TAKEN_MS < 5_000
    assert await open_relay(place, bus).run_once() == 2
    assert len(bus.numbers()) == 2


async def test_f05_event_of_a_relay_that_died_before_it_marked_is_published_twice_and_heard_once(place: Place):
    bus = NotedBus()
    await place.tell(0, 1)
    async with bus.subscribe(IN_WORKSPACE) as in_workspace, bus.subscribe(run_topic(RUN)) as in_run:
        await die_at(open_relay(place, bus), "CP04")
        place.clock.advance(TAKEN_MS)
        assert await open_relay(place, bus).run_once() == 2
        first, second = bus.published[:6], bus.published[6:]
        assert first == second
        await place.tell(2)
        assert await open_relay(place, bus).run_once() == 1
        assert await hear(in_workspace, 3) == sorted(await column(place, "no"))
        assert await hear(in_run, 3) == [PLACES_PER_ROW, PLACES_PER_ROW + 1, PLACES_PER_ROW + 2]


async def hear(subscription: Any, count: int) -> list[int]:
    numbers: list[int] = []
    async with asyncio.timeout(10):
        async for event in subscription:
            numbers.append(event.seq)
            if len(numbers) == count:
                return numbers
    raise AssertionError("the subscription ended")


async def test_relays_at_once_publish_each_row_once(place: Place):
    bus = NotedBus()
    for start in range(0, 1_000, 100):
        await place.tell(*range(start, start + 100))
    relays = [open_relay(place, bus) for _ in range(3)]
    while sum(await asyncio.gather(*(relay.run_once() for relay in relays))):
        continue
    assert sorted(bus.numbers()) == await column(place, "no")
    assert set(await column(place, "due_at")) == {None}


async def test_row_with_a_lower_number_that_is_committed_later_is_published_and_read_by_who_was_away(place: Place):
    bus = NotedBus()
    await place.tell(0, no=11)
    await open_relay(place, bus).run_once()
    place.clock.advance(5)
    await place.tell(1, no=10)
    await place.tell(2, no=12)
    await open_relay(place, bus).run_once()
    assert bus.numbers() == [11, 10, 12]
    missed = await MissedEvents(place.sessions.read).read(IN_WORKSPACE, 11)
    assert missed is not None
    assert [event.seq for event in missed] == [10, 12]


async def test_who_was_away_reads_on_under_topics_of_workspace_and_workflow_alone(place: Place):
    bus, missed = NotedBus(), MissedEvents(place.sessions.read)
    assert await missed.read(IN_WORKSPACE, 0) == []
    await place.tell(0, 1, 2)
    await place.tell(3, workspace_id="ws_other")
    assert len(numbers(await missed.read(IN_WORKSPACE, 0))) == 3
    await open_relay(place, bus).run_once()
    nos = await column(place, "no")
    assert numbers(await missed.read(IN_WORKSPACE, 0)) == nos[:3]
    place.clock.advance(1)
    await place.tell(4)
    await open_relay(place, bus).run_once()
    assert numbers(await missed.read(workflow_topic("wf_1"), nos[3])) == [nos[3] + 1]
    assert numbers(await missed.read(workflow_topic("wf_%"), nos[1])) == []
    assert await missed.read(IN_WORKSPACE, nos[3] + 1) == []


def numbers(events: Sequence[BusEvent] | None) -> list[int]:
    assert events is not None
    return [event.seq for event in events]


async def test_published_rows_go_after_their_time_in_batches_and_who_was_away_longer_begins_anew(place: Place):
    bus = NotedBus()
    await place.tell(*range(5))
    await open_relay(place, bus).run_once()
    before_ms = place.clock.now_ms() + 1
    await place.tell(5)
    removed: list[int] = []
    while not removed or removed[-1]:
        async with place.sessions.write.begin() as session:
            removed.append(await prune_outbox(session, before_ms, 2))
    assert removed == [2, 2, 1, 0]
    assert len(await column(place, "no")) == 1
    assert await MissedEvents(place.sessions.read).read(IN_WORKSPACE, 1) is None


async def test_bus_that_is_away_costs_time_alone(place: Place):
    bus = NotedBus(is_away=True)
    await place.tell(0)
    relay = open_relay(place, bus)
    for _ in range(5):
        with pytest.raises(BusError):
            await relay.run_once()
        place.clock.advance(TAKEN_MS)
    (row,) = await place.rows(outbox)
    assert (row["attempts"], row["dead_at"], row["last_error"]) == (5, None, "Redis at nowhere cannot be used now.")
    bus.is_away = False
    assert await relay.run_once() == 1
    assert (await place.rows(outbox))[0]["last_error"] is None
    assert len(bus.numbers()) == 1


async def test_event_that_the_bus_did_not_take_for_a_day_is_a_dead_letter(place: Place):
    await place.tell(0)
    place.clock.advance(GIVE_UP_MS)
    with pytest.raises(BusError):
        await open_relay(place, NotedBus(is_away=True)).run_once()
    (row,) = await place.rows(outbox)
    assert (row["due_at"], row["dead_at"]) == (None, place.clock.now_ms())


async def test_row_that_is_no_event_is_a_dead_letter_and_stops_no_other(place: Place):
    bus = NotedBus()
    await place.tell(0, payload="{}")
    await place.tell(1, payload="no JSON")
    await place.tell(2)
    relay = open_relay(place, bus)
    for _ in range(ATTEMPTS_MAX):
        await relay.run_once()
        place.clock.advance(TAKEN_MS)
    first, second, good = await place.rows(outbox)
    assert bus.numbers() == [good["no"]]
    for row in (first, second):
        assert (row["attempts"], row["due_at"]) == (ATTEMPTS_MAX, None)
        assert row["dead_at"] is not None
    assert "holds no event" in first["last_error"]
    assert await relay.run_once() == 0


async def test_relay_looks_when_poked_and_by_itself_and_goes_on_when_the_bus_is_back(place: Place):
    bus = NotedBus(is_away=True)
    relay = open_relay(place, bus, poll_ms=60_000)
    relay.start()
    try:
        await place.tell(0)
        relay.poke()
        await until(lambda: bus.refusals > 0)
        bus.is_away = False
        place.clock.advance(TAKEN_MS)
        await until(lambda: len(bus.numbers()) == 1)
        await place.tell(1)
        relay.poke()
        await until(lambda: len(bus.numbers()) == 2)
    finally:
        await relay.stop()
    assert None not in await column(place, "published_at")


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
