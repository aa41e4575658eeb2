"""Where each step of a definition stands, found by the step's key in a run."""

import re
from collections.abc import Iterator
from typing import Final

from flowforge.language.graph import Foreach, Graph, Repeat, Step, Workflow

UNDO: Final = "~undo/"
ON_FAILURE: Final = "~on_failure/"
FINALLY: Final = "~finally/"

PHASES: Final = {UNDO: "undoing", ON_FAILURE: "on_failure", FINALLY: "finally"}

_SEGMENT: Final = re.compile(r"([^/]+)\.(\d+)")

Position = tuple[int, ...]


def split_phase(key: str) -> tuple[str, str]:
    """The phase's prefix ("" for the main graph) and the rest of a step's key."""
    for prefix in PHASES:
        if key.startswith(prefix):
            return prefix, key[len(prefix) :]
    return "", key


class Outline:
    """The graphs of one workflow, without anything that happened."""

    def __init__(self, workflow: Workflow) -> None:
        self._graphs: dict[str, Graph | None] = {
            "": workflow.graph,
            UNDO: workflow.graph,
            ON_FAILURE: workflow.on_failure,
            FINALLY: workflow.finally_,
        }

    def list_steps(self) -> Iterator[Step]:
        """Steps of the main graph, in the order of the document."""
        yield from self._graph("").steps

    def find(self, key: str) -> Step | None:
        """The step of the definition behind a key; None if the definition has no such step."""
        found = self._walk(key)
        return found[-1][0] if found else None

    def operation_of(self, key: str) -> str:
        """What the step does (`http.request`, `flow.wait`); "" if it is unknown. Under `~undo/` it is the compensation's operation."""
        step = self.find(key)
        if step is None:
            return ""
        if key.startswith(UNDO):
            return step.compensate.action.name if step.compensate else ""
        return step.uses

    def position(self, key: str) -> Position:
        """Sorts steps as the document lists them, iterations below their container, later phases behind."""
        prefix, _ = split_phase(key)
        rank = ("", *PHASES).index(prefix)
        position: list[int] = [rank]
        for step, iteration in self._walk(key):
            position.append(step.index)
            if iteration is not None:
                position.append(iteration)
        return tuple(position)

    def _graph(self, prefix: str) -> Graph:
        return self._graphs[prefix] or Graph(steps=(), index={}, races=False)

    def _walk(self, key: str) -> list[tuple[Step, int | None]]:
        prefix, rest = split_phase(key)
        graph = self._graph(prefix)
        found: list[tuple[Step, int | None]] = []
        *path, last = rest.split("/")
        for segment in path:
            match = _SEGMENT.fullmatch(segment)
            step = None if match is None else _find_step(graph, match[1])
            if match is None or step is None or not isinstance(step.action, Foreach | Repeat):
                return []
            found.append((step, int(match[2])))
            graph = step.action.body
        step = _find_step(graph, last)
        return [*found, (step, None)] if step is not None else []


def _find_step(graph: Graph, step_id: str) -> Step | None:
    index = graph.index.get(step_id)
    return None if index is None else graph.steps[index]
