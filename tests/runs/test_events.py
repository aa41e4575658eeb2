from typing import Any

import pytest
from tests.runs.conftest import Compile
from tests.runs.journals import RUN_ID, Journal, claimed, completed, failed, finished, mail, planned, waiting

from flowforge.engine.outbox_events import END_PLACE
from flowforge.language.graph import Workflow
from flowforge.runs.events import PLACES_PER_ROW, EventStream, RunEvent, derive_events, summarise

BRANCHES = """\
steps:
  - {id: check, uses: flow.if, with: {condition: true}}
  - {id: read, after: check.true, uses: file.read, with: {path: a}}
  - {id: other, after: check.false, uses: flow.set, with: {values: {}}}
  - {id: later, after: other, uses: flow.set, with: {values: {}}}
  - {id: both, after: [read, later], join: all, uses: flow.set, with: {values: {}}}
  - {id: any, after: [read, later], uses: flow.set, with: {values: {}}}
"""
TOGETHER = """\
steps:
  - {id: hold, uses: flow.wait, with: {signal: go}}
  - {id: read, after: [], uses: file.read, with: {path: a}}
  - {id: last, after: [hold, read], uses: flow.set, with: {values: {}}}
"""
LOOP = """\
steps:
  - id: items
    uses: flow.foreach
    with: {items: [1, 2, 3], concurrency: 2}
    break: "${{ index == 9 }}"
    steps:
      - {id: fetch, uses: file.read, with: {path: a}}
      - {id: keep, uses: flow.set, with: {values: {}}}
"""
OPEN_ITEM = ["cancelled items.0/fetch", "skipped items.0/keep"]
CANCELLED = {"code": "cancelled", "message": "The run was cancelled by user:bob."}


def types(journal: Journal) -> list[str]:
    return [event.type for event in derive_events(journal.turns)]


def test_seq_is_row_and_place_and_grows(journal: Journal):
    journal.begin()
    journal.add(1_010, completed("a"), {"type": "timer.fired", "which": "run", "due": 1}, planned("b"))
    events = derive_events(journal.turns)
    assert [(event.seq, event.type) for event in events] == [
        (PLACES_PER_ROW, "run.started"),
        (2 * PLACES_PER_ROW, "step.completed"),
        (2 * PLACES_PER_ROW + 1, "step.started"),
    ]
    assert derive_events(journal.turns, events[1].seq) == events[2:]


def test_event_has_the_form_of_the_contract(journal: Journal):
    journal.begin()
    journal.add(1_250, planned("items.3/pay", 2))
    event = derive_events(journal.turns)[-1].as_json()
    assert event == {
        "id": f"{RUN_ID}.{2 * PLACES_PER_ROW}",
        "seq": 2 * PLACES_PER_ROW,
        "type": "step.started",
        "time": "1970-01-01T00:00:01.250Z",
        "workspace_id": "ws_" + "0" * 26,
        "subject": RUN_ID,
        "actor": "user:ann",
        "trace_id": None,
        "data": {"run_id": RUN_ID, "workflow_id": "wf_1", "step": "pay", "iteration": "items.3", "attempt": 2},
    }


def test_claims_timers_loops_and_mail_are_no_events(journal: Journal):
    journal.begin()
    journal.add(1_010, claimed(), mail("signal", name="go"), {"type": "loop.opened", "step": "a", "window": 1})
    journal.add(1_020, {"type": "loop.item", "step": "a", "index": 0}, {"type": "timer.fired", "which": "run", "due": 1})
    assert types(journal) == ["run.started"]


def test_failure_says_whether_it_is_tried_again(journal: Journal):
    journal.begin()
    journal.add(1_000, planned("pay"))
    journal.add(1_040, failed("pay", retry_at=3_000))
    journal.add(3_000, planned("pay", 2))
    journal.add(3_010, failed("pay", attempt=2))
    first, last = (event.data for event in derive_events(journal.turns) if event.type == "step.failed")
    assert (first["attempt"], first["duration_ms"], first["will_retry"]) == (1, 40, True)
    assert first["next_attempt_at"] == "1970-01-01T00:00:03Z"
    assert (last["attempt"], last["duration_ms"], last["will_retry"], last["next_attempt_at"]) == (2, 10, False, None)


def test_bypassed_and_parked_steps_are_completed_and_waiting(journal: Journal):
    journal.begin()
    journal.add(1_000, {"type": "step.bypassed", "step": "a", "output": 7, "by": "user:bob"})
    journal.add(1_010, {"type": "step.parked", "step": "b", "reason": "poison"})
    bypassed, parked = derive_events(journal.turns)[1:3]
    assert (bypassed.type, bypassed.data["bypassed"], bypassed.data["output_summary"], bypassed.actor) == (
        "step.completed",
        True,
        "7",
        "user:bob",
    )
    assert (parked.type, parked.data["kind"], parked.data["reason"]) == ("step.waiting", "attention", "poison")


def test_run_waits_once_when_nothing_is_under_way(journal: Journal):
    journal.begin()
    journal.add(1_000, waiting("a", until=9_000), planned("b"))
    assert "run.waiting" not in types(journal)
    journal.add(1_010, completed("b"))
    journal.add(1_020, claimed())
    assert types(journal).count("run.waiting") == 1
    event = next(event for event in derive_events(journal.turns) if event.type == "run.waiting")
    assert event.data["waiting_for"] == [{"kind": "timer", "ref": {"step": "a"}, "until": "1970-01-01T00:00:09Z"}]
    journal.add(9_000, completed("a"), planned("c"))
    journal.add(9_010, completed("c"), waiting("d"))
    assert types(journal).count("run.waiting") == 2


def test_pause_and_resume_name_who_did_it(journal: Journal):
    journal.begin()
    journal.add(1_010, mail("pause", by="user:bob"))
    journal.add(1_020, mail("resume", by="user:cid"))
    events = derive_events(journal.turns)[1:]
    assert [(event.type, event.actor) for event in events] == [("run.paused", "user:bob"), ("run.resumed", "user:cid")]


def test_end_is_told_once_with_error_and_step(journal: Journal):
    journal.begin(1_000)
    journal.add(1_500, finished("failed", error={"code": "nope", "message": "No.", "step": "pay"}))
    (event,) = (event for event in derive_events(journal.turns) if event.type == "run.finished")
    assert event.data["status"] == "failed"
    assert event.data["duration_ms"] == 500
    assert event.data["failed_step"] == "pay"


def test_stream_gives_the_same_events_turn_by_turn(journal: Journal, compile_steps: Compile):
    compile_steps("steps: [{id: a, uses: flow.stop}]")
    journal.begin()
    journal.add(1_000, planned("a"))
    journal.add(1_010, completed("a"), finished())
    stream = EventStream()
    assert [event for turn in journal.turns for event in stream.read(turn)] == derive_events(journal.turns)


def last_row(journal: Journal, workflow: Workflow | None) -> list[RunEvent]:
    row = journal.turns[-1].seq
    return [event for event in derive_events(journal.turns, workflow=workflow) if event.seq // PLACES_PER_ROW == row]


def brief(events: list[RunEvent]) -> list[tuple[str, str]]:
    """Type and step of each, the step with its iteration."""
    return [(event.type, f"{event.data.get('iteration', '')}/{event.data.get('step', '')}".strip("/")) for event in events]


def test_branch_that_is_not_taken_is_skipped_in_the_turn_that_decides(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_010, completed("check", port="true"), planned("read"))
    told = last_row(journal, compile_steps(BRANCHES))
    skipped = [("step.skipped", "other"), ("step.skipped", "later"), ("step.skipped", "both")]
    assert brief(told) == [("step.completed", "check"), ("step.started", "read"), *skipped]
    assert [event.seq for event in told] == [2 * PLACES_PER_ROW + place for place in range(5)]
    assert told[2].data == {"run_id": RUN_ID, "workflow_id": "wf_1", "step": "other", "iteration": "", "attempt": 0}


def test_cancelled_run_tells_what_was_in_progress_and_what_never_begins(journal: Journal, compile_steps: Compile):
    workflow = compile_steps(TOGETHER)
    journal.begin()
    journal.add(1_000, waiting("hold", "signal", ref={"name": "go"}), planned("read", 2))
    journal.add(1_500, mail("cancel"), {"type": "run.phase", "phase": "cancelling", "status": "cancelled", "error": CANCELLED})
    told = last_row(journal, workflow)
    assert brief(told) == [("step.cancelled", "hold"), ("step.cancelled", "read"), ("step.skipped", "last")]
    assert [(event.data["attempt"], event.data.get("duration_ms")) for event in told] == [(1, 500), (2, 500), (0, None)]
    journal.add(1_600, completed("read", attempt=2), finished("cancelled"))
    assert brief(last_row(journal, workflow)) == [("step.completed", "read"), ("run.finished", "")]


def test_run_ends_behind_all_that_its_end_skips_under_a_number_of_its_own(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, failed("read"), finished("failed"))
    told, without = last_row(journal, compile_steps(TOGETHER)), last_row(journal, None)
    assert brief(told) == [("step.failed", "read"), ("step.skipped", "hold"), ("step.skipped", "last"), ("run.finished", "")]
    assert told[-1].seq == 2 * PLACES_PER_ROW + END_PLACE
    assert without == [told[0], told[-1]]


@pytest.mark.parametrize(
    ("events", "given_up"),
    [
        (
            [failed("items.0/fetch"), {"type": "loop.item", "step": "items", "index": 0, "error": CANCELLED}],
            ["skipped items.0/keep"],
        ),
        (
            [
                completed("items.0/fetch"),
                completed("items.0/keep"),
                {"type": "loop.item", "step": "items", "index": 0, "last": True},
            ],
            [],
        ),
        ([{"type": "step.bypassed", "step": "items", "by": "user:bob"}], OPEN_ITEM),
        ([failed("items", "timeout")], OPEN_ITEM),
    ],
    ids=["an item fails", "break", "a person skips the loop", "time-out"],
)
def test_iterations_that_are_given_up_are_told(
    journal: Journal, compile_steps: Compile, events: list[dict[str, Any]], given_up: list[str]
):
    journal.begin()
    journal.add(1_000, {"type": "loop.opened", "step": "items", "window": 2, "count": 3, "items": [1, 2, 3]})
    journal.add(1_010, planned("items.0/fetch"), planned("items.1/fetch"))
    journal.add(1_020, *events)
    told = [f"{kind.removeprefix('step.')} {key}" for kind, key in brief(last_row(journal, compile_steps(LOOP)))]
    expected = [*given_up, *(line.replace("items.0", "items.1") for line in OPEN_ITEM)]
    assert told[-len(expected) :] == expected
    assert [line for line in told if line.startswith(("skipped", "cancelled"))] == expected


def test_event_of_a_newer_version_ends_what_follows_from_the_graph_and_nothing_else(journal: Journal, compile_steps: Compile):
    journal.begin()
    journal.add(1_000, planned("read"), {"type": "step.dreamed", "step": "hold"})
    journal.add(1_010, completed("read"), finished())
    assert brief(derive_events(journal.turns, workflow=compile_steps(TOGETHER)))[1:] == [
        ("step.started", "read"),
        ("step.completed", "read"),
        ("run.finished", ""),
    ]


def test_summary_is_at_most_a_kibibyte():
    assert summarise(None) is None
    assert summarise({"a": "ü"}) == '{"a":"ü"}'
    long = summarise("ü" * 2_000)
    assert long is not None
    assert long.endswith("…")
    assert len(long.encode()) <= 1_024
