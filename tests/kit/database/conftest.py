from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.databases import Kind, open_database
from tests.support.sessions import KINDS

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flowforge.db"


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    """A database whose write lock another connection holds."""
    connection = connect_sqlite(path)
    connection.execute("BEGIN IMMEDIATE")
    yield path
    connection.close()


async def _open_empty(kind: Kind, path: Path) -> AsyncIterator[DatabaseUrl]:
    async with open_database(kind) as database:
        yield name_sqlite(path) if kind == "sqlite" else parse_database_url(database.url)


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[DatabaseUrl]:
    """An empty database of each kind."""
    async for made in _open_empty(request.param, path):
        yield made


@pytest.fixture(params=["postgres", "mysql"])
async def server(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[DatabaseUrl]:
    """An empty database on each server."""
    async for made in _open_empty(request.param, path):
        yield made


@pytest.fixture
async def postgres(path: Path) -> AsyncIterator[DatabaseUrl]:
    async for made in _open_empty("postgres", path):
        yield made


@pytest.fixture
async def mysql(path: Path) -> AsyncIterator[DatabaseUrl]:
    async for made in _open_empty("mysql", path):
        yield made
