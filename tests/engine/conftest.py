"""Databases on real servers, one of each kind for a test process."""

from collections.abc import Iterator

import pytest
from tests.support.server_databases import make_server_database

from flowforge.kit.database.url import DatabaseUrl


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[DatabaseUrl]:
    with make_server_database("postgres") as url:
        yield url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[DatabaseUrl]:
    with make_server_database("mysql") as url:
        yield url
