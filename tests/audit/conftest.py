"""The log on each of the databases."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.kit.database.session import Database


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database_sessions("sqlite", tmp_path) as database:
        yield database


@pytest.fixture(params=KINDS[1:])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database
