"""From outlines to the graph that the engine runs."""

from dataclasses import dataclass

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.actions import build_action, build_call
from flowforge.language.compiling.outline import GraphOutline, StepKind, StepOutline
from flowforge.language.compiling.outlining import Reader, check_attempt_timeout
from flowforge.language.compiling.parameters import ParameterChecker
from flowforge.language.compiling.settings import (
    as_object,
    as_text,
    read_choice,
    read_limit,
    read_mock,
    read_retry,
)
from flowforge.language.compiling.templates import TemplateCompiler
from flowforge.language.compiling.views import view_step
from flowforge.language.faults import suggest_name
from flowforge.language.graph import Compensation, Graph, Join, OnError, OnInterrupt, Retry, Step
from flowforge.language.kinds import ERROR_PORT, FLOW_KINDS, May
from flowforge.language.shapes import find_duration_ms, show


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for steps that say nothing."""

    retry: Retry
    timeout_ms: int


def read_defaults(value: JsonValue, step_timeout_ms: int) -> Defaults:
    """What the document sets for all steps, or else the installation."""
    fields = as_object(value)
    return Defaults(read_retry(fields.get("retry"), Retry()), find_duration_ms(fields.get("timeout")) or step_timeout_ms)


@dataclass(frozen=True, slots=True)
class GraphCompiler:
    """Compiles the graphs of one document. Faults go to the reader's sink; then the result is not used."""

    reader: Reader
    templates: TemplateCompiler
    checker: ParameterChecker
    defaults: Defaults

    def compile(self, outline: GraphOutline, *, races: bool = False) -> Graph:
        """The graph with those inside. `races`: an outer graph has a join `first`."""
        races = races or any(step.join is Join.FIRST for step in outline.steps)
        edges = _list_edges(outline)
        steps = tuple(self._compile_step(outline, step, edges[step.index], races=races) for step in outline.steps)
        return Graph(steps, {step.id: step.index for step in steps}, races)

    def _compile_step(self, graph: GraphOutline, step: StepOutline, edges: tuple[tuple[str, int], ...], *, races: bool) -> Step:
        kind = step.kind or StepKind("", None, None, (), None, frozenset(), frozenset())
        view = view_step(graph, step)
        when = step.value.get("when")
        body = self.compile(step.body, races=races) if step.body is not None else None
        return Step(
            index=step.index,
            id=step.id,
            uses=kind.name,
            title=as_text(step.value.get("title")) or step.id,
            action=build_action(step, kind, view, self.templates, self.checker, body),
            ports=kind.ports,
            exit=kind.exit,
            edges=edges,
            incoming=len(step.sources),
            join=step.join,
            when=self.templates.compile_condition(when, step.field_path("when"), view) if "when" in step.value else None,
            retry=self._read_retry(step, kind),
            timeout_ms=self._read_timeout_ms(step, kind),
            on_error=read_choice(step.value.get("on_error"), OnError.FAIL),
            on_interrupt=read_choice(step.value.get("on_interrupt"), OnInterrupt.REPEAT),
            limit=read_limit(step.value.get("limit"), step.field_path("limit"), view, self.templates),
            mock=read_mock(step.value.get("mock")),
            compensate=self._compile_compensation(graph, step),
            handles_error=any(port == ERROR_PORT for port, _ in edges),
            queue=as_text(step.value.get("queue")) or None,
        )

    def _read_retry(self, step: StepOutline, kind: StepKind) -> Retry:
        return read_retry(step.value.get("retry"), self.defaults.retry) if May.RETRY in kind.may else Retry()

    def _read_timeout_ms(self, step: StepOutline, kind: StepKind) -> int | None:
        own_ms = find_duration_ms(step.value.get("timeout"))
        return own_ms or (self.defaults.timeout_ms if kind.operation is not None else None)

    def _compile_compensation(self, graph: GraphOutline, step: StepOutline) -> Compensation | None:
        value = step.value.get("compensate")
        name = value.get("uses") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(name, str):
            return None
        return self._compile_undo(graph, step, value, name)

    def _compile_undo(self, graph: GraphOutline, step: StepOutline, value: JsonObject, name: str) -> Compensation | None:
        path = step.field_path("compensate")
        check_attempt_timeout(value.get("timeout"), (*path, "timeout"), self.reader)
        operation = self.reader.catalog.find(name)
        if operation is None:
            self._refuse_undo(name, step)
            return None
        view = view_step(graph, step, and_itself=True)
        return Compensation(
            action=build_call(operation, value.get("with"), (*path, "with"), view, self.templates, self.checker),
            retry=read_retry(value.get("retry"), self.defaults.retry),
            timeout_ms=find_duration_ms(value.get("timeout")) or self.defaults.timeout_ms,
        )

    def _refuse_undo(self, name: str, step: StepOutline) -> None:
        path = step.field_path("compensate", "uses")
        if name in FLOW_KINDS:
            self.reader.sink.add("not_applicable", path, f"A compensation is an operation; {name} is none.")
            return
        meant = suggest_name(name, self.reader.catalog.names())
        self.reader.sink.add("kind_unknown", path, f"There is no operation {show(name)} here.", suggestion=meant)


def _list_edges(graph: GraphOutline) -> list[tuple[tuple[str, int], ...]]:
    edges: list[list[tuple[str, int]]] = [[] for _ in graph.steps]
    for step in graph.steps:
        for source, port in step.sources:
            edges[source].append((port, step.index))
    return [tuple(out) for out in edges]
