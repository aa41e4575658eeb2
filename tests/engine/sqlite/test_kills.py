"""F26: kill -9 while it commits. What was acknowledged is there, and the file is sound."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from shutil import copyfile

from tests.support.clock import ManualClock
from tests.support.stores import check_sound

from flowforge.engine.sqlite.store import SqliteStore

KILLS = int(os.environ.get("FLOWFORGE_TEST_KILLS", "8"))

PROGRAM = """
import pathlib, sys
from dataclasses import replace
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import Turn, Verdict
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop

clock = ManualClock()
store = SqliteStore(pathlib.Path(sys.argv[1]), clock, lambda: 0.5)
store.expire(list(store.alive()))
shop = Shop(store, clock, store.register("killed", EXPIRY_MS))
for claimed in shop.claim():
    seq = claimed.rows[-1].seq + 1
    store.commit([Turn(claimed.run_no, claimed.epoch, 0, seq, b"[]", 0)])
    print(claimed.run_no, seq, flush=True)
while True:
    runs = [replace(run, id=f"run {run.no}") for run in [shop.new() for _ in range(20)]]
    assert {result.verdict for result in shop.start(*runs)} == {Verdict.DONE}
    for run in runs:
        print(run.no, 1, flush=True)
    for seq in range(2, 6):
        store.commit([shop.turn(run, seq) for run in runs])
        for run in runs:
            print(run.no, seq, flush=True)
    for run in runs[:19]:
        shop.finish(run, 6)
        print(run.no, 6, flush=True)
"""


def run_and_kill(path: Path, after_lines: int) -> list[tuple[int, int]]:
    """What the process acknowledged before it was killed."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(after_lines)]
    process.send_signal(signal.SIGKILL)
    lines.extend(process.stdout.read().splitlines(keepends=True))
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    pairs = [line.split() for line in lines if line.endswith("\n")]
    return [(int(no), int(seq)) for no, seq in pairs]


def test_f26_acknowledged_rows_survive_each_kill(template: Path, tmp_path: Path):
    path = tmp_path / "killed.db"
    copyfile(template, path)
    acknowledged: list[tuple[int, int]] = []
    for number in range(KILLS):
        acknowledged.extend(run_and_kill(path, 3 + number * 37 % 200))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            stored = set(connection.execute("SELECT run_no, seq FROM journal"))
        assert set(acknowledged) <= stored
    store = SqliteStore(path, ManualClock(), lambda: 0.5)
    store.expire(list(store.alive()))
    check_sound(store)
    store.close()
    assert len(acknowledged) >= KILLS * 3
