"""What the store in memory keeps."""

from dataclasses import dataclass, field

from flowforge.engine.events import EVENTS_FORMAT
from flowforge.engine.queueing import Cause
from flowforge.engine.store import (
    NO_FACTS,
    Finish,
    JournalRow,
    LogLine,
    Mail,
    NewEvent,
    NewJob,
    NewOutboxEvent,
    NewRun,
    SlotScope,
    WaitRow,
    WorkerFacts,
)


@dataclass(slots=True)
class Queued:
    """A run's place in the queue. With `slot` it may be owned only once it holds one."""

    due_at: int
    cause: Cause
    why: str | None = None
    slot: SlotScope | None = None
    needs: int = EVENTS_FORMAT
    """The format of events that its worker must know."""


@dataclass(slots=True)
class KeptJob:
    """A job that waits (`owner` None), is in the making, or `is_dropped`: it is made, and nobody wants it any more."""

    new: NewJob
    owner: int | None = None
    epoch: int = 0
    is_dropped: bool = False


@dataclass(slots=True)
class Run:
    """A run and all that hangs on it. It has an owner xor is `queued`, until it has an `end`."""

    new: NewRun
    owner: int | None
    epoch: int
    status: str
    queued: Queued | None = None
    mail: int = 0
    crashes: int = 0
    finished_at: int | None = None
    end: Finish | None = None
    journal: list[JournalRow] = field(default_factory=list[JournalRow])
    snapshot: tuple[int, int, bytes] | None = None
    """Its seq, format and body."""
    inbox: list[Mail] = field(default_factory=list[Mail])
    dedups: set[str] = field(default_factory=set[str])
    waits: dict[str, WaitRow] = field(default_factory=dict[str, WaitRow])
    logs: list[LogLine] = field(default_factory=list[LogLine])
    blobs: set[str] = field(default_factory=set[str])
    """Objects that its journal or mail names."""
    events: int = 0
    """How many the journal holds."""

    @property
    def no(self) -> int:
        return self.new.no

    def drop_logs(self, before_ms: int) -> int:
        """Forgets lines from before that time; how many there were."""
        kept = [line for line in self.logs if line.at >= before_ms]
        dropped, self.logs = len(self.logs) - len(kept), kept
        return dropped


@dataclass(slots=True)
class Slot:
    run_no: int
    key: str
    """Of a step; empty: the run's own."""
    since: int
    is_displaced: bool = False


@dataclass(slots=True)
class Worker:
    name: str
    expires_at: int
    is_dead: bool = False
    facts: WorkerFacts = NO_FACTS
    started_at: int = 0


@dataclass(slots=True)
class KeptEvent:
    no: int
    event: NewEvent
    is_matched: bool = False


@dataclass(slots=True)
class Tables:
    """Everything a store in memory holds, but for slots and rates."""

    runs: dict[int, Run] = field(default_factory=dict[int, Run])
    workers: dict[int, Worker] = field(default_factory=dict[int, Worker])
    events: list[KeptEvent] = field(default_factory=list[KeptEvent])
    jobs: dict[tuple[int, str, int], KeptJob] = field(default_factory=dict[tuple[int, str, int], KeptJob])
    """By run, key and attempt."""
    outbox: list[NewOutboxEvent] = field(default_factory=list[NewOutboxEvent])
    definitions: dict[str, bytes] = field(default_factory=dict[str, bytes])
    last_mail_no: int = 0
    last_event_no: int = 0

    def is_alive(self, worker: int) -> bool:
        return worker in self.workers and not self.workers[worker].is_dead
