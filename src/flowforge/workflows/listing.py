"""Pages of workflows, with filters, in an order, of what a caller sees."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonValue
from flowforge.web.lists import Condition, mark_list
from flowforge.workflows import repository
from flowforge.workflows.filters import make_condition, match_text
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.rights import Sight
from flowforge.workflows.types import NOT_DELETED_MS, WorkflowSummary
from flowforge.workflows.views import summarise_workflow

SORTS = ("name", "updated_at")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of workflows. `after`: the place behind which the page begins, as `find_place` gives it."""

    sight: Sight
    conditions: Sequence[Condition] = ()
    search: str = ""
    include_deleted: bool = False
    sort: str = "name"
    is_descending: bool = False

    def mark(self, workspace_id: str) -> str:
        """What tells this list's cursors from those of others."""
        wanted: list[JsonValue] = [[item.field, item.op, *item.values] for item in self.conditions]
        return mark_list(workspace_id, self.search, self.include_deleted, self.sort, self.is_descending, wanted)

    @property
    def place_kinds(self) -> tuple[type, type]:
        return (str if self.sort == "name" else int, str)

    def find_place(self, workflow: WorkflowSummary) -> tuple[str | int, str]:
        """The values that the list is sorted by."""
        return (workflow.name if self.sort == "name" else workflow.updated_at_ms, workflow.id)


async def list_page(
    session: AsyncSession, workspace_id: str, wanted: Listing, *, after: Sequence[str | int] | None, limit: int
) -> list[WorkflowSummary]:
    """At most `limit` workflows. No document is read."""
    conditions = [_see(wanted.sight), *map(make_condition, wanted.conditions)]
    if not wanted.include_deleted:
        conditions.append(WorkflowRow.deleted_at == NOT_DELETED_MS)
    if wanted.search:
        conditions.append(match_text(wanted.search))
    column = WorkflowRow.name if wanted.sort == "name" else WorkflowRow.updated_at
    if after is not None:
        first, last = after
        is_behind = column < first if wanted.is_descending else column > first
        is_beside = WorkflowRow.id < last if wanted.is_descending else WorkflowRow.id > last
        conditions.append(or_(is_behind, and_(column == first, is_beside)))
    order = [column.desc(), WorkflowRow.id.desc()] if wanted.is_descending else [column, WorkflowRow.id]
    rows = await repository.select_workflows(session, workspace_id, conditions, order, limit=limit)
    drafted = await repository.list_drafted_ids(session, workspace_id, [row.id for row in rows])
    return [summarise_workflow(row, has_draft=row.id in drafted) for row in rows]


def _see(sight: Sight) -> ColumnElement[bool]:
    if sight.project_ids is None:
        return WorkflowRow.id.is_not(None)
    in_projects = WorkflowRow.project_id.in_(sorted(sight.project_ids))
    return or_(in_projects, WorkflowRow.public.is_(True)) if sight.sees_public else in_projects
