from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import Database, open_sessions
from flowforge.kit.settings import Settings
from flowforge.workflows.types import CheckDocument


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    upgrade_database(tmp_path / "flowforge.db")
    database = open_sessions(tmp_path / "flowforge.db")
    yield database
    await database.close()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.write() as session:
        yield session


@pytest.fixture(scope="session")
def check() -> CheckDocument:
    return Toolbox(Settings()).check_source
