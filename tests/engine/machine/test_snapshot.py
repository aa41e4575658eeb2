"""Snapshots of the pure core: what is read back is what was there, and a snapshot with the rest of the journal is the whole journal."""

import os
from collections.abc import Sequence
from typing import Final, cast

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.effect_oracle import Oracle
from tests.support.graphs import Case, cases
from tests.support.machine_driver import Driver, TurnRow, begin, picture, rebuild, take_turn
from tests.support.operations import compile_valid

from flowforge.engine.errors import JournalError
from flowforge.engine.events import BlobRef, Event
from flowforge.engine.machine import Program, RunState, TurnSheet, fold, record
from flowforge.engine.machine.snapshot import can_dump, dump_state, load_state, read_head
from flowforge.engine.machine.state import Blob, Parts
from flowforge.engine.machine.work import Aborted, MailRead, Settled, SlotGranted
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import SecretText

EXAMPLES: Final = int(os.environ.get("FLOWFORGE_TEST_EXAMPLES", "40"))
PHASES: Final = [phase for phase in Phase if phase is not Phase.explain]  # explaining a failure takes longer than finding it
many = settings(max_examples=EXAMPLES, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])

NOTES: Final = {
    "side",
    "over",
    "busy",
    "requested",
    "granted",
    "looked_back",
    "settled",
    "blobs",
    "callees",
}
"""What is in flight: no journal tells it."""
DERIVED: Final = {"program", "run_id", "workspace_id", "pinned", "parent", "mocks", "root", "timer_heap"}
REF: Final[BlobRef] = {"id": "file_1", "size": 3, "sha256": "00"}


def again(state: RunState) -> RunState:
    """The state by way of a snapshot, with a program of its own."""
    program = Program(state.program.workflow, choose_queue=state.program.choose_queue)
    return load_state(program, dump_state(state))


def fold_tail(state: RunState, rows: Sequence[TurnRow]) -> RunState:
    """The rows on top of a state, with the outcomes that leave no event."""
    for row in rows:
        for outcome in row.outcomes:
            if isinstance(outcome, Aborted | Settled):
                record(TurnSheet(state, row.at, lambda: 1), outcome)
        for event in row.events:
            fold(state, event, row.at)
    return state


@many
@given(cases(), st.data())
def test_l2_snapshot_and_tail_give_the_incremental_state(case: Case, data: st.DataObject):
    driver = begin(compile_valid(case.document), case.input, case.oracle).play()
    cut = data.draw(st.integers(1, len(driver.rows)))
    end = data.draw(st.integers(cut, len(driver.rows)))
    whole = rebuild(driver, driver.rows[:end])

    by_snapshot = fold_tail(again(rebuild(driver, driver.rows[:cut])), driver.rows[cut:end])

    assert picture(by_snapshot) == picture(whole)
    assert dump_state(by_snapshot) == dump_state(whole)


@many
@given(cases())
def test_snapshot_of_the_running_state_reads_back_at_every_turn(case: Case):
    driver = begin(compile_valid(case.document), case.input, case.oracle)
    while not driver.state.is_finished:
        driver.step()
        dumped = dump_state(driver.state)
        loaded = load_state(Program(driver.workflow), dumped)

        assert picture(loaded) == picture(driver.state)
        assert dump_state(loaded) == dumped


@many
@given(cases())
def test_run_on_snapshots_writes_the_same_journal(case: Case):
    """The state is read anew from a snapshot after every turn."""
    workflow = compile_valid(case.document)
    undisturbed = begin(workflow, case.input, case.oracle).play()
    driver = begin(workflow, case.input, case.oracle)
    while not driver.state.is_finished:
        driver.step()
        driver.state = again(driver.state)

    assert driver.events == undisturbed.events


def start(document: JsonObject, value: JsonValue = None) -> Driver:
    return begin(compile_valid({"flowforge": 1, "name": "sample", **document}), {} if value is None else value, Oracle())


def bring(driver: Driver, *events: object) -> RunState:
    for event in events:
        fold(driver.state, cast("Event", event), driver.at)
    return driver.state


def effect(name: str, **more: JsonValue) -> JsonObject:
    return {"id": name, "uses": "test.effect", "with": {"value": 1}, **more}


def planned(step: str, attempt: int = 1) -> JsonObject:
    return {"type": "step.planned", "step": step, "attempt": attempt, "key": "k", "digest": "d"}


def test_large_values_stay_references_and_data_that_looks_like_one_stays_data():
    driver = start({"steps": [effect("one"), effect("two"), effect("three")]})
    lookalike: JsonValue = [1, {"id": "file_1", "size": 3, "sha256": "00"}]
    state = bring(
        driver,
        planned("one"),
        {"type": "step.completed", "step": "one", "attempt": 1, "port": "done", "blob": REF},
        planned("two"),
        {"type": "step.completed", "step": "two", "attempt": 1, "port": "done", "output": lookalike},
    )
    state.root.outputs[2] = Parts([1, Blob(REF), Parts([Blob(REF), lookalike])])

    outputs = again(state).root.outputs

    assert outputs == {0: Blob(REF), 1: lookalike, 2: Parts([1, Blob(REF), Parts([Blob(REF), lookalike])])}


def test_items_in_the_object_store_stay_there():
    loop: JsonObject = {"id": "all", "uses": "flow.foreach", "with": {"items": [1, 2, 3]}, "steps": [effect("one")]}
    state = bring(start({"steps": [loop]}), {"type": "loop.opened", "step": "all", "window": 2, "count": 3, "blob": REF})

    loaded = again(state)

    assert loaded.loops["all"].items == Blob(REF)
    assert [scope.path for scope in loaded.loops["all"].scopes.values()] == ["all.0/", "all.1/"]
    assert loaded.scopes["all.1/"].loop is loaded.loops["all"]


def test_undo_parameters_keep_their_secrets_by_name():
    compensate: JsonObject = {"uses": "test.effect", "with": {"value": 2}}
    packed: JsonObject = {"parameters": {"value": [None, "x"]}, "secrets": [[["value", 0], [[True, "TOKEN"], [False, "!"]]]]}
    state = bring(
        start({"steps": [effect("one", compensate=compensate), effect("two")]}),
        planned("one"),
        {"type": "step.completed", "step": "one", "attempt": 1, "port": "done", "output": 1, "undo": packed},
    )

    (undo,) = again(state).undo

    assert (undo.key, undo.step.id) == ("one", "one")
    assert undo.parameters == {"value": [SecretText(((True, "TOKEN"), (False, "!"))), "x"]}
    assert b"TOKEN" in dump_state(state)


def test_compensation_in_progress_goes_on_with_its_parameters():
    compensate: JsonObject = {"uses": "test.effect", "with": {"value": "${{ item }}"}}
    loop: JsonObject = {
        "id": "all",
        "uses": "flow.foreach",
        "with": {"items": [1, 2]},
        "steps": [effect("one", compensate=compensate)],
    }
    driver = start({"steps": [loop, {"id": "end", "uses": "flow.fail", "with": {"code": "no", "message": "No."}}]})
    while driver.state.undo_scope is None:
        driver.step()

    loaded = again(driver.state)

    assert loaded.undo_scope is not None
    assert loaded.undo_scope is loaded.scopes["~undo/all.1/"]
    assert loaded.undo_scope.preset == {"value": 2}
    assert loaded.undo_now is not None
    assert [undo.key for undo in [*loaded.undo, loaded.undo_now]] == ["all.0/one", "all.1/one"]
    driver.state = loaded
    assert driver.play().end["status"] == "failed"


def test_people_signals_and_edited_input_are_kept():
    wait: JsonObject = {"id": "wait", "uses": "flow.wait", "with": {"signal": "paid"}, "after": []}
    driver = start({"steps": [effect("one", on_interrupt="ask"), wait]}, {"a": 1})
    take_turn(driver.state, driver.at, [], driver.compute)
    state = bring(driver, {"type": "run.claimed", "epoch": 2, "worker": 2, "why": "expired", "poison": True})
    for no, (kind, body) in enumerate(
        [
            ("signal", {"name": "paid", "payload": {"b": 2}}),
            ("edit", {"input": None}),
            ("pause", {}),
            ("skip", {"step": "wait"}),
        ],
        1,
    ):
        record(TurnSheet(state, driver.at, lambda: 1), MailRead(no, kind, cast("JsonObject", body), "user:x"))

    loaded = again(state)

    assert (loaded.input, loaded.mail_seen, loaded.is_paused, loaded.is_poison, loaded.epoch) == (None, 4, True, True, 2)
    assert [(signal.name, signal.payload) for signal in loaded.signals] == [("paid", {"b": 2})]
    assert (list(loaded.unknown), loaded.skips) == (["one"], state.skips)
    assert dump_state(loaded) == dump_state(state)


def test_parameters_of_a_race_are_kept_and_others_are_evaluated_again():
    plain = start({"steps": [effect("one")]})
    plain.turn([])
    racing = start({"steps": [effect("a", after=[]), effect("b", after=[]), effect("c", after=["a", "b"], join="first")]})
    racing.turn([])
    assert plain.state.parameters == {"one": {"value": 1}}

    assert again(plain.state).parameters == {}
    assert again(racing.state).parameters == {"a": {"value": 1}, "b": {"value": 1}}


def test_no_snapshot_while_a_granted_slot_is_not_used():
    limit: JsonObject = {"key": "api", "concurrency": 1}
    driver = start({"steps": [effect("one", limit=limit)]})
    take_turn(driver.state, driver.at, [], driver.compute)
    assert can_dump(driver.state)

    record(TurnSheet(driver.state, driver.at, lambda: 1), SlotGranted("one"))

    assert not can_dump(driver.state)


def test_every_field_of_a_state_is_written_or_known_to_be_left_out():
    """Who adds a field to a run's state decides here what a snapshot does with it, and raises SNAPSHOT_FORMAT."""
    loop: JsonObject = {"id": "all", "uses": "flow.foreach", "with": {"items": [1]}, "steps": [effect("one")]}
    driver = start({"steps": [loop]})
    driver.turn([])
    state = driver.state
    written = orjson.loads(dump_state(state).split(b"\n", 1)[1])

    assert set(vars(state)) - NOTES - DERIVED == set(written) - {"all_scopes", "all_loops"}
    scope, inside = state.root, state.loops["all"]
    assert set(scope.__slots__) - {"graph", "parent", "plan", "roots"} == set(written["all_scopes"][0]) - {"undo"}
    assert set(inside.__slots__) - {"key", "plan", "scope", "index"} == set(written["all_loops"][0]) - {"place"}


def test_head_tells_digest_and_length():
    state = start({"steps": [effect("one")]}).state

    head = read_head(dump_state(state, events=7, size_bytes=99))

    assert (head.digest, head.events, head.size_bytes) == (state.pinned["digest"], 7, 99)


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n{}", b'{"digest": "x"}\n{}', b"\x00state"])
def test_bytes_that_are_no_snapshot_have_no_head(data: bytes):
    with pytest.raises(JournalError):
        read_head(data)


def test_snapshot_of_another_definition_or_cut_short_is_refused():
    state = start({"steps": [effect("one")]}).state
    dumped = dump_state(state)
    other = start({"steps": [effect("one"), effect("two")]}).state.program

    for program, data in ((other, dumped), (state.program, dumped[:-20]), (state.program, b'{"digest": "x"}\n{}')):
        with pytest.raises(JournalError):
            load_state(program, data)
