"""A finished SQLite database as plain values, read with nothing but `sqlite3` and knowledge of its tables."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from flowforge.kit.values import JsonObject


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
    histories: tuple[History, ...]
    workers: dict[int, JsonObject]
    orphan_journals: tuple[int, ...]


def read(path: Path) -> Database:
    """The database as plain values."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        definitions = {
            row["digest"]: orjson.loads(cast("str", row["document"])) for row in _rows(connection, "definitions", "digest")
        }
        queue = {row["run_no"]: cast("int", row["due_at"]) for row in _rows(connection, "queue", "run_no")}
        workers = {cast("int", row["no"]): row for row in _rows(connection, "workers", "no")}
        mails = [mail for mail in _rows(connection, "inbox", "no") if mail["unread"]]
        slots = _rows(connection, "slots", "scope, n")
        journal: dict[int, list[JsonObject]] = {}
        for row in _rows(connection, "journal", "run_no, seq"):
            journal.setdefault(cast("int", row["run_no"]), []).append(row)
        histories: list[History] = []
        for row in _rows(connection, "runs", "no"):
            rows = journal.pop(cast("int", row["no"]), [])
            entries = tuple(_entries(rows))
            unread = tuple(str(mail["kind"]) for mail in mails if mail["run_no"] == row["no"])
            held = tuple(str(slot["scope"]) for slot in slots if slot["run_no"] == row["no"])
            seqs = tuple((cast("int", each["seq"]), cast("int", each["epoch"])) for each in rows)
            histories.append(History(row, seqs, entries, queue.get(row["no"]), unread, held, definitions.get(_digest(entries))))
    return Database(tuple(histories), workers, tuple(journal))


def _rows(connection: sqlite3.Connection, table: str, order: str) -> list[JsonObject]:
    return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]


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
