"""Pages of workflows, of what a caller sees."""

from sqlalchemy import ColumnElement, or_
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.web.selecting import Selection
from flowforge.workflows import repository
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.rights import Sight
from flowforge.workflows.types import NOT_DELETED_MS, WorkflowSummary
from flowforge.workflows.views import summarise_workflow


async def list_page(
    session: AsyncSession, workspace_id: str, sight: Sight, selection: Selection, *, include_deleted: bool
) -> tuple[list[WorkflowSummary], str | None]:
    """One page, and the next cursor. No document is read."""
    conditions = [_see(sight)]
    if not include_deleted:
        conditions.append(WorkflowRow.deleted_at == NOT_DELETED_MS)
    found = await repository.select_page(session, workspace_id, conditions, selection)
    drafted = await repository.list_drafted_ids(session, workspace_id, [row.id for row in found])
    return selection.cut([summarise_workflow(row, has_draft=row.id in drafted) for row in found])


def _see(sight: Sight) -> ColumnElement[bool]:
    if sight.project_ids is None:
        return WorkflowRow.id.is_not(None)
    in_projects = WorkflowRow.project_id.in_(sorted(sight.project_ids))
    return or_(in_projects, WorkflowRow.public.is_(True)) if sight.sees_public else in_projects
