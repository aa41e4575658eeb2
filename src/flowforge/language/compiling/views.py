"""What an expression at one place of the document can see."""

from dataclasses import dataclass, replace
from typing import Final

from flowforge.language.compiling.outline import GraphOutline, Role, StepOutline
from flowforge.language.faults import suggest_name
from flowforge.language.shapes import show

STEP_MEMBERS: Final = ("output", "error", "status", "port", "attempts")
ERROR_MEMBERS: Final = ("code", "message", "details", "attempt")
RESUME_URL: Final = "resume_url"
_BORN_RUN_MEMBERS: Final = ("id", "started_at", "workflow", "version")
_RUN_MEMBERS: Final = (*_BORN_RUN_MEMBERS, RESUME_URL)
_ENDED_RUN_MEMBERS: Final = (*_RUN_MEMBERS, "status", "error")
_ROOTS: Final = ("input", "steps", "trigger", "run", "vars")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step cannot be read here."""

    code: str
    message: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """`layers` are the graphs in which a step is looked for, the nearest first, each with the bits of the steps that may be read.

    `previous_is_parallel`: the nearest loop runs several items at once, so there is no `previous`.
    """

    roots: tuple[str, ...]
    run_members: tuple[str, ...] = _RUN_MEMBERS
    layers: tuple[tuple[GraphOutline, int], ...] = ()
    previous_is_parallel: bool = False

    def with_roots(self, *names: str) -> "View":
        return replace(self, roots=(*self.roots, *(name for name in names if name not in self.roots)))

    def find_step(self, name: str) -> StepOutline | Refusal:
        """The step that `steps.<name>` means here, or why there is none."""
        for graph, mask in self.layers:
            index = graph.by_id.get(name)
            if index is not None:
                return graph.steps[index] if mask >> index & 1 else self._refuse_order(name)
        return self._refuse_unknown(name)

    def _refuse_order(self, name: str) -> Refusal:
        message = f"The step {name!r} does not come before this one on any path, so it cannot have run yet; use `after`."
        return Refusal("ref_order", message)

    def _refuse_unknown(self, name: str) -> Refusal:
        container = self._find_container_of(name)
        if container is not None:
            message = f"The step {name!r} is inside the loop {container.id!r}; from outside, read `steps.{container.id}.output`."
            return Refusal("ref_unknown", message, f"steps.{container.id}.output")
        known = [step_id for graph, _ in self.layers for step_id in graph.by_id]
        meant = suggest_name(name, known)
        return Refusal("ref_unknown", f"There is no step {show(name)} here.", f"steps.{meant}" if meant else None)

    def _find_container_of(self, name: str) -> StepOutline | None:
        for graph, _ in self.layers:
            for inner in graph.walk():
                if name in inner.by_id and inner.container is not None:
                    return inner.container
        return None


OUTSIDE_STEPS: Final = View(("input", "trigger", "run", "vars"), _BORN_RUN_MEMBERS)
"""For labels, the subject and the concurrency key: the run has not begun."""
IN_TRIGGER: Final = View(("trigger", "vars"))


def view_graph(graph: GraphOutline) -> View:
    """What is seen when all steps of the graph are over; in a loop's body, `item` and its like too."""
    return _view(graph, graph.all_mask)


def view_step(graph: GraphOutline, step: StepOutline, *, and_itself: bool = False) -> View:
    """What the step's own expressions see."""
    return _view(graph, graph.before[step.index] | (1 << step.index if and_itself else 0))


def _view(graph: GraphOutline, mask: int) -> View:
    layers = [(graph, mask)]
    roots = list(_ROOTS)
    nearest: StepOutline | None = graph.container
    inner: GraphOutline | None = graph
    while inner is not None:
        if inner.container is not None:
            roots += ["index", "previous"]
            roots += ["item"] if inner.container.kind is not None and inner.container.kind.name == "flow.foreach" else []
        if inner.outer is not None:
            layers.append((inner.outer, inner.outer_mask))
        inner = inner.outer
    members = _RUN_MEMBERS if graph.role is Role.STEPS else _ENDED_RUN_MEMBERS
    return View(tuple(dict.fromkeys(roots)), members, tuple(layers), nearest is not None and _is_parallel(nearest))


def _is_parallel(loop: StepOutline) -> bool:
    return loop.find_parameter("concurrency") not in (None, 1)
