"""The laws of the pure core, each on random workflows, and its agreement with the naive reference.

`FLOWFORGE_TEST_EXAMPLES` sets how many examples each property tries.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.support.effect_oracle import Oracle, Succeeds
from tests.support.graphs import EFFECT, PURE, Case, cases
from tests.support.machine_driver import Driver, begin, picture, rebuild, settled_steps, take_turn
from tests.support.operations import compile_valid
from tests.support.reference import Prediction, predict

from flowforge.engine.events import Event
from flowforge.engine.machine.work import Effect, Pure, StartJob, Succeeded
from flowforge.kit.values import JsonObject, JsonValue

EXAMPLES: Final = int(os.environ.get("FLOWFORGE_TEST_EXAMPLES", "40"))

PHASES: Final = [phase for phase in Phase if phase is not Phase.explain]  # explaining a failure takes longer than finding it

many = settings(max_examples=EXAMPLES, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
most = settings(many, max_examples=5 * EXAMPLES)
some = settings(
    max_examples=max(1, EXAMPLES // 3), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def start(case: Case) -> Driver:
    return begin(compile_valid(case.document), case.input, case.oracle)


def names(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def ends_of(events: list[Event]) -> dict[str, tuple[str, str | None]]:
    """What the journal says about each step that ended: status, and by which port or with which code."""
    ends: dict[str, tuple[str, str | None]] = {}
    for event in events:
        match event:
            case {"type": "step.completed", "step": key, "port": port}:
                ends[key] = ("completed", None if port == "stop" else port)
            case {"type": "step.failed", "step": key, "retry_at": None, "error": error}:
                ends[key] = ("failed", error["code"])
            case {"type": "step.bypassed", "step": key}:
                ends[key] = ("bypassed", None)
            case _:
                pass
    return {key: end for key, end in ends.items() if not key.startswith("~undo/")}


def predicted_ends(prediction: Prediction, stops: set[str]) -> dict[str, tuple[str, str | None]]:
    ends: dict[str, tuple[str, str | None]] = {}
    for key, fate in prediction.fates.items():
        if fate.status == "completed":
            ends[key] = ("completed", None if key in stops else fate.port)
        elif fate.status == "failed":
            assert fate.error is not None
            ends[key] = ("failed", cast("str", fate.error["code"]))
        elif fate.status == "bypassed":
            ends[key] = ("bypassed", None)
    return ends


def stop_keys(events: list[Event]) -> set[str]:
    return {event["step"] for event in events if event["type"] == "step.completed" and event["port"] == "stop"}


def check_order(events: list[Event], prediction: Prediction) -> None:
    """No step begins before the steps that it needs are over."""
    begun: dict[str, int] = {}
    over: dict[str, int] = {}
    for place, event in enumerate(events):
        key = event.get("step")
        if isinstance(key, str) and event["type"].startswith(("step.", "loop.opened")):
            begun.setdefault(key, place)
            over[key] = place
    for key, needs in prediction.needs.items():
        for alternatives in needs:
            if key in begun and alternatives:
                assert any(over[other] < begun[key] for other in alternatives), f"{key} began before {alternatives}"


def judge(case: Case) -> tuple[Driver, Prediction]:
    """The run by the core, and by the reference; only where the language says which of several things comes first."""
    workflow = compile_valid(case.document)
    prediction = predict(workflow, case.input, case.oracle)
    assume(not prediction.is_open_to_order)
    return begin(workflow, case.input, case.oracle).play(), prediction


@most
@given(cases())
def test_run_agrees_with_the_reference(case: Case):
    driver, prediction = judge(case)
    end = driver.end

    assert end["status"] == prediction.status
    assert end.get("output") == prediction.output
    assert ends_of(driver.events) == predicted_ends(prediction, stop_keys(driver.events))
    plans = [(event["step"], event["attempt"]) for event in driver.events if event["type"] == "step.planned"]
    assert sorted(plans) == sorted(prediction.planned)
    assert [step for step, attempt in plans if step.startswith("~undo/") and attempt == 1] == [
        f"~undo/{key}" for key in prediction.undone
    ]
    assert [entry["step"] for entry in end.get("uncompensated", [])] == prediction.uncompensated
    if end["status"] == "failed":
        check_error(cast("JsonObject", end.get("error")), prediction.error)
    check_order(driver.events, prediction)


def check_error(found: JsonObject | None, expected: JsonObject | None) -> None:
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert found["code"] == expected["code"]
        assert "step" not in expected or found["step"] == expected["step"]
        assert "index" not in expected or cast("JsonObject", found["details"])["index"] == expected["index"]


@most
@given(cases())
def test_what_expressions_read_agrees_with_the_reference(case: Case):
    """Status, port and output of each step of the main graph, as they are in the end."""
    driver, prediction = judge(case)
    steps = driver.workflow.graph.steps
    stops = stop_keys(driver.events)

    for step in steps:
        fate, view = prediction.fates.get(step.id), driver.view(step.id)
        assert view["status"] == ("skipped" if fate is None else fate.status), step.id
        if fate is not None and fate.status in ("completed", "bypassed") and step.id not in stops:
            assert (view["port"], view["output"]) == (fate.port, fate.output), step.id


@many
@given(cases())
def test_every_run_ends(case: Case):
    driver = start(case).play()

    assert names(driver.events).count("run.finished") == 1
    assert not driver.flying
    assert not driver.state.timers


_HASHED: Final = """
import json, sys
from tests.engine.test_machine_properties import journal_digest
print(journal_digest(json.load(sys.stdin)))
"""


def journal_digest(written: list[JsonObject]) -> str:
    """Digest of the journals of these cases, byte for byte."""
    # orjson and hashlib are imported where the subprocess needs them too
    import hashlib

    import orjson

    digest = hashlib.blake2b(digest_size=16)
    for each in written:
        driver = begin(
            compile_valid(cast("JsonObject", each["document"])), each["input"], Oracle(order_seed=cast("int", each["seed"]))
        )
        for row in driver.play().rows:
            digest.update(orjson.dumps([row.at, row.events]))
    return digest.hexdigest()


def test_l1_same_journal_byte_for_byte_under_any_hash_seed():
    written: list[JsonObject] = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(cases())
    def collect(case: Case) -> None:
        written.append({"document": case.document, "input": case.input, "seed": case.oracle.order_seed})

    collect()
    expected = journal_digest(written)

    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        found = subprocess.run(
            [sys.executable, "-c", _HASHED],
            input=json.dumps(written),
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == expected


@many
@given(cases())
def test_l2_folding_from_nothing_gives_the_incremental_state(case: Case):
    driver = start(case)
    while not driver.state.is_finished:
        driver.step()

        assert picture(rebuild(driver, driver.rows)) == picture(driver.state)


@many
@given(cases())
def test_l3_deciding_again_gives_nothing(case: Case):
    driver = start(case)
    while not driver.state.is_finished:
        driver.step()
        before = picture(driver.state)

        again = take_turn(driver.state, driver.at, [], driver.compute)

        assert (again.events, again.work) == ([], [])
        assert picture(driver.state) == before


@many
@given(cases())
def test_l4_what_is_over_never_changes(case: Case):
    driver = start(case)
    known: dict[str, tuple[int, str | None, JsonValue]] = {}
    while not driver.state.is_finished:
        driver.step()
        now = settled_steps(driver.state)

        assert {key: now[key] for key in known if key in now} == {key: known[key] for key in known if key in now}
        known.update(now)


@many
@given(cases(), st.data())
def test_l5_every_prefix_is_valid_and_leads_to_what_followed(case: Case, data: st.DataObject):
    driver = start(case).play()
    cut = data.draw(st.integers(1, len(driver.rows) - 1))
    state = rebuild(driver, driver.rows[:cut])
    followed = driver.rows[cut]

    sheet = take_turn(state, followed.at, followed.outcomes, driver.compute)

    assert tuple(sheet.events) == followed.events


@some
@given(cases(has_races=False, is_wide=True), st.data())
def test_l6_independent_outcomes_commute(case: Case, data: st.DataObject):
    """Two attempts in flight end well: which one first makes no difference, as long as nothing ends early because of it."""
    driver = start(case)
    driver.step()
    assume(len(driver.flying) >= 2)
    one, other = data.draw(st.permutations(sorted(driver.flying)))[:2]

    def bring(keys: list[str]) -> tuple[JsonObject, set[str]]:
        state = rebuild(driver, driver.rows)
        seen: set[str] = set()
        for key in keys:
            sheet = take_turn(state, driver.at, [Succeeded(key, driver.flying[key], "done", "result")], driver.compute)
            seen.update(names(sheet.events))
            seen.update("last" for event in sheet.events if event["type"] == "loop.item" and event.get("last"))
        return {**picture(state), "undo": None}, seen

    (forth, seen_forth), (back, seen_back) = bring([one, other]), bring([other, one])
    assume(not (seen_forth | seen_back) & {"step.failed", "run.phase", "run.finished", "last"})

    assert forth == back


def chain(size: int) -> JsonObject:
    return {"steps": [{"id": f"s{number}", "uses": "flow.set", "with": {"values": {"value": number}}} for number in range(size)]}


def fan(size: int) -> JsonObject:
    """One step, `size` behind it, and one that joins them all."""
    first: JsonObject = {"id": "first", "uses": EFFECT, "with": {"value": 1}}
    wide: list[JsonValue] = [
        {"id": f"w{number}", "after": "first", "uses": PURE, "with": {"value": number}} for number in range(size)
    ]
    joined: JsonObject = {
        "id": "last",
        "after": [f"w{number}" for number in range(size)],
        "join": "all",
        "uses": EFFECT,
        "with": {"value": 1},
    }
    return {"steps": [first, *wide, joined]}


def loop(size: int) -> JsonObject:
    body: JsonObject = {"id": "work", "uses": EFFECT, "with": {"value": "${{ item }}"}}
    with_: JsonObject = {"items": [*range(size)], "concurrency": "unlimited"}
    return {"steps": [{"id": "items", "uses": "flow.foreach", "with": with_, "steps": [body]}]}


def count_calls(document: JsonObject) -> int:
    """How many functions are called to play the run: a cost that does not depend on the machine."""
    driver = begin(compile_valid({"flowforge": 1, "name": "sized", **document}), {}, Oracle())
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        driver.play_plainly()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("shape", [chain, fan, loop])
def test_l7_cost_grows_no_faster_than_edges_and_iterations(shape: Callable[[int], JsonObject]):
    small, large = count_calls(shape(100)), count_calls(shape(400))

    assert large < 4.4 * small


@many
@given(cases())
def test_l8_nothing_follows_the_end(case: Case):
    driver = start(case)
    last_flying: dict[str, int] = {}
    while not driver.state.is_finished:
        last_flying = dict(driver.flying) or last_flying
        driver.step()
    late = [Succeeded(key, attempt, "done", "late") for key, attempt in last_flying.items()]

    sheet = take_turn(driver.state, driver.at + 10_000_000, late, driver.compute)

    assert (sheet.events, sheet.work) == ([], [])


@many
@given(cases())
def test_l9_plan_precedes_effect_and_limits_hold(case: Case):
    driver = start(case)
    while not driver.state.is_finished:
        driver.step()
        row = driver.rows[-1]
        plans = [(event["step"], event["attempt"]) for event in row.events if event["type"] == "step.planned"]

        effects = [
            work.effect if isinstance(work, StartJob) else work for work in row.work if isinstance(work, Effect | StartJob)
        ]
        assert [(work.key, work.attempt) for work in effects] == plans
        assert not any(isinstance(work, Pure) for work in row.work)
        for each in driver.state.loops.values():
            assert each.running <= each.window
            inside = {key[len(each.key) :].split("/")[0] for key in driver.flying if key.startswith(f"{each.key}.")}
            assert len(inside) <= each.window


@some
@given(cases(has_races=False), st.data())
def test_crash_after_any_turn_changes_no_result(case: Case, data: st.DataObject):
    """The journal alone is enough: another worker goes on to the same end, and repeats only what was in flight."""
    # How often a step was tried is what a crash does change, so a workflow that reads that number may rightly end otherwise.
    assume(".attempts" not in str(case.document))
    calm = Oracle({step: [Succeeds()] for step in case.oracle.script}, case.oracle.order_seed, jobs=case.oracle.jobs)
    undisturbed = begin(compile_valid(case.document), case.input, calm).play()
    driver = begin(undisturbed.workflow, case.input, calm)
    for _ in range(data.draw(st.integers(1, max(1, len(undisturbed.rows) - 2)))):
        driver.step()
    assume(not driver.state.is_finished)
    in_flight = set(driver.flying) - driver.jobs

    recovered = driver.crash().play()

    end, expected = recovered.end, undisturbed.end
    assert (end["status"], end.get("output")) == (expected["status"], expected.get("output"))
    assert ends_of(recovered.events) == ends_of(undisturbed.events)
    planned = [event["step"] for event in recovered.events if event["type"] == "step.planned"]
    assert {step for step in planned if planned.count(step) > 1} <= in_flight
