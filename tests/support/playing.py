"""What the reference judge holds while it plays: scopes, loops, timers, and the ways in which a graph ends early."""

from dataclasses import dataclass, field
from enum import Enum, auto

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Foreach, Graph, Repeat, Step


@dataclass(slots=True)
class Scope:
    """One graph being played: the run's, an iteration's, or a handler's. `roots`: what expressions see besides the steps."""

    prefix: str
    graph: Graph
    roots: dict[str, JsonValue]
    outer: "Scope | None" = None
    loop: "Loop | None" = None
    number: int = 0


@dataclass(slots=True)
class Loop:
    scope: Scope
    step: Step
    action: Foreach | Repeat
    items: list[JsonValue]
    values: dict[int, JsonValue] = field(default_factory=dict[int, JsonValue])
    errors: dict[int, JsonObject] = field(default_factory=dict[int, JsonObject])
    open: dict[int, Scope] = field(default_factory=dict[int, Scope])
    opened: int = 0
    is_over: bool = False
    is_pausing: bool = False


@dataclass(frozen=True, slots=True)
class Timer:
    due_ms: int
    kind: str
    key: str
    scope: Scope
    step: Step


class Verdict(Enum):
    START = auto()
    SKIP = auto()
    NOT_YET = auto()


class Broken(Exception):
    """A failure that nothing in its graph handles."""

    def __init__(self, error: JsonObject, status: str = "failed") -> None:
        super().__init__(str(error))
        self.error = error
        self.status = status


class Stopped(Exception):
    """`flow.stop` was reached."""

    def __init__(self, output: JsonValue) -> None:
        super().__init__()
        self.output = output


class Cancelled(Exception):
    """A person ends the run."""
