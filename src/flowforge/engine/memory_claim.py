"""Claiming, in memory."""

from dataclasses import dataclass

from flowforge.engine.memory_limits import Limits
from flowforge.engine.memory_rows import Queued, Run, Tables
from flowforge.engine.queueing import CLAIM_MOST, Cause, encode_claimed, rank, take_in_turn
from flowforge.engine.store import FAR_FUTURE_MS, Claimed, ClaimRequest, JournalRow
from flowforge.kit.crashpoint import crashpoint


@dataclass(slots=True)
class Claiming:
    """Hands out due runs."""

    tables: Tables
    limits: Limits
    served: str = ""
    """The workspace that was served last: the next claim begins behind it."""

    def claim(self, request: ClaimRequest, now: int) -> list[Claimed]:
        if not self.tables.is_alive(request.worker):
            return []
        claimed = [
            self._take(run, queued.cause, request, now)
            for run, queued in self._choose(request, now)
            if self._has_slot(run, queued)
        ]
        if claimed:
            self.served = claimed[-1].workspace_id
        return claimed

    def _choose(self, request: ClaimRequest, now: int) -> list[tuple[Run, Queued]]:
        due = [
            (run, run.queued)
            for run in self.tables.runs.values()
            if run.queued is not None and _is_for(request, run.no, run.queued, now)
        ]
        crashpoint("CP13")
        due.sort(key=lambda one: (*rank(one[0].new.priority, one[1].due_at, now), one[0].no))
        limit = min(request.limit, CLAIM_MOST)
        doubtful, clear = [one for one in due if one[0].crashes], [one for one in due if not one[0].crashes]
        if request.only is not None:
            return [*doubtful[: request.suspects], *clear][:limit]
        suspects = self._in_turn(doubtful, min(request.suspects, limit))
        return [*suspects, *self._in_turn(clear, limit - len(suspects))]

    def _in_turn(self, due: list[tuple[Run, Queued]], limit: int) -> list[tuple[Run, Queued]]:
        workspaces = sorted({run.new.workspace_id for run, _ in due}, key=lambda name: (name <= self.served, name))
        return take_in_turn([[one for one in due if one[0].new.workspace_id == name] for name in workspaces], limit)

    def _has_slot(self, run: Run, queued: Queued) -> bool:
        slot = queued.slot
        if slot is None or self.limits.take(slot.scope, slot.limit, run.no, "", run.new.at):
            return True
        queued.due_at, queued.cause = FAR_FUTURE_MS, Cause.CONCURRENCY
        return False

    def _take(self, run: Run, cause: Cause, request: ClaimRequest, now: int) -> Claimed:
        run.owner, run.queued = request.worker, None
        run.epoch += 1
        run.status = "running" if run.status in ("queued", "waiting") else run.status
        body = encode_claimed(run.epoch, request.worker, cause, is_poison=run.crashes >= request.poison_limit)
        run.journal.append(JournalRow(run.journal[-1].seq + 1, run.epoch, now, body))
        run.events += 1
        seq, form, snapshot = run.snapshot or (0, 0, None)
        rows = [row for row in run.journal if row.seq > seq]
        new, mails = run.new, tuple(run.inbox)
        return Claimed(
            run.no, new.id, new.workspace_id, run.epoch, run.crashes, run.mail, rows, mails, snapshot, seq, form, new.priority
        )


def _is_for(request: ClaimRequest, run_no: int, queued: Queued, now: int) -> bool:
    """Whether the run is due, and the worker both wants it and knows its events."""
    return queued.due_at <= now and queued.needs <= request.format and (request.only is None or run_no in request.only)
