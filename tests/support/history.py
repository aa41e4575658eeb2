"""A finished database as plain values, read with nothing but a driver and knowledge of its tables."""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import orjson
from sqlalchemy import create_engine, make_url, text

from flowforge.kit.values import JsonObject

Source = Path | str
"""The file of an SQLite database, or the URL of one on a server."""

Reader = Callable[[str, str], list[JsonObject]]
"""Takes a table and the columns to sort by."""

_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a journal with its row."""

    seq: int
    epoch: int
    at: int
    place: int
    event: JsonObject

    @property
    def type(self) -> str:
        return str(self.event["type"])


@dataclass(frozen=True, slots=True)
class History:
    """Everything that the database says about one run."""

    row: JsonObject
    seqs: tuple[tuple[int, int], ...]
    entries: tuple[Entry, ...]
    queued_due_ms: int | None
    unread: tuple[str, ...]
    slots: tuple[str, ...]
    document: JsonObject | None

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def is_finished(self) -> bool:
        return any(entry.type == "run.finished" for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Database:
    """`jobs`, `outbox`: their rows, with the id of the job's run as `run`."""

    histories: tuple[History, ...]
    workers: dict[int, JsonObject]
    orphan_journals: tuple[int, ...]
    jobs: tuple[JsonObject, ...] = ()
    outbox: tuple[JsonObject, ...] = ()


def read(source: Source) -> Database:
    """The database as plain values, as it was at one moment."""
    with open_reader(source) as rows_of:
        return _read(rows_of)


@contextmanager
def open_reader(source: Source) -> Generator[Reader]:
    """Reads tables in one transaction."""
    if isinstance(source, Path):
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield lambda table, order: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]
        return
    engine = create_engine(driver_url(source), isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            yield lambda table, order: [
                dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
            ]
    finally:
        engine.dispose()


def driver_url(url: str) -> str:
    """The same database by a driver that does not need a loop."""
    parsed = make_url(url)
    return parsed.set(drivername=_DRIVERS[parsed.get_backend_name()]).render_as_string(hide_password=False)


def _read(rows_of: Reader) -> Database:
    definitions = {row["digest"]: orjson.loads(cast("str", row["document"])) for row in rows_of("definitions", "digest")}
    queue = {row["run_no"]: cast("int", row["due_at"]) for row in rows_of("queue", "run_no")}
    workers = {cast("int", row["no"]): row for row in rows_of("workers", "no")}
    unread: dict[int, list[str]] = {}
    for mail in rows_of("inbox", "no"):
        if mail["unread"]:
            unread.setdefault(cast("int", mail["run_no"]), []).append(str(mail["kind"]))
    slots: dict[int, list[str]] = {}
    for slot in rows_of("slots", "scope, n"):
        slots.setdefault(cast("int", slot["run_no"]), []).append(str(slot["scope"]))
    journal: dict[int, list[JsonObject]] = {}
    for row in rows_of("journal", "run_no, seq"):
        journal.setdefault(cast("int", row["run_no"]), []).append(row)
    histories: list[History] = []
    for row in rows_of("runs", "no"):
        no = cast("int", row["no"])
        rows = journal.pop(no, [])
        entries = tuple(_entries(rows))
        seqs = tuple((cast("int", each["seq"]), cast("int", each["epoch"])) for each in rows)
        document = definitions.get(_digest(entries))
        held = tuple(slots.get(no, ()))
        histories.append(History(row, seqs, entries, queue.get(no), tuple(unread.get(no, ())), held, document))
    ids = {history.row["no"]: history.id for history in histories}
    jobs = tuple({**row, "run": ids.get(row["run_no"], "")} for row in rows_of("jobs", "run_no, attempt"))
    return Database(tuple(histories), workers, tuple(journal), jobs, tuple(rows_of("outbox", "no")))


def _entries(rows: Sequence[JsonObject]) -> Iterator[Entry]:
    for row in rows:
        events = orjson.loads(cast("str", row["body"]))
        for place, event in enumerate(events):
            yield Entry(cast("int", row["seq"]), cast("int", row["epoch"]), cast("int", row["at"]), place, event)


def _digest(entries: Sequence[Entry]) -> str:
    if not entries or entries[0].type != "run.started":
        return ""
    return str(cast("JsonObject", entries[0].event["workflow"])["digest"])


def find_step(document: JsonObject, key: str) -> JsonObject | None:
    """The step of a document that a key names (`~undo/items.3/fetch` → `fetch` inside `items`)."""
    name, parts = "steps", key.split("/")
    if parts[0] in ("~on_failure", "~finally"):
        name = parts[0][1:]
    parts = [part for part in parts if not part.startswith("~")]
    found: JsonObject | None = {"steps": document.get(name, [])}
    for place, part in enumerate(parts):
        step_id = part if place == len(parts) - 1 else part.rsplit(".", 1)[0]
        steps = cast("list[JsonObject]", (found or {}).get("steps", []))
        found = next((step for step in steps if step["id"] == step_id), None)
    return found
