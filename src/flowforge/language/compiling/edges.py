"""From `after` and `join` to edges."""

from flowforge.language.compiling.outline import GraphOutline, StepOutline
from flowforge.language.faults import At, Sink, suggest_name
from flowforge.language.graph import Join
from flowforge.language.positions import Path
from flowforge.language.shapes import is_expression_text, show


def connect_steps(graph: GraphOutline, sink: Sink) -> None:
    """Finds the edges into each step, and tells what is wrong with them."""
    for step in graph.steps:
        step.join = _read_join(step)
        if "after" in step.value:
            _read_after(graph, step, sink)
        elif step.index > 0:
            _follow_step_above(graph, step, sink)
        _check_join(graph, step, sink)


def _read_join(step: StepOutline) -> Join:
    join = step.value.get("join")
    return Join(join) if isinstance(join, str) and join in set(Join) else Join.MERGE


def _read_after(graph: GraphOutline, step: StepOutline, sink: Sink) -> None:
    after = step.value["after"]
    path = step.field_path("after")
    if isinstance(after, str):
        _add_edge(graph, step, after, path, sink, set())
    elif isinstance(after, list):
        named: set[tuple[int, str]] = set()
        for index, name in enumerate(after):
            if isinstance(name, str):
                _add_edge(graph, step, name, (*path, index), sink, named)
            else:
                step.has_bad_edges = True
    else:
        step.has_bad_edges = True


def _follow_step_above(graph: GraphOutline, step: StepOutline, sink: Sink) -> None:
    above = graph.steps[step.index - 1]
    if above.kind is None:
        step.has_bad_edges = True
    elif above.kind.exit is None:
        _refuse_without_port(above, step.field_path("after"), step, sink)
    else:
        step.sources.append((above.index, above.kind.exit))


def _refuse_without_port(source: StepOutline, path: Path, step: StepOutline, sink: Sink) -> None:
    step.has_bad_edges = True
    ports = source.kind.ports if source.kind is not None else ()
    sink.add(
        "port_missing",
        path,
        f"The step {source.id!r} has no ordinary exit; name one of its ports: {', '.join(f'{source.id}.{port}' for port in ports)}.",
        suggestion=f"after: {source.id}.{ports[0]}" if ports else None,
    )


def _add_edge(graph: GraphOutline, step: StepOutline, name: str, path: Path, sink: Sink, named: set[tuple[int, str]]) -> None:
    edge = None if is_expression_text(name) else _find_edge(graph, step, name, path, sink)
    if edge is None:
        step.has_bad_edges = True
    elif edge in named:
        source, port = edge
        sink.add(
            "after_duplicate", path, f"The port {port!r} of the step {graph.steps[source].id!r} is named twice; name it once."
        )
    else:
        named.add(edge)
        step.sources.append(edge)


def _find_edge(graph: GraphOutline, step: StepOutline, name: str, path: Path, sink: Sink) -> tuple[int, str] | None:
    step_id, dot, port = name.partition(".")
    index = graph.by_id.get(step_id)
    if index is None:
        _refuse_unknown_step(graph, step_id, path, sink)
        return None
    kind = graph.steps[index].kind
    if kind is None:
        return None
    if not dot and kind.exit is None:
        _refuse_without_port(graph.steps[index], path, step, sink)
        return None
    if dot and port not in kind.port_set:
        meant = suggest_name(port, kind.ports)
        message = f"The step {step_id!r} has no port {show(port)}; its ports are {', '.join(kind.ports)}."
        sink.add("ref_unknown", path, message, suggestion=f"{step_id}.{meant}" if meant else None)
        return None
    return index, port if dot else kind.exit or ""


def _refuse_unknown_step(graph: GraphOutline, step_id: str, path: Path, sink: Sink) -> None:
    outer = graph.outer
    while outer is not None and step_id not in outer.by_id:
        outer = outer.outer
    if outer is not None:
        message = f"The step {show(step_id)} is outside this graph; edges never cross a container's border."
        sink.add("ref_unknown", path, message)
        return
    meant = suggest_name(step_id, graph.by_id)
    sink.add("ref_unknown", path, f"There is no step {show(step_id)} in this graph.", suggestion=meant)


def _check_join(graph: GraphOutline, step: StepOutline, sink: Sink) -> None:
    if step.join is not Join.ALL:
        return
    seen: set[int] = set()
    for source, _ in step.sources:
        if source in seen:
            message = f"`join: all` cannot hold: a run leaves the step {graph.steps[source].id!r} by one port only."
            sink.add("join_impossible", step.field_path("join"), message, suggestion="join: merge", at=At.VALUE)
            return
        seen.add(source)
