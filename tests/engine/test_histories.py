"""Journals of earlier engines, folded by this one."""

import json
from collections import Counter
from itertools import count, groupby
from pathlib import Path
from typing import cast

import pytest
from tests.support.histories import HISTORIES
from tests.support.lab import make_registry
from tests.support.scenarios import SCENARIOS

from flowforge.engine.events import Event, RunStarted
from flowforge.engine.executor.claims import forget_side
from flowforge.engine.machine import Program, RunState, TurnSheet, decide, fold
from flowforge.engine.machine.state import CANCELLED, SKIPPED
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document
from flowforge.runs.events import derive_events, describe_step
from flowforge.runs.types import JournalTurn

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


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_what_a_recorded_run_skipped_and_cancelled_is_told_once_and_resumed_at_each_place(path: Path):
    for run in json.loads(path.read_text())["runs"]:
        state, kinds = refold(run), {SKIPPED: "step.skipped", CANCELLED: "step.cancelled"}
        turns = [
            JournalTurn(seq, rows[0]["at"], [row["event"] for row in rows])
            for seq, rows in ((seq, list(rows)) for seq, rows in groupby(run["rows"], lambda row: row["seq"]))
        ]
        events = derive_events(turns, workflow=state.program.workflow)
        for place, event in enumerate(events):
            assert derive_events(turns, event.seq, state.program.workflow) == events[place + 1 :]
        over = [event for event in events if event.type in kinds.values()]
        # Without its definition a run tells less, under the same numbers.
        assert all(event in events and event not in over for event in derive_events(turns))
        told = Counter((event.type, event.data["iteration"], event.data["step"]) for event in over)
        assert set(told.values()) <= {1}
        for scope in state.scopes.values():
            for index, status in enumerate(scope.status):
                place = describe_step(scope.key(index), {})
                assert [kind for kind in kinds.values() if (kind, place["iteration"], place["step"]) in told] == (
                    [kinds[status]] if status in kinds else []
                )


def test_every_scenario_has_a_record():
    assert {path.stem for path in RECORDS} >= set(SCENARIOS)
