"""In which project a workflow is, for who asks on behalf of others: rights may hold in single projects."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.workflows.models import WorkflowRow


async def find_project_of(session: AsyncSession, workspace_id: str, workflow_id: str) -> str | None:
    """The workflow's project; None where it is in none, or not known (an ad hoc document)."""
    query = select(WorkflowRow.project_id).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.id == workflow_id)
    return await session.scalar(query)


async def list_ids_in_projects(session: AsyncSession, workspace_id: str, project_ids: Collection[str]) -> list[str]:
    """The workflows of these projects, by id; also deleted ones, whose runs are still there."""
    query = select(WorkflowRow.id).where(WorkflowRow.workspace_id == workspace_id, WorkflowRow.project_id.in_(project_ids))
    return list((await session.scalars(query.order_by(WorkflowRow.id))).all())
