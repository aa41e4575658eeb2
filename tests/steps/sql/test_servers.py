"""Connections to servers: which addresses, who is let in, what is told."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.steps.sql.conftest import Desk, only
from tests.support.attempts import Attempts, make_services
from tests.support.network import PUBLIC_ADDRESS, World

from flowforge.kit.values import JsonObject
from flowforge.operations import AttemptError, FatalError, Operation, RetryableError
from flowforge.steps.sql.addresses import FileAddress, ServerAddress, choose_tls, name_database, parse_database
from flowforge.steps.sql.batch import batch
from flowforge.steps.sql.execute import execute
from flowforge.steps.sql.query import query

OPERATIONS: list[tuple[Operation, JsonObject]] = [
    (query, {"statement": "SELECT 1"}),
    (execute, {"statement": "SELECT 1"}),
    (batch, {"statements": [{"statement": "SELECT 1"}]}),
]


async def fail(tmp_path: Path, url: str, world: World, allow: tuple[str, ...] = (), number: int = 0) -> AttemptError:
    client = world.make_client(allow)
    operation, parameters = OPERATIONS[number]
    with pytest.raises(AttemptError) as caught:
        await Attempts(make_services(tmp_path, client)).call(operation, {"database": url, **parameters})
    await client.aclose()
    return caught.value


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="NET-01"),
        pytest.param("2130706433", id="NET-01-number"),
        pytest.param("0x7f.1", id="NET-01-hex"),
        pytest.param("[::1]", id="NET-02"),
        pytest.param("[::ffff:127.0.0.1]", id="NET-02-mapped"),
        pytest.param("[64:ff9b::a9fe:a9fe]", id="NET-03"),
        pytest.param("[fc00::1]", id="NET-03-local"),
        pytest.param("169.254.169.254", id="NET-04"),
        pytest.param("100.64.0.1", id="NET-04-carrier"),
        pytest.param("10.1.2.3", id="NET-05"),
        pytest.param("192.168.0.1", id="NET-05-home"),
    ],
)
async def test_net_01_to_05_an_address_inside_is_denied(tmp_path: Path, scheme: str, host: str):
    error = await fail(tmp_path, f"{scheme}://u:p@{host}/db", World())
    assert error.code == "egress_denied"


@pytest.mark.parametrize("number", range(3))
async def test_net_06_a_name_with_one_address_inside_is_denied(tmp_path: Path, number: int):
    world = World()
    world.names.set("db.example.com", [PUBLIC_ADDRESS, "10.0.0.1"])
    error = await fail(tmp_path, "postgresql://u:p@db.example.com/db", world, number=number)
    assert error.code == "egress_denied"


async def test_net_07_the_name_is_resolved_once(tmp_path: Path):
    world = World()
    world.names.set("db.internal", ["127.0.0.1"], ["127.0.0.2"])
    error = await fail(tmp_path, "postgresql://u:p@db.internal:1/db", world, ("127.0.0.1",))
    assert error.code == "connection_failed"
    assert world.names.asked == ["db.internal"]


@pytest.mark.parametrize("port", [22, 25, 6379, 3306, 11211])
async def test_net_14_another_port_is_denied(tmp_path: Path, port: int):
    world = World()
    world.names.set("db.example.com", [PUBLIC_ADDRESS])
    error = await fail(tmp_path, f"postgresql://u:p@db.example.com:{port}/db", world)
    assert error.code == "port_denied"


async def test_net_13_a_name_of_this_machine_is_judged_by_its_address(tmp_path: Path):
    world = World()
    world.names.set("foo.localhost", ["127.0.0.1"])
    assert (await fail(tmp_path, "mysql://u:p@foo.localhost/db", world)).code == "egress_denied"


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_net_17_the_environment_does_not_choose_the_server(tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch):
    for name, value in {"PGHOST": "127.0.0.1", "PGHOSTADDR": "127.0.0.1", "PGPORT": "5432", "MYSQL_HOST": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    world = World()
    world.names.set("db.internal", ["127.0.0.1"])
    error = await fail(tmp_path, f"{scheme}://postgres:@db.internal:1/test", world, ("127.0.0.1",))
    assert error.code == "connection_failed"


@pytest.mark.parametrize(
    "url",
    [
        "http://u:p@host/db",
        "postgresql://u:p@/db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://u:p@%2Fvar%2Frun/db",
        "postgresql://u:p@host/",
        "postgresql://host/db",
        "postgresql://u:p@host:99999/db",
        "postgresql://u:p@host/db?options=-c%20x",
        "postgresql://u:p@host/db?sslmode=off",
        "postgresql://u:p@host/db?sslmode=require&sslmode=disable",
        "postgresql://u:p@host/db?passfile=/etc/passwd",
        "postgresql://u:p@host/db?service=x",
        "mysql://u:p@host/db?local_infile=1",
        "mysql://u:p@host/db?connect_timeout=0",
        "mysql://u:p#x@host/db",
        "mysql://u:p@host/db\n",
        "sqlite:///etc/passwd",
        "sqlite://data/",
        "sqlite://data/x.db?mode=memory",
        "sqlite://data/x.db?vfs=unix-none",
        "",
        "nonsense",
    ],
)
def test_net_12_a_url_that_is_not_understood_in_full_is_refused(url: str):
    with pytest.raises(FatalError) as caught:
        parse_database(url)
    assert caught.value.code == "database_invalid"
    assert "p@" not in caught.value.message


def test_a_url_says_all_there_is():
    assert parse_database("postgres://u%40x:p%2Fw@Host:5433/my%20db?sslmode=verify-full&connect_timeout=3") == ServerAddress(
        *(parse_database("postgresql://x@y/z").dialect, "host", 5433, "u@x", "p/w", "my db", "verify-full", 3)
    )
    assert parse_database("sqlite://data/a/b%20c.db?mode=create") == FileAddress("data", "a/b c.db", "create")
    assert "p/w" not in repr(parse_database("mysql://u:p%2Fw@h/d"))
    assert name_database({"database": "mysql://u:p@db.example.com/shop"}) == "db.example.com:3306"
    assert name_database({"database": "postgresql://u:p@[2001:db8::1]/shop"}) == "[2001:db8::1]:5432"


def test_net_18_a_public_server_is_verified():
    def choose(options: str, ip: str) -> str:
        address = parse_database(f"postgresql://u:p@db.example.com/x{options}")
        assert isinstance(address, ServerAddress)
        return choose_tls(address, ip)

    assert choose("", PUBLIC_ADDRESS) == "verify-full"
    assert choose("?sslmode=verify-full", "10.0.0.1") == "verify-full"
    assert choose("", "10.0.0.1") == "prefer"
    assert choose("?sslmode=disable", "127.0.0.1") == "disable"
    for mode in ("disable", "prefer", "require", "verify-ca"):
        with pytest.raises(FatalError) as caught:
            choose(f"?sslmode={mode}", PUBLIC_ADDRESS)
        assert caught.value.code == "tls"


@pytest.mark.parametrize("desk", ["postgres", "mysql"], indirect=True)
async def test_net_18_a_server_without_tls_is_not_spoken_to_where_it_is_asked_for(desk: Desk, tmp_path: Path):
    for mode in ("require", "verify-full"):
        error = await fail(tmp_path, f"{desk.database.url}?sslmode={mode}", World(), ("127.0.0.1",))
        assert error.code == "tls"


@pytest.mark.parametrize("desk", ["postgres", "mysql"], indirect=True)
async def test_who_is_not_let_in_is_told_without_the_password(desk: Desk, tmp_path: Path):
    port = desk.database.port
    scheme = desk.database.url.partition(":")[0]
    for place in (
        f"nobody_here:hunter2secret@127.0.0.1:{port}/{desk.database.name}",
        f"{desk.database.user}:@127.0.0.1:{port}/no_such_database",
    ):
        error = await fail(tmp_path, f"{scheme}://{place}", World(), ("127.0.0.1",))
        assert error.code == "sql_auth", error.message
        assert isinstance(error, FatalError)
        assert "hunter2secret" not in f"{error.message}{error.details}"
        assert len(error.message.encode()) < 1_200


async def test_a_server_that_is_not_there(tmp_path: Path):
    for scheme in ("postgresql", "mysql"):
        error = await fail(tmp_path, f"{scheme}://u:p@127.0.0.1:1/db", World(), ("127.0.0.1",))
        assert error.code == "connection_failed"
        assert isinstance(error, RetryableError)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serve(handle: Handler) -> AsyncGenerator[int]:
    """A server that speaks as the handler does; gives its port, and leaves no connection open."""
    tasks: list[asyncio.Task[None]] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(handle(reader, writer)))
        try:
            await tasks[-1]
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def test_a_server_that_says_nothing_or_nonsense(tmp_path: Path):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sayings[0])
        await writer.drain()
        if not sayings[0]:
            await reader.read()  # until the other side has had enough

    sayings = [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x4a\x00\x00\x00\x0a" + b"x" * 200]
    while sayings:
        async with serve(answer) as port:
            for scheme in ("postgresql", "mysql"):
                timeout = "?connect_timeout=2"
                error = await fail(tmp_path, f"{scheme}://u:p@127.0.0.1:{port}/db{timeout}", World(), ("127.0.0.1",))
                assert error.code in {"connection_failed", "sql_failed"}, error.message
        sayings.pop(0)


async def test_a_mysql_server_that_wants_a_plain_password_does_not_get_it(tmp_path: Path):
    from pymysql.constants import CLIENT

    flags: Any = CLIENT
    seen = bytearray()
    capabilities = (flags.CAPABILITIES | flags.PLUGIN_AUTH | flags.SECURE_CONNECTION) & ~flags.SSL
    hello = b"\x0a8.0.0\0" + b"\1\0\0\0" + b"12345678\0" + (capabilities & 0xFFFF).to_bytes(2, "little") + b"\x2d\2\0"
    hello += (capabilities >> 16).to_bytes(2, "little") + b"\x15" + b"\0" * 10 + b"123456789012\0"

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = hello + (b"mysql_clear_password\0" if turns[0] else b"mysql_native_password\0")
        writer.write(len(first).to_bytes(3, "little") + b"\0" + first)
        seen.extend(await reader.read(4_096))
        if not turns[0]:
            second = b"\xfemysql_clear_password\0"
            writer.write(len(second).to_bytes(3, "little") + b"\2" + second)
            seen.extend(await reader.read(4_096))

    turns = [True, False]
    while turns:
        async with serve(ask) as port:
            error = await fail(tmp_path, f"mysql://u:hunter2secret@127.0.0.1:{port}/db", World(), ("127.0.0.1",))
            assert error.code == "tls", error.message
        turns.pop(0)
    assert b"hunter2secret" not in seen


@pytest.mark.parametrize("number", range(3))
async def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    import sys

    from flowforge.steps.sql import mysql_driver

    mysql_driver.load_connection.cache_clear()
    for name in ("psycopg", "aiomysql", "aiomysql.connection"):
        monkeypatch.setitem(sys.modules, name, None)
    for scheme, extra in (("postgresql", "postgres"), ("mysql", "mysql")):
        error = await fail(tmp_path, f"{scheme}://u:p@127.0.0.1/db", World(), ("127.0.0.1",), number)
        assert error.code == "not_installed"
        assert f"pip install 'flowforge[{extra}]'" in error.message


@pytest.mark.parametrize("desk", ["postgres", "mysql"], indirect=True)
async def test_a_deadlock_is_worth_another_attempt(desk: Desk):
    await desk.execute("CREATE TABLE pairs (id INTEGER PRIMARY KEY, n INTEGER)")
    await desk.execute("INSERT INTO pairs VALUES (1, 0), (2, 0)")
    wait = "SELECT pg_sleep(0.4)" if desk.database.kind == "postgres" else "DO SLEEP(0.4)"

    def cross(first: int, second: int) -> Coroutine[Any, Any, JsonObject]:
        change = "UPDATE pairs SET n = n + 1 WHERE id = ?"
        steps: list[JsonObject] = [
            {"statement": change, "parameters": [first]},
            {"statement": wait},
            {"statement": change, "parameters": [second]},
        ]
        return desk.batch(*steps)

    found = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    errors = [error for error in found if isinstance(error, RetryableError)]
    assert [error.code for error in errors] == ["sql_conflict"]
    assert await desk.rows("SELECT n FROM pairs") == [{"n": 1}, {"n": 1}]


@only("postgres")
async def test_a_statement_outside_of_a_transaction(desk: Desk):
    await desk.execute("CREATE TABLE plain (id INTEGER)")
    with pytest.raises(FatalError):
        await desk.execute("VACUUM plain")
    assert (await desk.execute("VACUUM plain", transaction=False))["rows"] == []


@only("postgres")
async def test_other_statements_than_select_give_rows_too(desk: Desk):
    assert await desk.rows("SHOW TimeZone") == [{"TimeZone": "UTC"}]
    assert "Result" in str(await desk.rows("EXPLAIN SELECT 1"))
    assert await desk.rows("VALUES (1), (2)") == [{"column1": 1}, {"column1": 2}]
    made = "WITH x AS (SELECT 1 AS a) SELECT a FROM x;"
    assert await desk.rows(made) == [{"a": 1}]


@pytest.mark.slow(120)
async def test_a_large_table_goes_to_a_file_in_bounded_memory(desk: Desk):
    import resource

    made = {
        "postgres": "SELECT x, repeat('y', 200) AS pad FROM generate_series(1, 300000) x",
        "mysql": "SELECT seq AS x, repeat('y', 200) AS pad FROM seq_1_to_300000",
        "sqlite": "WITH RECURSIVE s(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 300000) SELECT x, printf('%.200c', 'y') AS pad FROM s",
    }[desk.database.kind]
    await desk.query(made.replace("300000", "1000"), to="ndjson")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = await desk.query(made, to="ndjson")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert found["row_count"] == 300_000
    assert grown_kib < 40 * 1024


async def test_a_server_of_another_kind_that_says_nothing_is_told_of(tmp_path: Path):
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    world = World()
    world.names.set("db.internal", ["127.0.0.1"])
    async with serve(say_nothing) as port:
        error = await fail(tmp_path, f"mysql://u:p@db.internal:{port}/db?connect_timeout=1", world, ("127.0.0.1",))
    assert error.code == "connection_failed"
    assert "within 1 s; check that a MySQL or MariaDB server is at that port" in error.message
