"""The figures that a process keeps about itself, in a registry of its own. Every name begins with `flowforge_`."""

from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        # Looking up the child of a labelled counter costs more than counting: steps end tens of thousands of times a second.
        self._find_step_counter = lru_cache(maxsize=4_096)(self._steps_finished.labels)

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

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _count(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"flowforge_{name}", help_text, labels, registry=self.registry)

    def _show(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"flowforge_{name}", help_text, registry=self.registry)

    def _measure(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"flowforge_{name}", help_text, buckets=buckets, registry=self.registry)
