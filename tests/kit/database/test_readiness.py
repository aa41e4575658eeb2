"""Servers that are set up badly, come late, or go away: each test has one of its own."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.kit.database.statements import connect, execute
from tests.support.own_servers import OwnMariadb, OwnPostgres, wait_until

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import (
    DatabaseOlderError,
    DatabaseRefusedError,
    DatabaseUnreachableError,
    DatabaseUnsafeError,
)
from flowforge.kit.database.readiness import require_ready
from flowforge.kit.database.reading import reading
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import open_sessions
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.errors import StorageError


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[OwnPostgres]:
    server = OwnPostgres.make()
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_mariadb() -> Iterator[OwnMariadb]:
    server = OwnMariadb.make()
    yield server
    server.close()


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[tuple[Any, DatabaseUrl]]:
    """The server and a database with our tables on it."""
    server: OwnPostgres | OwnMariadb = request.getfixturevalue(request.param)
    server.execute("CREATE DATABASE flowforge")
    url = parse_database_url(server.url("flowforge"))
    upgrade_database(url)
    yield server, url
    server.execute("DROP DATABASE flowforge WITH (FORCE)" if request.param == "own_postgres" else "DROP DATABASE flowforge")


on_own_servers = pytest.mark.parametrize("own", ["own_postgres", "own_mariadb"], indirect=True)
on_own_postgres = pytest.mark.parametrize("own", ["own_postgres"], indirect=True)
on_own_mariadb = pytest.mark.parametrize("own", ["own_mariadb"], indirect=True)


@on_own_servers
def test_server_as_it_comes_is_ready_and_tells_its_time(own: tuple[Any, DatabaseUrl]):
    clock = require_ready(own[1])
    with reading(own[1]) as reader:
        estimate = clock.now_ms()
        assert 0 <= reader.read_time_ms() + 1 - estimate < 10_000


@on_own_servers
def test_f30_server_without_our_tables_is_refused(own: tuple[Any, DatabaseUrl]):
    own[0].execute("CREATE DATABASE bare")
    with pytest.raises(DatabaseOlderError, match="run `flowforge db upgrade`"):
        require_ready(parse_database_url(own[0].url("bare")))
    own[0].execute("DROP DATABASE bare")


@on_own_postgres
@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("synchronous_commit", "set to synchronous_commit=off, with which a power cut loses runs: set it to on"),
        ("fsync", "fsync=off"),
    ],
)
def test_f31_postgres_that_may_lose_commits_is_refused(own: tuple[OwnPostgres, DatabaseUrl], setting: str, found: str):
    server, url = own
    server.execute(f"ALTER SYSTEM SET {setting}=off")
    server.restart()
    with pytest.raises(DatabaseUnsafeError, match=found):
        require_ready(url)
    server.execute(f"ALTER SYSTEM RESET {setting}")
    server.restart()
    require_ready(url)


@on_own_postgres
def test_f31_postgres_that_confirms_later_for_this_database_alone_is_refused(own: tuple[OwnPostgres, DatabaseUrl]):
    execute(own[1], "ALTER DATABASE flowforge SET synchronous_commit=off")
    with pytest.raises(DatabaseUnsafeError, match="synchronous_commit=off"):
        require_ready(own[1])


@on_own_mariadb
def test_f31_mysql_that_may_lose_commits_is_refused(own: tuple[OwnMariadb, DatabaseUrl]):
    server, url = own
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit=2")
    with pytest.raises(
        DatabaseUnsafeError, match="innodb_flush_log_at_trx_commit=2, with which a power cut loses runs: SET GLOBAL"
    ):
        require_ready(url)
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit=1")
    require_ready(url)


@on_own_postgres
def test_database_that_does_not_keep_utf8_is_refused(own: tuple[OwnPostgres, DatabaseUrl]):
    own[0].execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StorageError, match=r"keeps texts as LATIN1: make one with CREATE DATABASE … ENCODING 'UTF8'"):
        require_ready(parse_database_url(own[0].url("latin")))


def test_f17_server_that_answers_late_is_unreachable_until_it_is_ready(own_postgres: OwnPostgres):
    own_postgres.execute("CREATE DATABASE late")
    url = parse_database_url(own_postgres.url("late"))
    upgrade_database(url)
    own_postgres.end()
    with pytest.raises(DatabaseUnreachableError):
        require_ready(url)
    own_postgres.launch()

    def is_ready() -> bool:
        try:
            return require_ready(url).is_set
        except DatabaseUnreachableError:  # and nothing else, while it starts and recovers
            if own_postgres.process is None or own_postgres.process.poll() is not None:
                own_postgres.launch()
            return False

    wait_until(is_ready, "the server answers, and is not found ready")


def test_f17_what_waiting_does_not_mend_is_told_apart(own_mariadb: OwnMariadb):
    with pytest.raises(DatabaseRefusedError, match="There is no database 'nowhere'"):
        require_ready(parse_database_url(own_mariadb.url("nowhere")))


@on_own_servers
async def test_sessions_go_on_after_the_server_was_killed_and_started_again(own: tuple[Any, DatabaseUrl]):
    server, url = own
    database = open_sessions(url)
    async with database.read() as session:
        await session.connection()
    server.end()
    with pytest.raises(DatabaseUnreachableError):
        async with database.read() as session:
            await session.connection()
    server.start()
    async with database.read() as session:
        await session.connection()
    await database.close()


@on_own_mariadb
def test_wrong_password_is_refused_without_showing_it(own: tuple[OwnMariadb, DatabaseUrl]):
    own[0].execute("CREATE USER ann IDENTIFIED BY 'right'", "GRANT ALL ON flowforge.* TO ann")
    place = f"127.0.0.1:{own[0].port}/flowforge"
    connect(parse_database_url(f"mysql://ann:right@{place}")).close()
    with pytest.raises(DatabaseRefusedError, match=r"refuses the user 'ann' .* check the user, the password") as caught:
        connect(parse_database_url(f"mysql://ann:wr0ng@{place}"))
    assert "wr0ng" not in caught.value.message


@on_own_postgres
def test_unix_socket_is_connected_to(own: tuple[OwnPostgres, DatabaseUrl]):
    url = parse_database_url(f"postgresql://postgres@:{own[0].port}/flowforge?host={own[0].folder}")
    assert require_ready(url).is_set


@on_own_mariadb
def test_unix_socket_of_mysql_is_connected_to(own: tuple[OwnMariadb, DatabaseUrl]):
    url = parse_database_url(f"mysql://root@/flowforge?unix_socket={own[0].folder}/socket")
    assert require_ready(url).is_set


def test_sqlite_has_no_clock_of_its_own(tmp_path: Any):
    with closing(connect_sqlite(tmp_path / "a.db")), reading(name_sqlite(tmp_path / "a.db")) as reader:
        ask: Callable[[], int] = reader.read_time_ms
        with pytest.raises(ValueError, match="no clock"):
            ask()
