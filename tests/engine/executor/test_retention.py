"""Retention in the object store: values go with the last run that names them, files of steps stay (I17)."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.checker import Witnesses, check
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab, open_lab
from tests.support.soundness import assert_rows_follow

from flowforge.engine.events import Event
from flowforge.engine.executor.retention import Retention
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore

KEEP_MS = 1_800_000
"""Half of the age at which a value without a name is deleted: one that is stored after the clock was moved on is young all the same."""
LARGE = "- {id: a, uses: test.record, with: {name: a, size: 300000}}\n"
CALLEE = make_document(LARGE, 'output: "${{ steps.a.output.value }}"\n', "callee")
CALLER = """
- {id: sub, uses: flow.call, with: {workflow: callee}}
- {id: size, uses: test.record, with: {name: size, value: "${{ size(steps.sub.output) }}"}}
"""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, replace(QUICK, keep_runs_ms=KEEP_MS)) as opened:
        yield opened
    # Of a run that was pruned only the outside world knows: the book is left out.
    known = Witnesses(has_blob=lambda blob: (opened.folder / "files" / blob[-2:] / blob).exists())
    assert check(opened.database, known) == []
    assert_rows_follow(opened)


@pytest.fixture
def objects(lab: Lab) -> ObjectStore:
    return ObjectStore(lab.folder / "files", IdSource(lab.clock))


def values(objects: ObjectStore) -> set[str]:
    return {value.id for value in objects.list_values(stored_before_ms=2**50)}


def named(lab: Lab) -> set[str]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return {blob for (blob,) in connection.execute("SELECT blob FROM run_blobs")}


def blobs_in(events: list[Event]) -> set[str]:
    return {event["blob"]["id"] for event in events if "blob" in event}


def grow_old(lab: Lab, ids: set[str]) -> None:
    """The values were stored more than an hour ago."""
    long_ago_s = lab.clock.now_ms() // 1_000 - 3_601
    for each in ids:
        os.utime(lab.folder / "files" / each[-2:] / each, (long_ago_s, long_ago_s))


async def look(lab: Lab) -> None:
    """What a worker that has just begun does."""
    await Retention(lab.engine).look(lab.clock.now_ms())


async def test_values_go_with_their_run_and_files_of_steps_stay(lab: Lab, objects: ObjectStore):
    file = objects.put(b"bytes", name="report.csv", media_type="text/csv")
    old = await lab.run(make_document(LARGE))
    assert values(objects) == named(lab) == blobs_in(old.events)
    lab.advance(KEEP_MS + 1)
    young = await lab.run(make_document(LARGE))

    await look(lab)

    assert lab.events(old.started.run_no) == []
    assert values(objects) == named(lab) == blobs_in(young.events)
    assert objects.read(file.id) == b"bytes"


async def test_value_that_a_caller_names_too_stays_until_the_caller_goes(lab: Lab, objects: ObjectStore):
    lab.define(CALLEE)
    gate = lab.book.gate("size")
    started = await lab.start(make_document(CALLER))
    await lab.until(lambda: "size" in lab.book.names())
    lab.advance(KEEP_MS + 1)

    await look(lab)

    assert runs(lab) == 1
    assert blobs_in(lab.events(started.run_no)) == values(objects) == named(lab)
    gate.set()
    outcome = await lab.finish(started)
    assert outcome.of("step.completed", "size")[0]["output"] is not None
    lab.advance(KEEP_MS + 1)
    await look(lab)
    assert (runs(lab), values(objects), named(lab)) == (0, set(), set())


async def test_value_in_a_message_that_its_caller_has_not_read_stays(lab: Lab, objects: ObjectStore):
    lab.define(CALLEE)
    gate = lab.book.gate("a")
    started = await lab.start(make_document(CALLER))
    await lab.until(lambda: "a" in lab.book.names())
    await lab.send(started, "pause")
    gate.set()
    await lab.until(lambda: runs(lab, "status='completed'") == 1)
    lab.advance(KEEP_MS + 1)

    await look(lab)
    await lab.send(started, "resume")

    assert (await lab.finish(started)).status == "completed"
    assert [entry.value for entry in lab.book.entries() if entry.name == "size"] == [300_000]


def runs(lab: Lab, which: str = "1") -> int:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute(f"SELECT count(*) FROM runs WHERE {which}").fetchone()[0]


async def test_i17_values_that_no_run_names_go_after_an_hour(lab: Lab, objects: ObjectStore):
    kept = await lab.run(make_document(LARGE))
    young, old = objects.put_value(b"[1]"), objects.put_value(b"[2]")
    grow_old(lab, {old.id, *blobs_in(kept.events)})
    file = objects.put(b"bytes", name="x", media_type="text/csv")
    grow_old(lab, {file.id})

    await look(lab)

    assert values(objects) == {young.id, *blobs_in(kept.events)}
    assert objects.read(file.id) == b"bytes"


async def test_f60_value_whose_row_was_never_written_is_an_orphan(lab: Lab, objects: ObjectStore):
    class Died(BaseException):
        pass

    died: list[str] = []

    def die(name: str) -> None:
        if name == "CP23":
            died.append(name)
            raise Died

    document = lab.define(make_document(LARGE))
    with crash_hook(die):
        started = await lab.start(document)
        await lab.until(lambda: died != [])
    (lost,) = values(objects)
    await lab.crash()
    await lab.restart()
    assert (await lab.finish(started)).status == "completed"
    assert named(lab) == values(objects) - {lost}
    grow_old(lab, {lost})

    await look(lab)

    assert values(objects) == named(lab)


async def test_old_log_lines_go_also_where_runs_are_kept_for_ever(tmp_path: Path):
    async with open_lab(tmp_path, replace(QUICK, keep_logs_ms=KEEP_MS)) as lab:
        young = lab.clock.now_ms() - KEEP_MS + 60_000
        with closing(sqlite3.connect(lab.database)) as connection:
            insert = "INSERT INTO step_logs(run_no, at, level, step, attempt, message, fields) VALUES (1, ?, 'info', 's', 1, 'm', '{}')"
            connection.executemany(insert, [(1,), (young - 120_000,), (young,)])
            connection.commit()

        await look(lab)

        with closing(sqlite3.connect(lab.database)) as connection:
            assert connection.execute("SELECT at FROM step_logs").fetchall() == [(young,)]
