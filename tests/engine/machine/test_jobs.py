"""Attempts that are jobs, in the pure core: their messages, their loss, and what becomes of those that nobody wants any more."""

import pytest
from tests.support.effect_oracle import Fails, Oracle
from tests.support.machine_driver import Driver, begin, tell_job
from tests.support.operations import compile_valid

from flowforge.engine.machine.work import Aborted, DropJob, Effect, Failed, MailRead, StartJob, Succeeded
from flowforge.engine.why import explain_state, run_status, say_why
from flowforge.kit.values import JsonObject, JsonValue


def effect(name: str, **fields: JsonValue) -> JsonObject:
    return {"id": name, "uses": "test.effect", "with": {"value": 1}, **fields}


def start(*steps: JsonObject, jobs: tuple[str, ...] = ("a",), oracle: Oracle | None = None, **more: JsonValue) -> Driver:
    whole: JsonObject = {"flowforge": 1, "name": "example", "steps": [*steps], **more}
    told = oracle or Oracle()
    driver = begin(compile_valid(whole), {}, Oracle(told.script, told.order_seed, told.late, told.cancel_after, frozenset(jobs)))
    driver.turn([])
    return driver


def lose(driver: Driver, how: str = "expired", attempt: int = 1) -> None:
    driver.flying.pop("a", None)
    driver.turn([tell_job(Aborted("a", attempt), how)])


def events_of(driver: Driver, kind: str) -> list[JsonObject]:
    return [dict(event) for event in driver.events if event["type"] == kind]  # type: ignore[arg-type]


def test_plan_names_the_queue_and_asks_for_a_job():
    driver = start(effect("a"))

    (plan,) = events_of(driver, "step.planned")
    (work,) = driver.rows[-1].work
    assert plan["job"] == "heavy"
    assert isinstance(work, StartJob)
    assert (work.queue, work.effect.key, work.effect.idempotency_key) == ("heavy", "a", plan["key"])


def test_run_of_an_open_job_is_running_and_why_says_so():
    driver = start(effect("a"))

    assert run_status(driver.state) == "running"
    cause = explain_state(driver.state)["causes"]
    assert cause == [{"kind": "job", "step": "a", "since": driver.at, "ref": {"queue": "heavy", "attempt": 1}}]
    assert say_why(explain_state(driver.state), driver.at).startswith("The step a is a job of the queue heavy, attempt 1, since ")


def test_job_survives_a_new_owner_of_its_run():
    driver = start(effect("a"), effect("b", after=[])).crash()

    plans = [(plan["step"], plan["attempt"]) for plan in events_of(driver, "step.planned")]
    assert plans == [("a", 1), ("b", 1), ("b", 2)]
    assert driver.play().end["status"] == "completed"


def test_outcome_comes_by_mail_and_only_once():
    driver = start(effect("a"))
    mail = tell_job(Succeeded("a", 1, "done", 7))

    driver.turn([mail, MailRead(2, "job", {**mail.body, "output": 8}, "system")])

    (completed,) = events_of(driver, "step.completed")
    assert (completed["attempt"], completed["output"]) == (1, 8)  # of two in one turn the last one counts: there never are two
    assert driver.end["status"] == "completed"


@pytest.mark.parametrize(
    ("on_interrupt", "expected"), [("repeat", "step.planned"), ("fail", "step.failed"), ("ask", "step.parked")]
)
@pytest.mark.parametrize("how", ["expired", "released"])
def test_lost_job_is_an_unknown_outcome(on_interrupt: str, expected: str, how: str):
    driver = start(effect("a", on_interrupt=on_interrupt))

    lose(driver, how)

    last = next(event for event in driver.rows[-1].events if event["type"].startswith("step."))
    assert last["type"] == expected
    if expected == "step.planned":
        first, second = events_of(driver, "step.planned")
        assert (second["attempt"], second["key"], second["job"]) == (2, first["key"], "heavy")


def test_late_message_of_an_earlier_attempt_changes_nothing():
    driver = start(effect("a"))
    lose(driver)

    driver.turn([tell_job(Succeeded("a", 1, "done", "late"))])
    driver.turn([tell_job(Aborted("a", 1), "expired")])

    assert [event["type"] for row in driver.rows[-2:] for event in row.events] == ["run.mail", "run.mail"]
    assert driver.state.open["a"].attempt == 2


def test_f07_step_whose_jobs_killed_their_workers_is_parked_and_keeps_its_retries():
    oracle = Oracle({"a": [Fails("boom")]})
    driver = start(effect("a", retry={"attempts": 2, "initial": "1s", "jitter": False}), oracle=oracle)
    for attempt in (1, 2, 3):
        lose(driver, "expired", attempt)

    (parked,) = events_of(driver, "step.parked")
    assert parked["reason"] == "poison"
    assert not events_of(driver, "step.failed")

    driver.turn([MailRead(9, "retry", {"step": "a"}, "user:p")])

    plans = events_of(driver, "step.planned")
    assert len({str(plan["key"]) for plan in plans}) == 1
    assert [plan["attempt"] for plan in plans] == [1, 2, 3, 4]
    lose(driver, "expired", 4)
    assert driver.state.open["a"].attempt == 5, "a redriven step has its whole budget again"
    driver.play()
    assert [failed["retry_at"] is None for failed in events_of(driver, "step.failed")] == [False, True]


def test_f07_discarded_job_ends_its_run_failed():
    driver = start(effect("a"))
    for attempt in (1, 2, 3):
        lose(driver, "expired", attempt)

    driver.turn([MailRead(9, "discard", {}, "user:p")])

    end = driver.end
    assert end["status"] == "failed"
    assert end.get("error", {}).get("code") == "poison"


def test_jobs_that_were_given_back_are_no_losses():
    driver = start(effect("a"))
    for attempt in range(1, 8):
        lose(driver, "released", attempt)

    assert not events_of(driver, "step.parked")
    assert driver.state.open["a"].attempt == 8


def test_cancelled_run_drops_its_job_and_hears_of_it():
    driver = start(effect("a"))

    driver.turn([MailRead(1, "cancel", {}, "user:p")])

    assert driver.rows[-1].work == (DropJob("a", 1, "heavy"),)
    assert not driver.state.is_finished
    driver.turn([tell_job(Aborted("a", 1))])
    assert driver.end["status"] == "cancelled"


def test_outcome_that_came_with_the_cancel_is_kept_and_compensated():
    undo: JsonObject = {"uses": "test.effect", "with": {"value": "${{ steps.a.output }}"}}
    driver = start(effect("a", compensate=undo), effect("b", after=[], when="${{ 1 / 0 == 1 }}"))
    assert driver.state.phase == "cancelling"

    driver.turn([tell_job(Succeeded("a", 1, "done", 7))])

    (plan,) = [plan for plan in events_of(driver, "step.planned") if str(plan["step"]).startswith("~undo/")]
    assert plan["job"] == "heavy", "a compensation goes where its step goes"
    assert driver.play().end["status"] == "failed"


def test_time_out_of_the_run_drops_its_jobs():
    driver = start(effect("a"), timeout="5s")
    driver.at += 5_000
    driver.turn([])

    assert driver.rows[-1].work == (DropJob("a", 1, "heavy"),)


def test_failed_item_drops_the_jobs_of_the_others():
    loop: JsonObject = {
        "id": "all",
        "uses": "flow.foreach",
        "with": {"items": [1, 2, 3], "concurrency": 3},
        "steps": [effect("a")],
    }
    driver = start(loop)

    driver.turn([tell_job(Failed("all.1/a", 1, {"code": "broken", "message": "It is."}, is_fatal=True))])

    dropped = [work for work in driver.rows[-1].work if isinstance(work, DropJob)]
    assert sorted(work.key for work in dropped) == ["all.0/a", "all.2/a"]


def test_outcomes_count_while_the_run_is_paused_and_nothing_is_planned():
    driver = start(effect("a"), effect("b"))
    driver.turn([MailRead(1, "pause", {}, "user:p")])

    driver.turn([tell_job(Succeeded("a", 1, "done", 7))])
    assert [event["type"] for event in driver.rows[-1].events] == ["run.mail", "step.completed"]

    driver.turn([MailRead(3, "resume", {}, "user:p")])
    assert isinstance(driver.rows[-1].work[0], Effect)
