"""`GET /runs/*` and what belongs to a run: logs, effects, relatives, why, diagnosis, export."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.runs.changing import make_etag
from flowforge.runs.diagnosing import diagnose_run
from flowforge.runs.effects import read_effects
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.estimating import estimate_end_ms
from flowforge.runs.export import export_run
from flowforge.runs.opened import OpenedRun
from flowforge.runs.opening import load_history, open_run
from flowforge.runs.ports import RunGround
from flowforge.runs.relatives import list_relatives
from flowforge.runs.schemas import DiagnosisAnswer, EffectAnswer, LogAnswer, RelativeAnswer, RunAnswer, WhyAnswer
from flowforge.runs.service import list_log_page
from flowforge.runs.sight import get_seen_run
from flowforge.runs.starting import Runner, RunReader
from flowforge.runs.views import describe_effect, describe_log, describe_run
from flowforge.runs.wait_links import describe_waits_for
from flowforge.web.answers import make_json
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.conditions import quote_etag
from flowforge.web.lists import LIMIT_DEFAULT, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait

router = Router("runs", "/runs")

# Who started a run sees it without run:read, so each of these asks by itself (`get_seen_run`).
_GUARD: Final = SIGNED_IN
_ERRORS: Final = [RunNotFoundError]
_WAIT: Final = "Answer when the run has ended or needs somebody, or when so long is over: up to 60s."
_TEXT: Final = r"^[^\x00]*$"  # PostgreSQL keeps no NUL, and takes none in a question


@asynccontextmanager
async def open_seen(call: Call, run_id: str) -> AsyncGenerator[tuple[AsyncSession, OpenedRun]]:
    """The run as it is now, for a caller who may see it, and a session to read more with.

    Raises:
        InvalidIdError, RunNotFoundError: as `get_seen_run`.
    """
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
        yield session, await open_run(session, header, call.port(RunReader), call.port(RunGround), call.now_ms)


@router.get("/{run_id}", _GUARD, errors=_ERRORS, response_model=RunAnswer)
async def get_run(
    call: CallIn,
    run_id: str,
    response: Response,
    wait: Annotated[str | None, Query(max_length=100, description=_WAIT, examples=["30s"])] = None,
) -> JsonObject:
    """A run: where it stands, what it waits for, its input and output."""
    wait_ms = read_wait(wait)
    if wait_ms:
        async with call.read() as session:
            header = await get_seen_run(session, call, run_id)
        if header.is_open:
            await call.port(Runner).wait(header.no, wait_ms / 1_000)
    async with open_seen(call, run_id) as (session, opened):
        estimated_end_ms = await estimate_end_ms(session, opened.header, call.now_ms)
    reader = call.port(RunReader)
    described = await asyncio.to_thread(
        lambda: describe_run(
            opened.header,
            opened.run.history,
            opened.steps,
            reader.load_blob,
            status=opened.status,
            estimated_end_ms=estimated_end_ms,
            describe_wait=describe_waits_for(call, opened.header),
        )
    )
    response.headers["etag"] = quote_etag(make_etag(opened.header))
    return described


@router.get("/{run_id}/logs", _GUARD, errors=_ERRORS, response_model=Page[LogAnswer])
async def list_run_logs(
    call: CallIn,
    run_id: str,
    limit: LimitIn = LIMIT_DEFAULT,
    cursor: CursorIn = None,
    step: Annotated[str | None, Query(max_length=400, pattern=_TEXT, description="Only of this step.")] = None,
    iteration: Annotated[str | None, Query(max_length=400, pattern=_TEXT, description="Only of this iteration.")] = None,
    level: Annotated[str | None, Query(max_length=20, pattern=_TEXT, description="Only of this level.")] = None,
) -> JsonObject:
    """What the steps wrote, in the order in which it was stored."""
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
        mark = mark_list("logs", header.id, step, iteration, level)
        place = read_cursor(cursor, mark, (int,))
        after_no = 0 if place is None else int(place[0])
        rows = await list_log_page(
            session, header, after_no=after_no, limit=limit + 1, step=step, iteration=iteration, level=level
        )
    page, following = cut_page(rows, limit, mark, lambda row: (row[0],))
    return {"data": [describe_log(line) for _, line in page], "next_cursor": following}


@router.get("/{run_id}/effects", _GUARD, errors=_ERRORS, response_model=Page[EffectAnswer])
async def list_run_effects(call: CallIn, run_id: str, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> JsonObject:
    """What the run did to the world: planned, confirmed, failed, or unknown. In the order in which it was planned."""
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
        run = await load_history(session, header, call.port(RunReader))
    mark = mark_list("effects", header.id)
    place = read_cursor(cursor, mark, (int,))
    first = 0 if place is None else int(place[0])
    effects = await asyncio.to_thread(read_effects, run.turns, run.workflow)
    rows = list(enumerate(effects))[first : first + limit + 1]
    page, following = cut_page(rows, limit, mark, lambda row: (row[0] + 1,))
    return {"data": [describe_effect(effect) for _, effect in page], "next_cursor": following}


@router.get("/{run_id}/tree", _GUARD, errors=_ERRORS, response_model=Page[RelativeAnswer])
async def list_run_tree(call: CallIn, run_id: str, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None) -> JsonObject:
    """The runs that called this one, the run itself, and those that it called, each below the one that called it."""
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
        page = await list_relatives(session, header, limit=limit, cursor=cursor)
    return {"data": list(page.items), "next_cursor": page.cursor}


@router.get("/{run_id}/why", _GUARD, errors=_ERRORS, response_model=WhyAnswer)
async def explain_why(call: CallIn, run_id: str) -> JsonObject:
    """One true sentence: why the run is where it is; and its causes."""
    async with open_seen(call, run_id) as (_, opened):
        explained = opened.explain()
    return {"sentence": explained["sentence"], "causes": explained["causes"]}


@router.get("/{run_id}/diagnose", _GUARD, errors=_ERRORS, response_model=DiagnosisAnswer)
async def diagnose(call: CallIn, run_id: str) -> JsonObject:
    """What went wrong, whether it is new, and what helps."""
    async with open_seen(call, run_id) as (session, opened):
        return await diagnose_run(session, opened, call.now_ms)


@router.get("/{run_id}/export", _GUARD, errors=_ERRORS, response_model=None, answers={200: {"description": "The document."}})
async def export(call: CallIn, run_id: str) -> Response:
    """The run as one JSON document: definition, journal, effects. Secrets are in it by name only."""
    async with call.read() as session:
        header = await get_seen_run(session, call, run_id)
        run = await load_history(session, header, call.port(RunReader))
    document = await asyncio.to_thread(export_run, run)
    return make_json(document, headers={"content-disposition": f'attachment; filename="{header.id}.json"'})
