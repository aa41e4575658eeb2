"""Databases of FlowForge on real servers: one a test process, upgraded once and emptied between tests."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any
from uuid import uuid4

import psycopg
import pymysql
import pytest
from sqlalchemy import Table
from tests.support.clock import ManualClock
from tests.support.databases import MYSQL_PORT, answers, find_postgres_port

from flowforge.engine import tables
from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.line import open_session
from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import DatabaseUrl, parse_database_url

SERVERS = ("postgres", "mysql")


@contextmanager
def make_server_database(kind: str) -> Generator[DatabaseUrl]:
    """An upgraded database of its own, dropped at the end. Skips the test where no such server answers."""
    name = f"flowforge_{uuid4().hex[:16]}"
    with _make_postgres(name) if kind == "postgres" else _make_mysql(name) as url:
        upgrade_database(url)
        yield url


@contextmanager
def _make_postgres(name: str) -> Generator[DatabaseUrl]:
    port = find_postgres_port()
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield parse_database_url(f"postgresql://postgres@127.0.0.1:{port}/{name}")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _make_mysql(name: str) -> Generator[DatabaseUrl]:
    if not answers(MYSQL_PORT):
        pytest.skip(f"there is no MariaDB or MySQL on port {MYSQL_PORT}")
    connect: Any = pymysql.connect
    with closing(connect(host="127.0.0.1", port=MYSQL_PORT, user="root")) as connection:
        connection.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield parse_database_url(f"mysql://root@127.0.0.1:{MYSQL_PORT}/{name}")
        finally:
            connection.query(f"DROP DATABASE {name}")


@cache
def _engine_tables() -> tuple[str, ...]:
    return tuple(one.name for one in vars(tables).values() if isinstance(one, Table))


def empty_database(url: DatabaseUrl) -> None:
    """Takes all rows out of the engine's tables."""
    with closing(open_session(url)) as session, session.transaction():
        for name in _engine_tables():
            session.send(f"DELETE FROM {name}")


def open_server_store(url: DatabaseUrl, clock: ManualClock) -> DatabaseServerStore:
    """A store, as each process has one. It never really sleeps."""
    return DatabaseServerStore(url, clock, lambda: 0.5, sleep=lambda _: None)


@contextmanager
def open_reader(url: DatabaseUrl) -> Generator[Session]:
    """A connection past the store, to look at rows."""
    with closing(open_session(url)) as session:
        yield session
