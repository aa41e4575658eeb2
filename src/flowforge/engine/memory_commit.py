"""Turns and mail, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowforge.engine.memory_jobs import Jobs
from flowforge.engine.memory_limits import Limits
from flowforge.engine.memory_rows import Queued, Run, Tables
from flowforge.engine.queueing import CANCEL_DISPLACED, SYSTEM_ACTOR, Cause
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    Delivery,
    Finish,
    JournalRow,
    Mail,
    NewMail,
    NewRun,
    Release,
    SlotScope,
    Turn,
    TurnResult,
    Verdict,
)


def post_mails(tables: Tables, limits: Limits, mails: Sequence[NewMail], now: int) -> list[Delivery]:
    """Stores messages and makes their runs due."""
    return [_post(tables, limits, mail, now) for mail in mails]


def _post(tables: Tables, limits: Limits, mail: NewMail, now: int) -> Delivery:
    run = tables.runs.get(mail.run_no)
    if run is None:
        return Delivery.UNKNOWN
    if run.end is not None:
        return Delivery.FINISHED
    if mail.dedup is not None:
        if mail.dedup in run.dedups:
            return Delivery.DUPLICATE
        run.dedups.add(mail.dedup)
    tables.last_mail_no += 1
    run.inbox.append(Mail(tables.last_mail_no, run.no, mail.kind, mail.body, mail.by))
    run.mail += 1
    _ring(run, limits, mail.kind, now)
    return Delivery.DELIVERED


def _ring(run: Run, limits: Limits, kind: str, now: int) -> None:
    queued = run.queued
    if queued is None:
        return
    if queued.slot is None:
        queued.cause = Cause.MAIL if queued.due_at > now else queued.cause
        queued.due_at = min(queued.due_at, now)
    elif kind == "cancel":
        scope = queued.slot.scope
        limits.let_cancel(run, now)
        limits.wake(scope, now)


@dataclass(slots=True)
class Commit:
    """One group commit."""

    tables: Tables
    limits: Limits
    now: int
    blocked: dict[int, TurnResult] = field(default_factory=dict[int, TurnResult])
    mails: list[NewMail] = field(default_factory=list[NewMail])

    def store(self, turns: Sequence[Turn]) -> list[TurnResult]:
        results = [self._store_turn(turn) for turn in turns]
        # Behind all turns: a run that leaves in this commit is woken by mail of this commit.
        post_mails(self.tables, self.limits, self.mails, self.now)
        return results

    def _store_turn(self, turn: Turn) -> TurnResult:
        if turn.run_no in self.blocked:
            return self.blocked[turn.run_no]
        result = self._find_stored(turn) or self._refuse(turn) or self._start(turn)
        if result is None:
            result = TurnResult(
                Verdict.DONE, children=tuple(self._bear(child, may_reject=False).verdict for child in turn.children)
            )
            self._apply(self.tables.runs[turn.run_no], turn)
        if result.verdict is not Verdict.DONE:
            self.blocked[turn.run_no] = result
        return result

    def _find_stored(self, turn: Turn) -> TurnResult | None:
        run = self.tables.runs.get(turn.run_no)
        if run is None:
            return None
        if turn.start is not None and run.journal[0].body == turn.start.body:
            if run.journal[0].epoch == 0:
                return TurnResult(Verdict.DONE if turn.start.owner is None else Verdict.QUEUED)
            if not turn.body:
                return TurnResult(Verdict.DONE)
        is_stored = any((row.seq, row.epoch, row.body) == (turn.seq, turn.epoch, turn.body) for row in run.journal)
        return TurnResult(Verdict.DONE) if is_stored else None

    def _refuse(self, turn: Turn) -> TurnResult | None:
        for body in (turn.body, turn.start.body if turn.start else b"", *(child.body for child in turn.children)):
            try:
                body.decode()
            except UnicodeError as fault:
                return TurnResult(Verdict.UNSTORABLE, problem=str(fault))
        run = self.tables.runs.get(turn.run_no)
        if turn.start is not None:
            return None if run is None else TurnResult(Verdict.STALE)
        if run is None or run.end is not None or run.epoch != turn.epoch:
            return TurnResult(Verdict.STALE)
        if turn.body and any(row.seq == turn.seq for row in run.journal):
            return TurnResult(Verdict.STALE)
        if (turn.finish is not None or turn.release is not None) and run.mail != turn.mail_seen:
            return TurnResult(Verdict.MAIL)
        return None

    def _start(self, turn: Turn) -> TurnResult | None:
        """None: there is nothing to start, or it has started and the turn goes on."""
        if turn.start is None:
            return None
        result = self._bear(turn.start, may_reject=True)
        return None if result.verdict is Verdict.DONE else result

    def _bear(self, new: NewRun, *, may_reject: bool) -> TurnResult:
        known = self._find_known(new)
        if known is not None:
            return TurnResult(Verdict.DUPLICATE, known.new.id, run_no=known.new.no)
        owner = new.owner if new.owner is not None and self.tables.is_alive(new.owner) else None
        slot = None if new.slot is None or self.limits.is_below_holder(new.parent_no, new.slot.scope) else new.slot
        if slot is None:
            self._add(new, owner, Queued(new.due_at, Cause.DUE))
        elif self.limits.has_room(slot):
            self._add_with_slot(new, owner, slot)
        elif may_reject and slot.when_full == "reject":
            return TurnResult(Verdict.REJECTED)
        else:
            self._add_waiting(new, slot)
            return TurnResult(Verdict.QUEUED)
        return TurnResult(Verdict.DONE if owner == new.owner else Verdict.QUEUED)

    def _find_known(self, new: NewRun) -> Run | None:
        for run in self.tables.runs.values():
            old = run.new
            if new.dedup is not None and (old.workspace_id, old.dedup) == (new.workspace_id, new.dedup):
                return run
            if new.parent_no is not None and (old.parent_no, old.parent_key) == (new.parent_no, new.parent_key):
                return run
        return None

    def _add(self, new: NewRun, owner: int | None, queued: Queued) -> Run:
        epoch, status = (0, "queued") if owner is None else (1, "running")
        run = Run(new, owner, epoch, status, queued if owner is None else None)
        run.journal.append(JournalRow(1, epoch, new.at, new.body))
        run.events = 1
        self.tables.runs[new.no] = run
        self.tables.outbox.extend(new.outbox)
        return run

    def _add_with_slot(self, new: NewRun, owner: int | None, slot: SlotScope) -> None:
        if owner is not None:
            self.limits.take(slot.scope, slot.limit, new.no, "", new.at)
        run = self._add(new, owner, Queued(new.due_at, Cause.DUE))
        if owner is None:
            self.limits.put_in_queue(run, slot, new.due_at)
        self.limits.adopt_limit(slot, self.now)

    def _add_waiting(self, new: NewRun, slot: SlotScope) -> None:
        if slot.when_full == "cancel_oldest":
            displaced = self.limits.displace_oldest(slot, self.now)
            if displaced is not None:
                self.mails.append(NewMail(displaced, "cancel", CANCEL_DISPLACED, SYSTEM_ACTOR))
        self.limits.put_in_queue(self._add(new, None, Queued(FAR_FUTURE_MS, Cause.CONCURRENCY)), slot, FAR_FUTURE_MS)
        self.limits.adopt_limit(slot, self.now)

    def _apply(self, run: Run, turn: Turn) -> None:
        if turn.body:
            run.journal.append(JournalRow(turn.seq, turn.epoch, turn.at, turn.body))
            run.events += turn.events
        run.crashes = 0 if turn.progressed else run.crashes
        run.inbox = [mail for mail in run.inbox if mail.no not in turn.mail_read]
        run.logs.extend(turn.logs)
        for run_no, blob in turn.blobs:
            if run_no in self.tables.runs:
                self.tables.runs[run_no].blobs.add(blob)
        for key in turn.waits_removed:
            run.waits.pop(key, None)
        run.waits.update({wait.key: wait for wait in turn.waits_added})
        for key in turn.slots_freed:
            self.limits.free(run.no, key, self.now)
        self.mails.extend(Jobs(self.tables).apply(turn))
        self.tables.outbox.extend(turn.outbox)
        if turn.release is not None:
            self._release(run, turn, turn.release)
        if turn.finish is not None:
            self._finish(run, turn, turn.finish)
        self.mails.extend(turn.mails)

    def _release(self, run: Run, turn: Turn, end: Release) -> None:
        run.owner, run.status = None, end.status
        run.queued = Queued(end.due_at, Cause.DUE, end.why, needs=end.needs)
        if end.snapshot is not None:
            run.snapshot = (turn.seq if turn.body else turn.seq - 1, end.snapshot_format, end.snapshot)

    def _finish(self, run: Run, turn: Turn, end: Finish) -> None:
        run.owner, run.queued, run.snapshot = None, None, None
        run.status, run.end, run.finished_at = end.status, end, turn.at
        run.inbox.clear()
        run.waits.clear()
        self.limits.free(run.no, None, self.now)
