"""Every test of this folder runs on every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, check_sound, make_sqlite_file, open_sqlite

from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.store import Store


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sqlite_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened: Store = (
        MemoryStore(clock) if request.param == "memory" else open_sqlite(sqlite_template, tmp_path / "store.db", clock)
    )
    yield opened
    check_sound(opened)
    opened.close()


@pytest.fixture
def shop(store: Store, clock: ManualClock) -> Shop:
    return Shop(store, clock, store.register("first", EXPIRY_MS))
