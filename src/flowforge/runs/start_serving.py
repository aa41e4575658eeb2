"""A start over HTTP, from its bytes to its answer, without any framework."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from flowforge.engine.births import StartRequest
from flowforge.engine.events import Event
from flowforge.engine.executor.engine import Started
from flowforge.files.service import check_files, may_name_files
from flowforge.kit.border import digest_value
from flowforge.kit.errors import RequestError
from flowforge.kit.values import JsonObject
from flowforge.runs.once import Once, OnceStarted, find_repeated, start_once
from flowforge.runs.service import get_run
from flowforge.runs.start_answers import describe_birth, describe_journal, make_header, read_rows
from flowforge.runs.start_request import KEY_HEADER, StartBody, find_header, read_key, read_start_body, read_start_query
from flowforge.runs.start_targets import pin_target
from flowforge.runs.starting import Runner, RunReader, Starter, TurnTeller
from flowforge.runs.types import TERMINAL_STATUSES, JournalTurn
from flowforge.runs.wait_links import describe_waits_for
from flowforge.web.bodies import check_content_type
from flowforge.web.calls import Call, Parts

_ROUTE: Final = "POST /runs"
_HEARD_MAX: Final = 1_000
"""Turns of one run that are kept for its answer; a longer journal is read."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """The run as it is; `is_repeat`: it was started by an earlier request of the same key."""

    status: int
    run: JsonObject
    is_repeat: bool


@dataclass(slots=True)
class _Watched:
    """Starts a run and keeps what its engine tells of it. Reading it back would cost a third of a request: the reader and the writer's
    thread fight for the interpreter at each row.
    """

    teller: TurnTeller
    turns: list[JournalTurn] = field(default_factory=list[JournalTurn])

    async def start(self, request: StartRequest) -> Started:
        return await self.teller.start_watched(request, self.hear)

    def hear(self, row: int, at_ms: int, events: Sequence[Event]) -> None:
        if len(self.turns) < _HEARD_MAX:
            self.turns.append(JournalTurn(row, at_ms, events))

    def list_whole(self) -> list[JournalTurn] | None:
        """All rows behind the first one; None where one is missing, or the run goes on."""
        is_whole = all(turn.seq == place for place, turn in enumerate(self.turns, 2))
        has_ended = bool(self.turns) and self.turns[-1].events[-1]["type"] == "run.finished"
        return self.turns if is_whole and has_ended else None


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
    teller = find_teller(call.parts) if wait_ms else None
    watched = None if teller is None else _Watched(teller)
    names_files = may_name_files(data)
    request, found = await _start(call, body, once, watched or call.port(Runner), names_files=names_files)
    if wait_ms:
        return await _answer_waited(call, found, watched, wait_ms)
    return await _answer_now(call, request, found)


def find_teller(parts: Parts) -> TurnTeller | None:
    """None where the engine is in other processes."""
    return cast("TurnTeller | None", parts.ports.get(TurnTeller))


async def _start(
    call: Call, body: StartBody, once: Once | None, starter: Starter, *, names_files: bool
) -> tuple[StartRequest | None, OnceStarted]:
    sessions, now_ms = call.parts.database.read, call.now_ms
    try:
        if names_files:
            async with call.read() as session:
                await check_files(session, call.workspace_id, {"input": body.input, "document": body.document})
        request = await _make_request(call, body)
    except RequestError:
        # The workflow, or a file, may have been taken away since the first request of this key.
        repeated = None if once is None else await find_repeated(sessions, call.workspace_id, once, now_ms=now_ms)
        if repeated is None:
            raise
        return None, OnceStarted(repeated, is_repeat=True)
    return request, await start_once(starter, sessions, request, once, now_ms=now_ms)


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


async def _answer_now(call: Call, request: StartRequest | None, found: OnceStarted) -> StartAnswer:
    started = found.started
    if started.born is None or request is None:
        run = await _read_run(call, started)
        # A start is never waited for here, but a repeat may find that its run has ended.
        return StartAnswer(200 if run["status"] in TERMINAL_STATUSES else 202, run, found.is_repeat)
    workflow = await call.port(RunReader).get_workflow(request.workflow["digest"])
    return StartAnswer(202, describe_birth(started.born, started.verdict, request, workflow), is_repeat=False)


async def _answer_waited(call: Call, found: OnceStarted, watched: _Watched | None, wait_ms: int) -> StartAnswer:
    started = found.started
    try:
        await call.port(Runner).wait(started.run_no, wait_ms / 1_000)
    finally:
        if watched is not None:
            watched.teller.leave(started.run_no, watched.hear)
    heard = None if watched is None or started.born is None else watched.list_whole()
    if heard is None or started.born is None:
        run = await _read_run(call, started)
    else:
        reader = call.port(RunReader)
        header = make_header(started.born, "running")
        turns = [*read_rows(1, started.born.at, started.born.body), *heard]
        run = describe_journal(header, turns, await reader.get_workflow(header.digest), reader.load_blob)
    return StartAnswer(200 if run["status"] in TERMINAL_STATUSES else 202, run, found.is_repeat)


async def _read_run(call: Call, started: Started) -> JsonObject:
    reader = call.port(RunReader)
    if started.born is not None:
        header = make_header(started.born, "queued" if started.born.owner is None else "running")
    else:
        async with call.read() as session:
            header = await get_run(session, call.workspace_id, started.run_id)
    turns = [turn for row in await reader.load(started.run_no) for turn in read_rows(row.seq, row.at, row.body)]
    workflow, describe_wait = await reader.get_workflow(header.digest), describe_waits_for(call, header)
    return describe_journal(header, turns, workflow, reader.load_blob, describe_wait)
