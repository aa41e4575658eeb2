from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, check_sound, make_sqlite_file, open_sqlite

from flowforge.engine.sqlite.store import SqliteStore


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sqlite_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(template: Path, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    opened = open_sqlite(template, tmp_path / "store.db", clock)
    yield opened
    check_sound(opened)
    opened.close()


@pytest.fixture
def shop(store: SqliteStore, clock: ManualClock) -> Shop:
    return Shop(store, clock, store.register("first", EXPIRY_MS))
