import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from flowforge.kit.database.connect import connect_sqlite, verify_durability
from flowforge.kit.database.errors import DatabaseCorruptError, DatabaseLockedError, DatabaseReadOnlyError, explained
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.errors import InvariantError, StorageError, StorageFullError


def read_pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_connection_is_durable_and_checks_foreign_keys(path: Path):
    with closing(connect_sqlite(path)) as connection:
        assert read_pragma(connection, "journal_mode") == "wal"
        assert read_pragma(connection, "synchronous") == 2
        assert read_pragma(connection, "foreign_keys") == 1
        assert connection.isolation_level is None


def test_f31_connection_without_full_sync_is_refused(path: Path):
    with closing(connect_sqlite(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        with pytest.raises(StorageError, match="synchronous=0, with which a power cut loses runs"):
            verify_durability(connection, path)


def test_many_processes_may_create_the_file_at_once(path: Path):
    with ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(connect_sqlite, [path] * 16))
    for connection in connections:
        assert read_pragma(connection, "journal_mode") == "wal"
        connection.close()


def test_folder_that_is_not_there_gives_one_sentence(tmp_path: Path):
    with pytest.raises(StorageError, match=r"cannot be opened; check that its folder exists"):
        connect_sqlite(tmp_path / "nowhere" / "flowforge.db")


def test_file_that_is_no_database_gives_one_sentence(path: Path):
    path.write_bytes(b"this is a letter to my aunt, not a database" * 40)
    with pytest.raises(DatabaseCorruptError, match=r"is damaged \(file is not a database\); restore it from a backup"):
        connect_sqlite(path)


def test_damaged_database_gives_one_sentence(path: Path):
    with closing(connect_sqlite(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(200)])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with (
        closing(connect_sqlite(path)) as connection,
        pytest.raises(DatabaseCorruptError, match="database disk image is malformed"),
        explained(name_sqlite(path)),
    ):
        connection.execute("SELECT count(*) FROM t WHERE x > 'a'").fetchall()


def test_full_disk_is_told_apart(path: Path):
    with closing(connect_sqlite(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.execute("PRAGMA max_page_count=3")
        with pytest.raises(StorageFullError, match="There is no room left on the disk") as caught, explained(name_sqlite(path)):
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        assert caught.value.details[0].code == "storage_full"


def test_read_only_database_is_told_apart(path: Path):
    with closing(connect_sqlite(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.execute("PRAGMA query_only=ON")
        with (
            pytest.raises(DatabaseReadOnlyError, match="cannot be written to; give its user the right"),
            explained(name_sqlite(path)),
        ):
            connection.execute("INSERT INTO t VALUES (1)")


def test_locked_database_is_told_apart(locked: Path):
    with (
        closing(connect_sqlite(locked, busy_timeout_ms=0)) as connection,
        pytest.raises(DatabaseLockedError, match="is locked by another process"),
        explained(name_sqlite(locked)),
    ):
        connection.execute("BEGIN IMMEDIATE")


def test_our_own_bad_statement_is_our_fault(path: Path):
    with (
        closing(connect_sqlite(path)) as connection,
        pytest.raises(InvariantError, match="refused a statement: no such table"),
        explained(name_sqlite(path)),
    ):
        connection.execute("SELECT * FROM missing")
