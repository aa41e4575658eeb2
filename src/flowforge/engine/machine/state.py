"""The state of a run: what its journal says, folded. Plain mutable data, owned by one turn at a time."""

import heapq
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from flowforge.engine.events import BlobRef, ErrorValue, ParentStep, PinnedVersion, RunStarted
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Lazy
from flowforge.language.graph import Compensation, Graph, Join, OnError, OnInterrupt, Step, Workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowforge.engine.machine.work import Callee

# Small integers, because a scope keeps one byte a step.
PENDING: Final = 0
READY: Final = 1
RUNNING: Final = 2
WAITING: Final = 3
LOOPING: Final = 4
RETRYING: Final = 5
PARKED: Final = 6
UNKNOWN: Final = 7
COMPLETED: Final = 8
BYPASSED: Final = 9
FAILED: Final = 10
SKIPPED: Final = 11
CANCELLED: Final = 12

STATUS_NAMES: Final = (
    "pending",
    "pending",
    "running",
    "waiting",
    "running",
    "waiting",
    "waiting",
    "running",
    "completed",
    "bypassed",
    "failed",
    "skipped",
    "cancelled",
)

UNDO: Final = "~undo/"
ON_FAILURE: Final = "~on_failure/"
FINALLY: Final = "~finally/"

LOOP_WINDOW: Final = 1_000
"""Iterations of one `concurrency: unlimited` loop that are open at once: bounds memory, not results."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A value that lies in the object store, in the place of the value."""

    ref: BlobRef


@dataclass(frozen=True, slots=True)
class Parts:
    """A loop's values, some of which lie in the object store."""

    values: "list[JsonValue | Blob | Parts]"


Stored: TypeAlias = JsonValue | Blob | Parts


class Plan:
    """A graph made ready for folding: incoming edges counted, starting steps listed."""

    __slots__ = ("graph", "incoming", "size", "starts")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.size = len(graph.steps)
        self.incoming = array("H", [step.incoming for step in graph.steps])
        self.starts = tuple(step.index for step in graph.steps if step.incoming == 0)


class Program:
    """A workflow with its plans. One per definition, shared by all its runs."""

    def __init__(
        self,
        workflow: Workflow,
        targets: "Mapping[str, Callable[[JsonObject], str | None]] | None" = None,
        parameters_max_bytes: int = 10 * 2**20,
        choose_queue: "Callable[[Step, str, JsonObject], str | None] | None" = None,
        poison_limit: int = 3,
    ) -> None:
        self.workflow = workflow
        self.parameters_max_bytes = parameters_max_bytes
        self.choose_queue = choose_queue
        """By step, operation and parameters: the queue of an attempt, None where it is made in place. None: all are."""
        self.poison_limit = poison_limit
        """A step whose jobs have ended so many workers is parked."""
        self.targets = targets or {}
        """By operation: names what an effect touches, for the ledger."""
        self._plans: dict[int, Plan] = {}
        self._undo: dict[int, Plan] = {}

    def plan(self, graph: Graph) -> Plan:
        plan = self._plans.get(id(graph))
        if plan is None:
            plan = self._plans[id(graph)] = Plan(graph)
        return plan

    def undo_plan(self, step: Step, compensation: Compensation) -> Plan:
        """The compensation of a step as a graph of one step of the same id, so that one machinery serves both."""
        plan = self._undo.get(id(step))
        if plan is None:
            undo = Step(
                index=0,
                id=step.id,
                uses=compensation.action.name,
                title=step.title,
                action=compensation.action,
                ports=("done", "error"),
                exit="done",
                edges=(),
                incoming=0,
                join=Join.MERGE,
                when=None,
                retry=compensation.retry,
                timeout_ms=compensation.timeout_ms,
                on_error=OnError.FAIL,
                on_interrupt=OnInterrupt.REPEAT,
                limit=None,
                mock=None,
                compensate=None,
                handles_error=False,
                queue=step.queue,
            )
            plan = self._undo[id(step)] = Plan(Graph(steps=(undo,), index={step.id: 0}, races=False))
        return plan


class Scope:
    """One graph in progress: the main one, an iteration, a compensation, `on_failure` or `finally`."""

    __slots__ = (
        "attempts",
        "errors",
        "failures",
        "graph",
        "item_index",
        "left",
        "loop",
        "losses",
        "number",
        "open",
        "outputs",
        "parent",
        "path",
        "plan",
        "ports",
        "preset",
        "roots",
        "status",
        "taken",
    )

    def __init__(self, plan: Plan, path: str, parent: "Scope | None", number: int) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.path = path
        self.parent = parent
        self.number = number
        self.loop: Loop | None = None
        self.item_index = 0
        self.open = plan.size
        self.status = bytearray(plan.size)
        self.left = plan.incoming[:]
        self.taken = bytearray(plan.size)
        self.ports: dict[int, str] = {}
        self.outputs: dict[int, Stored] = {}
        self.errors: dict[int, ErrorValue] = {}
        self.attempts: dict[int, int] = {}
        self.failures: dict[int, int] = {}
        self.losses: dict[int, int] = {}
        """How many jobs of a step have lost their worker."""
        self.preset: JsonObject | None = None
        """Of a compensation: its parameters, evaluated when the step completed."""
        self.roots: dict[str, JsonValue | Lazy] | None = None

    def key(self, index: int) -> str:
        return self.path + self.graph.steps[index].id


class Loop:
    """A container in progress."""

    __slots__ = (
        "count",
        "error",
        "failures",
        "index",
        "is_over",
        "items",
        "key",
        "next",
        "plan",
        "previous",
        "running",
        "scope",
        "scopes",
        "values",
        "window",
    )

    def __init__(self, scope: Scope, index: int, plan: Plan, window: int) -> None:
        self.scope = scope
        self.index = index
        self.key = scope.key(index)
        self.plan = plan
        self.window = window
        self.count: int | None = None
        """Items of a foreach, None for a repeat."""
        self.items: list[JsonValue] | Blob | None = None
        self.next = 0
        self.running = 0
        self.values: dict[int, Stored] = {}
        self.failures: list[JsonValue] = []
        self.previous: Stored = None
        self.scopes: dict[int, Scope] = {}
        self.is_over = False
        """No further iteration begins: `break`, `until`, or a failed item."""
        self.error: ErrorValue | None = None

    @property
    def step(self) -> Step:
        return self.scope.graph.steps[self.index]


@dataclass(slots=True)
class OpenAttempt:
    """An attempt that is planned and has no outcome yet. `child`: number of the called run. `job`: the queue it was handed to."""

    scope: Scope
    index: int
    attempt: int
    planned_at: int
    child: int | None = None
    job: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is made where its run is: a new owner of the run knows nothing of it."""
        return self.child is None and self.job is None


@dataclass(slots=True)
class Wait:
    """Why a step waits. `kind`: timer, signal, slot, child, job, retry, person (parked)."""

    kind: str
    since: int
    until: int | None = None
    ref: JsonObject = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Signal:
    no: int
    name: str
    key: str | None
    payload: JsonValue


@dataclass(frozen=True, slots=True)
class Undo:
    """A completed step that can be undone. `parameters` may hold secrets by name; `error`: they could not be evaluated."""

    key: str
    step: Step
    parameters: JsonObject | None
    error: JsonObject | None


@dataclass(slots=True)
class Side:
    """What a turn changes beside the journal; taken by the shell with each decision."""

    aborts: list[str] = field(default_factory=list[str])
    children_cancelled: list[int] = field(default_factory=list[int])
    jobs_dropped: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    """Key, attempt and queue."""
    waits_removed: list[str] = field(default_factory=list[str])
    slots_freed: list[str] = field(default_factory=list[str])


class RunState:
    """Everything that the journal of one run says."""

    def __init__(self, program: Program, started: RunStarted, at: int) -> None:
        self.program = program
        self.started = started
        self.run_id: str = started["run"]
        self.workspace_id: str = started["workspace"]
        self.pinned: PinnedVersion = started["workflow"]
        self.parent: ParentStep | None = started.get("parent")
        self.mocks: bool = started.get("mocks", False)
        self.input: JsonValue = started["input"]
        self.started_at = at
        self.at = at
        self.epoch = 1
        self.mail_seen = 0
        self.is_poison = False

        self.phase = ""
        self.status = "running"
        self.output: JsonValue | Blob = None
        self.error: ErrorValue | None = None
        self.uncompensated: list[JsonObject] = []
        self.is_paused = False
        self.cancel_by: str | None = None
        self.discarded = False

        self._open_indexes()
        self._open_notes()
        self.root = open_scope(self, program.plan(program.workflow.graph), "", None)
        run_timeout_ms = program.workflow.timeout_ms or started.get("timeout_ms")
        if run_timeout_ms is not None:
            set_timer(self, "run", at + run_timeout_ms)

    def _open_indexes(self) -> None:
        """What is in progress, by what it waits for."""
        self.scope_count = 0
        self.scopes: dict[str, Scope] = {}
        self.loops: dict[str, Loop] = {}
        self.ready: dict[int, tuple[Scope, int]] = {}
        self.closing: dict[str, Scope] = {}
        self.closing_loops: dict[str, Loop] = {}
        self.failing: dict[str, tuple[Scope, ErrorValue]] = {}
        self.open: dict[str, OpenAttempt] = {}
        self.unknown: dict[str, OpenAttempt] = {}
        self.aborting: dict[str, OpenAttempt] = {}
        self.waits: dict[str, Wait] = {}
        self.slot_waits: dict[str, tuple[Scope, int]] = {}
        self.signal_waits: dict[str, tuple[Scope, int]] = {}
        self.signals: list[Signal] = []
        self.parked: dict[str, tuple[Scope, int]] = {}
        self.fired: dict[str, str] = {}
        self.child_results: dict[str, JsonObject] = {}
        self.job_results: dict[str, JsonObject] = {}
        self.skips: dict[str, tuple[JsonValue, str]] = {}
        self.resolved_as_done: dict[str, JsonValue] = {}
        self.started_steps: dict[str, int] = {}
        self.timers: dict[str, int] = {}
        self.timer_heap: list[tuple[int, str]] = []
        self.undo: list[Undo] = []
        self.undo_scope: Scope | None = None
        self.undo_now: Undo | None = None

    def _open_notes(self) -> None:
        """Caches, and notes of the shell about what is in flight; a journal read anew gives none of them."""
        self.side = Side()
        self.over: list[tuple[str, bool]] | None = None
        """Set by whoever tells of it: the steps that end without an event of their own, by key; True: it had begun, and is cancelled."""
        self.busy: set[str] = set()
        self.requested: set[str] = set()
        self.granted: set[str] = set()
        self.looked_back: set[str] = set()
        self.settled = False
        self.parameters: dict[str, JsonObject] = {}
        self.blobs: dict[str, JsonValue] = {}
        self.callees: dict[tuple[str, int | None], Callee] = {}

    @property
    def vars(self) -> Mapping[str, JsonValue]:
        return self.started["vars"]

    @property
    def is_finished(self) -> bool:
        return self.phase == "finished"


def open_scope(state: RunState, plan: Plan, path: str, parent: Scope | None) -> Scope:
    """A graph begins: its first steps are ready."""
    state.scope_count += 1
    scope = Scope(plan, path, parent, state.scope_count)
    state.scopes[path] = scope
    for index in plan.starts:
        mark_ready(state, scope, index)
    return scope


def is_waiting(state: RunState) -> bool:
    """Whether the run waits: something is waited for, and no attempt is under way (a called run's aside)."""
    if not state.waits or state.unknown or state.aborting:
        return False
    return all(attempt.child is not None for attempt in state.open.values())


def let_go(state: RunState) -> None:
    """The run leaves memory: breaks the circles between state, scopes and views, so that all is freed at once, not by the collector."""
    for loop in state.loops.values():
        loop.scopes.clear()
    for scope in state.scopes.values():
        scope.roots = None


def mark_ready(state: RunState, scope: Scope, index: int) -> None:
    scope.status[index] = READY
    state.ready[(scope.number << 16) | index] = (scope, index)


def unmark_ready(state: RunState, scope: Scope, index: int) -> None:
    state.ready.pop((scope.number << 16) | index, None)


def next_undo(state: RunState) -> None:
    """The next compensation begins, in reverse order of completion; one that has no parameters is listed as not compensated."""
    state.undo_scope = None
    while state.undo and state.undo_scope is None:
        undo = state.undo.pop()
        compensation = undo.step.compensate
        assert compensation is not None
        if undo.parameters is None:
            state.uncompensated.append({"step": undo.key, "error": undo.error})
            continue
        path = UNDO + undo.key[: undo.key.rfind("/") + 1]
        state.undo_now = undo
        state.undo_scope = open_scope(state, state.program.undo_plan(undo.step, compensation), path, state.root)
        state.undo_scope.preset = undo.parameters


def locate(state: RunState, key: str) -> tuple[Scope, int]:
    """The scope and index of a step by its key. Raises KeyError if its scope is closed."""
    cut = key.rfind("/") + 1
    scope = state.scopes[key[:cut]]
    return scope, scope.graph.index[key[cut:]]


def set_timer(state: RunState, which: str, due: int) -> None:
    state.timers[which] = due
    heapq.heappush(state.timer_heap, (due, which))


def next_timer(state: RunState) -> tuple[int, str] | None:
    """The earliest timer that still stands."""
    heap = state.timer_heap
    while heap:
        due, which = heap[0]
        if state.timers.get(which) == due:
            return due, which
        heapq.heappop(heap)
    return None
