"""Every test of this folder runs on every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.server_databases import empty_database, open_server_store
from tests.support.stores import EXPIRY_MS, Shop, check_sound, make_sqlite_file, open_sqlite

from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.store import Store
from flowforge.kit.database.url import DatabaseUrl


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sqlite_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "postgres", "mysql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = _open(request, tmp_path, clock)
    yield opened
    check_sound(opened)
    opened.close()


def _open(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Store:
    match request.param:
        case "memory":
            return MemoryStore(clock)
        case "sqlite":
            return open_sqlite(request.getfixturevalue("sqlite_template"), tmp_path / "store.db", clock)
        case server:
            url: DatabaseUrl = request.getfixturevalue(f"{server}_url")
            empty_database(url)
            return open_server_store(url, clock)


@pytest.fixture
def shop(store: Store, clock: ManualClock) -> Shop:
    return Shop(store, clock, store.register("first", EXPIRY_MS))
