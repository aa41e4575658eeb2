"""From a step's kind and parameters to what the engine does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.outline import StepKind, StepOutline
from flowforge.language.compiling.parameters import ParameterChecker
from flowforge.language.compiling.settings import as_object, as_text
from flowforge.language.compiling.templates import KIND_UNKNOWN, PLAIN, Rules, TemplateCompiler
from flowforge.language.compiling.views import View, view_graph
from flowforge.language.expressions import Template
from flowforge.language.graph import (
    Action,
    Call,
    CallWorkflow,
    Fail,
    Foreach,
    Graph,
    If,
    Repeat,
    SetValues,
    Stop,
    Switch,
    WaitSignal,
    WaitTime,
)
from flowforge.language.positions import Path
from flowforge.language.shapes import find_duration_ms, find_whole
from flowforge.operations.definition import Nature, Operation


@dataclass(frozen=True, slots=True)
class ActionBuilder:
    """Builds one step's action. `body` is the compiled graph of a container."""

    step: StepOutline
    view: View
    templates: TemplateCompiler
    body: Graph | None

    @property
    def parameters(self) -> JsonObject:
        return as_object(self.step.value.get("with"))

    def template(self, name: str) -> Template:
        """The parameter compiled; a missing one gives null."""
        return self.templates.compile(self.parameters.get(name), self.step.field_path("with", name), self.view)

    def text(self, name: str) -> Template:
        return self.templates.compile_text(self.parameters.get(name), self.step.field_path("with", name), self.view)

    def optional_text(self, name: str) -> Template | None:
        return self.text(name) if name in self.parameters else None

    def optional(self, name: str) -> Template | None:
        return self.template(name) if name in self.parameters else None

    def condition(self, name: str) -> Template:
        return self.templates.compile_condition(self.parameters.get(name), self.step.field_path("with", name), self.view)

    def body_view(self) -> View:
        return view_graph(self.step.body) if self.step.body is not None else self.view

    def iteration_output(self) -> Template | None:
        if "output" not in self.step.value:
            return None
        return self.templates.compile(self.step.value["output"], self.step.field_path("output"), self.body_view())

    def iteration_break(self) -> Template | None:
        if "break" not in self.step.value:
            return None
        return self.templates.compile_condition(self.step.value["break"], self.step.field_path("break"), self.body_view())

    def inner_graph(self) -> Graph:
        return self.body if self.body is not None else Graph((), {}, races=False)


def build_action(
    step: StepOutline, kind: StepKind, view: View, templates: TemplateCompiler, checker: ParameterChecker, body: Graph | None
) -> Action:
    """What the step does."""
    if kind.operation is not None:
        return build_call(kind.operation, step.value.get("with"), step.field_path("with"), view, templates, checker)
    builder = ActionBuilder(step, view, templates, body)
    build = _BUILDERS.get(kind.name)
    return _build_absent(builder) if build is None else build(builder)


def build_call(
    operation: Operation, parameters: JsonValue, path: Path, view: View, templates: TemplateCompiler, checker: ParameterChecker
) -> Call:
    """A call of an operation, its parameters checked as far as they are known."""
    given = as_object(parameters)
    checker.check(operation, given, path)
    templates.usage.operations.add(operation.name)
    rules = Rules(operation.secret_parameters, operation.url_parameters)
    return Call(operation.name, templates.compile(given, path, view, rules), pure=operation.nature_of(given) is Nature.PURE)


def _build_absent(builder: ActionBuilder) -> Action:
    name = as_text(builder.step.value.get("uses"))
    path = builder.step.field_path("with")
    # A start looks at these names: it must find that this one is missing here.
    builder.templates.usage.operations.add(name)
    rules = PLAIN if builder.step.kind is not None else KIND_UNKNOWN
    return Call(name, builder.templates.compile(builder.parameters, path, builder.view, rules), pure=False, installed=False)


def _build_if(builder: ActionBuilder) -> Action:
    return If(builder.condition("condition"))


def _build_switch(builder: ActionBuilder) -> Action:
    path = builder.step.field_path("with", "cases")
    cases = as_object(builder.parameters.get("cases"))
    compile_condition = builder.templates.compile_condition
    return Switch(tuple((port, compile_condition(value, (*path, port), builder.view)) for port, value in cases.items()))


def _build_foreach(builder: ActionBuilder) -> Action:
    concurrency = builder.parameters.get("concurrency", 1)
    return Foreach(
        items=builder.templates.compile_list(
            builder.parameters.get("items"), builder.step.field_path("with", "items"), builder.view
        ),
        concurrency=find_whole(concurrency),
        continue_on_item_error=builder.parameters.get("on_item_error") == "continue",
        body=builder.inner_graph(),
        output=builder.iteration_output(),
        break_=builder.iteration_break(),
    )


def _build_repeat(builder: ActionBuilder) -> Action:
    path = builder.step.field_path("with", "until")
    view = builder.body_view().with_roots("output")
    return Repeat(
        until=builder.templates.compile_condition(builder.parameters.get("until"), path, view),
        limit=find_whole(builder.parameters.get("limit")) or 100,
        every_ms=find_duration_ms(builder.parameters.get("every")),
        body=builder.inner_graph(),
        output=builder.iteration_output(),
        break_=builder.iteration_break(),
    )


def _build_wait(builder: ActionBuilder) -> Action:
    if "signal" in builder.parameters:
        return WaitSignal(builder.text("signal"), builder.optional_text("key"), builder.optional_text("expires"))
    return WaitTime(builder.optional_text("for"), builder.optional_text("until"))


def _build_workflow_call(builder: ActionBuilder) -> Action:
    name = as_text(builder.parameters.get("workflow"))
    builder.templates.usage.calls.add(name)
    return CallWorkflow(
        workflow=name,
        version=find_whole(builder.parameters.get("version")),
        input=builder.optional("input"),
        wait=builder.parameters.get("wait") is not False,
    )


def _build_set(builder: ActionBuilder) -> Action:
    return SetValues(builder.template("values"))


def _build_stop(builder: ActionBuilder) -> Action:
    return Stop(builder.optional("output"))


def _build_fail(builder: ActionBuilder) -> Action:
    return Fail(builder.text("code"), builder.optional_text("message"), builder.optional("details"))


_BUILDERS: Final[dict[str, Callable[[ActionBuilder], Action]]] = {
    "flow.if": _build_if,
    "flow.switch": _build_switch,
    "flow.foreach": _build_foreach,
    "flow.repeat": _build_repeat,
    "flow.wait": _build_wait,
    "flow.call": _build_workflow_call,
    "flow.set": _build_set,
    "flow.stop": _build_stop,
    "flow.fail": _build_fail,
}
"""Kinds without an entry are known, but not installed."""
