from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions
from tests.workflows.api_lab import ApiLab, open_api_lab

from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.database.session import Database
from flowforge.kit.settings import Settings
from flowforge.workflows.types import CheckDocument


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.write() as session:
        yield session


@pytest.fixture(scope="session")
def check() -> CheckDocument:
    return Toolbox(Settings()).check_source


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[ApiLab]:
    async with open_api_lab(tmp_path) as lab:
        yield lab
