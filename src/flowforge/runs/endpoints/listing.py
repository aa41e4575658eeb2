"""`GET /runs`, `GET /runs/groups`."""

from typing import Annotated

from fastapi import Query

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.criteria import FILTERS, read_criteria
from flowforge.runs.listing import GroupedBy, list_groups, list_page
from flowforge.runs.schemas import GroupAnswer, RunRow
from flowforge.runs.sight import READ, find_sight
from flowforge.runs.views import describe_row
from flowforge.web.calls import CallIn
from flowforge.web.lists import Asked, Page, read_sort
from flowforge.web.queries import Fields, make_asked
from flowforge.web.routing import Router

router = Router("runs", "/runs")

_RUNS = Fields(FILTERS, {"started_at": None}, "-started_at")
_GROUPS = Fields(FILTERS)


@router.get("", READ, response_model=Page[RunRow])
async def list_runs(call: CallIn, asked: Annotated[Asked, make_asked(_RUNS)]) -> JsonObject:
    """Runs, the newest first."""
    _, is_descending = read_sort(asked.sort, tuple(_RUNS.sorts), _RUNS.default)
    criteria = read_criteria(asked.where)
    async with call.report() as session:
        seen = (*criteria, *await find_sight(session, call))
        page = await list_page(
            session, call.workspace_id, seen, limit=asked.limit, cursor=asked.cursor, is_rising=not is_descending
        )
    return {"data": [describe_row(header) for header in page.items], "next_cursor": page.cursor}


@router.get("/groups", READ, response_model=Page[GroupAnswer])
async def list_run_groups(
    call: CallIn,
    by: Annotated[GroupedBy, Query(description="What they have in common; `error_key` is the failed step and its error's code.")],
    asked: Annotated[Asked, make_asked(_GROUPS)],
) -> JsonObject:
    """How many runs there are of each kind, the most frequent first."""
    criteria = read_criteria(asked.where)
    async with call.report() as session:
        seen = (*criteria, *await find_sight(session, call))
        page = await list_groups(session, call.workspace_id, seen, by, limit=asked.limit, cursor=asked.cursor)
    groups: list[JsonValue] = [
        {"key": group.key, "count": group.count, "last_started_at": format_timestamp_ms(group.last_started_at_ms)}
        for group in page.items
    ]
    return {"data": groups, "next_cursor": page.cursor}
