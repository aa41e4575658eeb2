"""A start over HTTP, from its bytes to its answer, without any framework."""

from dataclasses import dataclass
from typing import Final

from flowforge.engine.births import StartRequest
from flowforge.engine.executor.engine import Started
from flowforge.kit.border import digest_value
from flowforge.kit.errors import RequestError
from flowforge.kit.values import JsonObject
from flowforge.runs.once import Once, OnceStarted, find_repeated, start_once
from flowforge.runs.service import get_run
from flowforge.runs.start_answers import describe_birth, describe_journal, make_header
from flowforge.runs.start_request import KEY_HEADER, StartBody, find_header, read_key, read_start_body, read_start_query
from flowforge.runs.start_targets import pin_target
from flowforge.runs.starting import Runner, RunReader
from flowforge.runs.types import TERMINAL_STATUSES
from flowforge.web.bodies import check_content_type
from flowforge.web.calls import Call

_ROUTE: Final = "POST /runs"
_SHORT_WAIT_MS: Final = 200
"""A run that has ended within this time has a short journal."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """The run as it is; `is_repeat`: it was started by an earlier request of the same key."""

    status: int
    run: JsonObject
    is_repeat: bool


async def serve_start(call: Call, headers: Headers, query: bytes, data: bytes) -> StartAnswer:
    """Starts a run, or finds the one that the same key has started, and waits for it as long as the request asks.

    Raises:
        FlowForgeError: the request is refused; its key is not used up.
    """
    wait_ms = read_start_query(query)
    key = read_key(headers)
    if data:
        check_content_type(find_header(headers, b"content-type"))
    body = read_start_body(data, call.limits)
    once = None if key is None else Once("start", _ROUTE, key, digest_value(body.model_dump(mode="json")), KEY_HEADER)
    request, found = await _start(call, body, once)
    return await _answer(call, request, found, wait_ms)


async def _start(call: Call, body: StartBody, once: Once | None) -> tuple[StartRequest | None, OnceStarted]:
    sessions, now_ms = call.parts.database.read, call.now_ms
    try:
        request = await _make_request(call, body)
    except RequestError:
        # The workflow may have been taken out of use since the first request of this key.
        repeated = None if once is None else await find_repeated(sessions, call.workspace_id, once, now_ms=now_ms)
        if repeated is None:
            raise
        return None, OnceStarted(repeated, is_repeat=True)
    return request, await start_once(call.port(Runner), sessions, request, once, now_ms=now_ms)


async def _make_request(call: Call, body: StartBody) -> StartRequest:
    settings = call.parts.settings
    return StartRequest(
        workspace_id=call.workspace_id,
        workflow=await pin_target(call, body),
        input={} if body.input is None else body.input,
        actor=call.actor,
        trigger={"kind": "manual"},
        labels=body.labels,
        subject=body.subject,
        priority=body.priority,
        mocks=body.use_mocks or settings.mocks,
        timeout_ms=settings.run_timeout_ms or None,
    )


async def _answer(call: Call, request: StartRequest | None, found: OnceStarted, wait_ms: int) -> StartAnswer:
    started = found.started
    began_s = call.parts.clock.monotonic_s()
    if wait_ms:
        await call.port(Runner).wait(started.run_no, wait_ms / 1_000)
    elif started.born is not None and request is not None:
        workflow = await call.port(RunReader).get_workflow(request.workflow["digest"])
        return StartAnswer(202, describe_birth(started.born, started.verdict, request, workflow), is_repeat=False)
    is_short = (call.parts.clock.monotonic_s() - began_s) * 1_000 < _SHORT_WAIT_MS and started.born is not None
    run = await _read_run(call, started, is_short=is_short)
    # An answer without `wait` is never waited for, but a repeat may find that its run has ended.
    has_ended = run["status"] in TERMINAL_STATUSES and (wait_ms > 0 or found.is_repeat)
    return StartAnswer(200 if has_ended else 202, run, found.is_repeat)


async def _read_run(call: Call, started: Started, *, is_short: bool) -> JsonObject:
    reader = call.port(RunReader)
    if started.born is not None:
        header = make_header(started.born, "queued" if started.born.owner is None else "running")
    else:
        async with call.read() as session:
            header = await get_run(session, call.workspace_id, started.run_id)
    rows = await reader.load(started.run_no, is_short=is_short)
    return describe_journal(header, rows, await reader.get_workflow(header.digest), reader.load_blob)
