"""A run's events as server-sent events, until the run has ended."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from starlette.requests import HTTPConnection

from flowforge.kit.border import encode
from flowforge.kit.errors import FlowForgeError
from flowforge.live.admission import RENEW_S
from flowforge.live.feeds import RunFeed
from flowforge.live.hub import LiveHub
from flowforge.runs.events import RunEvent
from flowforge.runs.sight import READ, get_seen_run
from flowforge.runs.types import RunHeader
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call

HEARTBEAT_S: Final = 20.0
_BEAT: Final = b": heartbeat\n\n"


async def stream_run(
    call: Call, hub: LiveHub, connection: HTTPConnection, header: RunHeader, after: int
) -> AsyncGenerator[bytes]:
    """Events behind a number as they come, with a comment each 20 seconds. Ends with the run, the server, or the right to read."""
    clock = call.parts.clock
    beat_s = renew_s = clock.monotonic_s()
    async with hub.feeds.open(header) as feed:
        yield b"retry: 2000\n\n"
        while not hub.closing.is_set():
            events = await feed.read_after(after)
            if events:
                after = events[-1].seq
                yield b"".join(_format(event) for event in events)
            elif feed.has_ended and after >= feed.last_seq:
                return
            else:
                await _wait(hub, feed, after)
            now_s = clock.monotonic_s()
            is_time = now_s - renew_s >= RENEW_S
            renew_s = now_s if is_time else renew_s
            if is_time and not await _may_still(call, hub, connection, header):
                return
            if now_s - beat_s >= HEARTBEAT_S:
                beat_s = now_s
                yield _BEAT


def _format(event: RunEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), encode(event.as_json()))


async def _wait(hub: LiveHub, feed: RunFeed, after: int) -> None:
    """Until there is something new, the server ends, or it is time to ask again who reads."""
    waits = [asyncio.create_task(feed.wait(after)), asyncio.create_task(hub.closing.wait())]
    try:
        await asyncio.wait(waits, timeout=RENEW_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _may_still(call: Call, hub: LiveHub, connection: HTTPConnection, header: RunHeader) -> bool:
    try:
        caller = await hub.admissions.admit(connection, SIGNED_IN)
        if not caller.rights.allow(READ):
            async with call.read() as session:
                await get_seen_run(session, Call(call.parts, caller, call.request_id, call.traceparent), header.id)
    except FlowForgeError:
        return False
    return True
