"""One live connection: what its client asks to hear is pumped to it, by a task for each topic."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.requests import HTTPConnection

from flowforge.kit.border import encode
from flowforge.kit.bus import BusEvent
from flowforge.kit.errors import DependencyError, FlowForgeError, NotPermittedError, RequestError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.live.admission import RENEW_S, with_token
from flowforge.live.errors import CloseCode, LiveClosedError
from flowforge.live.frames import Authenticate, Subscribe, Unsubscribe, read_frame
from flowforge.live.hub import LiveHub
from flowforge.live.topics import Topic, find_topic, may_hear
from flowforge.web.callers import SIGNED_IN, Caller
from flowforge.web.calls import Call, Parts
from flowforge.web.errors import NotSignedInError
from flowforge.web.frame import Receive, Scope, Send

TOPICS_MAX: Final = 100
AUTHENTICATE_S: Final = 5.0
HEARTBEAT_S: Final = 20.0
SEND_S: Final = 20.0
"""A client that takes nothing for this long is too slow."""

logger = get_logger("live")


class LiveConnection:
    """From the handshake to the close."""

    def __init__(self, parts: Parts, hub: LiveHub, scope: Scope, receive: Receive, send: Send) -> None:
        self._parts = parts
        self._hub = hub
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection = HTTPConnection(scope)
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._faults: asyncio.Queue[LiveClosedError] = asyncio.Queue()

    async def serve(self) -> None:
        """Returns when the client has gone, or was told why it must."""
        await self._receive()
        await self._send({"type": "websocket.accept"})
        try:
            self._caller = await self._find_caller()
            await self._tell({"type": "ready"})
            await self._work()
        except LiveClosedError as end:
            with suppress(OSError, RuntimeError):  # the client may have gone meanwhile
                await self._send({"type": "websocket.close", "code": int(end.code), "reason": end.reason})
        finally:
            await self._stop()

    async def _stop(self) -> None:
        pumps = list(self._pumps.values())
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    # --- who is there --------------------------------------------------------------------------------------------------------

    async def _find_caller(self) -> Caller:
        try:
            return await self._admit()
        except LiveClosedError as refusal:
            if refusal.code is not CloseCode.NOT_SIGNED_IN:
                raise
        try:
            async with asyncio.timeout(AUTHENTICATE_S):
                frame = await self._read()
        except TimeoutError:
            frame = None
        if not isinstance(frame, Authenticate) or not frame.token.isascii():
            raise LiveClosedError(CloseCode.NOT_SIGNED_IN, "Send an authenticate frame first.")
        self._connection = with_token(self._connection, frame.token)
        return await self._admit()

    async def _admit(self) -> Caller:
        try:
            return await self._hub.admissions.admit(self._connection, SIGNED_IN)
        except NotSignedInError as fault:
            raise LiveClosedError(CloseCode.NOT_SIGNED_IN, fault.message) from None
        except NotPermittedError as fault:
            raise LiveClosedError(CloseCode.NOT_ALLOWED, fault.message) from None
        except RequestError as fault:
            raise LiveClosedError(CloseCode.NOT_SIGNED_IN, fault.message) from None
        except FlowForgeError as fault:
            raise LiveClosedError(CloseCode.FAULT, fault.message) from None

    # --- the conversation ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Reads and keeps alive at the same time; whatever ends first ends the connection."""
        tasks = [asyncio.create_task(work) for work in (self._listen(), self._keep(), self._await_fault(), self._await_closing())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def _listen(self) -> None:
        """Returns when the client has gone."""
        while (frame := await self._read()) is not None:
            if isinstance(frame, Subscribe):
                self._subscribe(frame)
            elif isinstance(frame, Unsubscribe):
                pump = self._pumps.pop(frame.id, None)
                if pump is None:
                    raise LiveClosedError(CloseCode.BAD_FRAME, "There is no such subscription.")
                pump.cancel()
            else:
                raise LiveClosedError(CloseCode.BAD_FRAME, "Who is there is known already.")

    async def _read(self) -> Authenticate | Subscribe | Unsubscribe | None:
        message = await self._receive()
        return read_frame(message.get("text")) if message["type"] == "websocket.receive" else None

    async def _keep(self) -> None:
        """Heartbeats, and the question whether the client may still listen."""
        clock = self._parts.clock
        next_beat_s = clock.monotonic_s() + HEARTBEAT_S
        while True:
            await asyncio.sleep(RENEW_S)
            self._caller = await self._admit()
            if clock.monotonic_s() >= next_beat_s - RENEW_S / 2:
                next_beat_s += HEARTBEAT_S
                await self._tell({"type": "heartbeat"})

    async def _await_fault(self) -> None:
        raise await self._faults.get()

    async def _await_closing(self) -> None:
        await self._hub.closing.wait()
        raise LiveClosedError(CloseCode.GOING_AWAY, "The server ends; connect again.")

    async def _tell(self, frame: JsonObject) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._send({"type": "websocket.send", "text": encode(frame).decode()})
        except TimeoutError:
            raise LiveClosedError(CloseCode.TOO_SLOW, "The client takes nothing.") from None

    # --- subscriptions -------------------------------------------------------------------------------------------------------

    def _subscribe(self, frame: Subscribe) -> None:
        if frame.id in self._pumps:
            raise LiveClosedError(CloseCode.BAD_FRAME, "A subscription of this id is there already.")
        if len(self._pumps) >= TOPICS_MAX:
            raise LiveClosedError(CloseCode.TOO_MANY, f"{TOPICS_MAX} topics are the most.")
        self._pumps[frame.id] = asyncio.create_task(self._pump(frame))

    async def _pump(self, frame: Subscribe) -> None:
        """Supervisor of one subscription: why it cannot go on is told, or ends the connection."""
        try:
            topic = await find_topic(self._make_call(), frame.topic)
            if topic.run is not None:
                await self._pump_run(frame, topic)
            else:
                await self._pump_topic(frame, topic)
        except LiveClosedError as end:
            self._faults.put_nowait(end)
        except OSError:
            return  # the client has gone, which its reader notices
        except DependencyError as fault:
            error: JsonObject = {"code": "SERVICE_UNAVAILABLE", "message": fault.message}
            with suppress(LiveClosedError):  # who takes nothing is found out by the heartbeat
                await self._tell({"type": "error", "id": frame.id, "error": error})
            self._pumps.pop(frame.id, None)
        except Exception:
            logger.exception("A subscription met a fault of ours.", request_id=self._scope["state"]["request_id"])
            self._faults.put_nowait(LiveClosedError(CloseCode.FAULT, "This is our fault; the log tells more."))

    def _make_call(self) -> Call:
        state = self._scope["state"]
        return Call(self._parts, self._caller, state["request_id"], state.get("traceparent"))

    async def _pump_run(self, frame: Subscribe, topic: Topic) -> None:
        assert topic.run is not None
        after = frame.after or 0
        async with self._hub.feeds.open(topic.run) as feed:
            await self._tell({"type": "subscribed", "id": frame.id, "seq": feed.last_seq})
            while True:
                events = await feed.read_after(after)
                for event in events:
                    await self._tell({"type": "event", "id": frame.id, "seq": event.seq, "event": event.as_json()})
                    after = event.seq
                if not events and feed.has_ended and after >= feed.last_seq:
                    return  # it stays subscribed: there is nothing more to come
                if not events:
                    await feed.wait(after)

    async def _pump_topic(self, frame: Subscribe, topic: Topic) -> None:
        seq = await self._hub.missed.find_last()
        bus, missed = self._hub.bus, self._hub.missed
        async with bus.subscribe(topic.name, after=seq if frame.after is None else frame.after, read_missed=missed.read) as news:
            await self._tell({"type": "subscribed", "id": frame.id, "seq": seq})
            async for told in news:
                if not isinstance(told, BusEvent):
                    await self._tell({"type": "resync", "id": frame.id})
                elif may_hear(self._caller, topic, told):
                    await self._tell({"type": "event", "id": frame.id, "seq": told.seq, "event": told.as_json()})
