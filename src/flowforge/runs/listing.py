"""Lists of runs: pages of rows, and how many there are of each kind."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.runs import repository
from flowforge.runs.criteria import Criterion, describe_criteria
from flowforge.runs.searching import Mark, Search
from flowforge.runs.types import Page, RunHeader
from flowforge.web.lists import cut_page, mark_list, read_cursor

GroupedBy = Literal["error_key", "status", "workflow_id"]


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that have something in common. `last_started_at_ms`: of the newest of them."""

    key: str
    count: int
    last_started_at_ms: int


async def list_page(
    session: AsyncSession,
    workspace_id: str,
    criteria: tuple[Criterion, ...],
    *,
    limit: int,
    cursor: str | None = None,
    is_rising: bool = False,
) -> Page[RunHeader]:
    """Runs that meet all criteria by their start, the newest first unless `is_rising`.

    Raises:
        ParameterError: `cursor_invalid`: it is of a list with other criteria, or is none.
    """
    mark = mark_list("runs", workspace_id, describe_criteria(criteria), is_rising)
    place = read_cursor(cursor, mark, (int, int))
    after = None if place is None else Mark(int(place[0]), int(place[1]))
    search = Search(workspace_id, criteria, is_rising)
    rows = await repository.search_runs(session, workspace_id, search, after=after, limit=limit + 1)
    page, following = cut_page(rows, limit, mark, lambda row: (row.started_at_ms, row.no))
    return Page(page, following)


async def list_groups(
    session: AsyncSession,
    workspace_id: str,
    criteria: tuple[Criterion, ...],
    by: GroupedBy,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Group]:
    """How many runs there are of each value; the largest group first. Runs without one (`error_key` of what did not fail) are left out.

    Raises:
        ParameterError: `cursor_invalid`.
    """
    mark = mark_list("groups", workspace_id, describe_criteria(criteria), by)
    place = read_cursor(cursor, mark, (int, str))
    after = None if place is None else (int(place[0]), str(place[1]))
    rows = await repository.count_groups(session, workspace_id, Search(workspace_id, criteria), by, after=after, limit=limit + 1)
    groups = [Group(key, count, last_ms) for key, count, last_ms in rows]
    page, following = cut_page(groups, limit, mark, lambda group: (group.count, group.key))
    return Page(page, following)
