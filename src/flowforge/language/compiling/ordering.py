"""The order of a graph's steps: cycles, what can never be reached, and what comes before what."""

from dataclasses import dataclass

from flowforge.language.compiling.outline import GraphOutline, StepOutline
from flowforge.language.faults import Sink
from flowforge.language.graph import Join
from flowforge.language.kinds import ERROR_PORT


@dataclass(frozen=True, slots=True)
class _Order:
    """Steps in an order in which every source comes before its targets; `tangled` are those on or behind a cycle."""

    sorted: list[int]
    tangled: set[int]


def order_steps(graph: GraphOutline, sink: Sink) -> None:
    """Tells cycles and unreachable steps (not those that are only behind another one), and fills in `graph.before`."""
    order = _sort(graph)
    _refuse_cycles(graph, order.tangled, sink)
    _refuse_unreachable(graph, order, sink)
    _fill_in_before(graph, order)


def _sort(graph: GraphOutline) -> _Order:
    left = [len(step.sources) for step in graph.steps]
    targets: list[list[int]] = [[] for _ in graph.steps]
    for step in graph.steps:
        for source, _ in step.sources:
            targets[source].append(step.index)
    ready = [step.index for step in graph.steps if not step.sources]
    for index in ready:
        for target in targets[index]:
            left[target] -= 1
            if left[target] == 0:
                ready.append(target)
    return _Order(ready, set(range(len(graph.steps))) - set(ready))


def _refuse_cycles(graph: GraphOutline, tangled: set[int], sink: Sink) -> None:
    visited: set[int] = set()
    for start in sorted(tangled):
        cycle = _walk_back(graph, start, tangled, visited)
        if cycle:
            first = cycle.index(min(cycle))
            names = [graph.steps[index].id for index in (*cycle[first:], *cycle[:first], cycle[first])]
            message = f"These steps wait for each other: {' → '.join(names)}. Loops are nested: use flow.foreach or flow.repeat."
            sink.add("cycle", graph.steps[min(cycle)].field_path("after"), message)


def _walk_back(graph: GraphOutline, start: int, tangled: set[int], visited: set[int]) -> list[int]:
    """The cycle that one meets first walking from target to source, in the direction of its edges; [] if it was met before."""
    trail: list[int] = []
    index = start
    while index not in visited:
        visited.add(index)
        trail.append(index)
        index = next(source for source, _ in graph.steps[index].sources if source in tangled)
    return trail[trail.index(index) :][::-1] if index in trail else []


def _refuse_unreachable(graph: GraphOutline, order: _Order, sink: Sink) -> None:
    reached = set(order.tangled)
    for index in order.sorted:
        step = graph.steps[index]
        if _is_reachable(graph, step, reached):
            reached.add(index)
            continue
        if any(source in reached for source, _ in step.sources):
            names = ", ".join(f"{graph.steps[source].id}.{port}" for source, port in step.sources)
            message = f"This step can never start: no run comes here by {names}. Mend `after` or remove the step."
            sink.add("unreachable", step.path, message)


def _is_reachable(graph: GraphOutline, step: StepOutline, reached: set[int]) -> bool:
    if step.has_bad_edges or not step.sources:
        return True
    possible = [source in reached and _can_leave(graph.steps[source], port) for source, port in step.sources]
    return all(possible) if step.join is Join.ALL else any(possible)


def _can_leave(step: StepOutline, port: str) -> bool:
    """False for the ordinary exit of a `flow.stop` or `flow.fail` that is never bypassed."""
    if step.kind is None or step.kind.name not in ("flow.stop", "flow.fail"):
        return True
    is_conditional = step.value.get("when", True) is not True
    return port == ERROR_PORT or is_conditional or step.value.get("on_error") == "continue"


def _fill_in_before(graph: GraphOutline, order: _Order) -> None:
    """A step in a cycle, or one whose edges are not all known, may read everything: the fault is told already."""
    graph.before = [0] * len(graph.steps)
    for index in order.tangled:
        graph.before[index] = graph.all_mask
    for index in order.sorted:
        step = graph.steps[index]
        mask = graph.all_mask if step.has_bad_edges else 0
        for source, _ in step.sources:
            mask |= graph.before[source] | 1 << source
        graph.before[index] = mask
