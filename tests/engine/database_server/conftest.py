"""Every test of this folder runs on PostgreSQL and on MariaDB or MySQL."""

from collections.abc import Iterator

import pytest
from tests.support.clock import ManualClock
from tests.support.server_databases import SERVERS, empty_database, open_server_store
from tests.support.stores import EXPIRY_MS, Shop, check_sound

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.kit.database.url import DatabaseUrl


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> DatabaseUrl:
    found: DatabaseUrl = request.getfixturevalue(f"{request.param}_url")
    empty_database(found)
    return found


@pytest.fixture
def store(url: DatabaseUrl, clock: ManualClock) -> Iterator[DatabaseServerStore]:
    opened = open_server_store(url, clock)
    yield opened
    check_sound(opened)
    opened.close()


@pytest.fixture
def shop(store: DatabaseServerStore, clock: ManualClock) -> Shop:
    return Shop(store, clock, store.register("first", EXPIRY_MS))


@pytest.fixture
def other(store: DatabaseServerStore, clock: ManualClock) -> Iterator[Shop]:
    """A store on the same database, as another process has it."""
    opened = open_server_store(store.url, clock)
    yield Shop(opened, clock, opened.register("second", EXPIRY_MS))
    opened.close()


@pytest.fixture
def third(store: DatabaseServerStore, clock: ManualClock) -> Iterator[Shop]:
    opened = open_server_store(store.url, clock)
    yield Shop(opened, clock, opened.register("third", EXPIRY_MS))
    opened.close()
