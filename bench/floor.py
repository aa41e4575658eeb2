"""The floor: what the disk and the interpreter allow to a bare loop that journals. It is no engine.

The same settings as the engine's (WAL, `synchronous=FULL`), the same table, one row a commit where the engine must commit before it goes
on, and as many rows a commit as there are runs where it may group them.
"""

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import orjson

_EVENTS: Final = (
    {"type": "step.completed", "step": "s0", "attempt": 1, "port": "done", "output": {"value": 1}},
    {"type": "step.planned", "step": "s1", "attempt": 1, "key": "0" * 32, "digest": "0" * 32},
)
_BODY: Final = orjson.dumps(_EVENTS).decode()
_GROUP: Final = 100
"""Rows of a group commit: as many as there are attempts in flight in the engine."""
_INSERT: Final = "INSERT INTO journal VALUES (?, ?, 1, 0, ?)"


class Floor:
    """A database file, kept over all rounds so that its WAL is reused."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._next_run = 0

    def measure_sequence_s(self, steps: int) -> float:
        """W1: one row a commit, `steps` + 1 commits."""
        run = self._take_runs(1)
        begun = time.perf_counter()
        for seq in range(steps + 1):
            with self._commit():
                self._connection.execute(_INSERT, (run, seq, _BODY))
        return time.perf_counter() - begun

    def measure_many_s(self, runs: int, steps: int) -> float:
        """W2: a row for each of the `steps` + 1 turns of each run, encoded and written one by one, a commit for each group of them."""
        first = self._take_runs(runs)
        begun = time.perf_counter()
        for seq in range(steps + 1):
            for group in range(0, runs, _GROUP):
                self._write_group(range(first + group, first + min(group + _GROUP, runs)), seq)
        return time.perf_counter() - begun

    def _write_group(self, runs: range, seq: int) -> None:
        with self._commit():
            for run in runs:
                self._connection.execute(_INSERT, (run, seq, orjson.dumps(_EVENTS).decode()))

    def measure_fan_out_s(self, items: int) -> float:
        """W4: a row for each plan and each outcome, in one commit for all plans and one for all outcomes, and one for the end."""
        run = self._take_runs(1)
        begun = time.perf_counter()
        for first, count in ((0, items), (items, items), (2 * items, 1)):
            with self._commit():
                self._connection.executemany(_INSERT, [(run, first + number, _BODY) for number in range(count)])
        return time.perf_counter() - begun

    def _take_runs(self, count: int) -> int:
        first = self._next_run
        self._next_run += count
        return first

    @contextmanager
    def _commit(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")


@contextmanager
def open_floor(folder: Path) -> Generator[Floor]:
    """A floor on a fresh database in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "floor.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE journal (run_no, seq, epoch, at, body TEXT, UNIQUE (run_no, seq))")
        yield Floor(connection)
