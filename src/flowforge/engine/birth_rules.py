"""Which starts of a commit become runs, and the rows that they make: what the stores on a database share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from flowforge.engine.queueing import CANCEL_DISPLACED, SYSTEM_ACTOR, Cause
from flowforge.engine.store import FAR_FUTURE_MS, NewMail, NewOutboxEvent, NewRun, SlotScope, TurnResult, Verdict

Place = TypeVar("Place")
"""A connection to the database, in the commit's transaction."""
Place_contra = TypeVar("Place_contra", contravariant=True)
RowValues: TypeAlias = tuple[object, ...]
JournalValues: TypeAlias = tuple[int, int, int, int, int, str]


class RunSlots(Protocol[Place_contra]):
    """The functions of a database's module `run_slots`."""

    def has_room(self, place: Place_contra, slot: SlotScope, /) -> bool: ...
    def take_slot(self, place: Place_contra, scope: str, limit: int, run_no: int, key: str, since: int, /) -> bool: ...
    def wait_for_slot(self, place: Place_contra, slot: SlotScope, new: NewRun, due_at: int, /) -> None: ...
    def adopt_limit(self, place: Place_contra, slot: SlotScope, /) -> None: ...
    def wake_waiting(self, place: Place_contra, scope: str, now: int, /) -> None: ...
    def displace_oldest(self, place: Place_contra, slot: SlotScope, now: int, /) -> int | None: ...


@dataclass(slots=True)
class BirthRules(ABC, Generic[Place]):
    """Runs born in one commit, collected so that each table gets one statement. What is there already its subclass knows."""

    place: Place
    now: int
    run_slots: RunSlots[Place]
    runs: list[RowValues] = field(default_factory=list[RowValues])
    labels: list[RowValues] = field(default_factory=list[RowValues])
    queued: list[RowValues] = field(default_factory=list[RowValues])
    journal: list[JournalValues] = field(default_factory=list[JournalValues])
    outbox: list[NewOutboxEvent] = field(default_factory=list[NewOutboxEvent])
    mails: list[NewMail] = field(default_factory=list[NewMail])
    """To runs that must make room."""
    parents: dict[int, int | None] = field(default_factory=dict[int, int | None])
    names: dict[tuple[str | int, str], tuple[str, int]] = field(default_factory=dict[tuple[str | int, str], tuple[str, int]])

    @abstractmethod
    def look_up(self, owner: str | int, name: str) -> tuple[str, int] | None:
        """Id and number of the run that has this `dedup` in a workspace, or this key below a parent, and was there before."""

    @abstractmethod
    def is_alive(self, worker: int) -> bool: ...

    @abstractmethod
    def is_holder(self, scope: str, run_no: int) -> bool:
        """Whether the run has a slot of the scope."""

    @abstractmethod
    def read_parent(self, run_no: int) -> int | None: ...

    def add(self, new: NewRun, *, may_reject: bool) -> TurnResult:
        """Takes the run into the commit unless it is known, or its limit is full and it may be rejected."""
        known = self._find_known(new)
        if known is not None:
            return TurnResult(Verdict.DUPLICATE, known[0], run_no=known[1])
        owner = new.owner if new.owner is not None and self.is_alive(new.owner) else None
        if new.slot is None or self._is_below_holder(new, new.slot.scope):
            return self._bear(new, owner)
        if self.run_slots.has_room(self.place, new.slot):
            return self._bear_with_slot(new, new.slot, owner)
        if may_reject and new.slot.when_full == "reject":
            return TurnResult(Verdict.REJECTED)
        return self._bear_waiting(new, new.slot)

    def _find_known(self, new: NewRun) -> tuple[str, int] | None:
        known: tuple[str, int] | None = None
        if new.dedup is not None:
            known = self._find_name(new.workspace_id, new.dedup)
        if known is None and new.parent_no is not None and new.parent_key is not None:
            known = self._find_name(new.parent_no, new.parent_key)
        # A run is no duplicate of itself: the unique keys will tell that this commit came twice.
        return None if known is None or known[1] == new.no else known

    def _find_name(self, owner: str | int, name: str) -> tuple[str, int] | None:
        return self.names.get((owner, name)) or self.look_up(owner, name)

    def _is_below_holder(self, new: NewRun, scope: str) -> bool:
        above = new.parent_no
        while above is not None:
            if self.is_holder(scope, above):
                return True
            above = self.parents[above] if above in self.parents else self.read_parent(above)
        return False

    def _bear(self, new: NewRun, owner: int | None) -> TurnResult:
        self._add_run(new, owner)
        if owner is None:
            self.queued.append((new.no, new.workspace_id, 0, new.priority, new.due_at, Cause.DUE, self.now))
        # A worker that was declared dead may not own what it starts.
        return TurnResult(Verdict.DONE if owner == new.owner else Verdict.QUEUED)

    def _bear_with_slot(self, new: NewRun, slot: SlotScope, owner: int | None) -> TurnResult:
        self._add_run(new, owner)
        self.run_slots.adopt_limit(self.place, slot)
        if owner is None:
            self.run_slots.wait_for_slot(self.place, slot, new, new.due_at)
        else:
            self.run_slots.take_slot(self.place, slot.scope, slot.limit, new.no, "", new.at)
        self.run_slots.wake_waiting(self.place, slot.scope, self.now)
        return TurnResult(Verdict.DONE if owner == new.owner else Verdict.QUEUED)

    def _bear_waiting(self, new: NewRun, slot: SlotScope) -> TurnResult:
        self._add_run(new, None)
        if slot.when_full == "cancel_oldest":
            displaced = self.run_slots.displace_oldest(self.place, slot, self.now)
            if displaced is not None:
                self.mails.append(NewMail(displaced, "cancel", CANCEL_DISPLACED, SYSTEM_ACTOR))
        self.run_slots.adopt_limit(self.place, slot)
        self.run_slots.wait_for_slot(self.place, slot, new, FAR_FUTURE_MS)
        self.run_slots.wake_waiting(self.place, slot.scope, self.now)
        return TurnResult(Verdict.QUEUED)

    def _add_run(self, new: NewRun, owner: int | None) -> None:
        epoch, status = (0, "queued") if owner is None else (1, "running")
        self.parents[new.no] = new.parent_no
        if new.dedup is not None:
            self.names[new.workspace_id, new.dedup] = (new.id, new.no)
        if new.parent_no is not None and new.parent_key is not None:
            self.names[new.parent_no, new.parent_key] = (new.id, new.no)
        workflow = (new.workflow_id, new.workflow_name, new.version, new.digest)
        authority = (epoch, owner, 0, 0)
        above = (new.parent_no, new.parent_key, new.fork_of, new.dedup)
        who = (new.no, new.id, new.workspace_id)
        self.runs.append((*who, *workflow, status, new.priority, new.subject, new.actor, *authority, *above, new.at, 0, 0, 0))
        self.labels.extend((new.no, key, new.workspace_id, value, new.at) for key, value in new.labels.items())
        self.outbox.extend(new.outbox)
        self.journal.append((new.no, 1, epoch, new.at, 1, new.body.decode()))


RUN_COLUMNS = """no, id, workspace_id, workflow_id, workflow_name, version, digest, status, priority, subject, actor, epoch,
 owner, mail, crashes, parent_no, parent_key, fork_of, dedup, started_at, events, bytes, counted_seq"""
"""Of the rows in `runs`, in their order."""
