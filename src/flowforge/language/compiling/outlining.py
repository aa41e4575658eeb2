"""Reads lists of steps into outlines, and tells what is wrong with each step's own fields."""

from dataclasses import dataclass
from typing import Final

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.code_checks import CodeCheck
from flowforge.language.compiling.edges import connect_steps
from flowforge.language.compiling.ordering import order_steps
from flowforge.language.compiling.outline import GraphOutline, Role, StepKind, StepOutline
from flowforge.language.faults import At, Sink, suggest_name
from flowforge.language.fields import STEP
from flowforge.language.kinds import DONE_PORT, ERROR_PORT, FLOW_KINDS, OPERATION_MAY, FlowKind, May
from flowforge.language.positions import Path
from flowforge.language.shapes import find_duration_ms, find_whole, is_expression_text, show
from flowforge.operations.definition import Nature, Operation

RESERVED_IDS: Final = frozenset(
    {"input", "steps", "trigger", "run", "vars", "secrets", "item", "index", "previous", "in", "constructor", "prototype"}
)
"""Names that mean something else in an expression, or in the languages that read a run's data."""

_MAY_FIELDS: Final = {field.value: field for field in May}


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading outlines needs."""

    catalog: Catalog
    limits: Limits
    sink: Sink
    check_code: CodeCheck


def count_steps(value: JsonValue) -> int:
    """Steps in a list and in the containers among them."""
    if not isinstance(value, list):
        return 0
    return sum(1 + count_steps(step.get("steps")) for step in value if isinstance(step, dict))


def outline_graph(
    reader: Reader,
    value: JsonValue,
    path: Path,
    role: Role,
    *,
    outer: GraphOutline | None = None,
    container: StepOutline | None = None,
) -> GraphOutline:
    """The outline of a list of steps and of all graphs inside, their edges and order checked."""
    items = value if isinstance(value, list) else []
    steps = [_outline_step(reader, item, (*path, index), index, role) for index, item in enumerate(items)]
    graph = GraphOutline(role, path, steps, {}, outer, container=container)
    if outer is not None:
        graph.outer_mask = outer.all_mask if container is None else outer.before[container.index]
    _name_steps(graph, reader.sink)
    connect_steps(graph, reader.sink)
    order_steps(graph, reader.sink)
    for step in steps:
        if step.kind is not None and May.STEPS in step.kind.may:
            inner = step.field_path("steps")
            step.body = outline_graph(reader, step.value.get("steps"), inner, role, outer=graph, container=step)
    return graph


def _outline_step(reader: Reader, value: JsonValue, path: Path, index: int, role: Role) -> StepOutline:
    STEP.check(value, path, reader.sink)
    fields: JsonObject = value if isinstance(value, dict) else {}
    step_id = fields.get("id")
    kind = _read_kind(reader, fields, path)
    step = StepOutline(index, path, fields, step_id if isinstance(step_id, str) else "", kind)
    if kind is not None:
        _check_fields(step, kind, role, reader)
        _check_parameters(step, kind, reader)
    return step


def _read_kind(reader: Reader, fields: JsonObject, path: Path) -> StepKind | None:
    name = fields.get("uses")
    if not isinstance(name, str) or is_expression_text(name):
        return None
    flow = FLOW_KINDS.get(name)
    if flow is not None:
        ports = (*_list_flow_ports(flow, fields), ERROR_PORT)
        return StepKind(name, flow, None, ports, _find_flow_exit(flow, fields), flow.may, frozenset(ports))
    operation = reader.catalog.find(name)
    if operation is None:
        known = [*FLOW_KINDS, *reader.catalog.names()]
        message = f"There is no kind of step {show(name)} here; `flowforge operations list` shows the installed ones."
        reader.sink.add("kind_unknown", (*path, "uses"), message, suggestion=suggest_name(name, known))
        return None
    return describe_operation(operation)


def describe_operation(operation: Operation) -> StepKind:
    """The operation as a kind of step."""
    ports = (*(port for port in operation.ports if port != ERROR_PORT), ERROR_PORT)
    ordinary = DONE_PORT if DONE_PORT in ports else ports[0]
    return StepKind(operation.name, None, operation, ports, ordinary, OPERATION_MAY, frozenset(ports))


def _list_flow_ports(flow: FlowKind, fields: JsonObject) -> tuple[str, ...]:
    parameters = fields.get("with")
    given: JsonObject = parameters if isinstance(parameters, dict) else {}
    if flow.name == "flow.switch":
        cases = given.get("cases")
        names = tuple(cases) if isinstance(cases, dict) else ()
        return (*(name for name in names if name not in (*flow.ports, ERROR_PORT)), *flow.ports)
    if flow.name == "flow.wait" and "signal" in given:
        return ("received", "expired") if "expires" in given else ("received",)
    return flow.ports


def _find_flow_exit(flow: FlowKind, fields: JsonObject) -> str | None:
    return _list_flow_ports(flow, fields)[0] if flow.name == "flow.wait" else flow.exit


def _check_fields(step: StepOutline, kind: StepKind, role: Role, reader: Reader) -> None:
    sink = reader.sink
    for name, field in _MAY_FIELDS.items():
        if name in step.value and field not in kind.may:
            sink.add("not_applicable", step.field_path(name), f"A step of the kind {kind.name} has no `{name}`.", at=At.KEY)
    if May.STEPS in kind.may and "steps" not in step.value:
        sink.add("required", step.field_path("steps"), f"A {kind.name} needs `steps`, the graph inside.", at=At.KEY)
    if step.value.get("on_error") == "continue" and kind.exit != DONE_PORT:
        message = f"`on_error: continue` leaves by `done`, which a {kind.name} does not have as its ordinary exit."
        sink.add("not_applicable", step.field_path("on_error"), message)
    if kind.name == "flow.stop" and role is not Role.STEPS:
        sink.add("not_applicable", step.field_path("uses"), f"A flow.stop cannot stand in `{role.value}`: the run is over there.")
    if kind.flow is not None and not kind.flow.is_installed:
        sink.warn(
            "not_installed",
            step.field_path("uses"),
            f"The kind {kind.name} is not installed here; a run of this workflow is refused.",
        )
    if kind.operation is not None:
        check_attempt_timeout(step.value.get("timeout"), step.field_path("timeout"), reader)
        _check_queue(step, kind.operation, sink)


def _check_queue(step: StepOutline, operation: Operation, sink: Sink) -> None:
    parameters = step.value.get("with")
    given: JsonObject = parameters if isinstance(parameters, dict) else {}
    if "queue" in step.value and operation.nature_of(given) is Nature.PURE:
        message = f"{operation.name} has no effect: it is computed where the run is, and its step has no `queue`."
        sink.add("not_applicable", step.field_path("queue"), message, at=At.KEY)


def check_attempt_timeout(value: JsonValue, path: Path, reader: Reader) -> None:
    """Tells a time-out of one attempt that is longer than the installation allows."""
    timeout_ms = find_duration_ms(value)
    if timeout_ms is not None and timeout_ms > reader.limits.attempt_max_ms:
        message = f"One attempt may take at most {reader.limits.attempt_max_ms // 1_000}s here, not {show(value)}."
        reader.sink.add("duration", path, message)


def _check_parameters(step: StepOutline, kind: StepKind, reader: Reader) -> None:
    if kind.flow is None:
        return
    parameters = step.value.get("with", {})
    if isinstance(parameters, dict):
        kind.flow.parameters.check(parameters, step.field_path("with"), reader.sink)
    if kind.name == "flow.repeat":
        _check_loop_bound(step, reader)
    cases = step.find_parameter("cases")
    if kind.name == "flow.switch" and isinstance(cases, dict):
        for name in (name for name in (*kind.flow.ports, ERROR_PORT) if name in cases):
            message = f"A case cannot be called {name!r}: every switch has that port already."
            reader.sink.add("name_invalid", step.field_path("with", "cases", name), message, at=At.KEY)


def _check_loop_bound(step: StepOutline, reader: Reader) -> None:
    limit = find_whole(step.find_parameter("limit"))
    if limit is not None and limit > reader.limits.loop_max:
        message = f"A flow.repeat may go round at most {reader.limits.loop_max} times here, not {limit}."
        reader.sink.add("loop_bound", step.field_path("with", "limit"), message)


def _name_steps(graph: GraphOutline, sink: Sink) -> None:
    by_lower_case: dict[str, str] = {}
    for step in graph.steps:
        if not step.id:
            continue
        path = step.field_path("id")
        if step.id in RESERVED_IDS:
            message = f"A step cannot be called {step.id!r}: the name means something else in expressions."
            sink.add("id_invalid", path, message, suggestion=f"{step.id}_step")
        other = by_lower_case.setdefault(step.id.lower(), step.id)
        if step.id in graph.by_id or other != step.id:
            message = f"Another step of this graph is called {show(other)} already; upper and lower case do not count."
            sink.add("id_duplicate", path, message)
        graph.by_id.setdefault(step.id, step.index)
