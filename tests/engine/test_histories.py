"""Journals of earlier engines, folded by this one."""

import json
from itertools import count
from pathlib import Path
from typing import cast

import pytest
from tests.support.histories import HISTORIES
from tests.support.lab import make_registry
from tests.support.scenarios import SCENARIOS

from flowforge.engine.events import Event, RunStarted
from flowforge.engine.executor.claims import forget_side
from flowforge.engine.machine import Program, RunState, TurnSheet, decide, fold
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document

RECORDS = sorted(HISTORIES.glob("*.json"))


def refold(run: JsonObject) -> RunState:
    workflow = compile_document(cast("JsonObject", run["document"]), make_registry(), Limits()).workflow
    assert workflow is not None
    rows = cast("list[JsonObject]", run["rows"])
    state = RunState(Program(workflow), cast("RunStarted", rows[0]["event"]), cast("int", rows[0]["at"]))
    for row in rows:
        fold(state, cast("Event", row["event"]), cast("int", row["at"]))
    return forget_side(state)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_f78_a_recorded_journal_still_gives_the_end_that_it_had(path: Path):
    history = json.loads(path.read_text())

    for run in history["runs"]:
        state = refold(run)
        last = run["rows"][-1]["event"]
        sheet = TurnSheet(state, state.at + 1, count(1).__next__)
        decide(sheet)
        assert (state.phase, state.status) == ("finished", run["status"])
        assert (state.output if "blob" not in last else None, state.error) == (last.get("output"), last.get("error"))
        assert (sheet.events, sheet.work) == ([], [])


def test_every_scenario_has_a_record():
    assert {path.stem for path in RECORDS} >= set(SCENARIOS)
