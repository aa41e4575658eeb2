"""What servers really answer, told apart and put into words."""

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pymysql
import pytest
from tests.kit.database.statements import connect, execute, fetch

from flowforge.kit.database.errors import (
    DatabaseBusyError,
    DatabaseLockedError,
    DatabaseReadOnlyError,
    DatabaseRefusedError,
    DatabaseUnreachableError,
    explained,
)
from flowforge.kit.database.faults import FaultKind, classify_fault, is_content_fault
from flowforge.kit.database.mysql import connect_mysql
from flowforge.kit.database.postgres import connect_postgres
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl, parse_database_url
from flowforge.kit.errors import InvariantError, StorageError, StorageFullError

TABLE = ("CREATE TABLE t(a INT PRIMARY KEY, b VARCHAR(4) NOT NULL)", "INSERT INTO t VALUES (1, 'x'), (2, 'y')")


def say(connection: Any, statement: str) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)


def test_f28_deadlock_may_be_tried_again(server: DatabaseUrl):
    execute(server, *TABLE)
    first, second = connect(server), connect(server)
    outcomes: list[BaseException | None] = []

    def take(connection: Any, row: int) -> None:
        try:
            with explained(server):
                say(connection, f"UPDATE t SET b='z' WHERE a={row}")
            outcomes.append(None)
        except DatabaseLockedError as error:
            outcomes.append(error)
        say(connection, "ROLLBACK")

    for connection, row in ((first, 1), (second, 2)):
        say(connection, "BEGIN")
        say(connection, f"UPDATE t SET b='z' WHERE a={row}")
    threads = [threading.Thread(target=take, args=pair) for pair in ((first, 2), (second, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first.close()
    second.close()
    assert sorted(outcome is None for outcome in outcomes) == [False, True]


def test_f28_wait_for_a_lock_ends_and_may_be_tried_again(server: DatabaseUrl):
    execute(server, *TABLE)
    with closing(connect(server)) as holder, closing(connect(server)) as waiter:
        say(holder, "BEGIN")
        say(holder, "UPDATE t SET b='z' WHERE a=1")
        short = "SET lock_timeout TO 50" if server.kind is DatabaseKind.POSTGRES else "SET SESSION innodb_lock_wait_timeout=1"
        say(waiter, short)
        with (
            pytest.raises(DatabaseLockedError, match=r"Another transaction on the database .* was in the way"),
            explained(server),
        ):
            say(waiter, "UPDATE t SET b='z' WHERE a=1")
        say(holder, "ROLLBACK")


def test_f28_serialization_failure_may_be_tried_again(postgres: DatabaseUrl):
    execute(postgres, *TABLE)
    with closing(connect(postgres)) as first, closing(connect(postgres)) as second:
        say(first, "BEGIN ISOLATION LEVEL SERIALIZABLE")
        say(first, "SELECT * FROM t")
        say(second, "UPDATE t SET b='z'")
        with pytest.raises(DatabaseLockedError), explained(postgres):
            say(first, "UPDATE t SET b='q'")


def test_connection_that_an_administrator_ends_is_lost(server: DatabaseUrl):
    with closing(connect(server)) as connection:
        with closing(connection.cursor()) as cursor:
            is_postgres = server.kind is DatabaseKind.POSTGRES
            cursor.execute("SELECT pg_backend_pid()" if is_postgres else "SELECT CONNECTION_ID()")
            number = cursor.fetchone()[0]
        execute(server, f"SELECT pg_terminate_backend({number})" if is_postgres else f"KILL {number}")
        for _ in range(2):  # what the server said, then what the driver says of a closed connection
            with pytest.raises(DatabaseUnreachableError, match="cannot be reached"), explained(server):
                say(connection, "SELECT 1")


def test_f28_read_only_server_is_told_apart(server: DatabaseUrl):
    execute(server, *TABLE)
    with closing(connect(server)) as connection:
        say(connection, "START TRANSACTION READ ONLY")
        with pytest.raises(DatabaseReadOnlyError, match="can only be read, as a replica can"), explained(server):
            say(connection, "UPDATE t SET b='z'")


def test_full_disk_of_mysql_is_told_apart(mysql: DatabaseUrl):
    with closing(connect(mysql)) as connection:
        say(connection, "SET SESSION max_heap_table_size=16384")
        say(connection, "CREATE TEMPORARY TABLE small(a CHAR(255)) ENGINE=MEMORY")
        with pytest.raises(StorageFullError, match="There is no room left on the disk"), explained(mysql):
            say(connection, "INSERT INTO small SELECT REPEAT('x', 255) FROM information_schema.collations")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", StorageFullError),
        ("57P03", DatabaseUnreachableError),
        ("53300", DatabaseBusyError),
        ("53400", DatabaseBusyError),
        ("26000", DatabaseUnreachableError),
        ("40000", DatabaseLockedError),
        ("58000", StorageError),
        ("XX000", InvariantError),
    ],
)
def test_what_postgres_says_is_told_apart_by_its_state(postgres: DatabaseUrl, state: str, kind: type[Exception]):
    with closing(connect(postgres)) as connection, pytest.raises(kind), explained(postgres):
        say(connection, f"DO $$ BEGIN RAISE EXCEPTION 'said so' USING ERRCODE='{state}'; END $$")


def test_server_without_free_connections_is_told_apart(server: DatabaseUrl):
    user = f"few_{server.name[-16:]}"
    few = parse_database_url(f"{server.shown.partition('://')[0]}://{user}:s3cret-of-few@{server.place}/{server.name}")
    if server.kind is DatabaseKind.POSTGRES:
        execute(server, f"CREATE ROLE {user} LOGIN PASSWORD 's3cret-of-few' CONNECTION LIMIT 1")
    else:
        execute(server, f"CREATE USER {user} IDENTIFIED BY 's3cret-of-few' WITH MAX_USER_CONNECTIONS 1")
        execute(server, f"GRANT ALL ON {server.name}.* TO {user}")
    try:
        with closing(connect(few)), pytest.raises(DatabaseBusyError, match=r"has no connection left .* lower DATABASE_POOL"):
            connect(few)
    finally:
        execute(server, f"DROP {'ROLE' if server.kind is DatabaseKind.POSTGRES else 'USER'} {user}")


def test_user_whom_the_server_does_not_know_is_refused(server: DatabaseUrl):
    stranger = parse_database_url(f"{server.shown.partition('://')[0]}://nobody_of_ours:s3cret@{server.place}/{server.name}")
    with pytest.raises(DatabaseRefusedError, match=r"refuses the user 'nobody_of_ours' .*check the user, the password") as caught:
        connect(stranger)
    assert "s3cret" not in caught.value.message


def test_missing_database_is_told_apart(server: DatabaseUrl):
    missing = parse_database_url(server.shown + "_gone")
    with pytest.raises(DatabaseRefusedError, match=rf"There is no database '{missing.name}' at .*; make it \(CREATE DATABASE\)"):
        connect(missing)


@pytest.mark.parametrize(("opened", "text"), [(connect_postgres, "postgresql"), (connect_mysql, "mysql")])
def test_host_that_is_not_known_is_unreachable(opened: Callable[[DatabaseUrl], object], text: str):
    with pytest.raises(DatabaseUnreachableError, match=r"check that it runs and answers at nowhere\.invalid"):
        opened(parse_database_url(f"{text}://ann@nowhere.invalid/flowforge"))


@pytest.mark.parametrize(
    "statement", ["INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (3, NULL)", "INSERT INTO t VALUES (3, 'longer')"]
)
def test_row_that_is_not_taken_is_told_apart_and_leaves_the_connection_well(server: DatabaseUrl, statement: str):
    execute(server, *TABLE)
    with closing(connect(server)) as connection:
        with pytest.raises((psycopg.Error, pymysql.err.Error)) as caught:
            say(connection, statement)
        assert is_content_fault(caught.value)
        say(connection, "SELECT 1")


def test_text_with_a_nul_is_content(postgres: DatabaseUrl):
    execute(postgres, *TABLE)
    with connect_postgres(postgres) as connection, pytest.raises(psycopg.DataError) as caught:
        connection.execute("INSERT INTO t VALUES (3, %s)", ("\0",))
    assert is_content_fault(caught.value)


def test_our_own_bad_statement_is_our_fault(server: DatabaseUrl):
    with pytest.raises(InvariantError, match=r"refused a statement: .*missing"):
        fetch(server, "SELECT * FROM missing")


def test_other_errors_are_no_databases():
    assert classify_fault(ValueError("x")) is None
    assert not is_content_fault(KeyError("x"))
    assert classify_fault(psycopg.errors.lookup("40P01")()) is FaultKind.CONTENDED


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (pymysql.err.OperationalError(1047, "WSREP has not yet prepared node for application use"), FaultKind.UNREACHABLE),
        (pymysql.err.OperationalError(3101, "Plugin instructed the server to rollback"), FaultKind.CONTENDED),
        (pymysql.err.InternalError("Packet sequence number wrong - got 1 expected 2"), FaultKind.UNREACHABLE),
        (psycopg.InterfaceError("the connection is lost"), FaultKind.UNREACHABLE),
    ],
)
def test_trouble_of_a_connection_or_a_member_is_no_fault_of_ours(fault: Exception, kind: FaultKind):
    assert classify_fault(fault) is kind
