"""New runs: known ones, limits, rows. Plan: `dedup` and parent by their unique indexes."""

import sqlite3
from dataclasses import dataclass, field

from flowforge.engine.queueing import CANCEL_DISPLACED, SYSTEM_ACTOR, Cause
from flowforge.engine.sqlite.rows import Row, write_rows
from flowforge.engine.sqlite.run_slots import adopt_limit, displace_oldest, has_room, take_slot, wait_for_slot, wake_waiting
from flowforge.engine.store import FAR_FUTURE_MS, NewMail, NewRun, SlotScope, TurnResult, Verdict

_BY_DEDUP = "SELECT id, no FROM runs WHERE workspace_id=? AND dedup=?"
_BY_PARENT = "SELECT id, no FROM runs WHERE parent_no=? AND parent_key=?"
_PARENT = "SELECT parent_no FROM runs WHERE no=?"
_HOLDS = "SELECT 1 FROM slots WHERE scope=? AND run_no=? AND key=''"
_IS_ALIVE = "SELECT 1 FROM workers WHERE no=? AND dead=0"
_RUN = """INSERT INTO runs(no, id, workspace_id, workflow_id, workflow_name, version, digest, status, priority, subject, actor, epoch,
 owner, mail, crashes, parent_no, parent_key, fork_of, dedup, started_at, events, bytes, counted_seq)"""
_LABEL = "INSERT INTO run_labels(run_no, key, workspace_id, value, started_at)"
_QUEUE = "INSERT INTO queue(run_no, workspace_id, suspect, priority, due_at, cause, since)"


@dataclass(slots=True)
class Births:
    """Runs born in one commit, collected so that each table gets one statement."""

    connection: sqlite3.Connection
    now: int
    runs: list[Row] = field(default_factory=list[Row])
    labels: list[Row] = field(default_factory=list[Row])
    queued: list[Row] = field(default_factory=list[Row])
    journal: list[Row] = field(default_factory=list[Row])
    mails: list[NewMail] = field(default_factory=list[NewMail])
    """To runs that must make room."""
    parents: dict[int, int | None] = field(default_factory=dict[int, int | None])
    names: dict[tuple[str | int, str], tuple[str, int]] = field(default_factory=dict[tuple[str | int, str], tuple[str, int]])
    alive: dict[int, bool] = field(default_factory=dict[int, bool])

    def add(self, new: NewRun, *, may_reject: bool) -> TurnResult:
        """Takes the run into the commit unless it is known, or its limit is full and it may be rejected."""
        known = self._find_known(new)
        if known is not None:
            return TurnResult(Verdict.DUPLICATE, known[0], run_no=known[1])
        owner = new.owner if new.owner is not None and self._is_alive(new.owner) else None
        if new.slot is None or self._is_below_holder(new, new.slot.scope):
            return self._bear(new, owner)
        if has_room(self.connection, new.slot):
            return self._bear_with_slot(new, new.slot, owner)
        if may_reject and new.slot.when_full == "reject":
            return TurnResult(Verdict.REJECTED)
        return self._bear_waiting(new, new.slot)

    def flush(self) -> None:
        """Writes all rows but those of the journal."""
        write_rows(self.connection, _RUN, self.runs)
        write_rows(self.connection, _LABEL, self.labels)
        write_rows(self.connection, _QUEUE, self.queued)

    def _find_known(self, new: NewRun) -> tuple[str, int] | None:
        if new.dedup is not None and (known := self._look_up(_BY_DEDUP, new.workspace_id, new.dedup, new)):
            return known
        if new.parent_no is not None and new.parent_key is not None:
            return self._look_up(_BY_PARENT, new.parent_no, new.parent_key, new)
        return None

    def _look_up(self, statement: str, owner: str | int, name: str, new: NewRun) -> tuple[str, int] | None:
        known = self.names.get((owner, name)) or self.connection.execute(statement, (owner, name)).fetchone()
        # A run is no duplicate of itself: the unique keys will tell that this commit came twice.
        return None if known is None or known[1] == new.no else (known[0], known[1])

    def _is_alive(self, worker: int) -> bool:
        if worker not in self.alive:
            self.alive[worker] = self.connection.execute(_IS_ALIVE, (worker,)).fetchone() is not None
        return self.alive[worker]

    def _is_below_holder(self, new: NewRun, scope: str) -> bool:
        above = new.parent_no
        while above is not None:
            if self.connection.execute(_HOLDS, (scope, above)).fetchone() is not None:
                return True
            above = self.parents[above] if above in self.parents else self._find_parent(above)
        return False

    def _find_parent(self, run_no: int) -> int | None:
        found = self.connection.execute(_PARENT, (run_no,)).fetchone()
        return None if found is None else found[0]

    def _bear(self, new: NewRun, owner: int | None) -> TurnResult:
        self._add_run(new, owner)
        if owner is None:
            self.queued.append((new.no, new.workspace_id, 0, new.priority, new.due_at, Cause.DUE, self.now))
        # A worker that was declared dead may not own what it starts.
        return TurnResult(Verdict.DONE if owner == new.owner else Verdict.QUEUED)

    def _bear_with_slot(self, new: NewRun, slot: SlotScope, owner: int | None) -> TurnResult:
        self._add_run(new, owner)
        adopt_limit(self.connection, slot)
        if owner is None:
            wait_for_slot(self.connection, slot, new, new.due_at)
        else:
            take_slot(self.connection, slot.scope, slot.limit, new.no, "", new.at)
        wake_waiting(self.connection, slot.scope, self.now)
        return TurnResult(Verdict.DONE if owner == new.owner else Verdict.QUEUED)

    def _bear_waiting(self, new: NewRun, slot: SlotScope) -> TurnResult:
        self._add_run(new, None)
        if slot.when_full == "cancel_oldest":
            displaced = displace_oldest(self.connection, slot, self.now)
            if displaced is not None:
                self.mails.append(NewMail(displaced, "cancel", CANCEL_DISPLACED, SYSTEM_ACTOR))
        adopt_limit(self.connection, slot)
        wait_for_slot(self.connection, slot, new, FAR_FUTURE_MS)
        wake_waiting(self.connection, slot.scope, self.now)
        return TurnResult(Verdict.QUEUED)

    def _add_run(self, new: NewRun, owner: int | None) -> None:
        epoch, status = (0, "queued") if owner is None else (1, "running")
        self.parents[new.no] = new.parent_no
        if new.dedup is not None:
            self.names[new.workspace_id, new.dedup] = (new.id, new.no)
        if new.parent_no is not None and new.parent_key is not None:
            self.names[new.parent_no, new.parent_key] = (new.id, new.no)
        self.runs.append(
            (
                new.no,
                new.id,
                new.workspace_id,
                new.workflow_id,
                new.workflow_name,
                new.version,
                new.digest,
                status,
                new.priority,
                new.subject,
                new.actor,
                epoch,
                owner,
                0,
                0,
                new.parent_no,
                new.parent_key,
                new.fork_of,
                new.dedup,
                new.at,
                0,
                0,
                0,
            )
        )
        self.labels.extend((new.no, key, new.workspace_id, value, new.at) for key, value in new.labels.items())
        self.journal.append((new.no, 1, epoch, new.at, 1, new.body.decode()))
