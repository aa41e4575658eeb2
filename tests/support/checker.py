"""The history checker: reads a finished database and the effect server's log, and says which invariants are broken.

It knows the tables and the journal's vocabulary, and shares no code with the engine: plain SQL, plain dictionaries. Three
witnesses are compared: the database, what the effect server saw, and what clients were told.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

from tests.support.history import Database, Entry, History, Source, find_step, read

from flowforge.kit.values import JsonObject

TERMINAL: Final = frozenset({"completed", "failed", "cancelled", "timed_out"})
CLOCK_TOLERANCE_MS: Final = 50
"""How far the effect server's clock reading may lie before the journal's time of the plan: both are rounded to milliseconds."""
OVERDUE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Violation:
    """`run` is the run's id, "" where the whole database is meant."""

    invariant: str
    run: str
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the effect server saw: the Idempotency-Key, the attempt, and when."""

    key: str
    attempt: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a client was told to have happened: `start`, or the kind of a message that was delivered to the run."""

    run: str
    kind: str


@dataclass(frozen=True)
class Witnesses:
    """What is known besides the database.

    `served`: ids of steps whose effect is a request to the effect server. `open_runs`: ids of runs that may be open (they wait for a
    person or signal). `now_ms`: when everything had been settled; None: the database was not healed, liveness is not asked for.
    `has_blob`: whether the object store holds a blob of that id. `poison_limit`: as the engines had it. `tells_outside`: they wrote events
    for the outside.
    """

    requests: Sequence[Request] = ()
    served: Collection[str] = ()
    acknowledged: Sequence[Acknowledged] = ()
    open_runs: Collection[str] = ()
    now_ms: int | None = None
    expiry_ms: int = 30_000
    has_blob: Callable[[str], bool] | None = None
    poison_limit: int = 3
    tells_outside: bool = False

    @cached_property
    def requests_by_key(self) -> dict[str, list[Request]]:
        found: dict[str, list[Request]] = {}
        for request in self.requests:
            found.setdefault(request.key, []).append(request)
        return found

    @cached_property
    def told(self) -> dict[str, Counter[str]]:
        """How many messages of each kind were acknowledged, by run."""
        found: dict[str, Counter[str]] = {}
        for each in self.acknowledged:
            found.setdefault(each.run, Counter())[each.kind] += 1
        return found


def check(source: Source, witnesses: Witnesses | None = None) -> list[Violation]:
    """All violations of I1–I9 and I13–I17 that a database can show, in the order of invariants."""
    return check_database(read(source), witnesses)


def check_database(database: Database, witnesses: Witnesses | None = None) -> list[Violation]:
    """As `check`, on what was read already."""
    known = witnesses or Witnesses()
    found = [violation for rule in _RULES for history in database.histories for violation in rule(history, known)]
    found += _check_whole(database, known)
    return sorted(found, key=lambda violation: (int(violation.invariant[1:]), violation.run, violation.message))


def _check_acknowledged(history: History, known: Witnesses) -> Iterator[Violation]:
    told = known.told.get(history.id, Counter[str]())
    kept = Counter(str(entry.event["kind"]) for entry in history.entries if entry.type == "run.mail")
    kept.update(history.unread)
    for kind, count in told.items():
        if kind != "start" and kept[kind] < count:
            yield Violation("I1", history.id, f"{count} messages of kind {kind} were acknowledged, {kept[kind]} are there")
    if history.is_finished and history.unread:
        yield Violation("I1", history.id, f"it ended without having read {history.unread}")


def _check_order(history: History, known: Witnesses) -> Iterator[Violation]:
    seqs = [seq for seq, _ in history.seqs]
    if seqs != list(range(1, len(seqs) + 1)):
        yield Violation("I2", history.id, f"seq is {seqs}")
    types = [entry.type for entry in history.entries]
    if not types or types[0] != "run.started" or types.count("run.started") != 1:
        yield Violation("I2", history.id, "the journal does not begin with its one run.started")
    if types.count("run.finished") > 1 or ("run.finished" in types and types[-1] != "run.finished"):
        yield Violation("I2", history.id, "something follows run.finished")


def _check_epochs(history: History, known: Witnesses) -> Iterator[Violation]:
    first_events = {entry.seq: entry.event for entry in history.entries if entry.place == 0}
    present: int | None = None
    for seq, epoch in history.seqs:
        event = first_events.get(seq, {})
        claims = event.get("type") == "run.claimed"
        if present is not None and epoch < present:
            yield Violation("I4", history.id, f"row {seq} of epoch {epoch} came after epoch {present}")
        elif present is not None and claims != (epoch > present):
            yield Violation("I4", history.id, f"row {seq}: a new epoch begins with its run.claimed, and only with it")
        if claims and event.get("epoch") != epoch:
            yield Violation("I4", history.id, f"row {seq}: run.claimed says epoch {event.get('epoch')}, the row {epoch}")
        present = epoch if present is None else max(present, epoch)
    if present is not None and history.row["epoch"] != present:
        yield Violation("I4", history.id, f"the run's row has epoch {history.row['epoch']}, its journal {present}")


def _check_row(history: History, known: Witnesses) -> Iterator[Violation]:
    row = history.row
    end = next((entry for entry in history.entries if entry.type == "run.finished"), None)
    if end is None:
        if row["status"] in TERMINAL or row["finished_at"] is not None:
            yield Violation("I5", history.id, f"the row says {row['status']}, the journal has no end")
        return
    error = cast("JsonObject | None", end.event.get("error"))
    expected = (end.event["status"], None if error is None else str(error["code"])[:200], end.at)
    found = (row["status"], row["error_code"], row["finished_at"])
    if expected != found:
        yield Violation("I5", history.id, f"the row says {found}, the journal {expected}")


def _check_ownership(history: History, known: Witnesses) -> Iterator[Violation]:
    has_owner, is_queued = history.row["owner"] is not None, history.queued_due_ms is not None
    if history.is_finished and (has_owner or is_queued):
        yield Violation("I6", history.id, "the run has ended and still has an owner or a queue row")
    if history.is_finished and history.slots:
        yield Violation("I6", history.id, f"the run has ended and still holds {history.slots}")
    if not history.is_finished and has_owner and is_queued:
        yield Violation("I6", history.id, "an owner and a queue row at once")
    if not history.is_finished and not has_owner and not is_queued:
        yield Violation("I14", history.id, "neither an owner nor a queue row: nobody will ever look at it")


def _check_cancel(history: History, known: Witnesses) -> Iterator[Violation]:
    """After the run left its main graph nothing of it is planned; after a cancel nothing but `finally`."""
    allowed: tuple[str, ...] = ("",)
    for entry in history.entries:
        if entry.type == "run.mail" and entry.event["kind"] == "cancel" and allowed == ("",):
            allowed = ("~",)
        elif entry.type == "run.phase":
            allowed = ("~finally/",) if entry.event["status"] == "cancelled" else ("~",)
        elif entry.type == "step.planned" and not str(entry.event["step"]).startswith(allowed):
            yield Violation("I8", history.id, f"{entry.event['step']} was planned after the run had been cancelled or had failed")


def _check_timers(history: History, known: Witnesses) -> Iterator[Violation]:
    fired: set[tuple[str, int]] = set()
    for entry in history.entries:
        if entry.type != "timer.fired":
            continue
        which, due = str(entry.event["which"]), cast("int", entry.event["due"])
        if entry.at < due:
            yield Violation("I9", history.id, f"{which} fired {due - entry.at} ms early")
        if (which, due) in fired:
            yield Violation("I9", history.id, f"{which} fired twice")
        fired.add((which, due))
    overdue_ms = 0 if known.now_ms is None or history.queued_due_ms is None else known.now_ms - history.queued_due_ms
    if overdue_ms > OVERDUE_MS:
        yield Violation("I9", history.id, f"its queue row is {overdue_ms} ms overdue")


def _check_version(history: History, known: Witnesses) -> Iterator[Violation]:
    if history.document is None:
        yield Violation("I13", history.id, "the definition that it is pinned to is not there")
        return
    for key in {str(entry.event["step"]) for entry in history.entries if "step" in entry.event}:
        if find_step(history.document, key) is None:
            yield Violation("I13", history.id, f"{key} is no step of its version")


def _check_liveness(history: History, known: Witnesses) -> Iterator[Violation]:
    if known.now_ms is not None and not history.is_finished and history.id not in known.open_runs:
        yield Violation("I14", history.id, f"it has not ended (status {history.row['status']})")


def _check_poison(history: History, known: Witnesses) -> Iterator[Violation]:
    """A dead letter has killed its workers often enough: its run, as its claim says, or its job, as its losses say."""
    is_poison = False
    losses: Counter[str] = Counter()
    for entry in history.entries:
        step = str(entry.event.get("step", ""))
        has_lost = losses[step] >= known.poison_limit
        if entry.type == "run.claimed":
            is_poison = entry.event.get("poison") is True
        elif entry.type == "run.mail":
            _count_losses(losses, entry)
        elif entry.type == "step.parked" and entry.event["reason"] == "poison" and not is_poison and not has_lost:
            yield Violation("I16", history.id, f"{step} is a dead letter, but the run has killed nobody often enough")
        elif entry.type == "step.planned" and ((is_poison and step in _unknown_at_claim(history, entry)) or has_lost):
            yield Violation("I16", history.id, f"{step} ran again though it is poison")


def _count_losses(losses: Counter[str], entry: Entry) -> None:
    body = cast("JsonObject", entry.event["body"])
    step = str(body.get("step", ""))
    if entry.event["kind"] == "job":
        losses[step] += 1 if body.get("lost") == "expired" else 0
    else:
        losses.pop(step, None)


def _unknown_at_claim(history: History, until: Entry) -> set[str]:
    """Steps whose attempt was open at the last claim before `until` and which no person has touched since."""
    opened: set[str] = set()
    unknown: set[str] = set()
    for entry in history.entries[: history.entries.index(until)]:
        step = str(entry.event.get("step", ""))
        if entry.type == "step.planned" and not _is_apart(entry):
            opened.add(step)
        elif entry.type in ("step.completed", "step.failed", "step.bypassed"):
            opened.discard(step)
        elif entry.type == "run.claimed":
            unknown = set(opened)
        elif entry.type == "run.mail":
            unknown.discard(str(cast("JsonObject", entry.event["body"]).get("step", "")))
    return unknown


def _check_blobs(history: History, known: Witnesses) -> Iterator[Violation]:
    if known.has_blob is None:
        return
    for entry in history.entries:
        blob = cast("JsonObject | None", entry.event.get("blob"))
        if blob is not None and not known.has_blob(str(blob["id"])):
            yield Violation("I17", history.id, f"the blob {blob['id']} of row {entry.seq} is not there")


@dataclass(slots=True)
class _Track:
    """One step of one run, followed through the journal."""

    open: int | None = None
    is_apart: bool = False
    """A called run or a job: it does not end with the run's owner, and reports its own loss."""
    is_unknown: bool = False
    may_plan: bool = True
    is_over: bool = False
    is_completed: bool = False
    not_before_ms: int = 0
    plans: int = 0
    failures: int = 0
    keys: set[str] = field(default_factory=set[str])


def _check_steps(history: History, known: Witnesses) -> Iterator[Violation]:
    tracks: dict[str, _Track] = {}
    for entry in history.entries:
        if entry.type == "run.claimed":
            for track in tracks.values():
                _lose(track)
        elif entry.type == "run.mail":
            _read_mail(tracks, str(entry.event["kind"]), cast("JsonObject", entry.event["body"]))
        elif entry.type.startswith("step."):
            key = str(entry.event["step"])
            track = tracks.setdefault(key, _Track())
            facts = _facts_of(history, key)
            for invariant, message in _STEP_RULES.get(entry.type, _no_rule)(track, entry, facts):
                yield Violation(invariant, history.id, f"{key} (row {entry.seq}): {message}")


def _read_mail(tracks: dict[str, _Track], kind: str, body: JsonObject) -> None:
    track = tracks.get(str(body.get("step")))
    if track is None:
        return
    if kind in ("retry", "skip", "resolve"):
        _reopen(track)
    elif kind == "job" and "lost" in body and body["attempt"] == track.open:
        track.open, track.is_unknown, track.may_plan = None, True, True


def _is_apart(entry: Entry) -> bool:
    return "child" in entry.event or "job" in entry.event


def _lose(track: _Track) -> None:
    if track.open is not None and not track.is_apart:
        track.open, track.is_unknown, track.may_plan = None, True, True


def _reopen(track: _Track) -> None:
    if not track.is_completed:
        track.is_over, track.may_plan, track.is_unknown = False, True, False
        track.failures, track.not_before_ms = 0, 0


def _follow_plan(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    attempt = cast("int", entry.event["attempt"])
    if track.is_over:
        yield "I3", "planned after it was over"
    if not track.may_plan:
        yield "I7", f"attempt {attempt} follows no failure, no crash and no person's word"
    if track.is_unknown and facts.get("on_interrupt") in ("ask", "fail"):
        yield "I7", f"repeated after an unknown outcome in spite of on_interrupt {facts['on_interrupt']}"
    if attempt != track.plans + 1:
        yield "I15", f"attempt {attempt} is the plan number {track.plans + 1}"
    if entry.at < track.not_before_ms:
        yield "I9", f"retried {track.not_before_ms - entry.at} ms early"
    track.keys.add(str(entry.event["key"]))
    if len(track.keys) > 1:
        yield "I7", "two attempts carry different keys"
    track.plans, track.open, track.is_apart = attempt, attempt, _is_apart(entry)
    track.may_plan, track.is_unknown = False, False


def _follow_outcome(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    """An outcome belongs to the attempt in flight, or (`outcome_unknown`, a person's word) to the one that was lost."""
    attempt = entry.event.get("attempt")
    if isinstance(attempt, int) and attempt > 0 and attempt != track.open and not (track.is_unknown and attempt == track.plans):
        yield "I8", f"an outcome of attempt {attempt} without its plan"
    if track.is_over:
        yield "I3", "a second end"
    track.open = None


def _follow_completed(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    yield from _follow_outcome(track, entry, facts)
    track.is_over = track.is_completed = True


def _follow_failed(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    yield from _follow_outcome(track, entry, facts)
    track.failures += 0 if entry.event.get("postponed") else 1
    limit = _attempts_of(facts)
    if limit is not None and track.failures > limit:
        yield "I15", f"{track.failures} failed attempts of {limit}"
    retry_at = entry.event["retry_at"]
    if retry_at is None:
        track.is_over = True
    else:
        track.may_plan, track.not_before_ms = True, cast("int", retry_at)


def _follow_parked(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    track.may_plan = False
    yield from ()


def _no_rule(track: _Track, entry: Entry, facts: JsonObject) -> Iterator[tuple[str, str]]:
    yield from ()


_STEP_RULES: Final[dict[str, Callable[[_Track, Entry, JsonObject], Iterator[tuple[str, str]]]]] = {
    "step.planned": _follow_plan,
    "step.completed": _follow_completed,
    "step.bypassed": _follow_completed,
    "step.failed": _follow_failed,
    "step.parked": _follow_parked,
}


def _check_effects(history: History, known: Witnesses) -> Iterator[Violation]:
    plans: dict[str, list[Entry]] = {}
    completed: set[str] = set()
    for entry in history.entries:
        if entry.type == "step.planned":
            plans.setdefault(str(entry.event["key"]), []).append(entry)
        elif entry.type == "step.completed" and entry.event.get("attempt"):
            completed.add(str(entry.event["step"]))
    for key, planned in plans.items():
        requests = known.requests_by_key.get(key, [])
        step = str(planned[0].event["step"])
        if len(requests) > len(planned):
            yield Violation("I7", history.id, f"{step}: {len(requests)} requests for {len(planned)} plans")
        if not requests and step in completed and step.rsplit("/", 1)[-1] in known.served:
            yield Violation("I7", history.id, f"{step}: completed, but the effect server never saw it")
        for request in requests:
            at = next((entry.at for entry in planned if entry.event["attempt"] == request.attempt), None)
            if at is None or request.at_ms + CLOCK_TOLERANCE_MS < at:
                yield Violation("I8", history.id, f"{step}: attempt {request.attempt} took effect before its plan was committed")


def _check_whole(database: Database, known: Witnesses) -> Iterator[Violation]:
    ids = {history.id for history in database.histories}
    for each in known.acknowledged:
        if each.kind == "start" and each.run not in ids:
            yield Violation("I1", each.run, "the start was acknowledged, and there is no such run")
    for no in database.orphan_journals:
        yield Violation("I5", "", f"a journal without its run (number {no})")
    keys = {
        str(entry.event["key"]) for history in database.histories for entry in history.entries if entry.type == "step.planned"
    }
    for request in known.requests:
        if request.key not in keys:
            yield Violation("I8", "", f"the effect server saw a key that no journal has planned: {request.key}")
    yield from _check_keys_apart(database)
    yield from _check_owners(database, known)
    yield from _check_jobs(database, known)
    yield from _check_outbox(database, known)


def _check_keys_apart(database: Database) -> Iterator[Violation]:
    owners: dict[str, tuple[str, str]] = {}
    plans = [
        (history.id, entry.event) for history in database.histories for entry in history.entries if entry.type == "step.planned"
    ]
    for run, event in plans:
        step = (run, str(event["step"]))
        owner = owners.setdefault(str(event["key"]), step)
        if owner != step:
            yield Violation("I7", run, f"{step[1]} has the key of {owner[1]} in {owner[0]}")


def _check_owners(database: Database, known: Witnesses) -> Iterator[Violation]:
    for history in database.histories:
        if history.row["owner"] is None:
            continue
        worker = database.workers.get(cast("int", history.row["owner"]))
        if worker is None or worker["dead"]:
            yield Violation("I14", history.id, "its owner is dead")
        elif known.now_ms is not None and cast("int", worker["expires_at"]) + known.expiry_ms < known.now_ms:
            yield Violation("I14", history.id, "its owner has not been heard of for twice the expiry")


def _check_jobs(database: Database, known: Witnesses) -> Iterator[Violation]:
    """A job is the open attempt of a live run; whoever has taken it lives."""
    histories = {history.id: history for history in database.histories}
    for job in database.jobs:
        history = histories.get(str(job["run"]))
        name = f"the job of {job['key']}, attempt {job['attempt']}"
        if history is None:
            yield Violation("I6", "", f"{name}, belongs to no run")
        elif not any(_is_plan_of(entry, job) for entry in history.entries):
            yield Violation("I8", history.id, f"{name}, was never planned")
        elif job["status"] != "dropped" and history.is_finished:
            yield Violation("I6", history.id, f"{name}, is there though the run has ended")
        if (job["status"] == "queued") != (job["owner"] is None):
            yield Violation("I6", str(job["run"]), f"{name}, is {job['status']} and its owner is {job['owner']}")
        worker = None if job["owner"] is None else database.workers.get(cast("int", job["owner"]))
        if known.now_ms is not None and job["owner"] is not None and (worker is None or worker["dead"]):
            yield Violation("I14", str(job["run"]), f"{name}, has a dead owner")


def _is_plan_of(entry: Entry, job: JsonObject) -> bool:
    event = entry.event
    return entry.type == "step.planned" and "job" in event and (event["step"], event["attempt"]) == (job["key"], job["attempt"])


def _check_outbox(database: Database, known: Witnesses) -> Iterator[Violation]:
    """Each end was told to the outside in its own transaction, once; after heal nothing waits to be sent."""
    if not known.tells_outside:
        return
    ends = Counter(str(row["aggregate_id"]) for row in database.outbox if row["event_type"] == "run.finished")
    for history in database.histories:
        if ends[history.id] != int(history.is_finished):
            yield Violation("I6", history.id, f"{ends[history.id]} events tell the outside of its end")
    for row in database.outbox:
        if known.now_ms is not None and row["published_at"] is None and row["dead_at"] is None:
            yield Violation("I6", str(row["aggregate_id"]), f"the event {row['event_type']} (number {row['no']}) was never sent")


def _facts_of(history: History, key: str) -> JsonObject:
    """The step as its document has it, with the document's defaults; of a compensation, the compensation."""
    document = history.document or {}
    step = find_step(document, key) or {}
    if key.startswith("~undo/"):
        return cast("JsonObject", step.get("compensate", {}))
    return {**cast("JsonObject", document.get("defaults", {})), **step}


def _attempts_of(facts: JsonObject) -> int | None:
    retry = cast("JsonObject", facts.get("retry", {}))
    attempts = retry.get("attempts", 1)
    return attempts if isinstance(attempts, int) else None


_RULES: Final[tuple[Callable[[History, Witnesses], Iterator[Violation]], ...]] = (
    _check_acknowledged,
    _check_order,
    _check_steps,
    _check_epochs,
    _check_row,
    _check_ownership,
    _check_effects,
    _check_cancel,
    _check_timers,
    _check_version,
    _check_liveness,
    _check_poison,
    _check_blobs,
)
