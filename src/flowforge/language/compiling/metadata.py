"""How large and how tangled a document is."""

from collections import Counter
from dataclasses import dataclass

from flowforge.kit.values import JsonObject
from flowforge.language.compiling.outline import GraphOutline
from flowforge.language.compiling.usage import Usage

_BRANCHING = frozenset({"flow.if", "flow.switch", "human.approval"})


@dataclass(frozen=True, slots=True)
class Metadata:
    """Figures of one document. `depth` counts loops inside loops, from 1; `branches` counts steps that more than one port of a step
    leads from, or several steps follow; `kinds` counts steps by what they use."""

    steps: int
    depth: int
    branches: int
    loops: int
    expressions: int
    triggers: int
    kinds: tuple[tuple[str, int], ...]

    def to_json(self) -> JsonObject:
        return {
            "steps": self.steps,
            "depth": self.depth,
            "branches": self.branches,
            "loops": self.loops,
            "expressions": self.expressions,
            "triggers": self.triggers,
            "kinds": dict(self.kinds),
        }


def measure(graphs: list[GraphOutline], usage: Usage, triggers: int) -> Metadata:
    """The figures of a document whose graphs are given, those inside loops too."""
    kinds: Counter[str] = Counter()
    for graph in graphs:
        kinds.update(step.kind.name for step in graph.steps if step.kind is not None)
    return Metadata(
        steps=sum(len(graph.steps) for graph in graphs),
        depth=max((_measure_depth(graph) for graph in graphs), default=0),
        branches=sum(_count_branches(graph) for graph in graphs),
        loops=sum(graph.container is not None for graph in graphs),
        expressions=usage.expressions,
        triggers=triggers,
        kinds=tuple(sorted(kinds.items())),
    )


def _measure_depth(graph: GraphOutline) -> int:
    depth = 1
    while graph.container is not None and graph.outer is not None:
        graph = graph.outer
        depth += 1
    return depth


def _count_branches(graph: GraphOutline) -> int:
    """Steps behind which a run can go more than one way, or several ways at once."""
    outgoing: Counter[int] = Counter(source for step in graph.steps for source, _ in step.sources)
    return sum(1 for step in graph.steps if outgoing[step.index] > 1 or (step.kind is not None and step.kind.name in _BRANCHING))
