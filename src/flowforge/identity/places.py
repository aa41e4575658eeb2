"""What identity asks of the domains above it. Wired where the server is put together."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession


class ProjectPlaces(Protocol):
    """Knows the projects."""

    async def find_workspace_id(self, session: AsyncSession, project_id: str) -> str | None:
        """The workspace of a project; None: there is no such project."""
        ...
