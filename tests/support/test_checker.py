"""Proves the checker: a sound history passes, and each corruption is seen under the invariant that it breaks."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from tests.support.checker import Acknowledged, Request, Witnesses, check

from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.values import JsonObject

NOW_MS = 1_700_000_060_000
DOCUMENT: JsonObject = {
    "flowforge": 1,
    "name": "sample",
    "steps": [
        {"id": "charge", "uses": "http.request", "retry": {"attempts": 2}, "on_interrupt": "repeat"},
        {"id": "items", "uses": "flow.foreach", "steps": [{"id": "ship", "uses": "http.request"}]},
        {"id": "once", "uses": "http.request", "on_interrupt": "ask"},
    ],
    "finally": [{"id": "tidy", "uses": "http.request"}],
}
Rows = list[tuple[int, int, list[JsonObject]]]
"""(epoch, time after the start in ms, events)"""


def planned(step: str, attempt: int = 1) -> JsonObject:
    return {"type": "step.planned", "step": step, "attempt": attempt, "key": f"key of {step}", "digest": "d"}


def completed(step: str, attempt: int = 1) -> JsonObject:
    return {"type": "step.completed", "step": step, "attempt": attempt, "port": "done", "output": 1}


def failed(step: str, attempt: int, retry_at: int | None) -> JsonObject:
    error: JsonObject = {"code": "boom", "message": "It failed."}
    return {"type": "step.failed", "step": step, "attempt": attempt, "error": error, "retry_at": retry_at}


def claimed(epoch: int, *, poison: bool = False) -> JsonObject:
    return {"type": "run.claimed", "epoch": epoch, "worker": 2, "why": "expired", **({"poison": True} if poison else {})}


def mail(kind: str, body: JsonObject | None = None) -> JsonObject:
    return {"type": "run.mail", "no": 1, "kind": kind, "body": body or {}, "by": "somebody"}


def phase(name: str, status: str) -> JsonObject:
    return {"type": "run.phase", "phase": name, "status": status}


STARTED: JsonObject = {"type": "run.started", "workflow": {"digest": "digest"}, "input": {}}
FINISHED: JsonObject = {"type": "run.finished", "status": "completed"}


def sound() -> Rows:
    """A run that saw a failure with a retry, a crash, a loop, a signal, and ended."""
    base = NOW_MS - 60_000
    return [
        (1, 0, [STARTED]),
        (1, 1, [planned("charge")]),
        (1, 20, [failed("charge", 1, base + 1_020)]),
        (1, 1_020, [{"type": "timer.fired", "which": "retry:charge", "due": base + 1_020}, planned("charge", 2)]),
        (2, 5_000, [claimed(2), planned("charge", 3)]),
        (2, 5_010, [completed("charge", 3), planned("items.0/ship"), planned("items.1/ship")]),
        (2, 5_020, [mail("signal", {"name": "go"}), completed("items.1/ship")]),
        (2, 5_030, [completed("items.0/ship"), FINISHED]),
    ]


class Story:
    """A database with one run, written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        upgrade_database(name_sqlite(path))
        self.base_ms = NOW_MS - 60_000

    def tell(self, rows: Rows, **row: object) -> None:
        """Writes the journal and a run's row that fits it; `row` overrides single columns."""
        finished = next(((at, event) for _, at, events in rows for event in events if event["type"] == "run.finished"), None)
        columns: dict[str, object] = {
            "no": 1,
            "id": "run_1",
            "workspace_id": "ws",
            "workflow_id": "wf",
            "workflow_name": "sample",
            "digest": "digest",
            "status": "running" if finished is None else finished[1]["status"],
            "priority": 5,
            "actor": "somebody",
            "epoch": max(epoch for epoch, _, _ in rows),
            "owner": 1 if finished is None else None,
            "mail": 1,
            "crashes": 0,
            "started_at": self.base_ms,
            "finished_at": None if finished is None else self.base_ms + finished[0],
            "events": 0,
            "bytes": 0,
            "counted_seq": 0,
        }
        self.insert("runs", **{**columns, **row})
        self.insert("definitions", digest="digest", document=orjson.dumps(DOCUMENT).decode())
        self.insert("workers", no=1, name="one", expires_at=NOW_MS, dead=0)
        for seq, (epoch, at, events) in enumerate(rows, 1):
            body = orjson.dumps(events).decode()
            self.insert("journal", run_no=1, seq=seq, epoch=epoch, at=self.base_ms + at, events=len(events), body=body)

    def insert(self, table: str, **columns: object) -> None:
        names = ", ".join(columns)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", tuple(columns.values()))

    def run(self, statement: str, parameters: tuple[object, ...] = ()) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(statement, parameters)
            connection.commit()

    def violations(self, witnesses: Witnesses | None = None) -> set[str]:
        return {violation.invariant for violation in check(self.path, witnesses)}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "history.db")


def requests(story: Story) -> list[Request]:
    seen = [("charge", 1, 10), ("charge", 2, 1_030), ("charge", 3, 5_005), ("items.0/ship", 1, 5_012), ("items.1/ship", 1, 5_013)]
    return [Request(f"key of {step}", attempt, story.base_ms + at) for step, attempt, at in seen]


def witnesses(story: Story, seen: list[Request]) -> Witnesses:
    told = [Acknowledged("run_1", "start"), Acknowledged("run_1", "signal")]
    return Witnesses(seen, served={"charge", "ship"}, acknowledged=told, now_ms=NOW_MS, has_blob=lambda blob: True)


def test_sound_history_passes(story: Story):
    story.tell(sound())

    assert check(story.path, witnesses(story, requests(story))) == []


def replace(number: int, events: list[JsonObject]) -> Callable[[Rows], Rows]:
    """Row `number` (from 0) with other events."""

    def change(rows: Rows) -> Rows:
        epoch, at, _ = rows[number]
        return [*rows[:number], (epoch, at, events), *rows[number + 1 :]]

    return change


def insert(number: int, row: tuple[int, int, list[JsonObject]]) -> Callable[[Rows], Rows]:
    return lambda rows: [*rows[:number], row, *rows[number:]]


TOO_MANY_FAILURES: Rows = [
    (1, 2_000, [failed("charge", 2, NOW_MS - 58_000), planned("charge", 3)]),
    (1, 3_000, [failed("charge", 3, None)]),
]
BLOB: JsonObject = {**completed("charge", 3), "blob": {"id": "blob_1", "size": 1, "sha256": ""}}

JOURNALS: list[tuple[str, str, Callable[[Rows], Rows]]] = [
    ("I2", "no start", lambda rows: rows[1:]),
    ("I2", "start in the middle", insert(3, (1, 30, [STARTED]))),
    ("I2", "event after the end", insert(8, (2, 5_040, [mail("signal")]))),
    ("I2", "two ends", insert(8, (2, 5_040, [FINISHED]))),
    ("I3", "completed twice", insert(7, (2, 5_025, [completed("charge", 3)]))),
    ("I3", "planned after completion", insert(7, (2, 5_025, [planned("charge", 4)]))),
    ("I3", "failed for good after completion", insert(7, (2, 5_025, [failed("charge", 3, None)]))),
    ("I4", "old epoch after a new one", insert(6, (1, 5_015, [mail("signal")]))),
    ("I4", "new epoch without a claim", replace(4, [planned("charge", 3)])),
    ("I4", "claim says another epoch", replace(4, [claimed(3), planned("charge", 3)])),
    ("I4", "claim without a new epoch", insert(6, (2, 5_015, [claimed(2)]))),
    ("I7", "repeated without a cause", insert(6, (2, 5_015, [planned("items.0/ship", 2)]))),
    ("I7", "another key at the second attempt", replace(3, [{**planned("charge", 2), "key": "another"}])),
    ("I7", "two steps with one key", replace(5, [completed("charge", 3), {**planned("items.0/ship"), "key": "key of charge"}])),
    (
        "I7",
        "ask, and repeated after a crash",
        replace(4, [planned("once"), claimed(2), planned("charge", 3), planned("once", 2)]),
    ),
    ("I8", "outcome without a plan", replace(5, [completed("charge", 3), planned("items.1/ship")])),
    ("I8", "outcome of another attempt", replace(5, [completed("charge", 2), planned("items.0/ship"), planned("items.1/ship")])),
    ("I8", "planned after a cancel", insert(6, (2, 5_015, [mail("cancel"), planned("once")]))),
    ("I8", "planned after the failure", insert(6, (2, 5_015, [phase("cancelling", "failed"), planned("once")]))),
    ("I9", "timer early", replace(3, [{"type": "timer.fired", "which": "retry:charge", "due": NOW_MS}, planned("charge", 2)])),
    ("I9", "retried early", replace(2, [failed("charge", 1, NOW_MS)])),
    ("I13", "step of another version", insert(6, (2, 5_015, [planned("unheard_of")]))),
    ("I13", "inner step outside its loop", insert(6, (2, 5_015, [planned("ship")]))),
    ("I15", "attempt number skipped", replace(3, [planned("charge", 3)])),
    ("I15", "more failures than attempts", lambda rows: [*rows[:4], *TOO_MANY_FAILURES]),
    ("I16", "dead letter without crashes", insert(6, (2, 5_015, [{"type": "step.parked", "step": "once", "reason": "poison"}]))),
    ("I16", "poison ran again", replace(4, [claimed(2, poison=True), planned("charge", 3)])),
    ("I17", "blob gone", replace(5, [BLOB, planned("items.0/ship"), planned("items.1/ship")])),
]


@pytest.mark.parametrize(("invariant", "corrupt"), [pytest.param(i, c, id=f"{i} {name}") for i, name, c in JOURNALS])
def test_corrupt_journal_is_seen(story: Story, invariant: str, corrupt: Callable[[Rows], Rows]):
    story.tell(corrupt(sound()))

    assert invariant in story.violations(Witnesses(has_blob=lambda blob: False))


ROWS: list[tuple[str, str, str]] = [
    ("I2", "gap in seq", "UPDATE journal SET seq = 9 WHERE seq = 8"),
    ("I4", "row's epoch behind the journal's", "UPDATE runs SET epoch = 1"),
    ("I5", "another status", "UPDATE runs SET status = 'failed'"),
    ("I5", "another end", "UPDATE runs SET finished_at = finished_at + 1"),
    ("I5", "an error code from nowhere", "UPDATE runs SET error_code = 'boom'"),
    ("I5", "journal without its run", "DELETE FROM runs"),
    ("I6", "ended with an owner", "UPDATE runs SET owner = 1"),
    ("I13", "definition gone", "DELETE FROM definitions"),
]


@pytest.mark.parametrize(("invariant", "statement"), [pytest.param(i, s, id=f"{i} {name}") for i, name, s in ROWS])
def test_corrupt_row_is_seen(story: Story, invariant: str, statement: str):
    story.tell(sound())

    story.run(statement)

    assert invariant in story.violations()


OPEN = sound()[:7]


def test_i5_row_that_ended_without_its_journal_is_seen(story: Story):
    story.tell(OPEN, status="completed", owner=None, finished_at=NOW_MS)

    assert "I5" in story.violations()


def test_i14_run_that_nobody_will_look_at_is_seen(story: Story):
    story.tell(OPEN, owner=None)

    assert "I14" in story.violations()


def test_i6_owner_and_queue_row_at_once_is_seen(story: Story):
    story.tell(OPEN)
    enqueue(story, NOW_MS)

    assert "I6" in story.violations()


def enqueue(story: Story, due_ms: int) -> None:
    story.insert("queue", run_no=1, workspace_id="ws", suspect=0, priority=5, due_at=due_ms, cause="due", since=0)


def test_i6_slot_of_an_ended_run_is_seen(story: Story):
    story.tell(sound())
    story.insert("slots", scope="workflow:wf", n=1, run_no=1, key="", since=0, displaced=0)

    assert "I6" in story.violations()


def test_i9_overdue_queue_row_is_seen_after_heal(story: Story):
    story.tell(OPEN, owner=None)
    enqueue(story, NOW_MS - 20_000)

    assert "I9" in story.violations(Witnesses(now_ms=NOW_MS, open_runs={"run_1"}))


def test_i14_run_that_hangs_is_seen_after_heal(story: Story):
    story.tell(OPEN)

    assert "I14" in story.violations(Witnesses(now_ms=NOW_MS))
    assert "I14" not in story.violations(Witnesses(now_ms=NOW_MS, open_runs={"run_1"}))


@pytest.mark.parametrize("change", ["dead = 1", "expires_at = 0"])
def test_i14_dead_owner_is_seen_after_heal(story: Story, change: str):
    story.tell(OPEN)
    story.run(f"UPDATE workers SET {change}")

    assert "I14" in story.violations(Witnesses(now_ms=NOW_MS, open_runs={"run_1"}))


def test_i1_lost_start_and_lost_signal_are_seen(story: Story):
    story.tell(sound())
    told = [Acknowledged("run_2", "start"), Acknowledged("run_1", "signal"), Acknowledged("run_1", "signal")]

    found = [violation.run for violation in check(story.path, Witnesses(acknowledged=told)) if violation.invariant == "I1"]

    assert sorted(found) == ["run_1", "run_2"]


def test_i1_signal_that_waits_in_the_inbox_is_not_lost(story: Story):
    story.tell(OPEN)
    story.insert("inbox", no=2, run_no=1, kind="signal", body="{}", sender="somebody", unread=1)

    assert story.violations(Witnesses(acknowledged=[Acknowledged("run_1", "signal")] * 2)) == set()


def test_i1_unread_message_of_an_ended_run_is_seen(story: Story):
    story.tell(sound())
    story.insert("inbox", no=2, run_no=1, kind="cancel", body="{}", sender="somebody", unread=1)

    assert "I1" in story.violations()


def test_i7_second_request_for_one_plan_is_seen(story: Story):
    story.tell(sound())
    seen = requests(story)

    assert story.violations(witnesses(story, [*seen, seen[-1]])) == {"I7"}


def test_i7_completed_effect_that_never_happened_is_seen(story: Story):
    story.tell(sound())

    assert story.violations(witnesses(story, requests(story)[:-1])) == {"I7"}


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(Request("key of charge", 4, NOW_MS), id="attempt never planned"),
        pytest.param(Request("another key", 1, NOW_MS), id="key never planned"),
        pytest.param(Request("key of items.0/ship", 1, 0), id="before its plan"),
    ],
)
def test_i8_effect_without_a_committed_plan_is_seen(story: Story, request_: Request):
    story.tell(sound())

    assert "I8" in story.violations(witnesses(story, [*requests(story)[:3], *requests(story)[4:], request_]))


def job(step: str, attempt: int = 1) -> JsonObject:
    return {**planned(step, attempt), "job": "heavy"}


def lost(step: str, attempt: int) -> JsonObject:
    return mail("job", {"step": step, "attempt": attempt, "lost": "expired"})


JOB = [(1, 0, [STARTED]), (1, 1, [job("charge")])]


def put_job(story: Story, **columns: object) -> None:
    place: dict[str, object] = {"run_no": 1, "key": "charge", "attempt": 1, "workspace_id": "ws", "queue": "heavy"}
    state: dict[str, object] = {"status": "queued", "priority": 5, "at": 0, "owner": None, "epoch": 0, "params": "{}"}
    story.insert("jobs", **place | state | columns)


def test_job_that_outlives_the_owner_of_its_run_is_sound(story: Story):
    story.tell([*JOB, (2, 5, [claimed(2)]), (2, 6, [mail("job", {"step": "charge", "attempt": 1}), completed("charge")])])

    assert story.violations() == set()


def test_job_that_was_lost_is_planned_again(story: Story):
    story.tell([*JOB, (1, 5, [lost("charge", 1), job("charge", 2)])])
    put_job(story, attempt=2)

    assert story.violations() == set()


JOBS: list[tuple[str, str, Rows, dict[str, object] | None]] = [
    ("I7", "repeated though nobody lost it", [*JOB, (2, 5, [claimed(2), job("charge", 2)])], None),
    ("I7", "ask, and repeated", [(1, 0, [STARTED, job("once")]), (1, 1, [lost("once", 1), job("once", 2)])], None),
    ("I8", "never planned", JOB, {"attempt": 2}),
    ("I6", "of no run", JOB, {"run_no": 2}),
    ("I6", "of a run that has ended", [*JOB, (1, 5, [completed("charge"), FINISHED])], {}),
    ("I6", "taken by nobody", JOB, {"status": "running"}),
    ("I14", "of a dead worker", JOB, {"status": "running", "owner": 7}),
]


@pytest.mark.parametrize(
    ("invariant", "rows", "columns"), [pytest.param(i, rows, columns, id=f"{i} job {name}") for i, name, rows, columns in JOBS]
)
def test_unsound_job_is_seen(story: Story, invariant: str, rows: Rows, columns: dict[str, object] | None):
    story.tell(rows)
    if columns is not None:
        put_job(story, **columns)

    assert invariant in story.violations(Witnesses(now_ms=NOW_MS, open_runs={"run_1"}))


@pytest.mark.parametrize(("losses", "expected"), [(2, {"I16"}), (3, set[str]())])
def test_i16_job_is_a_dead_letter_after_three_losses_and_not_before(story: Story, losses: int, expected: set[str]):
    rounds = [(1, n, [lost("charge", n), job("charge", n + 1)]) for n in range(1, losses)]
    parked: JsonObject = {"type": "step.parked", "step": "charge", "reason": "poison"}
    story.tell([*JOB, *rounds, (1, 9, [lost("charge", losses), parked])])

    assert story.violations() == expected


def test_i16_job_that_runs_again_after_three_losses_is_seen(story: Story):
    story.tell([*JOB, *[(1, n, [lost("charge", n), job("charge", n + 1)]) for n in range(1, 4)]])

    assert story.violations() == {"I16"}


@pytest.mark.parametrize(
    ("ends", "published_at", "expected"), [(1, 1, set[str]()), (0, 1, {"I6"}), (2, 1, {"I6"}), (1, None, {"I6"})]
)
def test_i6_end_is_told_to_the_outside_once(story: Story, ends: int, published_at: int | None, expected: set[str]):
    story.tell(sound())
    for _ in range(ends):
        names = {"workspace_id": "ws", "aggregate_type": "run", "aggregate_id": "run_1", "event_type": "run.finished"}
        story.insert("outbox", **names, payload="{}", created_at=1, attempts=1, published_at=published_at)

    assert story.violations(Witnesses(tells_outside=True, now_ms=NOW_MS)) == expected


def test_a_persons_word_allows_another_attempt(story: Story):
    rows: Rows = [
        (1, 0, [STARTED, planned("once")]),
        (2, 10, [claimed(2), {"type": "step.parked", "step": "once", "reason": "outcome_unknown"}]),
        (2, 20, [mail("resolve", {"step": "once", "happened": False}), planned("once", 2)]),
        (2, 30, [completed("once", 2), phase("finally", "completed"), planned("~finally/tidy")]),
        (2, 40, [completed("~finally/tidy"), FINISHED]),
    ]
    story.tell(rows)

    assert story.violations() == set()
