"""What the store in memory keeps."""

from dataclasses import dataclass, field

from flowforge.engine.queueing import Cause
from flowforge.engine.store import Finish, JournalRow, LogLine, Mail, NewEvent, NewRun, SlotScope, WaitRow


@dataclass(slots=True)
class Queued:
    """A run's place in the queue. With `slot` it may be owned only once it holds one."""

    due_at: int
    cause: Cause
    why: str | None = None
    slot: SlotScope | None = None


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
    definitions: dict[str, bytes] = field(default_factory=dict[str, bytes])
    last_mail_no: int = 0
    last_event_no: int = 0

    def is_alive(self, worker: int) -> bool:
        return worker in self.workers and not self.workers[worker].is_dead
