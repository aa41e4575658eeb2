"""Jobs, in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from flowforge.engine.memory_rows import KeptJob, Tables
from flowforge.engine.queueing import Lost, rank, report_lost, take_in_turn
from flowforge.engine.store import NewMail, TakenJob, Turn


@dataclass(slots=True)
class Jobs:
    """Hands out jobs, and takes them back."""

    tables: Tables
    served: dict[frozenset[str], str] = field(default_factory=dict[frozenset[str], str])
    """The workspace that was served last, by the queues that were asked for: the next take begins behind it."""

    def apply(self, turn: Turn) -> list[NewMail]:
        """What a turn does to the jobs of its run. Gives the messages about those that are gone."""
        for new in turn.jobs:
            self.tables.jobs[new.run_no, new.key, new.attempt] = KeptJob(new)
        dropped = [(turn.run_no, key, attempt) for key, attempt in turn.jobs_dropped]
        told = [report_lost(*place, Lost.ABORTED) for place in dropped if self._drop(place)]
        if turn.finish is not None:
            for place in [place for place in self.tables.jobs if place[0] == turn.run_no]:
                self._drop(place)
        return told

    def _drop(self, place: tuple[int, str, int]) -> bool:
        """Whether the job is gone: nobody had taken it."""
        job = self.tables.jobs.get(place)
        if job is None:
            return False
        job.is_dropped = True
        if job.owner is None:
            del self.tables.jobs[place]
        return job.owner is None

    def take(self, worker: int, queues: Collection[str], limit: int, now: int) -> list[TakenJob]:
        """See `Store.take_jobs`."""
        if not self.tables.is_alive(worker):
            return []
        waiting = [job for job in self.tables.jobs.values() if job.owner is None and job.new.queue in queues]
        waiting.sort(key=lambda job: rank(job.new.priority, job.new.at, now))
        asked = frozenset(queues)
        last = self.served.get(asked, "")
        workspaces = sorted({job.new.workspace_id for job in waiting}, key=lambda name: (name <= last, name))
        chosen = take_in_turn([[job for job in waiting if job.new.workspace_id == name] for name in workspaces], limit)
        if chosen:
            self.served[asked] = chosen[-1].new.workspace_id
        return [self._take(job, worker) for job in chosen]

    def _take(self, job: KeptJob, worker: int) -> TakenJob:
        job.owner = worker
        job.epoch += 1
        new = job.new
        run_id = self.tables.runs[new.run_no].new.id
        return TakenJob(new.run_no, run_id, new.key, new.attempt, new.workspace_id, new.queue, job.epoch, new.params)

    def end(self, worker: int, taken: TakenJob) -> bool:
        """Takes the job away if the worker still has it."""
        place = (taken.run_no, taken.key, taken.attempt)
        job = self.tables.jobs.get(place)
        if job is None or (job.owner, job.epoch) != (worker, taken.epoch):
            return False
        del self.tables.jobs[place]
        return True

    def list_dropped(self, worker: int) -> list[tuple[int, str, int]]:
        """See `Store.dropped_jobs`."""
        return [place for place, job in self.tables.jobs.items() if job.owner == worker and job.is_dropped]

    def lose(self, worker: int, how: Lost) -> Sequence[NewMail]:
        """Takes away what the worker has, and gives the messages that tell of it."""
        lost = [place for place, job in self.tables.jobs.items() if job.owner == worker]
        for place in lost:
            del self.tables.jobs[place]
        return [report_lost(*place, how) for place in lost]

    def forget(self, run_no: int) -> None:
        """The run is deleted."""
        for place in [place for place in self.tables.jobs if place[0] == run_no]:
            del self.tables.jobs[place]
