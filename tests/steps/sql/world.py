"""The database that the examples speak of: a shop's orders, in a SQLite file."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from tests.support.attempts import Attempts, make_services

from flowforge.kit.paths import FileRoots

_ORDERS = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total TEXT NOT NULL, state TEXT NOT NULL, placed_at TEXT);
CREATE TABLE archive AS SELECT * FROM orders;
INSERT INTO orders VALUES (1, 'Ada', '19.90', 'open', '2026-01-02T03:04:05Z');
INSERT INTO orders VALUES (2, 'Ada', '12.00', 'shipped', '2026-01-02T09:00:00Z');
INSERT INTO orders VALUES (3, 'Ada', '5.00', 'open', '2026-01-03T10:00:00Z');
"""


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    services = make_services(folder)
    services[FileRoots] = FileRoots([("work", folder / "work"), ("data", folder / "work")])
    with closing(sqlite3.connect(folder / "work" / "shop.db")) as connection:
        connection.executescript(_ORDERS)
    yield Attempts(services)
