"""`GET /runs/*/steps[/*]`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Query

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.endpoints.reading import open_seen
from flowforge.runs.errors import RunNotFoundError, StepNotFoundError
from flowforge.runs.opened import OpenedRun
from flowforge.runs.schemas import StepsPage, StepStatus, WholeStepAnswer
from flowforge.runs.starting import RunReader
from flowforge.runs.step_inputs import find_inputs
from flowforge.runs.step_lists import StepFilter, choose_steps, count_statuses, fill_buckets
from flowforge.runs.types import StepRecord
from flowforge.runs.views import describe_step, describe_whole_step
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import CallIn
from flowforge.web.errors import ParameterError
from flowforge.web.lists import LIMIT_DEFAULT, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn
from flowforge.web.routing import Router

router = Router("runs", "/runs")

_GUARD: Final = SIGNED_IN  # as in reading.py

IterationIn = Annotated[
    str, Query(max_length=400, description="Where the step stands in loops and phases.", examples=["items.3/pages.0"])
]
"""`iteration: IterationIn = ""`."""


@dataclass(frozen=True, slots=True)
class StepQuery:
    """What a list of steps is asked for."""

    step: Annotated[str | None, Query(max_length=400, description="A step's id, in whatever iteration.")] = None
    status: Annotated[StepStatus | None, Query(description="Only steps in this state.")] = None
    container: Annotated[str | None, Query(max_length=400, description="What is inside this loop, at any depth.")] = None
    iteration: Annotated[str | None, Query(max_length=400, description="Exactly this iteration; empty: the main graph.")] = None
    counts: Annotated[bool, Query(description="Also how many are in each state.")] = False
    buckets: Annotated[int | None, Query(ge=1, le=1_000, description="Also the worst state in so many parts.")] = None

    def as_filter(self) -> StepFilter:
        return StepFilter(self.step, () if self.status is None else (self.status,), self.container, self.iteration)


@router.get("/{run_id}/steps", _GUARD, errors=[RunNotFoundError], response_model=StepsPage)
async def list_steps(
    call: CallIn,
    run_id: str,
    asked: Annotated[StepQuery, Depends(StepQuery)],
    limit: LimitIn = LIMIT_DEFAULT,
    cursor: CursorIn = None,
) -> JsonObject:
    """The steps in the order of the document; in loops iteration by iteration."""
    async with open_seen(call, run_id) as (_, opened):
        return await asyncio.to_thread(_list_steps, opened, asked, limit, cursor)


def _list_steps(opened: OpenedRun, asked: StepQuery, limit: int, cursor: str | None) -> JsonObject:
    found = choose_steps(opened.steps, asked.as_filter())
    mark = mark_list("steps", opened.header.id, asked.step, asked.status, asked.container, asked.iteration)
    place = read_cursor(cursor, mark, (str,))
    first = 0 if place is None else _find_place(opened, found, str(place[0]))
    page, following = cut_page(found[first : first + limit + 1], limit, mark, lambda row: (row.key,))
    rows: list[JsonValue] = [describe_step(row) for row in page]
    counts: JsonObject | None = {**count_statuses(found)} if asked.counts else None
    buckets: list[JsonValue] | None = None if asked.buckets is None else [*fill_buckets(found, asked.buckets)]
    return {"data": rows, "next_cursor": following, "counts": counts, "buckets": buckets}


def _find_place(opened: OpenedRun, found: Sequence[StepRecord], last_key: str) -> int:
    """Where the page begins. Steps come and change their state while the run goes on, so their order counts, not their number."""
    order = {step.key: place for place, step in enumerate(opened.steps)}
    if last_key not in order:
        raise ParameterError(
            "cursor", "The cursor names a step that the run does not have; begin again without one.", "cursor_invalid"
        )
    return next((place for place, step in enumerate(found) if order[step.key] > order[last_key]), len(found))


@router.get("/{run_id}/steps/{step}", _GUARD, errors=[RunNotFoundError, StepNotFoundError], response_model=WholeStepAnswer)
async def get_step(call: CallIn, run_id: str, step: str, iteration: IterationIn = "") -> JsonObject:
    """A step with all its attempts, and its values as they are. Secrets are in no input."""
    key = f"{iteration}/{step}" if iteration else step
    async with open_seen(call, run_id) as (_, opened):
        record = next((found for found in opened.steps if found.key == key), None)
    if record is None:
        raise StepNotFoundError(opened.header.id, key[:400])
    reader = call.port(RunReader)
    return await asyncio.to_thread(lambda: describe_whole_step(record, find_inputs(opened.run, key), reader.load_blob))
