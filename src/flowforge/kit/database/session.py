"""SQLAlchemy's asynchronous sessions, for everything but the engine's hot statements.

What a driver raises leaves them as one of the tree of errors (`errors`), but for a row that the database does not take (IntegrityError,
DataError) and statements that are wrong: those are for the caller to judge.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from time import monotonic
from typing import Any, Final

from sqlalchemy import Connection, PoolProxiedConnection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from flowforge.kit.database import mysql, postgres
from flowforge.kit.database.connect import BUSY_TIMEOUT_MS
from flowforge.kit.database.errors import driver_errors, explain_database_error, refuse_busy, refuse_without_driver
from flowforge.kit.database.faults import FaultKind, classify_fault
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.errors import StorageError
from flowforge.kit.telemetry.logs import get_logger

POOL_TIMEOUT_S: Final = 5.0
AWAY_S: Final = 10.0
"""For so long a replica that did not answer is not asked again: nobody waits for it meanwhile."""
_POOL: Final = 5
_RECYCLE_S: Final = 1_800
_IS_WRITER: Final = "flowforge_writer"
_IS_COUNTED: Final = "flowforge_counted"
_CALLERS: Final = frozenset({None, FaultKind.CONTENT, FaultKind.OURS})

_TIME_MS: Final = {"postgresql": postgres.TIME_MS, "mysql": mysql.TIME_MS, "mariadb": mysql.TIME_MS}

Sessions = async_sessionmaker[AsyncSession]

logger = get_logger("kit.database")


@dataclass(slots=True)
class Writing:
    """How many transactions of `write` sessions are open now. Kept for SQLite only, of which there is one writer at a time."""

    count: int = 0

    def is_going_on(self) -> bool:
        return self.count > 0


class Replica:
    """A read replica, which may be away: then it is left alone for a while."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: Final = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._away_until_s = 0.0

    async def find_session(self) -> AsyncSession | None:
        """A session that has its connection, to be closed by the caller; None: the replica is away."""
        if monotonic() < self._away_until_s:
            return None
        session = self._sessions()
        try:
            await session.connection()
        except StorageError as fault:
            await session.close()
            self._away_until_s = monotonic() + AWAY_S
            logger.warning("The read replica is away; lists are read from the primary.", cause=fault.message)
            return None
        return session


@dataclass(frozen=True, slots=True)
class Database:
    """Sessions on one pool. A transaction that may write takes a session of `write`, or it fails where it meets another writer."""

    engine: AsyncEngine
    read: Sessions
    write: Sessions
    replica: Replica | None = None
    writing: Writing = field(default_factory=Writing)

    @asynccontextmanager
    async def report(self) -> AsyncGenerator[AsyncSession]:
        """A session for lists and reports alone: of the replica, which may lag behind, where there is one and it answers."""
        found = None if self.replica is None else await self.replica.find_session()
        async with found or self.read() as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
        if self.replica is not None:
            await self.replica.engine.dispose()


def open_sessions(
    url: DatabaseUrl,
    *,
    pool: int = _POOL,
    read_url: DatabaseUrl | None = None,
    pool_timeout_s: float = POOL_TIMEOUT_S,
) -> Database:
    """Sessions on a database, which must have been upgraded. Objects stay readable after the commit. Nothing is connected to yet.

    `pool`: most connections at once; who waits longer than `pool_timeout_s` for one gets DatabaseBusyError. A connection is looked at
    before it is used, so that a server that was restarted costs nobody an error.

    Raises:
        DriverMissingError: the extra with the driver is not installed.
    """
    writing = Writing()
    engine = _make_engine(url, pool, pool_timeout_s, writing)
    replica = None if read_url is None else _make_engine(read_url, pool, pool_timeout_s, writing)
    return Database(
        engine=engine,
        read=async_sessionmaker(engine, expire_on_commit=False),
        write=async_sessionmaker(engine.execution_options(**{_IS_WRITER: True}), expire_on_commit=False),
        replica=None if replica is None else Replica(replica),
        writing=writing,
    )


def _make_engine(url: DatabaseUrl, pool: int, pool_timeout_s: float, writing: Writing) -> AsyncEngine:
    driver_errors(url.kind)
    sizes: dict[str, Any] = {"poolclass": _make_pool(url, pool_timeout_s), "pool_size": pool, "max_overflow": 0}
    sizes |= {"pool_timeout": pool_timeout_s}
    match url.kind:
        case DatabaseKind.SQLITE:
            arguments = {"timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None}
            engine = create_async_engine(f"sqlite+aiosqlite:///{url.file}", connect_args=arguments, **sizes)
            event.listen(engine.sync_engine, "connect", _set_up_sqlite)
            _begin_sqlite(engine, writing)
        case DatabaseKind.POSTGRES:
            engine = create_async_engine(
                "postgresql+psycopg://",
                connect_args=postgres.postgres_arguments(url),
                use_native_hstore=False,
                pool_pre_ping=True,
                pool_recycle=_RECYCLE_S,
                **sizes,
            )
            event.listen(engine.sync_engine, "connect", _set_up_postgres)
        case DatabaseKind.MYSQL:
            if find_spec("aiomysql") is None:
                raise refuse_without_driver(url.kind)
            # The driver is an extra.
            from flowforge.kit.database.mysql_async import connect_async

            engine = create_async_engine(
                "mysql+aiomysql://",
                connect_args=mysql.mysql_arguments(url) | {"db": url.name, "async_creator_fn": connect_async},
                pool_pre_ping=True,
                pool_recycle=_RECYCLE_S,
                **sizes,
            )
            event.listen(engine.sync_engine, "connect", _set_up_mysql)
    event.listen(engine.sync_engine, "handle_error", _make_explainer(url))
    return engine


def _make_pool(url: DatabaseUrl, timeout_s: float) -> type[AsyncAdaptedQueuePool]:
    class Pool(AsyncAdaptedQueuePool):
        """A pool that says in our words that it is empty."""

        # SQLAlchemy logs under the name of the class: outside of its own, what it opens and closes would be in our log.
        __module__ = AsyncAdaptedQueuePool.__module__

        def connect(self) -> PoolProxiedConnection:
            try:
                return super().connect()
            except PoolTimeoutError as error:
                raise refuse_busy(url, timeout_s) from error

    return Pool


async def read_time_ms(session: AsyncSession) -> int | None:
    """The server's time, in milliseconds since 1970; None where the database has no clock of its own (SQLite)."""
    statement = _TIME_MS.get(session.get_bind().dialect.name)
    return None if statement is None else await session.scalar(text(statement))


def _make_explainer(url: DatabaseUrl) -> Any:
    def explain(context: ExceptionContext) -> None:
        # The look at a connection before it is used is the pool's own affair: it takes another.
        if not context.is_pre_ping and classify_fault(context.original_exception) not in _CALLERS:
            raise explain_database_error(context.original_exception, url)

    return explain


def _set_up_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    _say(connection, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")


def _set_up_postgres(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    _say(connection, postgres.SETUP)
    connection.commit()  # what was set in a transaction that is rolled back is not set


def _set_up_mysql(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    _say(connection, *mysql.SETUP)


def _say(connection: DBAPIConnection, *statements: str) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


def _begin_sqlite(engine: AsyncEngine, writing: Writing) -> None:
    """Counts writers from before they begin until their connection is back in the pool: whoever sees none may write without waiting."""

    def begin(connection: Connection) -> None:
        # A deferred transaction that has read first is refused at once when it comes to write beside another writer, timeout or not.
        is_immediate = connection.get_execution_options().get(_IS_WRITER, False)
        if is_immediate and not connection.info.get(_IS_COUNTED):
            connection.info[_IS_COUNTED] = True
            writing.count += 1
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_immediate else "BEGIN")

    def end(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        if record.info.pop(_IS_COUNTED, False):
            writing.count -= 1

    event.listen(engine.sync_engine, "begin", begin)
    event.listen(engine.sync_engine, "checkin", end)
