from typing import Any

from tests.runs.conftest import Compile
from tests.runs.journals import Journal, claimed, completed, failed, finished, planned

from flowforge.kit.values import JsonObject
from flowforge.runs.effects import read_effects
from flowforge.runs.types import EffectState


def states(journal: Journal) -> list[tuple[str, int, EffectState]]:
    return [(effect.step_key, effect.attempt, effect.state) for effect in read_effects(journal.turns)]


def test_effect_is_planned_until_its_outcome_is_recorded(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay", target="bank.example"))
    (effect,) = read_effects(journal.turns)
    assert (effect.state, effect.target, effect.key, effect.settled_at_ms) == (
        EffectState.PLANNED,
        "bank.example",
        "key of pay",
        None,
    )
    journal.add(1_020, completed("pay"))
    (effect,) = read_effects(journal.turns)
    assert (effect.state, effect.planned_at_ms, effect.settled_at_ms) == (EffectState.CONFIRMED, 1_000, 1_020)


def test_each_attempt_is_an_effect_of_its_own_under_the_same_key(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay", 1))
    journal.add(1_010, failed("pay", retry_at=2_000))
    journal.add(2_000, planned("pay", 2))
    journal.add(2_010, completed("pay", attempt=2))
    assert states(journal) == [("pay", 1, EffectState.FAILED), ("pay", 2, EffectState.CONFIRMED)]
    assert len({effect.key for effect in read_effects(journal.turns)}) == 1


def test_effect_of_a_lost_worker_is_unknown_and_its_repetition_is_not(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay", 1), planned("call", child={"no": 1, "run": "run_2"}))
    journal.add(9_000, claimed())
    assert states(journal) == [("pay", 1, EffectState.UNKNOWN), ("call", 1, EffectState.PLANNED)]
    journal.add(9_010, planned("pay", 2))
    journal.add(9_020, completed("pay", attempt=2), completed("call"))
    assert [state for _, _, state in states(journal)] == [EffectState.UNKNOWN, EffectState.CONFIRMED, EffectState.CONFIRMED]


def test_job_reports_its_own_loss(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay", 1, job="heavy"))
    journal.add(9_000, claimed())
    assert states(journal) == [("pay", 1, EffectState.PLANNED)]
    journal.add(9_010, lost_job("pay", 2))
    assert states(journal) == [("pay", 1, EffectState.PLANNED)]
    journal.add(9_020, lost_job("pay", 1))
    assert states(journal) == [("pay", 1, EffectState.UNKNOWN)]


def lost_job(step: str, attempt: int) -> dict[str, Any]:
    body: JsonObject = {"step": step, "attempt": attempt, "lost": "expired"}
    return {"type": "run.mail", "no": 1, "kind": "job", "body": body, "by": "system"}


def test_outcome_that_nobody_knows_is_unknown(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay"))
    journal.add(1_010, failed("pay", "outcome_unknown"))
    assert states(journal) == [("pay", 1, EffectState.UNKNOWN)]


def test_effects_in_flight_at_the_end_are_unknown(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay"), planned("call", child={"no": 1, "run": "run_2"}))
    journal.add(1_010, finished("cancelled"))
    assert {state for _, _, state in states(journal)} == {EffectState.UNKNOWN}


def test_operation_is_named_from_the_definition(journal: Journal, compile_steps: Compile):
    workflow = compile_steps("steps: [{id: pay, uses: file.read, with: {path: a}}]")
    journal.begin()
    journal.add(1_000, planned("pay"), planned("gone"))
    assert [effect.operation for effect in read_effects(journal.turns, workflow)] == ["file.read", ""]


def test_pure_steps_are_no_effects(journal: Journal):
    journal.begin()
    journal.add(1_000, completed("sum"))
    assert read_effects(journal.turns) == []
