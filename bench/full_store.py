"""W7: a data folder whose store holds very many finished runs, made once by bulk insertion and kept between runs of the bench."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson

from bench.engine_adapter import WORKSPACE
from flowforge.entrypoints.wiring import open_installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.settings import Settings

_CHUNK: Final = 20_000
_FIRST_NO: Final = 1 << 60
"""Beyond every number that a worker gives."""
_RUN: Final = """
    INSERT INTO runs (no, id, workspace_id, workflow_id, workflow_name, version, digest, status, priority, actor, epoch, mail, crashes,
        started_at, finished_at, events, bytes, counted_seq)
    VALUES (?, ?, ?, 'wf_old', 'old', 1, 'old', 'completed', 5, 'bench', 1, 0, 0, ?, ?, 4, 600, 1)
"""
_JOURNAL: Final = "INSERT INTO journal (run_no, seq, epoch, at, events, body) VALUES (?, 1, 1, ?, 4, ?)"


def prepare_full_store(folder: Path, runs: int) -> Path:
    """The data folder with `runs` finished runs of one second each, a minute apart; made if it is not there."""
    place = folder / f"store-{runs}"
    done = place / ".filled"
    if not done.exists():
        installation = open_installation(Settings(data=place))
        database = installation.folder.database
        installation.close()
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            _fill(connection, runs)
        done.touch()
    return place


def _fill(connection: sqlite3.Connection, runs: int) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    body = orjson.dumps(_events()).decode()
    first_ms = SystemClock().now_ms() - runs * 60_000
    for chunk in _chunks(runs):
        times = [(number, first_ms + number * 60_000) for number in chunk]
        rows = [(_FIRST_NO + number, f"run_{number:026d}", WORKSPACE, at, at + 1_000) for number, at in times]
        connection.execute("BEGIN")
        connection.executemany(_RUN, rows)
        connection.executemany(_JOURNAL, [(_FIRST_NO + number, at, body) for number, at in times])
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _chunks(runs: int) -> Iterator[range]:
    for first in range(0, runs, _CHUNK):
        yield range(first, min(first + _CHUNK, runs))


def _events() -> list[dict[str, object]]:
    workflow = {"id": "wf_old", "name": "old", "version": 1, "digest": "old"}
    step = {"step": "only", "attempt": 1}
    return [
        {"type": "run.started", "run": "", "workspace": WORKSPACE, "workflow": workflow, "input": {"text": "x" * 200}},
        {"type": "step.planned", **step, "key": "0" * 32, "digest": "0" * 32},
        {"type": "step.completed", **step, "port": "done", "output": {"status": 200}},
        {"type": "run.finished", "status": "completed", "output": None},
    ]
