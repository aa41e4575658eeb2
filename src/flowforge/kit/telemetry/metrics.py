"""The figures that a process keeps about itself, in a registry of its own. Every name begins with `flowforge_`."""

from functools import cached_property, lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flowforge.kit.telemetry.server_metrics import ServerMetrics

_COMMIT_SECONDS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
_COMMIT_ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Metrics:
    """Counters, gauges and histograms; one object a process, handed down. All may be used from any thread."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self.runs_started: Final = self._count("runs_started", "Runs that were started here.")
        self._runs_finished: Final = self._count("runs_finished", "Runs that ended here, by status.", "status")
        self._steps_finished: Final = self._count("steps_finished", "Steps that ended here.", "operation", "outcome")
        self.commits: Final = self._count("commits", "Transactions that the engine committed.")
        self.commit_seconds: Final = self._measure("commit_seconds", "Duration of one commit.", _COMMIT_SECONDS)
        self.commit_rows: Final = self._measure("commit_rows", "Journal rows in one commit.", _COMMIT_ROWS)
        self.active_runs: Final = self._show("active_runs", "Runs in memory now.")
        self.queue_age_seconds: Final = self._show("queue_age_seconds", "How long the oldest due run has waited for a worker.")
        self.log_drops: Final = self._show("log_drops", "Log lines lost because their reader stood still, since the start.")
        self.stale_epoch: Final = self._count("stale_epoch", "Appends refused because another worker had taken the run over.")
        self.crashes: Final = self._count("crashes", "Runs that were found without their worker.")
        self.dead_letters: Final = self._count("dead_letters", "Runs parked because they kept killing their worker.")
        self.jobs_taken: Final = self._count("jobs_taken", "Jobs that were taken here.")
        self.jobs_ended: Final = self._count("jobs_ended", "Jobs that were made here and reported to their runs.")
        self.jobs_lost: Final = self._count("jobs_lost", "Jobs that were found without their worker.")
        self.left_to_newer: Final = self._count("left_to_newer", "Runs that need a worker of a newer version.")
        self._rings: Final = self._count("rings", "Rings to other workers, by what became of them.", "outcome")
        self.rings_heard: Final = self._count("rings_heard", "Rings that were heard here.")
        self._unknown_run: Final = self._count("unknown_run", "Rings for a run that is not open, of those looked at.", "why")
        self.refused_messages: Final = self._count("refused_messages", "Messages on the broker that were none of ours.")
        self.broker_up: Final = self._show("broker_up", "1: the broker is reached.")
        self.database_up: Final = self._show("database_up", "1: the database answers.")
        self.storage_full: Final = self._show("storage_full", "1: the database takes nothing more, its disk is full.")
        self._queue_depth: Final = self._show("queue_depth", "Due runs, or jobs that nobody has taken, by queue.", "queue")
        self._worker: Final = self._show("worker_info", "1: this process.", "role", "version", "queues")
        self.outbox_published: Final = self._count("outbox_published", "Events for the outside that were published here.")
        self.outbox_failures: Final = self._count("outbox_failures", "Attempts to publish an event that failed.")
        self.outbox_dead: Final = self._count("outbox_dead", "Events that cannot be published: dead letters.")
        self.is_leader: Final = self._show("is_leader", "1: this scheduler has the lease.")
        self.stuck_runs: Final = self._show(
            "stuck_runs", "Runs that a living worker has and that have not moved for STUCK_AFTER."
        )
        self.orphans: Final = self._count("orphans", "Open runs that neither a worker nor the queue had; they were queued again.")
        self.duty_failures: Final = self._count("duty_failures", "Duties of the scheduler that failed, by name.", "duty")
        # Looking up the child of a labelled counter costs more than counting: steps end tens of thousands of times a second.
        self._find_step_counter = lru_cache(maxsize=4_096)(self._steps_finished.labels)

    @cached_property
    def server(self) -> ServerMetrics:
        """Those of a process that answers requests; one that never asks for them does not show them."""
        return ServerMetrics(self.registry)

    def count_run_finished(self, status: str) -> None:
        self._runs_finished.labels(status).inc()

    def count_steps_finished(self, operation: str, outcome: str, number: int = 1) -> None:
        """`outcome`: completed, failed, unknown, cancelled, bypassed."""
        self._find_step_counter(operation, outcome).inc(number)

    def observe_commit(self, *, seconds: float, rows: int) -> None:
        """One commit of the engine."""
        self.commits.inc()
        self.commit_seconds.observe(seconds)
        self.commit_rows.observe(rows)

    def count_rings(self, outcome: str, number: int = 1) -> None:
        """`outcome`: sent, merged (others say the same), lost (the broker was down)."""
        self._rings.labels(outcome).inc(number)

    def count_unknown_run(self, why: str) -> None:
        """`why`: unknown, finished."""
        self._unknown_run.labels(why).inc()

    def show_queue_depth(self, queue: str, depth: int) -> None:
        self._queue_depth.labels(queue).set(depth)

    def show_worker(self, role: str, version: str, queues: str) -> None:
        """What this process is; `queues` by comma."""
        self._worker.labels(role, version, queues).set(1)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _count(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"flowforge_{name}", help_text, labels, registry=self.registry)

    def _show(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"flowforge_{name}", help_text, labels, registry=self.registry)

    def _measure(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"flowforge_{name}", help_text, buckets=buckets, registry=self.registry)
