"""Small histories that once went wrong, or that the random ones seldom reach."""

import pytest
from tests.support.effect_oracle import Fails, Oracle
from tests.support.machine_driver import Driver, begin, take_turn
from tests.support.operations import compile_valid

from flowforge.engine.machine.work import Succeeded
from flowforge.kit.values import JsonObject, JsonValue

MISSING = "${{ input.absent }}"


def effect(id_: str, value: JsonValue = 1, **fields: JsonValue) -> JsonObject:
    return {"id": id_, "uses": "test.effect", "with": {"value": value}, **fields}


def start(steps: list[JsonObject], oracle: Oracle | None = None, more: JsonObject | None = None) -> Driver:
    whole: JsonObject = {"flowforge": 1, "name": "example", "steps": [*steps], **(more or {})}
    return begin(compile_valid(whole), {}, oracle or Oracle())


def test_loop_fails_once_when_two_iterations_fail_in_one_turn():
    loop: JsonObject = {
        "id": "items",
        "uses": "flow.foreach",
        "with": {"items": [1, 2], "concurrency": 2},
        "steps": [effect("work", MISSING)],
    }

    driver = start([loop]).play()

    assert driver.end["status"] == "failed"
    assert [event["step"] for event in driver.events if event["type"] == "loop.item"] == ["items"]


@pytest.mark.parametrize("which", ["the loop's", "the run's"])
def test_time_out_ends_a_wait_inside_it_that_is_overdue_too(which: str):
    """After a downtime many timers are due at once."""
    wait: JsonObject = {"id": "pause", "uses": "flow.wait", "with": {"for": "5s"}}
    loop: JsonObject = {"id": "items", "uses": "flow.foreach", "with": {"items": [1]}, "steps": [wait]}
    limit: JsonObject = {"timeout": "3s"}
    driver = start([{**loop, **limit}]) if which == "the loop's" else start([loop], more=limit)
    driver.step()

    driver.at += 60_000
    driver.turn([])

    error = driver.end.get("error")
    assert error is not None
    assert error["code"] == ("timeout" if which == "the loop's" else "run_timeout")


def test_late_outcome_changes_nothing_when_the_run_has_ended():
    """`finally` failed while another of its attempts was in flight."""
    oracle = Oracle({"x": [Fails("boom", retryable=False)]}, order_seed=2)
    tidy: list[JsonValue] = [effect("x", after=[]), effect("y", after=[])]
    driver = start([effect("a")], oracle, {"finally": tidy}).play()

    sheet = take_turn(driver.state, driver.at, [Succeeded("~finally/y", 1, "done", "late")], driver.compute)

    assert sheet.events == []


def test_step_that_was_never_reached_is_skipped_in_an_ended_run():
    driver = start([effect("a", MISSING), effect("b")]).play()

    assert driver.view("b")["status"] == "skipped"


def test_earlier_failure_ends_the_run_before_a_later_stop_begins():
    """Both are ready at once, and the one earlier in the list starts first."""
    stop: JsonObject = {"id": "b", "uses": "flow.stop", "after": []}

    driver = start([effect("a", MISSING, after=[]), stop]).play()

    assert driver.end["status"] == "failed"


def test_nothing_is_planned_beside_a_failure_that_ends_the_run():
    """An attempt that is planned and aborted in one turn would stand in the ledger as unknown."""
    driver = start([effect("a", MISSING, after=[]), effect("b", after=[])]).play()

    assert [event["step"] for event in driver.events if event["type"] == "step.planned"] == []
