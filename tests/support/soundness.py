"""What must be true of every database that engines have worked on: the checker's invariants, and F78, the journal alone gives the row."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from typing import cast

import orjson
from tests.support.checker import Request, Witnesses, check
from tests.support.lab import Lab

from flowforge.engine.events import Event
from flowforge.engine.executor.claims import fold_rows
from flowforge.engine.machine import Program, TurnSheet, decide
from flowforge.engine.store import JournalRow
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document

SERVED = ("test.record", "test.tell", "test.route")


def assert_sound(lab: Lab, served: Collection[str] = ()) -> None:
    """Checks the lab's database. `served`: ids of steps whose effect the book must have seen if they completed."""
    requests = [Request(entry.key, entry.attempt, entry.at_ms) for entry in lab.book.entries()]
    faults = check(lab.database, Witnesses(requests=requests, served=served))
    assert not faults, "\n".join(f"{fault.invariant} {fault.run}: {fault.message}" for fault in faults)
    assert_rows_follow(lab)


def assert_rows_follow(lab: Lab) -> None:
    """F78: of every run that has ended the journal alone gives status and error of its row, and nothing is left to decide."""
    with closing(sqlite3.connect(lab.database)) as connection:
        ended = connection.execute("SELECT no, digest, status, error_code FROM runs WHERE finished_at IS NOT NULL").fetchall()
        rows = {no: [JournalRow(*row) for row in connection.execute(_ROWS, (no,))] for no, *_ in ended}
        documents = dict(connection.execute("SELECT digest, document FROM definitions").fetchall())
    for no, digest, status, error_code in ended:
        assert_refolds(lab, orjson.loads(documents[digest]), rows[no], (status, error_code))


_ROWS = "SELECT seq, epoch, at, CAST(body AS BLOB) FROM journal WHERE run_no=? ORDER BY seq"


def assert_refolds(lab: Lab, document: JsonObject, rows: list[JournalRow], expected: tuple[str, str | None]) -> None:
    """The rows of an ended run fold to its end; deciding on it adds nothing."""
    workflow = compile_document(document, lab.registry, Limits()).workflow
    assert workflow is not None
    state = fold_rows(Program(workflow), rows)
    last = cast("list[Event]", orjson.loads(rows[-1].body))[-1]
    assert last["type"] == "run.finished"
    error_code = None if state.error is None else state.error["code"]
    assert (state.phase, state.status, error_code) == ("finished", *expected)
    sheet = TurnSheet(state, rows[-1].at, lambda: 1)
    decide(sheet)
    assert not sheet.events
    assert not sheet.work
