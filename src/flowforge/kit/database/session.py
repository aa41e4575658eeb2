"""SQLAlchemy's asynchronous sessions, for everything but the engine's hot statements."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from flowforge.kit.database.connect import BUSY_TIMEOUT_MS

_POOL: Final = 5
_IS_WRITER: Final = "flowforge_writer"


@dataclass(frozen=True, slots=True)
class Database:
    """Sessions on one pool. A transaction that may write takes a session of `write`, or it fails where it meets another writer."""

    engine: AsyncEngine
    read: async_sessionmaker[AsyncSession]
    write: async_sessionmaker[AsyncSession]

    async def close(self) -> None:
        await self.engine.dispose()


def open_sessions(path: Path) -> Database:
    """Sessions on the SQLite file at `path`, which must have been upgraded. Objects stay readable after the commit."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=_POOL, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None}
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    writer = engine.execution_options(**{_IS_WRITER: True})
    return Database(
        engine, async_sessionmaker(engine, expire_on_commit=False), async_sessionmaker(writer, expire_on_commit=False)
    )


def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A deferred transaction that has read first is refused at once when it comes to write beside another writer, timeout or not.
    immediate = connection.get_execution_options().get(_IS_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
