"""The store port: everything the engine asks of a database, in a dozen methods.

One conformance suite (tests/engine/conformance) holds for every implementation. All methods are synchronous: the executor calls them from
its writer thread (or inline where commits are fast). Each method is one transaction unless it says otherwise; every time is milliseconds
since 1970 (UTC) by the database's clock.

Authority: a run has an owner (a worker's number) *xor* a queue row. Only the owner at the run's present epoch may append; each claim
raises the epoch and occupies a seq with `run.claimed`. `mail` counts the messages ever delivered to a run: finishing and releasing are
conditional on having seen them all, so that no message is lost.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from flowforge.engine.events import EVENTS_FORMAT

FAR_FUTURE_MS: Final = 2**62
"""`due_at` of a run that waits for mail only."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a process tells of itself when it registers, for people. `queues`: those that it serves. `address`: of its health pages."""

    role: str = "worker"
    version: str = ""
    host: str = ""
    pid: int = 0
    queues: Sequence[str] = ()
    address: str | None = None


NO_FACTS: Final = WorkerFacts()


@dataclass(frozen=True, slots=True)
class SlotScope:
    """A limit on open runs: at most `limit` runs hold a slot of `scope`. `when_full`: queue, reject or cancel_oldest."""

    scope: str
    limit: int
    when_full: str


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be born. `body` is its first journal row (seq 1), a JSON list that begins with `run.started`.

    `no` = worker number << 32 | counter of the worker, so that it needs no round trip. `owner` None: it is queued, due at `due_at`.
    `dedup` is unique per workspace, (parent_no, parent_key) is unique. A run that is born owned has epoch 1, a queued one 0.
    A run below a holder of its slot's scope needs no slot of its own. For a child, `reject` means `queue`.
    """

    no: int
    id: str
    workspace_id: str
    workflow_id: str
    workflow_name: str
    version: int | None
    digest: str
    priority: int
    actor: str
    at: int
    body: bytes
    owner: int | None
    due_at: int = 0
    subject: str | None = None
    parent_no: int | None = None
    parent_key: str | None = None
    fork_of: int | None = None
    dedup: str | None = None
    slot: SlotScope | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    outbox: "Sequence[NewOutboxEvent]" = ()
    """What its birth tells the outside: stored where the run is, also one that waits for a slot."""


@dataclass(frozen=True, slots=True)
class NewMail:
    """A message to a run. With a `dedup` the same message is taken once. `body` is JSON."""

    run_no: int
    kind: str
    body: bytes
    by: str
    dedup: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """An unread inbox row."""

    no: int
    run_no: int
    kind: str
    body: bytes
    by: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A planned attempt that any worker which serves `queue` may make, in a row of its own. Known by run, key and attempt.

    `params` is JSON: whatever its worker needs (engine/jobs.py); secrets only by name.
    """

    run_no: int
    key: str
    attempt: int
    workspace_id: str
    queue: str
    priority: int
    at: int
    params: bytes


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job that is ours now. `epoch` counts how often it was taken: an end under an older one is refused."""

    run_no: int
    run_id: str
    key: str
    attempt: int
    workspace_id: str
    queue: str
    epoch: int
    params: bytes


@dataclass(frozen=True, slots=True)
class NewOutboxEvent:
    """An event for the outside, stored in the transaction of what it tells. `payload`: OutboxPayload as JSON."""

    workspace_id: str
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: bytes
    at: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class WaitRow:
    """A step that waits for a named event. `correlation` None takes any key. `since`: events from then on count."""

    key: str
    name: str
    correlation: str | None
    since: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run: its row's last state."""

    status: str
    error_code: str | None
    error_key: str | None
    """Groups like failures: `<step>:<code>`."""


@dataclass(frozen=True, slots=True)
class Release:
    """The run leaves memory: queued until `due_at` or mail. `status` is what lists show; `why` the cause, for `why` (JSON text).

    `needs`: only workers that know this format of events (`EVENTS_FORMAT`) or a later one may claim it.
    """

    status: str
    due_at: int
    why: str
    snapshot: bytes | None = None
    snapshot_format: int = 0
    needs: int = EVENTS_FORMAT


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a step wrote to its run's log. `fields` is a JSON object."""

    at: int
    level: str
    step: str
    attempt: int
    message: str
    fields: bytes


@dataclass(slots=True)
class Turn:
    """One run's part of a commit: its journal row and whatever changes with it. All or nothing.

    `seq` is the row's place; a born run's `start` already carries seq 1, so its turn row is 2 (or `body` is empty: no row).
    `mail_seen`: how many messages the run has read; `mail_read`: the inbox rows that this turn consumed.
    """

    run_no: int
    epoch: int
    at: int
    seq: int
    body: bytes
    events: int
    mail_seen: int = 0
    start: NewRun | None = None
    finish: Finish | None = None
    release: Release | None = None
    children: Sequence[NewRun] = ()
    mails: Sequence[NewMail] = ()
    mail_read: Sequence[int] = ()
    waits_added: Sequence[WaitRow] = ()
    waits_removed: Sequence[str] = ()
    slots_freed: Sequence[str] = ()
    """Keys of steps that give their slot back."""
    logs: Sequence[LogLine] = ()
    blobs: Sequence[tuple[int, str]] = ()
    """Objects that the turn names: (the run whose journal or mail holds the reference, the object's id)."""
    jobs: Sequence[NewJob] = ()
    jobs_dropped: Sequence[tuple[str, int]] = ()
    """Key and attempt of jobs that are not wanted any more. One that nobody has taken goes, and its run is told (mail of the kind `job`,
    `{"step", "attempt", "lost": "aborted"}`, behind all turns like their `mails`); one that is taken is marked: its worker tells."""
    outbox: Sequence[NewOutboxEvent] = ()
    progressed: bool = False
    """An outcome arrived: the count of crashes without progress starts anew."""


class Verdict(StrEnum):
    """What became of a turn."""

    DONE = "done"
    QUEUED = "queued"
    """A start whose limit is full: the run exists and waits in the queue (not owned)."""
    REJECTED = "rejected"
    """A start whose limit is full and says `reject`: nothing is stored."""
    DUPLICATE = "duplicate"
    """A start whose `dedup` (or parent key) is known: nothing is stored; `run_id` names the run that is there."""
    STALE = "stale"
    """Someone else has claimed the run: nothing is stored, drop it."""
    MAIL = "mail"
    """Mail came before finish or release: nothing is stored; read it and turn again."""
    UNSTORABLE = "unstorable"
    """The database refuses its content (our bug): nothing is stored; `problem` says why. The other turns are not touched."""


@dataclass(frozen=True, slots=True)
class TurnResult:
    """`children`: what became of the turn's children, in their order: DONE, QUEUED (not owned: leave it) or DUPLICATE."""

    verdict: Verdict
    run_id: str | None = None
    run_no: int | None = None
    """Of a duplicate: the run that is there."""
    children: Sequence[Verdict] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class JournalRow:
    seq: int
    epoch: int
    at: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is now ours: its new epoch (whose `run.claimed` is the last of `rows`), its history and its unread mail.

    With a snapshot, `rows` are those behind `snapshot_seq`.
    """

    run_no: int
    run_id: str
    workspace_id: str
    epoch: int
    crashes: int
    mail: int
    rows: Sequence[JournalRow]
    mails: Sequence[Mail]
    snapshot: bytes | None = None
    snapshot_seq: int = 0
    snapshot_format: int = 0
    priority: int = 5


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """`suspects`: how many runs with crashes behind them may be among the claimed. `only`: claim no others (None: any).

    `poison_limit`: a run with that many crashes without progress is claimed with `poison` in its `run.claimed`.
    `format`: the newest format of events that the worker knows; runs that need a later one are left to others.
    """

    worker: int
    limit: int
    suspects: int = 1
    only: Collection[int] | None = None
    poison_limit: int = 3
    format: int = EVENTS_FORMAT


class Delivery(StrEnum):
    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    FINISHED = "finished"
    """The run has ended: nothing is stored."""
    UNKNOWN = "unknown"
    """No such run."""


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """A step asks for a slot (`concurrency`) and a place in the rate (`rate_count` per `rate_per_ms`, evenly spaced: GCRA)."""

    scope: str
    run_no: int
    key: str
    concurrency: int | None
    rate_count: int | None
    rate_per_ms: int | None


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """`granted`, or when to ask again (None: as soon as another step of the scope ends)."""

    granted: bool
    retry_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A named event for every run of the workspace that waits for it: mail of the kind `signal`, whose body is this `body`."""

    workspace_id: str
    name: str
    correlation: str | None
    body: bytes
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Glance:
    """Where a run stands, from its rows alone. `due_at` is None while somebody owns it; `why` as it was released."""

    status: str
    is_finished: bool
    due_at: int | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    """What a sweep found: workers marked dead, how many runs went back to the queue, how many jobs were reported lost."""

    workers: Sequence[int]
    runs: int
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """Ids of the runs that are gone, and of the objects that no run names any more; how many log lines are gone."""

    runs: Sequence[str]
    blobs: Sequence[str]
    logs: int = 0


class Store(Protocol):
    """See the module. Raises StorageError where the database cannot be used now, StorageFullError where the disk is full."""

    def now_ms(self) -> int:
        """The database's clock, never ahead of it."""
        ...

    def register(self, name: str, expiry_ms: int, facts: WorkerFacts = NO_FACTS) -> int:
        """A new worker, alive for `expiry_ms`. Its number is never used again."""
        ...

    def beat(self, worker: int, expiry_ms: int) -> bool:
        """Proof of life. False: it was declared dead and must drop all its runs."""
        ...

    def retire(self, worker: int) -> int:
        """The worker leaves in order: what it still owns is queued, due now (why `released`), crashes unchanged. Returns how many.

        Jobs that it still has are reported to their runs as lost (`{"lost": "released"}`).
        """
        ...

    def expire(self, known_dead: Collection[int] = ()) -> Expired:
        """Marks workers dead whose time has passed, or which are known to be, and queues their runs (crashes + 1), 500 a transaction.

        Their jobs are reported to the runs as lost: mail of the kind `job`, `{"step", "attempt", "lost": "expired"}`.
        """
        ...

    def alive(self) -> Mapping[int, str]:
        """Workers not marked dead: number to name."""
        ...

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        """The group commit: all turns in one transaction, durable when it returns; a turn that cannot be stored leaves alone.

        Turns of one run stand in the order of their `seq`; once one of them is refused, those behind it are too. After an error whose
        cause may have been a lost answer, commit the same turns again: what is stored already is DONE and not stored twice. Mail that
        the turns send counts as sent after all of them.
        """
        ...

    def claim(self, request: ClaimRequest) -> Sequence[Claimed]:
        """Takes the best due runs: workspaces in turn, then priority (0 first), then due time. Slots that they need are taken too.

        A run rises by one priority for each minute that it is overdue. Returns fewer than are due where slots are full, where only
        suspects are left, and none to a worker that was declared dead.
        """
        ...

    def next_due(self) -> int | None:
        """The earliest `due_at` in the queue, None if it is empty."""
        ...

    def deliver(self, mails: Sequence[NewMail]) -> Sequence[Delivery]:
        """Stores messages and wakes their runs."""
        ...

    def mail(self, worker: int) -> Sequence[Mail]:
        """Unread mail of the runs that the worker owns, oldest first."""
        ...

    def changed(self) -> bool:
        """Whether there may be new mail or queue rows since this was asked last. Costs some microseconds; may say so too often."""
        ...

    def publish(self, event: NewEvent) -> int:
        """Stores a named event, then (own transaction) delivers it to the runs that wait for it. Returns how many it reached."""
        ...

    def match(self, number: int | None = None) -> int:
        """Delivers the event of this number; None: each whose publisher died before it had (for sweeps). Returns how many runs have it."""
        ...

    def look_back(self, run_no: int, wait: WaitRow) -> int:
        """Delivers events that came before the wait was there (24 h at most, from `since` on). Returns how many."""
        ...

    def acquire(self, requests: Sequence[SlotRequest]) -> Sequence[SlotAnswer]:
        """Slots of steps. Asking again for a held slot grants it."""
        ...

    def take_jobs(self, worker: int, queues: Collection[str], limit: int) -> Sequence[TakenJob]:
        """Takes jobs of these queues: workspaces in turn, then priority (0 first, aging as runs do), then age. None to a dead worker."""
        ...

    def end_job(self, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str] = ()) -> bool:
        """The job is done: its row goes and its run gets the mail, together. False: it is not this worker's (any more); nothing happens.

        `blobs`: objects that the mail names; they belong to the run from then on.
        """
        ...

    def dropped_jobs(self, worker: int) -> Sequence[tuple[int, str, int]]:
        """Run, key and attempt of the worker's jobs that their runs do not want any more."""
        ...

    def define(self, digest: str, document: bytes) -> None:
        """Keeps a definition by the digest of its canonical JSON; one that is there already stays."""
        ...

    def definition(self, digest: str) -> bytes | None:
        """The canonical JSON of a definition."""
        ...

    def load(self, run_no: int) -> Sequence[JournalRow]:
        """The whole journal of a run, in order; empty if unknown."""
        ...

    def glance(self, run_no: int) -> Glance | None:
        """Where a run stands; None if unknown."""
        ...

    def prune(self, before_ms: int, limit: int, logs_before_ms: int = 0) -> Pruned:
        """Deletes at most `limit` runs that finished before that time, in several transactions, each run as a whole in one; named
        events older than a day; and, up to a limit of its own, older log lines.
        """
        ...

    def find_unnamed(self, blobs: Sequence[str]) -> Sequence[str]:
        """Those of the objects that no run names."""
        ...

    def interrupt(self) -> None:
        """From any thread: calls that hang, because a server does not answer, end with a StorageError or are made on a new connection."""

    def close(self) -> None: ...
