"""The runs around a run: those that called it, and those that it called."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.runs import repository
from flowforge.runs.types import Page, RunHeader
from flowforge.runs.views import describe_row
from flowforge.web.lists import cut_page, mark_list, read_cursor

_DEPTH_MAX: Final = 100
_FAMILY_MAX: Final = 5_000
"""So many relatives are walked through; a run that calls more is found by the list of runs."""


async def list_relatives(session: AsyncSession, header: RunHeader, *, limit: int, cursor: str | None) -> Page[JsonObject]:
    """Rows with `depth` (the run itself 0, its parents below, its children above) and `parent`; children behind their parent.

    Raises:
        ParameterError: `cursor_invalid`.
    """
    mark = mark_list("tree", header.id)
    place = read_cursor(cursor, mark, (int,))
    first = 0 if place is None else int(place[0])
    family = await _list_family(session, header, first + limit + 1)
    rows = list(enumerate(family))[first : first + limit + 1]
    page, following = cut_page(rows, limit, mark, lambda row: (row[0] + 1,))
    return Page([row for _, row in page], following)


async def _list_family(session: AsyncSession, header: RunHeader, most: int) -> list[JsonObject]:
    ancestors = await _list_ancestors(session, header)
    rows = [_describe(run, depth - len(ancestors), above) for depth, (run, above) in enumerate(ancestors)]
    parent = ancestors[-1][0].id if ancestors else None
    waiting: list[tuple[RunHeader, int, str | None]] = [(header, 0, parent)]
    while waiting and len(rows) < min(most, _FAMILY_MAX):
        run, depth, above = waiting.pop()
        rows.append(_describe(run, depth, above))
        children = await repository.list_children(session, run.workspace_id, run.no, limit=min(most, _FAMILY_MAX))
        waiting.extend((child, depth + 1, run.id) for child in reversed(children))
    return rows


async def _list_ancestors(session: AsyncSession, header: RunHeader) -> list[tuple[RunHeader, str | None]]:
    """The first caller first, each with the id of its own caller."""
    chain: list[RunHeader] = []
    parent_no = header.parent_no
    while parent_no is not None and len(chain) < _DEPTH_MAX:
        parent = await repository.find_run_by_no(session, header.workspace_id, parent_no)
        if parent is None:
            break  # it was deleted
        chain.append(parent)
        parent_no = parent.parent_no
    chain.reverse()
    return [(run, chain[place - 1].id if place else None) for place, run in enumerate(chain)]


def _describe(run: RunHeader, depth: int, parent: str | None) -> JsonObject:
    return describe_row(run) | {"depth": depth, "parent": parent}
