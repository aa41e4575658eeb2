"""The steps of a document before their expressions are compiled: what each is, and how they hang together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Join
from flowforge.language.kinds import FlowKind, May
from flowforge.language.positions import Path
from flowforge.operations.definition import Operation


class Role(StrEnum):
    """Which graph of the document it is, or belongs to."""

    STEPS = "steps"
    ON_FAILURE = "on_failure"
    FINALLY = "finally"


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a step does: exactly one of `flow` and `operation`. `ports` has `error` too, as the last one; `port_set` has the same."""

    name: str
    flow: FlowKind | None
    operation: Operation | None
    ports: tuple[str, ...]
    exit: str | None
    may: frozenset[May]
    port_set: frozenset[str]


@dataclass(slots=True)
class StepOutline:
    """One step. `kind` is None where it is unknown, `id` "" where it is missing; both are faults that are told already.

    `sources` are the edges into it: (index of the source, port). `has_bad_edges`: some could not be read, so nothing is concluded
    from those that could.
    """

    index: int
    path: Path
    value: JsonObject
    id: str
    kind: StepKind | None
    sources: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    join: Join = Join.MERGE
    has_bad_edges: bool = False
    body: "GraphOutline | None" = None

    @property
    def is_flow(self) -> bool:
        return self.kind is not None and self.kind.flow is not None

    def find_parameter(self, name: str) -> JsonValue:
        """A parameter's value, None where there is none."""
        parameters = self.value.get("with")
        return parameters.get(name) if isinstance(parameters, dict) else None

    def field_path(self, *names: str) -> Path:
        return (*self.path, *names)


@dataclass(slots=True)
class GraphOutline:
    """One list of steps. `before[i]` has the bit of every step that comes before step i on some path.

    `outer` is the graph around it, and `outer_mask` has the bits of the steps there that are over when this graph runs. `container` is
    the loop whose body it is.
    """

    role: Role
    path: Path
    steps: list[StepOutline]
    by_id: dict[str, int]
    outer: "GraphOutline | None" = None
    outer_mask: int = 0
    container: StepOutline | None = None
    before: list[int] = field(default_factory=list[int])

    @property
    def all_mask(self) -> int:
        return (1 << len(self.steps)) - 1

    def walk(self) -> "Iterator[GraphOutline]":
        """This graph and all those inside."""
        yield self
        for step in self.steps:
            if step.body is not None:
                yield from step.body.walk()
