"""The bus between processes: Redis' publish and subscribe, on one connection a process for all that is heard there.

Redis keeps nothing for who is away. So each time the connection is back and subscribed again, every listener reads what it missed.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.exceptions import RedisError

from flowforge.kit.border import decode, encode
from flowforge.kit.bus.events import BusEvent, Message
from flowforge.kit.bus.listeners import Listeners
from flowforge.kit.bus.port import BusError
from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.bus.redis_urls import RedisAddress
from flowforge.kit.bus.subscription import ReadMissed, Subscription
from flowforge.kit.clock import Clock
from flowforge.kit.errors import InvariantError
from flowforge.kit.telemetry.logs import get_logger

DEFAULT_PREFIX: Final = "flowforge:"
_SUBSCRIBE_TIMEOUT_S: Final = 5.0
_IDLE_S: Final = 5.0
"""After this long without a word the server is asked whether it is still there."""
_SILENT_S: Final = 15.0
"""After this long without a word the connection counts as lost."""
_NOBODY_S: Final = 0.01
"""How often it is looked whether anybody listens, after a new connection found nobody."""
_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 2.0

logger = get_logger("bus.redis")


class RedisBus:
    """For one event loop. `prefix` begins the names of its channels, so that several installations may share a Redis."""

    def __init__(self, address: RedisAddress, clock: Clock, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._clients = RedisClients(address)
        self._clock = clock
        self._prefix = prefix
        self._listeners = Listeners()
        self._heard: Any = None
        self._confirmed: dict[str, asyncio.Event] = {}
        self._reader: asyncio.Task[None] | None = None
        self._was_lost = False

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        client = self._clients.current
        try:
            async with client.pipeline(transaction=False) as pipeline:
                for message in messages:
                    pipeline.publish(self._prefix + message.topic, encode(message.event.as_json()))
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as fault:
            raise await self._explain(client, fault) from fault

    async def ping(self) -> None:
        """Raises BusError where Redis does not answer."""
        client = self._clients.current
        try:
            await client.ping()
        except (RedisError, OSError, TimeoutError) as fault:
            raise await self._explain(client, fault) from fault

    async def _explain(self, client: Any, fault: Exception) -> BusError:
        await self._clients.turn(client)
        return BusError(f"Redis at {self._clients.place} cannot be used now: {fault}")

    # --- listening -----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: int | None = None, read_missed: ReadMissed | None = None
    ) -> AsyncGenerator[Subscription]:
        subscription = Subscription(topic, after, read_missed)
        is_first = self._listeners.add(subscription)
        try:
            await self._await_confirmation(topic, is_first=is_first)
            yield subscription
        finally:
            if self._listeners.remove(subscription):
                await self._leave(topic)

    async def _await_confirmation(self, topic: str, *, is_first: bool) -> None:
        confirmed = self._confirmed.setdefault(topic, asyncio.Event())
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._run())
        elif is_first and self._heard is not None:
            # A connection that breaks just now is told by its reader, which then subscribes to everything again.
            with suppress(RedisError, OSError):
                await self._heard.subscribe(self._prefix + topic)
        try:
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await confirmed.wait()
        except TimeoutError as fault:
            raise BusError(f"Redis at {self._clients.place} did not answer within {_SUBSCRIBE_TIMEOUT_S:.0f} s.") from fault

    async def _leave(self, topic: str) -> None:
        self._confirmed.pop(topic, None)
        if self._heard is not None:
            # As above: where the connection is gone, nothing is subscribed to.
            with suppress(RedisError, OSError):
                await self._heard.unsubscribe(self._prefix + topic)

    async def _run(self) -> None:
        """Listens, again and again, as long as the bus is open."""
        delay_s = _RETRY_FIRST_S
        while True:
            client = self._clients.current
            heard = client.pubsub()
            try:
                await self._listen(heard)
            except (RedisError, OSError, TimeoutError) as fault:
                if self._heard is not None:
                    delay_s, self._was_lost = _RETRY_FIRST_S, True
                self._heard = None
                logger.warning("The connection to Redis is lost; events are read on from the database.", cause=str(fault))
                await self._clients.turn(client)
            finally:
                await heard.aclose()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RETRY_MAX_S)

    async def _listen(self, heard: Any) -> None:
        """Raises RedisError, OSError or TimeoutError when the connection is lost."""
        unconfirmed: set[str] = set()
        while asked := {self._prefix + topic for topic in self._listeners.topics} - unconfirmed:
            unconfirmed |= asked
            await heard.subscribe(*asked)
        # From here on whoever comes subscribes by itself.
        self._heard = heard
        last_word_s = self._clock.monotonic_s()
        while True:
            if heard.connection is None:
                await asyncio.sleep(_NOBODY_S)
                continue
            message = await heard.get_message(timeout=_IDLE_S)
            now_s = self._clock.monotonic_s()
            if message is None and now_s - last_word_s > _SILENT_S:
                raise TimeoutError(f"Redis was silent for {_SILENT_S:.0f} s")
            if message is None:
                await heard.ping()
                continue
            last_word_s = now_s
            self._take(message)
            if message["type"] == "subscribe" and unconfirmed:
                unconfirmed.discard(_text(message["channel"]))
                if not unconfirmed and self._was_lost:
                    self._listeners.fall_behind()

    def _take(self, message: dict[str, Any]) -> None:
        topic = _text(message["channel"]).removeprefix(self._prefix) if message.get("channel") else ""
        if message["type"] == "subscribe":
            confirmed = self._confirmed.get(topic)
            if confirmed is not None:
                confirmed.set()
        elif message["type"] == "message":
            try:
                event = BusEvent.from_json(decode(message["data"]))
            except (InvariantError, TypeError) as fault:
                logger.warning("A message on the bus is no event; it is left out.", topic=topic, cause=str(fault))
                return
            self._listeners.tell(topic, event)

    async def close(self) -> None:
        self._listeners.close()
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._clients.close()


def _text(name: bytes | str) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
