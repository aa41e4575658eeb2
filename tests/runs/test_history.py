import pytest
from tests.runs.conftest import Compile
from tests.runs.journals import Journal, claimed, completed, failed, finished, mail, planned, waiting

from flowforge.engine.events import BlobRef
from flowforge.kit.errors import InvariantError
from flowforge.runs.history import decode_turn, read_history
from flowforge.runs.types import StepRecord, StoredValue, WaitingFor

THREE = """\
steps:
  - {id: first, uses: flow.set, with: {values: {}}}
  - {id: second, uses: file.read, with: {path: a}, retry: {attempts: 3}}
  - {id: third, uses: flow.set, with: {values: {}}}
"""
LOOP = """\
steps:
  - id: items
    uses: flow.foreach
    with: {items: [1, 2, 3], concurrency: 2}
    steps:
      - {id: fetch, uses: file.read, with: {path: a}}
      - {id: keep, uses: flow.set, with: {values: {}}}
  - {id: last, uses: flow.set, with: {values: {}}}
"""


def by_key(steps: list[StepRecord]) -> dict[str, StepRecord]:
    return {step.key: step for step in steps}


def test_steps_stand_in_the_order_of_the_document(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_010, completed("first", {"a": 1}), planned("second"))
    steps = read_history(journal.turns, compile_steps(THREE)).list_steps()
    assert [(step.key, step.uses, step.status) for step in steps] == [
        ("first", "flow.set", "completed"),
        ("second", "file.read", "running"),
        ("third", "flow.set", "pending"),
    ]


def test_attempts_are_told_with_times_and_outcomes(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, planned("second", 1))
    journal.add(1_030, failed("second", retry_at=2_030))
    journal.add(2_030, {"type": "timer.fired", "which": "retry:second", "due": 2_030}, planned("second", 2))
    journal.add(2_050, completed("second", "x", attempt=2))
    step = by_key(read_history(journal.turns, compile_steps(THREE)).list_steps())["second"]
    assert [(each.number, each.status, each.started_at_ms, each.duration_ms) for each in step.attempts] == [
        (1, "failed", 1_000, 30),
        (2, "completed", 2_030, 20),
    ]
    assert (step.status, step.port, step.duration_ms, step.output) == ("completed", "done", 1_050, StoredValue("x"))


def test_step_between_attempts_waits_for_its_retry(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, planned("second", 1))
    journal.add(1_030, failed("second", "http_503", retry_at=9_000))
    history = read_history(journal.turns, compile_steps(THREE))
    assert by_key(history.list_steps())["second"].status == "waiting"
    (wait,) = history.list_waits()
    assert (wait.kind, wait.until_ms) == ("retry", 9_000)


def test_wait_lasts_until_its_outcome(journal: Journal):
    journal.begin()
    journal.add(1_000, waiting("go", "signal", ref={"name": "go"}))
    assert read_history(journal.turns).list_waits() == [WaitingFor("go", "signal", None, {"name": "go"})]
    journal.add(5_000, completed("go", {"a": 1}, port="received"))
    history = read_history(journal.turns)
    (step,) = history.list_steps()
    assert (step.status, step.port, step.duration_ms, len(step.attempts)) == ("completed", "received", 4_000, 1)
    assert history.list_waits() == []


def test_iterations_stand_below_their_container(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, {"type": "loop.opened", "step": "items", "window": 2, "items": [1, 2, 3]}, planned("items.1/fetch"))
    journal.add(1_001, planned("items.0/fetch"))
    journal.add(1_010, completed("items.0/fetch"), completed("items.0/keep"), planned("items.2/fetch"))
    steps = read_history(journal.turns, compile_steps(LOOP)).list_steps()
    assert [step.key for step in steps] == ["items", "items.0/fetch", "items.0/keep", "items.1/fetch", "items.2/fetch", "last"]
    assert (steps[1].step, steps[1].iteration, steps[1].uses) == ("fetch", "items.0", "file.read")
    assert steps[0].status == "running"


def test_iterations_in_flight_are_cancelled_with_their_container(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, {"type": "loop.opened", "step": "items", "window": 2}, planned("items.0/fetch"), planned("items.1/fetch"))
    journal.add(1_010, failed("items.0/fetch"), failed("items"))
    steps = by_key(read_history(journal.turns, compile_steps(LOOP)).list_steps())
    assert [steps[key].status for key in ("items", "items.0/fetch", "items.1/fetch")] == ["failed", "failed", "cancelled"]
    assert steps["items.1/fetch"].attempts[0].status == "unknown"


def test_step_that_an_ended_run_never_reached_is_skipped(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_010, completed("first"), waiting("second"))
    journal.add(1_020, {"type": "run.phase", "phase": "finally", "status": "completed"}, finished())
    history = read_history(journal.turns, compile_steps(THREE))
    assert [step.status for step in history.list_steps()] == ["completed", "cancelled", "skipped"]
    assert history.list_waits() == []


def test_state_of_the_engine_decides_what_the_journal_leaves_open(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_010, completed("first"))
    history = read_history(journal.turns, compile_steps(THREE))
    assert [step.status for step in history.list_steps({"third": "skipped"})] == ["completed", "pending", "skipped"]


def test_failure_that_asks_a_person_waits_for_attention(journal: Journal, compile_steps: Compile):
    workflow = compile_steps("steps:\n  - {id: read, uses: file.read, with: {path: a}, on_error: ask}\n")
    journal.begin()
    journal.add(1_000, planned("read"))
    journal.add(1_010, failed("read", "file_missing"))
    history = read_history(journal.turns, workflow)
    (wait,) = history.list_waits()
    assert (wait.kind, wait.ref["reason"]) == ("attention", "error")
    journal.add(2_000, mail("skip", step="read"), {"type": "step.bypassed", "step": "read", "output": "own", "by": "user:bob"})
    (step,) = read_history(journal.turns, workflow).list_steps()
    assert (step.status, step.output, len(step.attempts)) == ("bypassed", StoredValue("own"), 1)


def test_parked_step_keeps_its_attempt_as_unknown(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay"))
    journal.add(9_000, claimed(), {"type": "step.parked", "step": "pay", "reason": "outcome_unknown"})
    history = read_history(journal.turns)
    (step,) = history.list_steps()
    assert (step.status, step.attempts[0].status) == ("waiting", "unknown")
    assert history.list_waits()[0].ref == {"reason": "outcome_unknown"}


def test_called_run_is_waited_for(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("call", child={"no": 4, "run": "run_2", "workflow": {}, "wait": True}))
    history = read_history(journal.turns)
    assert history.list_waits() == [WaitingFor("call", "child", None, {"run": "run_2"})]
    assert not history.has_open_attempts()


def test_corrected_input_is_the_input(journal: Journal):
    journal.begin()
    journal.add(1_010, mail("edit", input={"n": 2}), mail("pause"))
    history = read_history(journal.turns)
    assert (history.input, history.corrections, history.is_paused) == ({"n": 2}, [{"n": 2}], True)
    assert history.get_started()["input"] == {"n": 1}


def test_large_output_stays_in_the_object_store_until_it_is_asked_for(journal: Journal):
    ref: BlobRef = {"id": "file_1", "size": 9, "sha256": "s"}
    journal.begin()
    journal.add(1_000, {"type": "step.completed", "step": "big", "port": "done", "blob": ref})
    (step,) = read_history(journal.turns).list_steps()
    assert step.output.load(lambda asked: f"value of {asked['id']}") == "value of file_1"


def test_phases_come_behind_the_main_graph(journal: Journal, compile_steps: Compile):
    workflow = compile_steps(
        "steps:\n  - id: pay\n    uses: file.read\n    with: {path: a}\n"
        "    compensate: {uses: file.write, with: {path: b, text: c}}\n"
        "  - {id: die, uses: flow.fail, with: {code: x}}\n"
        "finally:\n  - {id: tidy, uses: flow.set, with: {values: {}}}\n"
    )
    journal.begin()
    journal.add(1_000, completed("~finally/tidy"), planned("~undo/pay"), planned("pay"), failed("die"))
    steps = read_history(journal.turns, workflow).list_steps()
    assert [(step.key, step.uses) for step in steps] == [
        ("pay", "file.read"),
        ("die", "flow.fail"),
        ("~undo/pay", "file.write"),
        ("~finally/tidy", "flow.set"),
    ]


def test_damaged_journal_is_told():
    with pytest.raises(InvariantError):
        decode_turn(1, 0, b'{"type": "run.started"}')
    with pytest.raises(InvariantError):
        read_history([]).get_started()
