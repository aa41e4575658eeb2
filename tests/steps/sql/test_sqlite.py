"""What a SQLite file may be, and what its statements may not do."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.steps.sql.conftest import Desk, only
from tests.support.databases import Database

from flowforge.operations import AttemptError, FatalError, RetryableError

pytestmark = only("sqlite")


def point(desk: Desk, url: str) -> Desk:
    return Desk(Database("sqlite", url, "x"), desk.attempts, desk.folder)


async def refuse(desk: Desk, url: str) -> str:
    with pytest.raises(AttemptError) as caught:
        await point(desk, url).query("SELECT 1")
    return caught.value.code


async def test_a08_the_file_stays_below_its_root(desk: Desk):
    work = desk.folder / "work"
    with closing(sqlite3.connect(desk.folder / "outside.db")) as connection:
        connection.execute("CREATE TABLE secret (a)")
    (work / "link.db").symlink_to(desk.folder / "outside.db")
    (work / "folder").symlink_to(desk.folder)
    (work / "inner").mkdir()
    os.mkfifo(work / "pipe.db")
    assert await refuse(desk, "sqlite://data/../outside.db") == "path_denied"
    assert await refuse(desk, "sqlite://data/%2e%2e/outside.db") == "path_denied"
    assert await refuse(desk, "sqlite://data//outside.db") == "path_denied"
    assert await refuse(desk, "sqlite://data/link.db") == "path_denied"
    assert await refuse(desk, "sqlite://data/link.db?mode=create") == "path_denied"
    assert await refuse(desk, "sqlite://data/folder/outside.db") == "path_denied"
    assert await refuse(desk, "sqlite://data/inner") == "file_kind"
    assert await refuse(desk, "sqlite://data/pipe.db") == "file_kind"
    assert await refuse(desk, "sqlite://data/missing.db") == "file_missing"
    assert await refuse(desk, "sqlite://nowhere/x.db") == "root_unknown"
    assert not (work / "missing.db").exists()


async def test_a08_a_journal_that_is_a_link_is_not_followed(desk: Desk):
    await desk.execute("CREATE TABLE t (a)")
    target = desk.folder / "target"
    (desk.folder / "work" / "test.db-journal").symlink_to(target)
    with pytest.raises(AttemptError):
        await desk.execute("INSERT INTO t VALUES (1)")
    assert not target.exists()


async def test_folders_on_the_way_are_made_with_the_file(desk: Desk):
    made = point(desk, "sqlite://data/new/folder/b%20c%3F.db?mode=create")
    await made.execute("CREATE TABLE t (a)")
    assert (desk.folder / "work" / "new" / "folder" / "b c?.db").stat().st_size > 0
    assert await point(desk, "sqlite://data/new/folder/b%20c%3F.db").value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE 'other.db' AS other",
        "ATTACH DATABASE ':memory:' AS other",
        "VACUUM INTO 'copy.db'",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode_x",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA query_only = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA mmap_size = 1",
        "PRAGMA foreign_keys = OFF",
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION('x', 'y')",
    ],
)
async def test_a_statement_reaches_nothing_but_its_file(desk: Desk, statement: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(desk.folder)
    await desk.execute("CREATE TABLE t (a)")
    with pytest.raises(FatalError) as caught:
        await desk.execute(statement, transaction=False)
    assert caught.value.code in {"sql_denied", "sql_syntax"}
    assert sorted(path.name for path in desk.folder.iterdir() if path.is_file()) == []


async def test_maintenance_works(desk: Desk):
    await desk.execute("CREATE TABLE t (a)")
    await desk.execute("VACUUM", transaction=False)
    await desk.execute("PRAGMA journal_mode = WAL", transaction=False)
    await desk.execute("INSERT INTO t VALUES (1)")
    assert await desk.value("PRAGMA journal_mode") == "wal"
    assert await desk.value("PRAGMA integrity_check") == "ok"
    assert await desk.rows("SELECT name FROM pragma_table_info('t')") == [{"name": "a"}]
    await desk.execute("CREATE VIRTUAL TABLE words USING fts5(body)")
    await desk.execute("INSERT INTO words VALUES ('durable workflows')")
    assert await desk.rows("SELECT body FROM words WHERE words MATCH ?", ["durable"]) == [{"body": "durable workflows"}]


async def test_foreign_keys_hold(desk: Desk):
    await desk.batch({"statement": "CREATE TABLE a (id INTEGER PRIMARY KEY)"}, {"statement": "CREATE TABLE b (a REFERENCES a)"})
    with pytest.raises(FatalError) as caught:
        await desk.execute("INSERT INTO b VALUES (1)")
    assert caught.value.code == "sql_constraint"


async def test_a_file_that_is_no_database(desk: Desk):
    (desk.folder / "work" / "text.db").write_text("x" * 5_000)
    assert await refuse(desk, "sqlite://data/text.db") == "sql_failed"


async def test_another_writer_is_waited_for(desk: Desk):
    await desk.execute("CREATE TABLE t (a)")
    with closing(sqlite3.connect(desk.folder / "work" / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError) as caught:
            await desk.execute("INSERT INTO t VALUES (1)", statement_timeout="200ms")
        assert caught.value.code == "sql_conflict"
        waiting = asyncio.ensure_future(desk.execute("INSERT INTO t VALUES (1)"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        other.execute("COMMIT")
        assert (await waiting)["rows_affected"] == 1


async def test_parallel_writers_all_get_through(desk: Desk):
    await desk.execute("CREATE TABLE t (a)")
    await asyncio.gather(*(desk.execute("INSERT INTO t VALUES (?)", [number]) for number in range(20)))
    assert await desk.value("SELECT count(*) FROM t") == 20


async def test_a_huge_value_is_refused(desk: Desk):
    with pytest.raises(FatalError) as caught:
        await desk.query("SELECT zeroblob(1000000000)")
    assert caught.value.code == "sql_value"


async def test_a_trigger_with_a_body(desk: Desk):
    await desk.batch(
        {"statement": "CREATE TABLE t (a)"},
        {"statement": "CREATE TABLE log (a)"},
        {
            "statement": "CREATE TRIGGER keep AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); INSERT INTO log VALUES (2); END;"
        },
    )
    await desk.execute("INSERT INTO t VALUES (1)")
    assert await desk.rows("SELECT a FROM log") == [{"a": 1}, {"a": 2}]


def test_the_root_has_no_leftovers(tmp_path: Path, desk: Desk):
    assert [path.name for path in (desk.folder / "work").iterdir()] == []
