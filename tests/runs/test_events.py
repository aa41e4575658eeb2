from tests.runs.conftest import Compile
from tests.runs.journals import RUN_ID, Journal, claimed, completed, failed, finished, mail, planned, waiting

from flowforge.runs.events import PLACES_PER_ROW, EventStream, derive_events, summarise


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


def test_summary_is_at_most_a_kibibyte():
    assert summarise(None) is None
    assert summarise({"a": "ü"}) == '{"a":"ü"}'
    long = summarise("ü" * 2_000)
    assert long is not None
    assert long.endswith("…")
    assert len(long.encode()) <= 1_024
