"""A run in memory, owned by this process."""

import asyncio
from collections import deque
from dataclasses import dataclass

from flowforge.engine.jobs import depth_of
from flowforge.engine.machine import RunState, TurnSheet
from flowforge.engine.machine.work import Effect, Outcome
from flowforge.engine.store import LogLine
from flowforge.kit.telemetry.origins import read_origin


@dataclass(slots=True, eq=False)
class Flight:
    """An attempt in flight. `task` None: it waits for a place."""

    work: Effect
    task: "asyncio.Task[None] | None" = None
    timer: asyncio.TimerHandle | None = None
    deadline_s: float = 0.0
    """By the loop's clock, where many share one timer."""
    has_begun: bool = False
    """A task that is cancelled before its first step never runs at all: such a one is let begin, and ends by itself."""
    is_aborted: bool = False
    is_timed_out: bool = False


class LiveRun:
    """State, place in the journal, and what has arrived for the next turn."""

    __slots__ = (
        "computing",
        "depth",
        "epoch",
        "flights",
        "history_bytes",
        "history_events",
        "is_blocked",
        "is_dropped",
        "is_due",
        "is_suspect",
        "is_warned",
        "linger",
        "logs",
        "looking",
        "mail_known",
        "mail_logs",
        "mail_read",
        "no",
        "origin",
        "outcomes",
        "pending",
        "priority",
        "run_id",
        "seq",
        "sheet",
        "snapshot_events",
        "state",
        "wake_timer",
        "workspace_id",
    )

    def __init__(self, no: int, state: RunState, epoch: int, seq: int) -> None:
        self.no = no
        self.state = state
        self.run_id = state.run_id
        self.workspace_id = state.workspace_id
        self.origin = read_origin(state.started.get("origin"))
        self.depth = depth_of(state)
        """How many runs stand above this one."""
        self.epoch = epoch
        self.seq = seq
        """The last row that was handed to the store."""
        self.outcomes: deque[Outcome] = deque()
        self.flights: dict[str, Flight] = {}
        self.computing = 0
        """Pure computations beside the loop."""
        self.looking = 0
        """Waits whose look back for earlier events is not done: until it is, the run is not released, lest a crash lose them."""
        self.sheet: TurnSheet | None = None
        """A turn that was interrupted because something had to be loaded."""
        self.logs: list[LogLine] = []
        self.mail_read: list[int] = []
        self.mail_known: set[int] = set()
        self.mail_logs: dict[int, list[LogLine]] = {}
        """What steps wrote whose jobs were made elsewhere, by the message that brought it: stored when that is consumed."""
        self.priority = 5
        self.pending = 0
        """Turns that are with the store."""
        self.history_events = 0
        self.history_bytes = 0
        self.snapshot_events = 0
        """How many events the last snapshot covers."""
        self.is_warned = False
        self.is_due = False
        self.is_blocked = False
        self.is_dropped = False
        self.is_suspect = False
        self.linger = False
        self.wake_timer: asyncio.TimerHandle | None = None
