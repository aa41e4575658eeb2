"""A journal read anew never asks again for what it says was done."""

from typing import cast

from tests.support.effect_oracle import Oracle
from tests.support.machine_driver import begin, take_turn
from tests.support.operations import compile_valid

from flowforge.engine.events import Event
from flowforge.engine.machine import RunState, fold
from flowforge.engine.machine.work import Outcome, Pure
from flowforge.kit.values import JsonObject, JsonValue


def replay(steps: list[JsonValue], *events: JsonObject) -> RunState:
    document: JsonObject = {"flowforge": 1, "name": "sample", "steps": steps}
    driver = begin(compile_valid(document), {}, Oracle())
    for event in events:
        fold(driver.state, cast("Event", event), driver.at)
    return driver.state


def decide_anew(state: RunState) -> list[str]:
    return [event["type"] for event in take_turn(state, state.at, [], refuse).events]


def refuse(work: Pure) -> Outcome:
    raise AssertionError(work)


def mail(no: int, kind: str, **body: JsonValue) -> JsonObject:
    return {"type": "run.mail", "no": no, "kind": kind, "body": body, "by": "user:x"}


EFFECT: JsonObject = {"id": "one", "uses": "test.effect", "with": {"value": 1}, "on_interrupt": "ask"}
ASK: JsonObject = {"id": "ask", "uses": "flow.wait", "with": {"signal": "go"}, "after": []}
PLANNED: JsonObject = {"type": "step.planned", "step": "one", "attempt": 1, "key": "k", "digest": "d"}
WAITING: JsonObject = {"type": "step.waiting", "step": "ask", "kind": "signal", "ref": {"name": "go"}}


def test_step_that_a_person_resolved_is_not_completed_again():
    state = replay(
        [EFFECT, ASK],
        PLANNED,
        WAITING,
        {"type": "run.claimed", "epoch": 2, "worker": 2, "why": "expired"},
        {"type": "step.parked", "step": "one", "reason": "outcome_unknown"},
        mail(1, "resolve", step="one", happened=True, output=1),
        {"type": "step.completed", "step": "one", "port": "done", "output": 1},
    )

    assert state.resolved_as_done == {}
    assert decide_anew(state) == []


def test_skip_of_a_step_that_was_cancelled_is_forgotten():
    state = replay([EFFECT, ASK], PLANNED, WAITING, mail(1, "skip", step="ask"), mail(2, "cancel"))

    assert decide_anew(state) == ["run.phase"]
    assert state.skips == {}


def test_result_of_a_call_is_not_taken_for_that_of_the_next_attempt():
    call: JsonObject = {"id": "call", "uses": "flow.call", "with": {"workflow": "other"}, "retry": {"attempts": 2}}
    child: JsonObject = {"no": 7, "run": "run_1", "workflow": "other", "wait": True}
    plan: JsonObject = {"type": "step.planned", "step": "call", "attempt": 1, "key": "k", "digest": "d", "child": child}
    error: JsonObject = {"code": "failed", "message": "", "attempt": 1}
    state = replay(
        [call],
        plan,
        mail(1, "child", step="call", attempt=1, status="failed", run="run_1", error=error),
        {"type": "step.failed", "step": "call", "attempt": 1, "error": error, "retry_at": 5},
        {"type": "timer.fired", "which": "retry:call", "due": 5},
        {**plan, "attempt": 2, "child": {**child, "no": 8}},
    )

    assert decide_anew(state) == []
    assert state.open["call"].child == 8
