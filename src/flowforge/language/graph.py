"""The compiled form of a workflow: what the engine runs. Immutable, made once per version by `compile_document`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Template


class Join(StrEnum):
    MERGE = "merge"
    ALL = "all"
    FIRST = "first"


class Backoff(StrEnum):
    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    FIBONACCI = "fibonacci"


class OnError(StrEnum):
    FAIL = "fail"
    CONTINUE = "continue"
    ASK = "ask"


class OnInterrupt(StrEnum):
    REPEAT = "repeat"
    FAIL = "fail"
    ASK = "ask"


class WhenFull(StrEnum):
    QUEUE = "queue"
    REJECT = "reject"
    CANCEL_OLDEST = "cancel_oldest"


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts the first one. `on`: error codes that may be retried (`http_*` allowed); None: the operation's own view."""

    attempts: int = 1
    backoff: Backoff = Backoff.EXPONENTIAL
    initial_ms: int = 1_000
    multiplier: float = 2.0
    max_ms: int = 300_000
    jitter: bool = True
    on: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit over all runs of the workspace with the same key. `rate_count` per `rate_per_ms`, evenly spaced."""

    key: Template
    concurrency: int | None
    rate_count: int | None
    rate_per_ms: int | None


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many runs of the workflow (with an equal key) may be open at once."""

    key: Template | None
    limit: int
    when_full: WhenFull


@dataclass(frozen=True, slots=True)
class Mock:
    """What the step gives in a mocked run instead of running: exactly one of both."""

    output: JsonValue = None
    error: JsonObject | None = None


# --- what a step does, by kind -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """An operation: `name` in the registry, `parameters` an object template. `installed` is False for a known but absent kind."""

    name: str
    parameters: Template
    pure: bool
    installed: bool = True


@dataclass(frozen=True, slots=True)
class If:
    condition: Template


@dataclass(frozen=True, slots=True)
class Switch:
    """Cases in order: (port, condition)."""

    cases: tuple[tuple[str, Template], ...]


@dataclass(frozen=True, slots=True)
class Foreach:
    """`concurrency` None: unlimited."""

    items: Template
    concurrency: int | None
    continue_on_item_error: bool
    body: "Graph"
    output: Template | None
    break_: Template | None


@dataclass(frozen=True, slots=True)
class Repeat:
    until: Template
    limit: int
    every_ms: int | None
    body: "Graph"
    output: Template | None
    break_: Template | None


@dataclass(frozen=True, slots=True)
class WaitTime:
    """Exactly one of both: `duration` gives a duration string, `until` an RFC 3339 time."""

    duration: Template | None
    until: Template | None


@dataclass(frozen=True, slots=True)
class WaitSignal:
    """`key` None takes any. `expires` gives a duration string or is None."""

    signal: Template
    key: Template | None
    expires: Template | None


@dataclass(frozen=True, slots=True)
class CallWorkflow:
    """`version` None: the published one when the call starts. Its `input` template is None for `{}`."""

    workflow: str
    version: int | None
    input: Template | None
    wait: bool


@dataclass(frozen=True, slots=True)
class SetValues:
    values: Template


@dataclass(frozen=True, slots=True)
class Stop:
    output: Template | None


@dataclass(frozen=True, slots=True)
class Fail:
    code: Template
    message: Template | None
    details: Template | None


Action = Call | If | Switch | Foreach | Repeat | WaitTime | WaitSignal | CallWorkflow | SetValues | Stop | Fail


@dataclass(frozen=True, slots=True)
class Compensation:
    """The operation that undoes a completed step."""

    action: Call
    retry: Retry
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `edges` are its outgoing edges (port, index of the target), ordered by target; `incoming` counts the edges into it.

    `exit` is the ordinary exit (None for `flow.switch`). `timeout_ms` is of one attempt for an operation, else of the whole step.
    """

    index: int
    id: str
    uses: str
    title: str
    action: Action
    ports: tuple[str, ...]
    exit: str | None
    edges: tuple[tuple[str, int], ...]
    incoming: int
    join: Join
    when: Template | None
    retry: Retry
    timeout_ms: int | None
    on_error: OnError
    on_interrupt: OnInterrupt
    limit: Limit | None
    mock: Mock | None
    compensate: Compensation | None
    handles_error: bool
    """Whether an edge leaves by the port `error`."""
    queue: str | None = None
    """The queue of its attempts where they are handed out to other workers."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The steps of one list, in its order. `races` is True where a join `first` stands here or in an outer graph."""

    steps: tuple[Step, ...]
    index: Mapping[str, int]
    races: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger as the document gives it; live only from the server on."""

    id: str
    uses: str
    with_: JsonObject
    input: Template | None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A whole compiled document. `document` is the parsed document, `digest` the BLAKE2b-128 hex of its canonical JSON."""

    name: str
    title: str
    description: str
    document: JsonObject
    digest: str
    labels: Mapping[str, Template]
    subject: Template | None
    input_schema: JsonObject | None
    graph: Graph
    on_failure: Graph | None
    finally_: Graph | None
    output: Template | None
    timeout_ms: int | None
    concurrency: Concurrency | None
    triggers: tuple[Trigger, ...]
    variables: tuple[str, ...]
    """Names of workspace variables that the document reads."""
    reads_resume_url: bool
    secrets: tuple[str, ...]
    calls: tuple[str, ...]
    """Names of the workflows it calls."""
    operations: tuple[str, ...]
