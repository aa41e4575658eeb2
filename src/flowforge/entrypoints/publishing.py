"""Events to the outside: the bus of the settings, the relay of a process, and what subscribers read that were away."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec

from flowforge.cluster.outbox import MissedEvents
from flowforge.cluster.relay import Relay, RelayParts
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.bus import Bus, BusEvent, MemoryBus
from flowforge.kit.bus.events import is_of_journal
from flowforge.kit.bus.redis_urls import RedisAddress, is_redis_url, parse_redis_url
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import ValidationError
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.events import EventStream
from flowforge.runs.history import History
from flowforge.runs.service import load_run


def open_bus(settings: Settings) -> Bus:
    """REDIS_URL's, else BROKER_URL's where that is a Redis, else one of this process alone. Connects when it is used.

    Raises:
        ValidationError: the URL names no Redis, or the package for it is not installed.
    """
    address = find_redis_address(settings)
    if address is None:
        return MemoryBus()
    # Redis' package takes 0.1 s, for a cluster only.
    from flowforge.kit.bus.redis_bus import RedisBus

    return RedisBus(address, SystemClock())


def find_redis_address(settings: Settings) -> RedisAddress | None:
    """Where the Redis of a cluster is; None where none is set.

    Raises:
        ValidationError: as `open_bus`.
    """
    url, setting = settings.redis_url, "REDIS_URL"
    if url is None and settings.broker_url is not None and is_redis_url(settings.broker_url.get_secret_value()):
        url, setting = settings.broker_url, "BROKER_URL"
    if url is None:
        return None
    address = parse_redis_url(url.get_secret_value(), setting)
    if find_spec("redis") is None:
        raise ValidationError(f"{setting} names a Redis, but its package is not installed here: pip install 'flowforge[celery]'.")
    return address


@asynccontextmanager
async def open_relay(installation: Installation, metrics: Metrics) -> AsyncGenerator[Relay]:
    """A relay that works while the `with` lasts; poke it when new events are durable.

    Raises:
        ValidationError: as `open_bus`.
    """
    bus, database = open_bus(installation.settings), installation.database
    relay = Relay(
        RelayParts(database.read, database.write, bus, installation.clock, metrics), installation.settings.outbox_poll_ms
    )
    relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
        await bus.close()


class Missed:
    """`read` gives a workspace's subscribers what they missed: a run's events from its journal, all others from the outbox."""

    def __init__(self, installation: Installation, workspace_id: str) -> None:
        self._installation = installation
        self._outbox = MissedEvents(installation.database.read)
        self._workspace_id = workspace_id

    async def read(self, topic: str, after: int) -> Sequence[BusEvent] | None:
        """See `ReadMissed` of the bus."""
        if not is_of_journal(topic):
            return await self._outbox.read(topic, after)
        run_id, compile_definition = topic.partition(":")[2], self._installation.compile_definition
        try:
            async with self._installation.database.read() as session:
                run = await load_run(session, self._workspace_id, run_id, compile_definition=compile_definition)
        except RunNotFoundError:
            return None
        # The definition tells where a failure waits for a person, which is no event of its own.
        stream = EventStream(History(run.workflow))
        events = [event for turn in run.turns for event in stream.read(turn)]
        return [BusEvent.from_json(event.as_json()) for event in events if event.seq > after]
