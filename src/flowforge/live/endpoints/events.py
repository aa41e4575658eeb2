"""The events of one run: a page, or a stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final

from fastapi import Header, Query
from prometheus_client import Gauge
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flowforge.kit.values import JsonObject
from flowforge.live.feeds import RunFeed
from flowforge.live.hub import LiveHub
from flowforge.live.streaming import stream_run
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.sight import get_seen_run
from flowforge.runs.types import RunHeader
from flowforge.web.answers import make_json
from flowforge.web.bodies import Answer
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import CallIn
from flowforge.web.errors import HeaderInvalidError
from flowforge.web.lists import LIMIT_DEFAULT
from flowforge.web.queries import LimitIn
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait

_AFTER_MAX: Final = 2**63 - 1
_STREAM: Final = "text/event-stream"
_LAST_EVENT_ID: Final = "Last-Event-ID"

router = Router("runs", "/runs")

AfterIn = Annotated[int, Query(ge=0, le=_AFTER_MAX, description="`seq` of the last event that is known; 0: from the beginning.")]
WaitIn = Annotated[str | None, Query(description="How long to wait where there is no further event, up to 60s.")]
LastIn = Annotated[str | None, Header(alias=_LAST_EVENT_ID, description="Of a stream that is taken up again; it beats `after`.")]


class EventAnswer(Answer):
    """Something that happened to a run."""

    id: str
    seq: int = Field(description="Grows within the run, with gaps.")
    type: str = Field(examples=["step.completed"])
    time: str
    workspace_id: str
    subject: str
    actor: str
    trace_id: str | None
    data: dict[str, Any]


class EventPage(Answer):
    """Events of a run, in order. `next_cursor`: give it as `after` for those that follow; null: there are none now."""

    data: list[EventAnswer]
    next_cursor: str | None = None
    has_ended: bool = Field(description="Whether the run has ended, so that no further event will come after these.")


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": EventPage, "content": {_STREAM: {"schema": {"type": "string"}}}, "description": "A page, or the stream."}
}


@router.get("/{run_id}/events", SIGNED_IN, errors=[RunNotFoundError], answers=_ANSWERS, response_model=None)
async def read_events(
    call: CallIn,
    request: Request,
    run_id: str,
    after: AfterIn = 0,
    limit: LimitIn = LIMIT_DEFAULT,
    wait: WaitIn = None,
    last_event_id: LastIn = None,
) -> Response:
    """The events of a run.

    With `Accept: text/event-stream` it is a stream that begins behind `after` and ends when the run has ended; else a page.
    """
    wait_ms = read_wait(wait)
    after = _read_last(last_event_id, after)
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
    hub = call.port(LiveHub)
    if _STREAM in request.headers.get("accept", ""):
        content = stream_run(call, hub, request, header, after)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        request.scope["state"]["is_stream"] = True
        content = _count_open(content, call.parts.metrics.server.find_open_streams("sse"))
        return StreamingResponse(content, media_type=_STREAM, headers=headers)
    return make_json(await _read_page(hub, header, after, limit, wait_ms))


async def _count_open(content: AsyncGenerator[bytes], gauge: Gauge) -> AsyncGenerator[bytes]:
    with gauge.track_inprogress():
        async with aclosing(content):
            async for piece in content:
                yield piece


def _read_last(given: str | None, after: int) -> int:
    if given is None or not given:
        return after
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= _AFTER_MAX):
        raise HeaderInvalidError(_LAST_EVENT_ID, f"{_LAST_EVENT_ID} is the id of an event of this stream: a number.")
    return int(given)


async def _wait_for_news(feed: RunFeed, after: int, wait_ms: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_ms / 1_000):
            await feed.wait(after)


async def _read_page(hub: LiveHub, header: RunHeader, after: int, limit: int, wait_ms: int) -> JsonObject:
    async with hub.feeds.open(header) as feed:
        events = await feed.read_after(after)
        if not events and wait_ms and not feed.has_ended:
            await _wait_for_news(feed, after, wait_ms)
            events = await feed.read_after(after)
        page = events[:limit]
        is_last = not page or page[-1].seq >= feed.last_seq
        return {
            "data": [event.as_json() for event in page],
            "next_cursor": None if is_last else str(page[-1].seq),
            "has_ended": is_last and feed.has_ended,
        }
