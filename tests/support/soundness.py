"""What must be true of every database that engines have worked on: the checker's invariants, and F78, the journal alone gives the row."""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import cast

import orjson
from tests.support.checker import Request, Witnesses, check
from tests.support.history import Database, History, read
from tests.support.lab import Lab

from flowforge.engine.events import Event
from flowforge.engine.executor.claims import fold_rows
from flowforge.engine.machine import Program, TurnSheet, decide
from flowforge.engine.store import JournalRow
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document
from flowforge.operations.registry import Registry

SERVED = ("test.record", "test.tell", "test.route")


def assert_sound(lab: Lab, served: Collection[str] = ()) -> None:
    """Checks the lab's database. `served`: ids of steps whose effect the book must have seen if they completed."""
    requests = [Request(entry.key, entry.attempt, entry.at_ms) for entry in lab.book.entries()]
    faults = check(lab.database, Witnesses(requests=requests, served=served))
    assert not faults, "\n".join(f"{fault.invariant} {fault.run}: {fault.message}" for fault in faults)
    assert_rows_follow(lab)


def assert_rows_follow(lab: Lab) -> None:
    """F78: of every run that has ended the journal alone gives status and error of its row, and nothing is left to decide."""
    assert_histories_follow(read(lab.database), lab.registry)


def assert_histories_follow(database: Database, registry: Registry) -> None:
    """F78, for what was read from any database."""
    programs: dict[str, Program] = {}
    for history in database.histories:
        if history.row["finished_at"] is None:
            continue
        digest = str(history.row["digest"])
        if digest not in programs:
            programs[digest] = compile_program(cast("JsonObject", history.document), registry)
        expected = (str(history.row["status"]), cast("str | None", history.row["error_code"]))
        assert_refolds(programs[digest], list(_rows(history)), expected)


def compile_program(document: JsonObject, registry: Registry) -> Program:
    workflow = compile_document(document, registry, Limits()).workflow
    assert workflow is not None
    return Program(workflow)


def _rows(history: History) -> Iterator[JournalRow]:
    for (seq, epoch), entries in groupby(history.entries, key=lambda entry: (entry.seq, entry.epoch)):
        row = list(entries)
        yield JournalRow(seq, epoch, row[0].at, orjson.dumps([entry.event for entry in row]))


def assert_refolds(program: Program, rows: list[JournalRow], expected: tuple[str, str | None]) -> None:
    """The rows of an ended run fold to its end; deciding on it adds nothing."""
    state = fold_rows(program, rows)
    last = cast("list[Event]", orjson.loads(rows[-1].body))[-1]
    assert last["type"] == "run.finished"
    error_code = None if state.error is None else state.error["code"][:200]
    assert (state.phase, state.status, error_code) == ("finished", *expected)
    sheet = TurnSheet(state, rows[-1].at, lambda: 1)
    decide(sheet)
    assert not sheet.events
    assert not sheet.work
