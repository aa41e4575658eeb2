"""A compiled workflow as nodes and edges: what a canvas draws, and what the Mermaid diagram of its documentation is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from flowforge.kit.values import JsonObject
from flowforge.language.graph import Call, Foreach, Graph, Repeat, Step, Workflow

_DECISIONS: Final = frozenset({"flow.if", "flow.switch", "human.approval"})


@dataclass(frozen=True, slots=True)
class Node:
    """A step. `id` is unique in the picture (`items/fetch` inside of a loop); `within` the node of the loop that holds it.

    `section`: `steps`, `on_failure` or `finally`.
    """

    id: str
    step: str
    uses: str
    title: str
    section: str
    within: str | None
    ports: tuple[str, ...]
    is_conditional: bool
    is_effect: bool

    @property
    def is_decision(self) -> bool:
        return self.uses in _DECISIONS


@dataclass(frozen=True, slots=True)
class Edge:
    """`port`: the one that it leaves by; `is_ordinary`: it goes without saying."""

    source: str
    port: str
    target: str
    is_ordinary: bool


@dataclass(frozen=True, slots=True)
class Picture:
    nodes: list[Node] = field(default_factory=list[Node])
    edges: list[Edge] = field(default_factory=list[Edge])

    def to_json(self) -> JsonObject:
        return {
            "nodes": [_describe_node(node) for node in self.nodes],
            "edges": [
                {"from": edge.source, "port": edge.port, "to": edge.target, "ordinary": edge.is_ordinary} for edge in self.edges
            ],
        }

    def list_within(self, section: str, within: str | None) -> Iterator[Node]:
        return (node for node in self.nodes if node.section == section and node.within == within)


def draw_picture(workflow: Workflow) -> Picture:
    """All steps, those inside of loops too, in the document's order."""
    picture = Picture()
    for section, graph in (("steps", workflow.graph), ("on_failure", workflow.on_failure), ("finally", workflow.finally_)):
        if graph is not None:
            prefix = "" if section == "steps" else f"{section}/"
            _draw_graph(picture, graph, section, prefix, None)
    return picture


def is_ordinary(step: Step, port: str) -> bool:
    """Whether the port goes without saying: the only way that a step leads on unless something special happens."""
    return port == step.exit and step.uses not in _DECISIONS


def _draw_graph(picture: Picture, graph: Graph, section: str, prefix: str, within: str | None) -> None:
    for step in graph.steps:
        node = _draw_step(step, section, prefix, within)
        picture.nodes.append(node)
        for port, target in step.edges:
            to = f"{prefix}{graph.steps[target].id}"
            picture.edges.append(Edge(node.id, port, to, is_ordinary=is_ordinary(step, port)))
        if isinstance(step.action, Foreach | Repeat):
            _draw_graph(picture, step.action.body, section, f"{node.id}/", node.id)


def _draw_step(step: Step, section: str, prefix: str, within: str | None) -> Node:
    return Node(
        id=f"{prefix}{step.id}",
        step=step.id,
        uses=step.uses,
        title=step.title,
        section=section,
        within=within,
        ports=step.ports,
        is_conditional=step.when is not None,
        is_effect=isinstance(step.action, Call) and not step.action.pure,
    )


def _describe_node(node: Node) -> JsonObject:
    return {
        "id": node.id,
        "step": node.step,
        "uses": node.uses,
        "title": node.title,
        "section": node.section,
        "within": node.within,
        "ports": [*node.ports],
        "conditional": node.is_conditional,
        "effect": node.is_effect,
    }
