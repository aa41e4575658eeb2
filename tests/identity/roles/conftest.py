from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.identity.endpoints import access, groups, roles, workspaces
from flowforge.identity.places import ProjectPlaces
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID

ROUTERS = (
    groups.router,
    roles.role_router,
    roles.assignment_router,
    access.override_router,
    access.router,
    access.own_router,
    workspaces.router,
)
PROJECT_ID = "prj_" + "1" * 26


class KnownProjects:
    """One project, in the default workspace: the projects' own domain stands above identity."""

    async def find_workspace_id(self, session: AsyncSession, project_id: str) -> str | None:
        return DEFAULT_WORKSPACE_ID if project_id == PROJECT_ID else None


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[WebLab]:
    async with open_web_lab(tmp_path, ROUTERS, ports={ProjectPlaces: KnownProjects()}) as lab:
        yield lab
