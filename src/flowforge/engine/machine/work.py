"""What the pure core asks of the shell (work), and what the shell brings back (outcomes)."""

# The values of the hot path are not frozen: `frozen` makes building one three times as dear. Nobody changes them all the same.

from dataclasses import dataclass, field

from flowforge.engine.events import BlobRef, ErrorValue, PinnedVersion
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Step, Workflow

# --- work: before the commit ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pure:
    """A pure operation to compute: in the turn if it is light, beside it if not."""

    key: str
    step: Step
    name: str
    parameters: JsonObject


# --- work: done after the commit ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Effect:
    """An attempt that the journal has planned. `parameters` may hold `SecretText`."""

    key: str
    attempt: int
    name: str
    parameters: JsonObject
    idempotency_key: str
    timeout_ms: int | None


@dataclass(frozen=True, slots=True)
class StartJob:
    """An attempt for any worker that serves the queue, to be stored in the commit of its plan."""

    queue: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class DropJob:
    """A job that is no longer wanted; its run hears what became of it."""

    key: str
    attempt: int
    queue: str


@dataclass(frozen=True, slots=True)
class Abort:
    """An attempt in flight is no longer wanted: stop it and say what became of it."""

    key: str


@dataclass(frozen=True, slots=True)
class Callee:
    """What a `flow.call` calls, as the shell resolved it; `error` says why it cannot be called."""

    pinned: PinnedVersion | None
    workflow: Workflow | None
    error: ErrorValue | None = None
    variables: JsonObject = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class StartChild:
    """A called run, to be born in the commit of its plan."""

    key: str
    attempt: int
    workflow: Workflow
    pinned: PinnedVersion
    run_no: int
    run_id: str
    input: JsonValue
    variables: JsonObject


@dataclass(frozen=True, slots=True)
class CancelChild:
    run_no: int


@dataclass(frozen=True, slots=True)
class Acquire:
    """A step asks for a slot of its limit."""

    key: str
    scope: str
    concurrency: int | None
    rate_count: int | None
    rate_per_ms: int | None


@dataclass(frozen=True, slots=True)
class LookBack:
    """A wait for a signal stands: named events that came before it count too."""

    key: str
    name: str
    correlation: str | None
    since: int


Work = Pure | Effect | StartJob | DropJob | Abort | StartChild | CancelChild | Acquire | LookBack


# --- outcomes ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Succeeded:
    """An attempt (or a pure computation: attempt 0) gave its result; a large one lies in the object store."""

    key: str
    attempt: int
    port: str
    output: JsonValue
    blob: BlobRef | None = None


@dataclass(slots=True)
class Failed:
    """`is_fatal`: never retried, whatever the policy says. `is_retryable`: the operation's own view. `after_ms`: Retry-After.

    `postpones`: tried again after `after_ms` in any case, and not counted.
    """

    key: str
    attempt: int
    error: ErrorValue
    is_fatal: bool = False
    is_retryable: bool = True
    after_ms: int | None = None
    postpones: bool = False


@dataclass(frozen=True, slots=True)
class Aborted:
    """The attempt was stopped; nobody knows whether its effect took place."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The time for outcomes of aborted attempts is over."""


@dataclass(frozen=True, slots=True)
class MailRead:
    no: int
    kind: str
    body: JsonObject
    by: str


@dataclass(frozen=True, slots=True)
class SlotGranted:
    key: str


@dataclass(frozen=True, slots=True)
class Condemned:
    """The run cannot go on: its history is full."""

    error: ErrorValue


Outcome = Succeeded | Failed | Aborted | Settled | MailRead | SlotGranted | Condemned
