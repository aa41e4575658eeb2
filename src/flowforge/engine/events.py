"""The journal's vocabulary. A journal row is one turn: a JSON list of these events, in order.

Identity of a step in a run is one text, its *key*: the path of iterations and the step's id (`items.3/pages.0/fetch`). Compensations
live under `~undo/`, the graphs `on_failure` and `finally` under `~on_failure/` and `~finally/`. Times are milliseconds since 1970 (UTC).

Events are plain dictionaries, because building and encoding them is the engine's hot path.
"""

from typing import Final, Literal, NotRequired, TypedDict

from flowforge.kit.telemetry.origins import OriginFields
from flowforge.kit.values import JsonObject, JsonValue

EVENTS_FORMAT: Final = 1
"""Grows when an event, or a field that decides, is added: a worker that knows only an older format leaves such runs to newer ones."""


class ErrorValue(TypedDict):
    """An error as a value, `steps.<id>.error` in an expression; a run's error names its `step` too."""

    code: str
    message: str
    details: NotRequired[JsonValue]
    attempt: NotRequired[int]
    step: NotRequired[str]


class BlobRef(TypedDict):
    """A value that lies in the object store, beside the event, never inside user data."""

    id: str
    size: int
    sha256: str


class PinnedVersion(TypedDict):
    """The definition that a run is pinned to. `version` is None for an ad hoc document."""

    id: str
    name: str
    version: int | None
    digest: str


class ParentStep(TypedDict):
    no: int
    run: str
    step: str
    attempt: int
    depth: int
    """How many runs stand above this one."""


class RunStarted(TypedDict):
    type: Literal["run.started"]
    run: str
    workspace: str
    workflow: PinnedVersion
    input: JsonValue
    vars: JsonObject
    trigger: JsonObject
    actor: str
    labels: NotRequired[dict[str, str]]
    subject: NotRequired[str]
    mocks: NotRequired[bool]
    timeout_ms: NotRequired[int]
    """The installation's time-out for runs whose workflow sets none."""
    parent: NotRequired[ParentStep]
    resume_url: NotRequired[str]
    """Where the definition reads `run.resume_url`: the link, as it was made then. It stays the same, whichever key signs later."""
    origin: NotRequired[OriginFields]
    """Of the request that started the run, for logs and traces. Decides nothing."""
    fork: NotRequired[JsonObject]


class RunClaimed(TypedDict):
    """`why`: due, mail, expired, released. `poison`: the run has killed its workers as often as `poison_limit` allows."""

    type: Literal["run.claimed"]
    epoch: int
    worker: int
    why: str
    poison: NotRequired[bool]


class RunMail(TypedDict):
    """Outside input, consumed once. `no` is the inbox row. Bodies by kind: docs/engine.md."""

    type: Literal["run.mail"]
    no: int
    kind: str
    body: JsonObject
    by: str


class RunPhase(TypedDict):
    """The run leaves its main graph: `cancelling`, `undoing`, `on_failure`, `finally`; `status` is how it will end."""

    type: Literal["run.phase"]
    phase: str
    status: str
    output: NotRequired[JsonValue]
    blob: NotRequired[BlobRef]
    error: NotRequired[ErrorValue]


class RunFinished(TypedDict):
    type: Literal["run.finished"]
    status: str
    output: NotRequired[JsonValue]
    blob: NotRequired[BlobRef]
    error: NotRequired[ErrorValue]
    uncompensated: NotRequired[list[JsonObject]]


class StepPlanned(TypedDict):
    """Committed before the effect begins. `key` is its Idempotency-Key, `digest` that of its parameters (secrets by name)."""

    type: Literal["step.planned"]
    step: str
    attempt: int
    key: str
    digest: str
    target: NotRequired[str]
    parameters: NotRequired[JsonObject]
    """Packed (machine/packing.py). Only where they could not be evaluated again to the same value (a join `first` in sight)."""
    child: NotRequired[JsonObject]
    """Of `flow.call`: `no`, `run`, `workflow` (PinnedVersion) of the called run, `wait`."""
    job: NotRequired[str]
    """The attempt is a job of its own, made by whichever worker serves this queue; its outcome comes by mail."""


class StepCompleted(TypedDict):
    """`undo`: parameters of `compensate`, evaluated now, or `{"error": …}` where that failed. A foreach's output is its items'."""

    type: Literal["step.completed"]
    step: str
    attempt: NotRequired[int]
    port: str
    output: NotRequired[JsonValue]
    blob: NotRequired[BlobRef]
    undo: NotRequired[JsonObject]
    error: NotRequired[ErrorValue]
    """Of a foreach that went on in spite of failed items: `item_errors`."""
    mail: NotRequired[int]
    """The inbox row of the signal that ended a wait."""


class StepFailed(TypedDict):
    """`retry_at` None: final. `postponed`: the attempt never reached the other side, and is not counted against the step's `retry`."""

    type: Literal["step.failed"]
    step: str
    attempt: NotRequired[int]
    error: ErrorValue
    retry_at: int | None
    postponed: NotRequired[bool]


class StepBypassed(TypedDict):
    """`when` was false, or a person skipped the step (then `by`)."""

    type: Literal["step.bypassed"]
    step: str
    output: NotRequired[JsonValue]
    by: NotRequired[str]


class StepWaiting(TypedDict):
    """`kind`: timer, signal, slot. `ref`: signal name and key, or the slot's scope and limits."""

    type: Literal["step.waiting"]
    step: str
    kind: str
    until: NotRequired[int]
    ref: NotRequired[JsonObject]


class StepParked(TypedDict):
    """Waits for a person: `reason` is outcome_unknown, poison or error."""

    type: Literal["step.parked"]
    step: str
    reason: str
    error: NotRequired[ErrorValue]


class LoopOpened(TypedDict):
    """`items` and their `count` only of a foreach; `window`: how many iterations may be open at once."""

    type: Literal["loop.opened"]
    step: str
    window: int
    count: NotRequired[int]
    items: NotRequired[list[JsonValue]]
    blob: NotRequired[BlobRef]


class LoopItem(TypedDict):
    """An iteration ended. Not written where the value is simply the output of the body's last step. `last`: no further one."""

    type: Literal["loop.item"]
    step: str
    index: int
    value: NotRequired[JsonValue]
    error: NotRequired[ErrorValue]
    last: NotRequired[bool]
    limit: NotRequired[bool]
    """Of a repeat: its `limit` is reached without `until`; it fails."""
    next_at: NotRequired[int]
    """Of a repeat with `every`: when its next iteration begins."""


class TimerFired(TypedDict):
    """`which`: `retry:<step>`, `wait:<step>`, `timeout:<step>`, `every:<step>`, or `run`."""

    type: Literal["timer.fired"]
    which: str
    due: int


Event = (
    RunStarted
    | RunClaimed
    | RunMail
    | RunPhase
    | RunFinished
    | StepPlanned
    | StepCompleted
    | StepFailed
    | StepBypassed
    | StepWaiting
    | StepParked
    | LoopOpened
    | LoopItem
    | TimerFired
)
