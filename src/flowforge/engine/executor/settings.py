"""What an engine is told about its place: bounds and periods, one frozen value."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowforge.engine.events import EVENTS_FORMAT
from flowforge.engine.store import NO_FACTS, WorkerFacts
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
    keep_logs_ms: int | None = None
    """Log lines of steps are deleted after this time, also those of runs that are kept; None: never."""
    keeps_house: bool = True
    """Finished runs, and values that nobody names, are deleted here; False: a scheduler does it."""
    storage_patience_ms: int = 30_000
    """How long a database that cannot be used is waited for before those who wait for a run are told."""
    claims_runs: bool = True
    """False: runs are left to others; only jobs are made here."""
    job_queues: Sequence[str] = ()
    """The queues whose jobs are made here."""
    hands_out_jobs: bool = False
    """Heavy attempts, and those whose step names a queue, become jobs for any worker; else they are made where their run is."""
    writes_outbox: bool = False
    """Events for the outside are stored with what they tell."""
    commits_inline: bool = True
    """Commits may be made in the loop itself. False where sessions of that loop write to the same SQLite: both would wait for ever."""
    sweep_ms: int | None = None
    """How often the dead are looked for; None: with each beat."""
    facts: WorkerFacts = NO_FACTS
    backlog_max: int = 10_000
    """Turns before the writer; above it runs are only queued and nothing is claimed, at twice this starts are refused."""
    events_format: int = EVENTS_FORMAT
    """The newest format of events that is known here; runs that need a later one are left to others."""
    limits: Limits = field(default_factory=Limits)
