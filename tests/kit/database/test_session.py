import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from sqlalchemy import LargeBinary, literal, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from tests.kit.database.statements import connect, execute
from tests.support.sessions import KINDS, lend_database

from flowforge.engine.tables import definitions
from flowforge.kit.database import session as session_module
from flowforge.kit.database.errors import (
    DatabaseBusyError,
    DatabaseLockedError,
    DatabaseReadOnlyError,
    DatabaseRefusedError,
    DatabaseUnreachableError,
)
from flowforge.kit.database.session import Database, open_sessions
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl, parse_database_url

Opened = Callable[..., Database]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseUrl]:
    """A database of each kind with our tables."""
    with lend_database(request.param, tmp_path) as lent:
        yield lent


@pytest.fixture(params=["postgres", "mysql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseUrl]:
    with lend_database(request.param, tmp_path) as lent:
        yield lent


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens sessions that are closed at the end."""
    made: list[Database] = []

    def open_one(*arguments: Any, **options: Any) -> Database:
        made.append(open_sessions(*arguments, **options))
        return made[-1]

    yield open_one
    for database in made:
        await database.close()


@pytest.fixture
def database(url: DatabaseUrl, opened: Opened) -> Database:
    return opened(url)


async def count(database: Database) -> int:
    async with database.read() as session:
        return len((await session.execute(select(definitions.c.digest))).all())


async def test_sessions_commit_and_read_back(database: Database):
    async with database.write() as session:
        await session.execute(definitions.insert().values(digest="d", document="{}"))
        await session.commit()
    async with database.read() as session:
        assert (await session.execute(select(definitions.c.document))).scalars().all() == ["{}"]


async def test_sessions_are_set_up(url: DatabaseUrl, database: Database):
    if url.kind is not DatabaseKind.SQLITE:
        settings = {"postgres": "SHOW transaction_isolation", "mysql": "SELECT REPLACE(@@tx_isolation, '-', ' ')"}[url.kind]
        async with database.read() as session:
            assert str(await session.scalar(text(settings))).lower() == "read committed"
        return
    async with database.read() as session:
        assert (await session.execute(text("PRAGMA synchronous"))).scalar() == 2
        assert (await session.execute(text("PRAGMA foreign_keys"))).scalar() == 1


async def test_session_that_ends_without_commit_leaves_nothing(database: Database):
    async with database.write() as session:
        await session.execute(definitions.insert().values(digest="d", document="{}"))
    assert await count(database) == 0


async def test_f25_writers_that_read_first_wait_for_each_other(url: DatabaseUrl, database: Database):
    async def read_then_write(number: int) -> None:
        async with database.write() as session:
            if url.is_server:  # rows are locked there, not the database
                await session.execute(text("SELECT oldest FROM schema_compatibility FOR UPDATE"))
            found = len((await session.execute(select(definitions.c.digest))).all())
            await session.execute(definitions.insert().values(digest=f"{found}", document=f"{number}"))
            await session.commit()

    await asyncio.gather(*(read_then_write(number) for number in range(20)))
    async with database.read() as session:
        digests = (await session.execute(select(definitions.c.digest))).scalars().all()
    assert sorted(map(int, digests)) == list(range(20))


async def test_row_that_is_not_taken_is_for_the_caller_and_leaves_the_session_well(database: Database):
    async with database.write() as session:
        await session.execute(definitions.insert().values(digest="d", document="{}"))
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await session.execute(definitions.insert().values(digest="d", document="{}"))
        await session.commit()
        with pytest.raises((ProgrammingError, OperationalError), match="missing"):
            await session.execute(text("SELECT * FROM missing"))
    assert await count(database) == 1


async def test_f27_pool_that_is_used_up_fails_fast_and_in_words(url: DatabaseUrl, opened: Opened):
    database = opened(url, pool=2, pool_timeout_s=0.2)
    async with database.read() as first, database.read() as second:
        await first.execute(text("SELECT 1"))
        await second.execute(text("SELECT 1"))
        with pytest.raises(
            DatabaseBusyError, match=r"All connections of this process .* were in use for 0\.2 s; .*raise DATABASE_POOL"
        ):
            await count(database)
    assert await count(database) == 0


def end_connections(server: DatabaseUrl) -> None:
    """All but this one, as a server that is restarted does."""
    if server.kind is DatabaseKind.POSTGRES:
        execute(
            server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()",
        )
        return
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db=DATABASE() AND id<>CONNECTION_ID()")
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")


async def test_server_that_was_restarted_costs_the_next_user_no_error(server: DatabaseUrl, opened: Opened):
    database = opened(server)
    await asyncio.gather(*(count(database) for _ in range(5)))
    await asyncio.to_thread(end_connections, server)
    assert await asyncio.gather(*(count(database) for _ in range(5))) == [0] * 5


async def test_connection_lost_in_a_transaction_is_told_in_words(server: DatabaseUrl, opened: Opened):
    database = opened(server)

    async def write_while_it_is_restarted() -> None:
        async with database.write.begin() as session:
            await session.execute(definitions.insert().values(digest="d", document="{}"))
            await asyncio.to_thread(end_connections, server)
            await session.execute(select(definitions.c.digest))

    with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
        await write_while_it_is_restarted()
    assert await count(database) == 0


async def test_f28_write_on_a_read_only_server_is_told_in_words(server: DatabaseUrl, opened: Opened):
    database = opened(server)
    async with database.write() as session:
        await make_read_only(session, server)
        with pytest.raises(DatabaseReadOnlyError, match="can only be read"):
            await session.execute(definitions.insert().values(digest="d", document="{}"))
    assert await count(database) == 0


async def make_read_only(session: Any, server: DatabaseUrl) -> None:
    is_postgres = server.kind is DatabaseKind.POSTGRES
    await session.execute(text("SET TRANSACTION READ ONLY" if is_postgres else "START TRANSACTION READ ONLY"))


async def test_lock_that_nobody_gives_back_is_told_in_words(server: DatabaseUrl, opened: Opened):
    database = opened(server)
    async with database.write() as holder, database.write() as waiter:
        await holder.execute(text("SELECT oldest FROM schema_compatibility FOR UPDATE"))
        short = (
            "SET LOCAL lock_timeout TO 50" if server.kind is DatabaseKind.POSTGRES else "SET SESSION innodb_lock_wait_timeout=1"
        )
        await waiter.execute(text(short))
        with pytest.raises(DatabaseLockedError, match="was in the way"):
            await waiter.execute(text("SELECT oldest FROM schema_compatibility FOR UPDATE"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_server_that_does_not_answer_is_told_in_words(scheme: str, opened: Opened):
    database = opened(parse_database_url(f"{scheme}://ann:s3cret@127.0.0.1:1/flowforge"))
    with pytest.raises(DatabaseUnreachableError, match=r"answers at 127\.0\.0\.1:1") as caught:
        await count(database)
    assert "s3cret" not in caught.value.message


async def test_missing_database_is_told_in_words(server: DatabaseUrl, opened: Opened):
    with pytest.raises(DatabaseRefusedError, match="There is no database"):
        await count(opened(parse_database_url(server.shown + "_gone")))


async def test_replica_serves_what_may_lag_and_is_the_database_itself_where_there_is_none(url: DatabaseUrl, opened: Opened):
    alone, apart = opened(url), opened(url, read_url=url)
    execute(url, "INSERT INTO definitions(digest, document) VALUES ('d', '{}')")
    async with alone.report() as session:
        assert session.bind is alone.engine
    async with apart.report() as session:
        assert session.bind is not apart.engine
        assert (await session.execute(select(definitions.c.digest))).scalars().all() == ["d"]


async def test_replica_that_is_away_costs_no_list(server: DatabaseUrl, opened: Opened, monkeypatch: pytest.MonkeyPatch):
    scheme = "postgresql" if server.kind is DatabaseKind.POSTGRES else "mysql"
    database = opened(server, read_url=parse_database_url(f"{scheme}://ann:s3cret@127.0.0.1:1/flowforge"))
    log = MagicMock()
    monkeypatch.setattr(session_module, "logger", log)
    for _ in range(2):
        async with database.report() as session:
            assert session.bind is database.engine
            assert await session.scalar(select(literal(1))) == 1
    assert log.warning.call_count == 1, "it was asked again at once"


async def test_bytes_come_back_as_they_were(server: DatabaseUrl, opened: Opened):
    database = opened(server)
    content = bytes(range(256)) * 3 + b"'\\\"%s \x00"
    async with database.read() as session:
        shown = await session.scalar(select(literal(content, LargeBinary)))
    assert shown == content


async def test_cancelled_statement_does_not_spoil_the_pool(server: DatabaseUrl, opened: Opened):
    database = opened(server, pool=1)
    pause = "SELECT pg_sleep(30)" if server.kind is DatabaseKind.POSTGRES else "SELECT SLEEP(30)"

    async def wait() -> None:
        async with database.read() as session:
            await session.execute(text(pause))

    await give_up(wait())
    async with database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def give_up(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
