"""The list of runs in a store that holds very many: the time of a page for every filter, on SQLite and on PostgreSQL.

`python -m bench.runs_list [--runs N] [--folder F] [--postgres URL]`; a SQLite store that was filled once is kept.
"""

import argparse
import asyncio
import sqlite3
import statistics
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import psycopg

from bench import servers
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import Database, open_sessions
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.criteria import read_criteria
from flowforge.runs.listing import list_page

RUNS: Final = 1_000_000
_CHUNK: Final = 20_000
_MINUTE_MS: Final = 60_000
_PAGES: Final = 15
_COLUMNS: Final = (
    "no, id, workspace_id, workflow_id, workflow_name, version, digest, status, priority, subject, actor, epoch, mail, crashes, "
    "started_at, finished_at, error_code, error_key, events, bytes, counted_seq"
)
_LABEL_COLUMNS: Final = "run_no, key, workspace_id, value, started_at"
_ERRORS: Final = ("http_status", "timeout", "script_error", "item_errors")

Row = tuple[object, ...]


def _make_runs(numbers: range, now_ms: int) -> list[Row]:
    return [_make_run(number, now_ms) for number in numbers]


def _make_run(number: int, now_ms: int) -> Row:
    """One of 50 workflows; one in twenty failed, one in a hundred was cancelled, one in a thousand is open, three timed out."""
    started_at, workflow = now_ms - number * _MINUTE_MS, number % 50
    status = "failed" if number % 20 == 3 else "cancelled" if number % 100 == 7 else "completed"
    status = "timed_out" if number in {11, 500_011, 999_011} else "waiting" if number % 1_000 == 9 else status
    code = _ERRORS[number // 20 % 4] if status == "failed" else "rare" if status == "timed_out" else None
    actor = f"trigger:trg_{number % 40:026d}" if number % 3 == 0 else "user:usr_" + "1" * 26
    return (
        number,
        f"run_{number:026d}",
        WORKSPACE,
        f"wf_{workflow:026d}",
        f"workflow-{workflow}",
        9 if number % 250_000 == 5 else number % 4 + 1,
        "digest",
        status,
        5,
        f"customer-{number % 200_000}" if number % 2 else None,
        actor,
        1,
        0,
        0,
        started_at,
        None if status == "waiting" else started_at + 1_000,
        code,
        None if code is None else f"pay:{code}",
        4,
        600,
        1,
    )


def _make_labels(numbers: range, now_ms: int) -> list[Row]:
    return [
        (number, name, WORKSPACE, value, now_ms - number * _MINUTE_MS)
        for number in numbers
        if number % 2
        for name, value in (("env", "test" if number % 11 == 0 else "prod"), ("batch", f"b{number // 1_000}"))
    ]


def list_filters(runs: int, now_ms: int) -> dict[str, list[str]]:
    """What is asked, by a name: each filter with a value that many runs have, one that few have, and one that none has."""
    old, older = (format_timestamp_ms(now_ms - part * _MINUTE_MS) for part in (runs // 2, runs // 2 + 2_000))
    new = format_timestamp_ms(now_ms + _MINUTE_MS)
    trigger, workflow = "trg_" + f"{3:026d}", "wf_" + f"{7:026d}"
    return {
        "no filter": [],
        "id": [f"id:eq:run_{runs // 2:026d}"],
        "status, most": ["status:eq:completed"],
        "status, few": ["status:eq:timed_out"],
        "status, open": ["status:in:running,waiting"],
        "status, several": ["status:in:waiting,timed_out,failed"],
        "workflow": [f"workflow_id:eq:{workflow}"],
        "workflow, none": ["workflow_id:eq:wf_" + "7" * 26],
        "workflow and status": [f"workflow_id:eq:{workflow}", "status:eq:timed_out"],
        "version, many": ["version:eq:2"],
        "version, few": ["version:eq:9"],
        "started_at": [f"started_at:ge:{older}", f"started_at:lt:{old}"],
        "finished_at": [f"finished_at:ge:{older}", f"finished_at:lt:{old}"],
        "finished_at, before": [f"finished_at:lt:{old}"],
        "finished_at, none": [f"finished_at:gt:{new}"],
        "subject": ["subject:eq:customer-77"],
        "subject, few begin so": ["subject:starts_with:customer-777"],
        "subject, all begin so": ["subject:starts_with:customer-"],
        "subject, none": ["subject:starts_with:supplier-"],
        "label, many": ["labels.env:eq:prod"],
        "label, few": ["labels.batch:eq:b77"],
        "label begins": ["labels.batch:starts_with:b77"],
        "label, none": ["labels.env:eq:nowhere"],
        "label and status": ["labels.env:eq:test", "status:eq:timed_out"],
        "trigger": [f"trigger_id:eq:{trigger}"],
        "trigger, none": ["trigger_id:eq:trg_" + "7" * 26],
        "error_code": ["error_code:eq:timeout"],
        "error_code, few": ["error_code:in:rare,none"],
    }


async def measure_pages(database: Database, filters: dict[str, list[str]]) -> dict[str, float]:
    """Milliseconds of a page by filter, the median."""
    return {name: await _measure_page(database, where) for name, where in filters.items()}


async def _measure_page(database: Database, where: Sequence[str]) -> float:
    criteria = read_criteria(where)
    times_ms: list[float] = []
    for _ in range(_PAGES):
        began_s = time.perf_counter()
        async with database.report() as session:
            await list_page(session, WORKSPACE, criteria, limit=50)
        times_ms.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(times_ms)


@asynccontextmanager
async def open_filled_sqlite(folder: Path, runs: int) -> AsyncGenerator[Database]:
    """A SQLite store with that many runs, made if it is not there."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    url = name_sqlite(folder / f"lists-{runs}.db")
    done = folder / f"lists-{runs}.filled"
    await asyncio.to_thread(_fill_once, url, done, runs)
    async with _open(url) as database:
        yield database


def _fill_once(url: DatabaseUrl, done: Path, runs: int) -> None:
    if done.exists():
        return
    upgrade_database(url)
    with closing(sqlite3.connect(url.file, isolation_level=None)) as connection:
        _fill_sqlite(connection, runs)
    done.touch()


@asynccontextmanager
async def _open(url: DatabaseUrl) -> AsyncGenerator[Database]:
    database = open_sessions(url)
    try:
        yield database
    finally:
        await database.close()


def _fill_sqlite(connection: sqlite3.Connection, runs: int) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    now_ms = _round_ms()
    for chunk in _chunks(runs):
        connection.execute("BEGIN")
        for table, columns, rows in _list_tables(chunk, now_ms):
            marks = ", ".join("?" * (columns.count(",") + 1))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@asynccontextmanager
async def open_filled_postgres(server: str, runs: int) -> AsyncGenerator[Database]:
    """A database of the server with that many runs, dropped at the end."""
    with servers.open_database(server) as address:
        url = parse_database_url(address)
        upgrade_database(url)
        await asyncio.to_thread(_fill_postgres, address, runs)
        async with _open(url) as database:
            yield database


def _fill_postgres(address: str, runs: int) -> None:
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        now_ms = _round_ms()
        for table, columns, rows in (part for chunk in _chunks(runs) for part in _list_tables(chunk, now_ms)):
            _copy(cursor, f"COPY {table} ({columns}) FROM STDIN".encode(), rows)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE runs")
        cursor.execute("VACUUM ANALYZE run_labels")


def _copy(cursor: psycopg.Cursor, statement: bytes, rows: Sequence[Row]) -> None:
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _list_tables(chunk: range, now_ms: int) -> tuple[tuple[str, str, list[Row]], ...]:
    return (("runs", _COLUMNS, _make_runs(chunk, now_ms)), ("run_labels", _LABEL_COLUMNS, _make_labels(chunk, now_ms)))


def _chunks(runs: int) -> Iterator[range]:
    """The oldest first, as they come in life."""
    for last in range(runs, 0, -_CHUNK):
        yield range(last, max(last - _CHUNK, 0), -1)


def _round_ms() -> int:
    return SystemClock().now_ms() // _MINUTE_MS * _MINUTE_MS


async def run(options: argparse.Namespace) -> None:
    filters = list_filters(options.runs, _round_ms())
    async with open_filled_sqlite(options.folder, options.runs) as database:
        on_sqlite = await measure_pages(database, filters)
    on_postgres: dict[str, float] = {}
    if servers.has_postgres(options.postgres):
        async with open_filled_postgres(options.postgres, options.runs) as database:
            on_postgres = await measure_pages(database, filters)
    print(f"| list of runs, {options.runs} stored: p50 of a page | SQLite ms | PostgreSQL ms |\n|---|---|---|")
    for name, sqlite_ms in on_sqlite.items():
        print(f"| {name} | {sqlite_ms:.1f} | {on_postgres.get(name, float('nan')):.1f} |")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.runs_list", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="how many are stored")
    parser.add_argument("--folder", type=Path, default=Path("build") / "bench", help="where the SQLite store lies")
    parser.add_argument("--postgres", default=servers.POSTGRES, help="a PostgreSQL where databases may be made")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(run(parse_arguments()))
