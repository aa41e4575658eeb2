"""What an engine is told about its place: bounds and periods, one frozen value."""

from dataclasses import dataclass, field

from flowforge.kit.limits import Limits


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`takes_all`: claim any due run (a service); else only runs that were started or adopted here, and those that they call."""

    name: str = "worker"
    takes_all: bool = True
    runs_max: int = 2_000
    """Runs in memory; beyond it they only queue."""
    effects_max: int = 100
    """Attempts in flight at once."""
    beat_ms: int = 10_000
    expiry_ms: int = 30_000
    poll_ms: int = 1_000
    """How often the database is looked at without a reason: for due runs, and for mail from other processes."""
    abort_grace_ms: int = 10_000
    """How long outcomes of aborted attempts still count."""
    linger_ms: int = 1_000
    """A run stays in memory if its next timer, or a called run's end, may come within this time."""
    history_events_max: int = 1_000_000
    history_events_warn: int = 50_000
    snapshot_events: int = 1_000
    """A run that leaves memory with more new events than this behind its last snapshot leaves a new one."""
    keep_runs_ms: int | None = None
    """Finished runs are deleted after this time; None: never."""
    storage_patience_ms: int = 30_000
    """How long a database that cannot be used is waited for before those who wait for a run are told."""
    limits: Limits = field(default_factory=Limits)
