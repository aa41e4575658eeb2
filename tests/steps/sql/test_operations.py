"""The three operations on every database."""

import asyncio
import time

import pytest
from tests.steps.sql.conftest import Desk

from flowforge.kit.objects import ObjectStore, parse_file
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, RetryableError

SLEEP = {"postgres": "SELECT pg_sleep(20)", "mysql": "SELECT SLEEP(20)"}
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS c FROM n"


async def make_items(desk: Desk) -> None:
    suffix = " ENGINE=InnoDB" if desk.database.kind == "mysql" else ""
    await desk.execute(f"CREATE TABLE items (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(100), stock INTEGER){suffix}")
    rows: list[JsonValue] = [[1, "bolt", 10], [2, "nut", 20], [3, "gear", 30]]
    made = await desk.batch({"statement": "INSERT INTO items VALUES (?, ?, ?)", "rows": rows})
    assert made == {"rows_affected": [3], "total": 3, "is_repeated": False}


async def count(desk: Desk) -> JsonValue:
    return await desk.value("SELECT count(*) FROM items")


async def test_rows_come_by_column_name(desk: Desk):
    await make_items(desk)
    found = await desk.query(
        "SELECT id, name, name FROM items WHERE id > :least AND id < :most ORDER BY id", {"least": 1, "most": 3, "x": 1}
    )
    assert found["rows"] == [{"id": 2, "name": "nut", "name_2": "nut"}]
    assert found["row_count"] == 1
    assert (await desk.query("SELECT id FROM items WHERE id = ? OR id = ?", [9, 8]))["rows"] == []


async def test_a_name_may_be_used_twice(desk: Desk):
    await make_items(desk)
    assert await desk.rows("SELECT id FROM items WHERE id = :a OR stock = :a * 10", {"a": 2}) == [{"id": 2}]


async def test_an_update_counts_the_rows_it_found(desk: Desk):
    await make_items(desk)
    changed = await desk.execute("UPDATE items SET stock = 10 WHERE id <= ?", [2])
    assert changed == {"rows_affected": 2, "rows": [], "last_id": None, "is_repeated": False}
    assert (await desk.execute("DELETE FROM items WHERE id = 99"))["rows_affected"] == 0


async def test_returning_gives_rows(desk: Desk):
    await make_items(desk)
    made = await desk.execute("INSERT INTO items VALUES (:id, :name, 5) RETURNING id, name", {"id": 7, "name": "cog"})
    assert made["rows"] == [{"id": 7, "name": "cog"}]
    assert made["rows_affected"] == 1


async def test_the_number_of_a_new_row(desk: Desk):
    kinds = {"sqlite": "INTEGER PRIMARY KEY", "mysql": "INTEGER PRIMARY KEY AUTO_INCREMENT", "postgres": "SERIAL PRIMARY KEY"}
    await desk.execute(f"CREATE TABLE numbered (id {kinds[desk.database.kind]}, name VARCHAR(9))")
    await desk.execute("INSERT INTO numbered (name) VALUES ('a')")
    made = await desk.execute("INSERT INTO numbered (name) VALUES ('b')")
    assert made["last_id"] == (None if desk.database.kind == "postgres" else 2)


async def test_with_another_number_of_rows_nothing_is_kept(desk: Desk):
    await make_items(desk)
    with pytest.raises(FatalError) as caught:
        await desk.execute("UPDATE items SET stock = 0", expect_rows=1)
    assert caught.value.code == "unexpected_rows"
    assert caught.value.details == {"rows_affected": 3, "expect_rows": 1}
    assert str(await desk.value("SELECT sum(stock) FROM items")) == "60"
    assert (await desk.execute("UPDATE items SET stock = 0 WHERE id = 1", expect_rows=1))["rows_affected"] == 1


async def test_a_batch_counts_whole_or_not_at_all(desk: Desk):
    await make_items(desk)
    with pytest.raises(FatalError) as caught:
        await desk.batch(
            {"statement": "DELETE FROM items WHERE id = ?", "parameters": [1]},
            {"statement": "INSERT INTO items VALUES (:id, 'x', 0)", "rows": [{"id": 8}, {"id": 2}]},
        )
    assert caught.value.code == "sql_constraint"
    assert caught.value.message.startswith("Statement 2: ")
    assert await count(desk) == 3
    done = await desk.batch(
        {"statement": "DELETE FROM items WHERE id = ?", "parameters": [1]},
        {"statement": "INSERT INTO items VALUES (:id, 'x', 0)", "rows": [{"id": 8}, {"id": 9}]},
        {"statement": "INSERT INTO items VALUES (:id, 'x', 0)", "rows": []},
    )
    assert done == {"rows_affected": [1, 2, 0], "total": 3, "is_repeated": False}
    assert await count(desk) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO items VALUES (?, ?, ?)",
        "insert into items (id, name, stock) values(? ,?, ? ) ;",
        "INSERT INTO items VALUES (?, ?, ? + 0)",
        "INSERT INTO items (id, name, stock) SELECT ?, ?, ?",
    ],
)
async def test_many_rows_go_in_at_once(desk: Desk, statement: str):
    if desk.database.kind == "postgres":
        statement = statement.replace("? + 0", "?::int + 0").replace("SELECT ?, ?, ?", "SELECT ?::int, ?, ?::int")
    await make_items(desk)
    rows: list[JsonValue] = [[number, f"it's \\ ({number})?", None if number % 2 else number] for number in range(100, 700)]
    assert (await desk.batch({"statement": statement, "rows": rows}))["total"] == 600
    assert await desk.rows("SELECT * FROM items WHERE id IN (101, 102) ORDER BY id") == [
        {"id": 101, "name": "it's \\ (101)?", "stock": None},
        {"id": 102, "name": "it's \\ (102)?", "stock": 102},
    ]


async def test_more_rows_than_the_limit_fail(desk: Desk):
    await make_items(desk)
    with pytest.raises(FatalError) as caught:
        await desk.query("SELECT * FROM items", limit=2)
    assert caught.value.code == "too_many_rows"
    assert "`to`" in caught.value.message
    assert len(await desk.rows("SELECT * FROM items", limit=3)) == 3


async def test_reading_does_not_write(desk: Desk):
    await make_items(desk)
    with pytest.raises(FatalError) as caught:
        await desk.query("DELETE FROM items")
    assert caught.value.code == "sql_read_only"
    assert await count(desk) == 3
    found = await desk.query("INSERT INTO items VALUES (4, 'rod', 1) RETURNING id", read_only=False)
    assert found["rows"] == [{"id": 4}]
    assert await count(desk) == 4


async def test_the_constraint_is_named(desk: Desk):
    await desk.execute(
        "CREATE TABLE parts (id INTEGER, CONSTRAINT parts_positive CHECK (id > 0), CONSTRAINT parts_one UNIQUE (id))"
    )
    await desk.execute("INSERT INTO parts VALUES (1)")
    for statement, name in (("INSERT INTO parts VALUES (0)", "parts_positive"), ("INSERT INTO parts VALUES (1)", "parts_one")):
        with pytest.raises(FatalError) as caught:
            await desk.execute(statement)
        assert caught.value.code == "sql_constraint"
        assert isinstance(caught.value.details, dict)
        told = caught.value.details["constraint"]
        assert told == ("parts.id" if desk.database.kind == "sqlite" and name == "parts_one" else name)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELEKT 1", "sql_syntax"),
        ("SELECT * FROM missing_table", "sql_syntax"),
        ("", "parameters"),
        ("-- nothing", "sql_statement"),
        ("SELECT 1; SELECT 2", "sql_statement"),
        ("COMMIT", "sql_statement"),
        ("SET TRANSACTION READ WRITE", "sql_statement"),
        ("SELECT 'open", "sql_statement"),
        ("SELECT :name", "sql_statement"),
    ],
)
async def test_what_cannot_be_run_is_told(desk: Desk, statement: str, code: str):
    if code == "parameters":
        with pytest.raises(Exception, match="statement"):
            await desk.query(statement)
        return
    with pytest.raises(FatalError) as caught:
        await desk.query(statement)
    assert caught.value.code == code


async def test_a_missing_parameter_is_named(desk: Desk):
    for statement, parameters in (("SELECT :wanted", {"given": 1}), ("SELECT ?, ?", [1])):
        with pytest.raises(FatalError) as caught:
            await desk.query(statement, parameters)  # pyright: ignore[reportArgumentType]
        assert caught.value.code == "sql_parameters"


async def test_a_statement_that_takes_too_long_is_ended(desk: Desk):
    statement = SLEEP.get(desk.database.kind, ENDLESS)
    started = time.monotonic()
    with pytest.raises(RetryableError) as caught:
        await desk.query(statement, statement_timeout="300ms")
    assert caught.value.code == "sql_timeout"
    assert time.monotonic() - started < 10


async def test_cancelling_the_step_ends_the_statement_in_the_database(desk: Desk):
    mark = f"/* {desk.database.name} */"
    statement = SLEEP.get(desk.database.kind, ENDLESS)
    running = asyncio.ensure_future(desk.query(f"{mark} {statement}"))
    await asyncio.sleep(0.5)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    asked = "SELECT 0"
    values: JsonObject = {}
    if desk.database.kind == "postgres":
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE :mark AND pid <> pg_backend_pid()"
        values = {"mark": f"%{mark} %"}
    elif desk.database.kind == "mysql":
        asked = "SELECT count(*) FROM information_schema.processlist WHERE db = :name AND info LIKE '%SLEEP(20)%' AND id <> CONNECTION_ID()"
        values = {"name": desk.database.name}
    async with asyncio.timeout(10):  # far less than the statement takes
        while await desk.value(asked, values) != 0:
            await asyncio.sleep(0.05)


async def read_file(desk: Desk, found: JsonObject) -> bytes:
    store = desk.attempts.services[ObjectStore]
    assert isinstance(store, ObjectStore)
    return store.read(parse_file(found["file"]).id)


async def test_rows_go_to_a_file(desk: Desk):
    await make_items(desk)
    await desk.execute("INSERT INTO items VALUES (4, ?, NULL)", ['a "b", c\nd'])
    found = await desk.query("SELECT id, name, stock FROM items ORDER BY id", to="csv")
    assert found["rows"] is None
    assert found["row_count"] == 4
    assert (await read_file(desk, found)).decode() == (
        'id,name,stock\r\n1,bolt,10\r\n2,nut,20\r\n3,gear,30\r\n4,"a ""b"", c\nd",\r\n'
    )
    found = await desk.query("SELECT id, name FROM items WHERE id < ? ORDER BY id", [3], to="ndjson")
    assert await read_file(desk, found) == b'{"id":1,"name":"bolt"}\n{"id":2,"name":"nut"}\n'


async def test_a_file_that_fails_leaves_nothing(desk: Desk):
    store = desk.attempts.services[ObjectStore]
    assert isinstance(store, ObjectStore)
    await make_items(desk)
    with pytest.raises((FatalError, RetryableError)):
        await desk.query("SELECT * FROM no_such_table", to="csv")
    assert list(store.list_objects()) == []


async def test_a_file_value_is_stored_as_its_bytes(desk: Desk):
    store = desk.attempts.services[ObjectStore]
    assert isinstance(store, ObjectStore)
    file = store.put(b"\x00\xff'\\", name="x.bin", media_type="application/octet-stream").to_json()
    kinds = {"sqlite": "BLOB", "mysql": "BLOB", "postgres": "BYTEA"}
    await desk.execute(f"CREATE TABLE papers (id INTEGER, content {kinds[desk.database.kind]})")
    await desk.execute("INSERT INTO papers VALUES (1, :file), (2, :bytes)", {"file": file, "bytes": {"$base64": "AAE="}})
    assert await desk.rows("SELECT content FROM papers ORDER BY id") == [{"content": "AP8nXA=="}, {"content": "AAE="}]
    with pytest.raises(FatalError) as caught:
        await desk.execute("INSERT INTO papers VALUES (1, ?)", [{"$file": {"id": "nothing"}}])
    assert caught.value.code == "file_invalid"


async def test_a_result_beyond_the_output_limit_fails_early(desk: Desk):
    await make_items(desk)
    await desk.execute(
        "CREATE TABLE long_texts (body TEXT)" if desk.database.kind != "mysql" else "CREATE TABLE long_texts (body LONGTEXT)"
    )
    texts: list[JsonValue] = [["x" * 1_000_000] for _ in range(12)]
    await desk.batch({"statement": "INSERT INTO long_texts VALUES (?)", "rows": texts})
    with pytest.raises(FatalError) as caught:
        await desk.query("SELECT body FROM long_texts")
    assert caught.value.code == "result_too_large"
    found = await desk.query("SELECT body FROM long_texts", to="ndjson")
    assert found["row_count"] == 12
