"""The store in plain dictionaries: the reference for the others, and the ground of the engine's property tests."""

import threading
from collections.abc import Collection, Mapping, Sequence

from flowforge.engine.memory_claim import Claiming
from flowforge.engine.memory_commit import Commit, post_mails
from flowforge.engine.memory_jobs import Jobs
from flowforge.engine.memory_limits import Limits
from flowforge.engine.memory_rows import KeptEvent, Queued, Run, Tables, Worker
from flowforge.engine.queueing import EVENT_KEPT_MS, Cause, Lost, take_place
from flowforge.engine.store import (
    NO_FACTS,
    Claimed,
    ClaimRequest,
    Delivery,
    Expired,
    Glance,
    JournalRow,
    Mail,
    NewEvent,
    NewMail,
    Pruned,
    SlotAnswer,
    SlotRequest,
    TakenJob,
    Turn,
    TurnResult,
    WaitRow,
    WorkerFacts,
)
from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint


class MemoryStore:
    """See `Store`. Durable as long as the process. `tables` and `limits` are for checkers to read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self.tables = Tables()
        self.limits = Limits(self.tables.runs)
        self._claiming = Claiming(self.tables, self.limits)
        self._jobs = Jobs(self.tables)
        self._rates: dict[str, int] = {}
        self._has_changed = True

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def register(self, name: str, expiry_ms: int, facts: WorkerFacts = NO_FACTS) -> int:
        with self._lock:
            number = len(self.tables.workers) + 1
            self.tables.workers[number] = Worker(name, self.now_ms() + expiry_ms, facts=facts, started_at=self.now_ms())
            return number

    def beat(self, worker: int, expiry_ms: int) -> bool:
        with self._lock:
            if not self.tables.is_alive(worker):
                return False
            self.tables.workers[worker].expires_at = self.now_ms() + expiry_ms
            return True

    def retire(self, worker: int) -> int:
        with self._lock:
            self._bury(worker)
            self._post(self._jobs.lose(worker, Lost.RELEASED))
            return self._queue_runs(worker, Cause.RELEASED)

    def expire(self, known_dead: Collection[int] = ()) -> Expired:
        crashpoint("CP21")
        with self._lock:
            workers = self.tables.workers
            late = {no for no, worker in workers.items() if worker.expires_at <= self.now_ms()}
            dead = [no for no in sorted({*known_dead, *late}) if self._bury(no)]
            crashpoint("CP22")
            gone = [no for no, worker in workers.items() if worker.is_dead]
            lost = [mail for no in gone for mail in self._jobs.lose(no, Lost.EXPIRED)]
            self._post(lost)
            return Expired(dead, sum(self._queue_runs(no, Cause.EXPIRED) for no in gone), len(lost))

    def alive(self) -> Mapping[int, str]:
        with self._lock:
            return {no: worker.name for no, worker in self.tables.workers.items() if not worker.is_dead}

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        _announce(turns)
        with self._lock:
            results = Commit(self.tables, self.limits, self.now_ms()).store(turns)
            self._has_changed = True
        crashpoint("CP10b")
        if any(turn.start is not None for turn in turns):
            crashpoint("CP02")
        return results

    def claim(self, request: ClaimRequest) -> Sequence[Claimed]:
        crashpoint("CP05")
        with self._lock:
            claimed = self._claiming.claim(request, self.now_ms())
        if claimed:
            crashpoint("CP06")
        return claimed

    def next_due(self) -> int | None:
        with self._lock:
            return min((run.queued.due_at for run in self.tables.runs.values() if run.queued is not None), default=None)

    def deliver(self, mails: Sequence[NewMail]) -> Sequence[Delivery]:
        with self._lock:
            answers = self._post(mails)
        crashpoint("CP19")
        return answers

    def mail(self, worker: int) -> Sequence[Mail]:
        with self._lock:
            mails = [mail for run in self.tables.runs.values() if run.owner == worker for mail in run.inbox]
            return sorted(mails, key=lambda mail: mail.no)

    def changed(self) -> bool:
        with self._lock:
            has_changed, self._has_changed = self._has_changed, False
            return has_changed

    def publish(self, event: NewEvent) -> int:
        with self._lock:
            self.tables.last_event_no += 1
            kept = KeptEvent(self.tables.last_event_no, event)
            self.tables.events.append(kept)
        crashpoint("CP29")
        with self._lock:
            return self._match(kept)

    def match(self, number: int | None = None) -> int:
        with self._lock:
            meant = [kept for kept in self.tables.events if (not kept.is_matched if number is None else kept.no == number)]
            return sum(self._match(kept) for kept in meant)

    def look_back(self, run_no: int, wait: WaitRow) -> int:
        crashpoint("CP28b")
        with self._lock:
            run = self.tables.runs.get(run_no)
            if run is None:
                return 0
            since = max(wait.since, self.now_ms() - EVENT_KEPT_MS)
            found = [kept for kept in self.tables.events if kept.event.at >= since and _is_meant(kept.event, run, wait)]
            found.sort(key=lambda kept: (kept.event.at, kept.no))
            return self._post([_as_mail(run_no, kept) for kept in found]).count(Delivery.DELIVERED)

    def acquire(self, requests: Sequence[SlotRequest]) -> Sequence[SlotAnswer]:
        with self._lock:
            return [self._answer(request) for request in requests]

    def take_jobs(self, worker: int, queues: Collection[str], limit: int) -> Sequence[TakenJob]:
        with self._lock:
            return self._jobs.take(worker, queues, limit, self.now_ms())

    def end_job(self, worker: int, job: TakenJob, mail: NewMail, blobs: Sequence[str] = ()) -> bool:
        with self._lock:
            is_ended = self._jobs.end(worker, job)
            if is_ended:
                self.tables.runs[job.run_no].blobs.update(blobs)
                self._post([mail])
            return is_ended

    def dropped_jobs(self, worker: int) -> Sequence[tuple[int, str, int]]:
        with self._lock:
            return self._jobs.list_dropped(worker)

    def define(self, digest: str, document: bytes) -> None:
        with self._lock:
            self.tables.definitions.setdefault(digest, document)

    def definition(self, digest: str) -> bytes | None:
        with self._lock:
            return self.tables.definitions.get(digest)

    def load(self, run_no: int) -> Sequence[JournalRow]:
        with self._lock:
            run = self.tables.runs.get(run_no)
            return [] if run is None else list(run.journal)

    def glance(self, run_no: int) -> Glance | None:
        with self._lock:
            run = self.tables.runs.get(run_no)
            if run is None:
                return None
            due_at, why = (None, None) if run.queued is None else (run.queued.due_at, run.queued.why)
            return Glance(run.status, run.end is not None, due_at, why)

    def prune(self, before_ms: int, limit: int, logs_before_ms: int = 0) -> Pruned:
        crashpoint("CP24")
        with self._lock:
            oldest = self.now_ms() - EVENT_KEPT_MS
            self.tables.events[:] = [kept for kept in self.tables.events if kept.event.at >= oldest or not kept.is_matched]
            ended = [(run.finished_at, run) for run in self.tables.runs.values() if run.finished_at is not None]
            ended.sort(key=lambda one: one[0])
            pruned = [run for finished_at, run in ended if finished_at < before_ms][:limit]
            for run in pruned:
                del self.tables.runs[run.no]
                self._jobs.forget(run.no)
            named = {blob: None for run in pruned for blob in sorted(run.blobs)}
            logs = sum(run.drop_logs(logs_before_ms) for run in self.tables.runs.values())
            return Pruned([run.new.id for run in pruned], self.find_unnamed([*named]), logs)

    def find_unnamed(self, blobs: Sequence[str]) -> Sequence[str]:
        with self._lock:
            return [blob for blob in blobs if not any(blob in run.blobs for run in self.tables.runs.values())]

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _bury(self, worker: int) -> bool:
        was_alive = self.tables.is_alive(worker)
        if was_alive:
            self.tables.workers[worker].is_dead = True
        return was_alive

    def _queue_runs(self, worker: int, cause: Cause) -> int:
        owned = [run for run in self.tables.runs.values() if run.owner == worker]
        for run in owned:
            run.owner, run.queued = None, Queued(self.now_ms(), cause)
            run.crashes += cause is Cause.EXPIRED
            run.status = "queued" if run.status == "running" else run.status
        return len(owned)

    def _post(self, mails: Sequence[NewMail]) -> list[Delivery]:
        self._has_changed = True
        return post_mails(self.tables, self.limits, mails, self.now_ms())

    def _match(self, kept: KeptEvent) -> int:
        kept.is_matched = True
        waiting = [
            run.no
            for run in self.tables.runs.values()
            if any(_is_meant(kept.event, run, wait) and wait.since <= kept.event.at for wait in run.waits.values())
        ]
        return sum(
            answer in {Delivery.DELIVERED, Delivery.DUPLICATE}
            for answer in self._post([_as_mail(run_no, kept) for run_no in waiting])
        )

    def _answer(self, request: SlotRequest) -> SlotAnswer:
        run = self.tables.runs.get(request.run_no)
        if run is None or run.end is not None:
            return SlotAnswer(granted=False)
        limit, scope = request.concurrency, request.scope
        if limit is not None and self.limits.is_held(scope, run.no, request.key):
            return SlotAnswer(granted=True)
        if limit is not None and len(self.limits.holders(scope)) >= limit:
            return SlotAnswer(granted=False)
        if request.rate_count is not None and request.rate_per_ms is not None:
            place = take_place(self._rates.get(scope, 0), self.now_ms(), request.rate_count, request.rate_per_ms)
            self._rates[scope] = place.tat_us
            if place.retry_at is not None:
                return SlotAnswer(granted=False, retry_at=place.retry_at)
        if limit is not None:
            self.limits.take(scope, limit, run.no, request.key, self.now_ms())
        return SlotAnswer(granted=True)


def _announce(turns: Sequence[Turn]) -> None:
    if any(turn.start is not None for turn in turns):
        crashpoint("CP01")
    if any(turn.waits_added for turn in turns):
        crashpoint("CP28a")
    crashpoint("CP10a")


def _is_meant(event: NewEvent, run: Run, wait: WaitRow) -> bool:
    if (event.workspace_id, event.name) != (run.new.workspace_id, wait.name):
        return False
    return wait.correlation is None or wait.correlation == event.correlation


def _as_mail(run_no: int, kept: KeptEvent) -> NewMail:
    return NewMail(run_no, "signal", kept.event.body, kept.event.by, f"event {kept.no}")
