"""Where a project is, for who gives rights in it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.workflows.models import ProjectRow
from flowforge.workflows.types import NOT_DELETED_MS


class ProjectPlacing:
    """Looks at the projects of all workspaces: a right names the project alone."""

    async def find_workspace_id(self, session: AsyncSession, project_id: str) -> str | None:
        """The workspace of a living project; None where there is none of that id."""
        query = select(ProjectRow.workspace_id).where(ProjectRow.id == project_id, ProjectRow.deleted_at == NOT_DELETED_MS)
        return await session.scalar(query)
