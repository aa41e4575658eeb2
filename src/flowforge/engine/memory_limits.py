"""Slots of runs and steps, in memory."""

from dataclasses import dataclass, field

from flowforge.engine.memory_rows import Queued, Run, Slot
from flowforge.engine.queueing import Cause
from flowforge.engine.store import FAR_FUTURE_MS, SlotScope


@dataclass(slots=True)
class Limits:
    """Who holds which place of which scope, beside the runs themselves."""

    runs: dict[int, Run]
    held: dict[str, dict[int, Slot]] = field(default_factory=dict[str, dict[int, Slot]])

    def holders(self, scope: str) -> list[Slot]:
        return list(self.held.get(scope, {}).values())

    def waiting(self, scope: str) -> list[tuple[Run, Queued, SlotScope]]:
        """Runs in the queue that need a slot of the scope, the best first."""
        rows = [
            (run, run.queued, run.queued.slot)
            for run in self.runs.values()
            if run.queued is not None and run.queued.slot is not None and run.queued.slot.scope == scope
        ]
        return sorted(rows, key=lambda row: (row[0].new.priority, row[0].new.at, row[0].no))

    def is_held(self, scope: str, run_no: int, key: str) -> bool:
        return any((slot.run_no, slot.key) == (run_no, key) for slot in self.holders(scope))

    def is_below_holder(self, parent_no: int | None, scope: str) -> bool:
        while parent_no is not None:
            if self.is_held(scope, parent_no, ""):
                return True
            parent = self.runs.get(parent_no)
            parent_no = None if parent is None else parent.new.parent_no
        return False

    def has_room(self, slot: SlotScope) -> bool:
        """Those that wait already have the free places before anyone new."""
        return len(self.holders(slot.scope)) + len(self.waiting(slot.scope)) < slot.limit

    def take(self, scope: str, limit: int, run_no: int, key: str, since: int) -> bool:
        """Takes the lowest free place; False if `limit` are taken."""
        places = self.held.setdefault(scope, {})
        if len(places) >= limit:
            return False
        free = next(n for n in range(1, limit + 1) if n not in places)
        places[free] = Slot(run_no, key, since)
        return True

    def free(self, run_no: int, key: str | None, now: int) -> None:
        """Gives back what the run (with `key` None: and all its steps) holds, and wakes those who wait."""
        for scope, places in self.held.items():
            gone = [n for n, slot in places.items() if slot.run_no == run_no and key in (None, slot.key)]
            for n in gone:
                del places[n]
            if gone:
                self.wake(scope, now)

    def wake(self, scope: str, now: int) -> None:
        """Makes as many waiting runs due as there are free places, those already due counted."""
        waiting = self.waiting(scope)
        asleep = [(queued, slot) for _, queued, slot in waiting if queued.due_at == FAR_FUTURE_MS]
        if not asleep:
            return
        awake = len(waiting) - len(asleep)
        places = asleep[0][1].limit - len(self.holders(scope)) - awake
        for queued, _ in asleep[: max(0, places)]:
            queued.due_at = now

    def put_in_queue(self, run: Run, slot: SlotScope, due_at: int) -> None:
        """Lets a run wait for a slot."""
        run.queued = Queued(due_at, Cause.CONCURRENCY if due_at == FAR_FUTURE_MS else Cause.DUE, slot=slot)

    def adopt_limit(self, slot: SlotScope, now: int) -> None:
        """The newest start's limit holds for all that wait; a higher one lets some of them go."""
        for _, queued, _ in self.waiting(slot.scope):
            queued.slot = slot
        self.wake(slot.scope, now)

    def displace_oldest(self, slot: SlotScope, now: int) -> int | None:
        """The run to cancel so that a newer one comes to its place; None where enough are on their way out."""
        holders = [holder for holder in self.holders(slot.scope) if not holder.is_displaced]
        waiting = self.waiting(slot.scope)
        if len(holders) + len(waiting) < slot.limit:
            return None
        oldest = min(holders, key=lambda one: (one.since, one.run_no), default=None)
        waiter = min((run for run, _, _ in waiting), key=lambda run: (run.new.at, run.no), default=None)
        if oldest is not None and (waiter is None or (oldest.since, oldest.run_no) <= (waiter.new.at, waiter.no)):
            oldest.is_displaced = True
            return oldest.run_no
        if waiter is None:
            return None
        self.let_cancel(waiter, now)
        return waiter.no

    def let_cancel(self, run: Run, now: int) -> None:
        """A waiting run that is cancelled needs no slot for that: it is due now."""
        run.queued = Queued(now, Cause.MAIL)
