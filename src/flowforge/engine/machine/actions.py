"""How a ready step starts, by what it does: `when`, then `with`, then the kind's own way."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, cast

import orjson

from flowforge.engine.events import ErrorValue, StepCompleted, StepPlanned
from flowforge.engine.machine.contexts import context_of
from flowforge.engine.machine.packing import pack_parameters
from flowforge.engine.machine.sheet import TurnSheet, error_of
from flowforge.engine.machine.state import LOOP_WINDOW, UNDO, RunState, Scope
from flowforge.engine.machine.work import Acquire, Callee, Effect, Pure, StartChild, StartJob
from flowforge.kit.ids import derive_id
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, ExpressionError, SecretText, Template
from flowforge.language.graph import (
    Call,
    CallWorkflow,
    Fail,
    Foreach,
    If,
    Repeat,
    SetValues,
    Step,
    Stop,
    Switch,
    WaitSignal,
    WaitTime,
)
from flowforge.language.inputs import validate_input
from flowforge.language.times import parse_duration_ms, parse_timestamp_ns

CALL_DEPTH_MAX: Final = 20
SHORT_MAX_CHARACTERS: Final = 200


class WorkflowNeeded(Exception):
    """A `flow.call` names a workflow that is not in memory: the shell resolves it, and the step is decided again."""

    def __init__(self, name: str, version: int | None) -> None:
        super().__init__(name)
        self.name = name
        self.version = version


def start_step(sheet: TurnSheet, scope: Scope, index: int) -> None:
    """Decides a ready step: bypassed, waiting for a slot, mocked, or begun by its kind."""
    step, key = scope.graph.steps[index], scope.key(index)
    context = context_of(sheet.state, scope, key, sheet.state.started_steps.get(key, sheet.at))
    try:
        if step.when is not None and index not in scope.attempts and not evaluate_condition(step.when, context, "when"):
            sheet.write({"type": "step.bypassed", "step": key})
        elif step.mock is not None and sheet.state.mocks:
            _give_mock(sheet, step, key)
        elif step.limit is None or key in sheet.state.granted or not _needs_slot(sheet, step, key, context):
            _STARTERS[type(step.action)](sheet, scope, step, key, context)
    except ExpressionError as fault:
        fail_step(sheet, key, error_of(fault))


def evaluate_condition(template: Template, context: Context, what: str) -> bool:
    """There is no truthiness: anything but a boolean is `type_mismatch`."""
    verdict = template.evaluate(context)
    if verdict is True or verdict is False:
        return verdict
    raise ExpressionError("type_mismatch", f"`{what}` must give true or false, and gave {name_type(verdict)}.")


def name_type(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "something else")


def fail_step(sheet: TurnSheet, key: str, error: ErrorValue) -> None:
    """The step fails for good."""
    sheet.write({"type": "step.failed", "step": key, "error": error, "retry_at": None})


def complete_step(sheet: TurnSheet, key: str, port: str, output: JsonValue) -> None:
    """A step of the engine's own completes in the turn."""
    event: StepCompleted = {"type": "step.completed", "step": key, "port": port, "output": output}
    add_undo(sheet.state, key, event)
    sheet.write(event)


def add_undo(state: RunState, key: str, event: StepCompleted) -> None:
    """Evaluates `compensate.with`, which may read its own step, into the event of the step's completion."""
    late = state.aborting.get(key)
    scope = late.scope if late is not None else state.scopes[key[: key.rfind("/") + 1]]
    index = scope.graph.index[key[key.rfind("/") + 1 :]]
    compensation = scope.graph.steps[index].compensate
    if compensation is None or event["port"] == "error":
        return
    if "blob" not in event and "output" in event:
        scope.outputs[index] = event["output"]
    scope.ports[index] = event["port"]
    context = context_of(state, scope, UNDO + key, state.at)
    try:
        event["undo"] = pack_parameters(cast("JsonObject", compensation.action.parameters.evaluate(context)))
    except ExpressionError as fault:
        event["undo"] = {"error": cast("JsonObject", error_of(fault))}


def _give_mock(sheet: TurnSheet, step: Step, key: str) -> None:
    mock = step.mock
    assert mock is not None
    if mock.error is None:
        complete_step(sheet, key, step.exit or step.ports[0], mock.output)
        return
    error: ErrorValue = {
        "code": str(mock.error.get("code", "mocked")),
        "message": str(mock.error.get("message", "A mocked error.")),
    }
    if "details" in mock.error:
        error["details"] = mock.error["details"]
    fail_step(sheet, key, error)


def _needs_slot(sheet: TurnSheet, step: Step, key: str, context: Context) -> bool:
    """Whether the step must wait for a slot of its limit; it then waits."""
    limit = step.limit
    assert limit is not None
    name = limit.key.evaluate(context)
    if not isinstance(name, str | int):
        raise ExpressionError("type_mismatch", f"`limit.key` must give a text or a whole number, and gave {name_type(name)}.")
    ref: JsonObject = {
        "scope": f"step:{sheet.state.workspace_id}:{_check_short('limit.key', str(name))}",
        "concurrency": limit.concurrency,
        "rate_count": limit.rate_count,
        "rate_per_ms": limit.rate_per_ms,
    }
    sheet.write({"type": "step.waiting", "step": key, "kind": "slot", "ref": ref})
    return True


def ask_slot(sheet: TurnSheet, key: str) -> None:
    ref = sheet.state.waits[key].ref
    sheet.state.requested.add(key)
    numbers = [cast("int | None", ref[name]) for name in ("concurrency", "rate_count", "rate_per_ms")]
    sheet.ask(Acquire(key, str(ref["scope"]), *numbers))


# --- kinds -----------------------------------------------------------------------------------------------------------------------


def _start_call(sheet: TurnSheet, scope: Scope, step: Step, key: str, context: Context) -> None:
    action = cast("Call", step.action)
    if not action.installed:
        fail_step(sheet, key, {"code": "not_installed", "message": f"The operation {action.name} is not installed here."})
    elif action.pure:
        parameters = cast("JsonObject", action.parameters.evaluate(context))
        sheet.state.busy.add(key)
        sheet.ask(Pure(key, step, action.name, parameters))
    else:
        plan_effect(sheet, scope, step, key, context)


def plan_effect(sheet: TurnSheet, scope: Scope, step: Step, key: str, context: Context) -> None:
    """The next attempt is planned; it begins after the commit."""
    state = sheet.state
    action = cast("Call", step.action)
    parameters = scope.preset or state.parameters.get(key)
    if parameters is None:
        parameters = cast("JsonObject", action.parameters.evaluate(context))
    attempt = scope.attempts.get(step.index, 0) + 1
    idempotency_key = hash_text(f"{state.run_id}\0{scope.path}\0{step.id}")
    encoded = orjson.dumps(parameters, default=_name_secret, option=orjson.OPT_SORT_KEYS)
    if len(encoded) > state.program.parameters_max_bytes:
        message = f"The parameters are larger than {state.program.parameters_max_bytes} bytes: hand large data on as a file."
        raise ExpressionError("input_too_large", message)
    event: StepPlanned = {
        "type": "step.planned",
        "step": key,
        "attempt": attempt,
        "key": idempotency_key,
        "digest": hashlib.blake2b(encoded, digest_size=16).hexdigest(),
    }
    find_target = state.program.targets.get(action.name)
    target = None if find_target is None else find_target(parameters)
    if target is not None:
        event["target"] = target
    if attempt == 1 and scope.graph.races and scope.preset is None:
        event["parameters"] = pack_parameters(parameters)
    choose_queue = state.program.choose_queue
    queue = None if choose_queue is None else choose_queue(step, action.name, parameters)
    if queue is not None:
        event["job"] = queue
    sheet.write(event)
    state.parameters[key] = parameters
    effect = Effect(key, attempt, action.name, parameters, idempotency_key, step.timeout_ms)
    sheet.ask(effect if queue is None else StartJob(queue, effect))


def hash_text(text: str) -> str:
    """BLAKE2b-128, 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _name_secret(value: object) -> object:
    if isinstance(value, SecretText):
        return {"secret": value.parts}
    raise TypeError(type(value).__name__)


def _start_if(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    verdict = evaluate_condition(cast("If", step.action).condition, context, "condition")
    complete_step(sheet, key, "true" if verdict else "false", verdict)


def _start_switch(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    for port, condition in cast("Switch", step.action).cases:
        if evaluate_condition(condition, context, f"cases.{port}"):
            complete_step(sheet, key, port, port)
            return
    complete_step(sheet, key, "default", "default")


def _start_set(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    complete_step(sheet, key, "done", cast("SetValues", step.action).values.evaluate(context))


def _start_foreach(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    action = cast("Foreach", step.action)
    items = action.items.evaluate(context)
    if not isinstance(items, list):
        raise ExpressionError("type_mismatch", f"`items` must give a list, and gave {name_type(items)}.")
    window = LOOP_WINDOW if action.concurrency is None else min(action.concurrency, LOOP_WINDOW)
    sheet.write({"type": "loop.opened", "step": key, "window": window, "count": len(items), "items": items})


def _start_repeat(sheet: TurnSheet, _scope: Scope, _step: Step, key: str, _context: Context) -> None:
    sheet.write({"type": "loop.opened", "step": key, "window": 1})


def _start_wait_time(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    action = cast("WaitTime", step.action)
    if action.duration is not None:
        until = sheet.at + read_duration(action.duration.evaluate(context), "for")
    else:
        assert action.until is not None
        until = read_time(action.until.evaluate(context), "until")
    if until <= sheet.at:
        complete_step(sheet, key, "done", None)
    else:
        sheet.write({"type": "step.waiting", "step": key, "kind": "timer", "until": until})


def read_duration(value: JsonValue, what: str) -> int:
    """Milliseconds of a duration that an expression gave."""
    try:
        return parse_duration_ms(cast("str", value))
    except (ValueError, TypeError, AttributeError):
        message = f"`{what}` must give a duration like 30s or 2h, and gave {name_type(value)} that is none."
        raise ExpressionError("type_mismatch", message) from None


def read_time(value: JsonValue, what: str) -> int:
    """Milliseconds since 1970 of a time that an expression gave, rounded up: a timer never fires early."""
    try:
        return -(-parse_timestamp_ns(cast("str", value)) // 1_000_000)
    except (ValueError, TypeError, AttributeError):
        message = f"`{what}` must give a time with a zone like 2027-01-31T09:00:00Z, and gave {name_type(value)} that is none."
        raise ExpressionError("type_mismatch", message) from None


def _start_wait_signal(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    action = cast("WaitSignal", step.action)
    ref: JsonObject = {"name": _check_short("signal", read_key(action.signal.evaluate(context)))}
    if action.key is not None:
        ref["key"] = _check_short("key", read_key(action.key.evaluate(context)))
    if action.expires is None:
        sheet.write({"type": "step.waiting", "step": key, "kind": "signal", "ref": ref})
    else:
        until = sheet.at + read_duration(action.expires.evaluate(context), "expires")
        sheet.write({"type": "step.waiting", "step": key, "kind": "signal", "ref": ref, "until": until})


def _check_short(what: str, text: str) -> str:
    """A text by which something is found in the database."""
    if len(text) > SHORT_MAX_CHARACTERS:
        message = f"`{what}` gives {len(text)} characters; at most {SHORT_MAX_CHARACTERS} are allowed."
        raise ExpressionError("length", message)
    return text


def read_key(value: JsonValue) -> str:
    """A signal's key as text: a whole number stands for its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ExpressionError("type_mismatch", f"`key` must give a text or a whole number, and gave {name_type(value)}.")


def _start_call_workflow(sheet: TurnSheet, scope: Scope, step: Step, key: str, context: Context) -> None:
    state, action = sheet.state, cast("CallWorkflow", step.action)
    depth = 1 if state.parent is None else state.parent["depth"] + 1
    if depth > CALL_DEPTH_MAX:
        fail_step(sheet, key, {"code": "call_depth", "message": f"Workflows call each other more than {CALL_DEPTH_MAX} deep."})
        return
    callee = state.callees.get((action.workflow, action.version))
    if callee is None:
        raise WorkflowNeeded(action.workflow, action.version)
    if callee.error is not None or callee.workflow is None or callee.pinned is None:
        fail_step(sheet, key, callee.error or {"code": "not_installed", "message": f"There is no workflow {action.workflow}."})
        return
    value, faults = validate_input(callee.workflow, {} if action.input is None else action.input.evaluate(context))
    if faults:
        details: list[JsonValue] = [{"field": fault.field, "message": fault.message} for fault in faults]
        message = f"The input for {action.workflow} does not fit: {faults[0].field}: {faults[0].message}"
        fail_step(sheet, key, {"code": "invalid_input", "message": message, "details": details})
        return
    _plan_child(sheet, scope, step, key, callee, value)


def _plan_child(sheet: TurnSheet, scope: Scope, step: Step, key: str, callee: Callee, value: JsonValue) -> None:
    state, action = sheet.state, cast("CallWorkflow", step.action)
    assert callee.pinned is not None
    assert callee.workflow is not None
    attempt = scope.attempts.get(step.index, 0) + 1
    run_no = sheet.allocate_no()
    run_id = derive_id("run", sheet.at, f"{state.run_id}\0{key}\0{attempt}".encode())
    child: JsonObject = {"no": run_no, "run": run_id, "workflow": action.workflow, "wait": action.wait}
    sheet.write(
        {
            "type": "step.planned",
            "step": key,
            "attempt": attempt,
            "key": hash_text(f"{state.run_id}\0{scope.path}\0{step.id}"),
            "digest": hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest(),
            "target": f"workflow:{action.workflow}",
            "child": child,
        }
    )
    sheet.ask(StartChild(key, attempt, callee.workflow, callee.pinned, run_no, run_id, value, callee.variables))
    if not action.wait:
        complete_step(sheet, key, "done", run_id)


def _start_stop(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    output_template = cast("Stop", step.action).output
    output = None if output_template is None else output_template.evaluate(context)
    sheet.write({"type": "step.completed", "step": key, "port": "stop", "output": output})
    sheet.write({"type": "run.phase", "phase": "cancelling", "status": "completed", "output": output})


def _start_fail(sheet: TurnSheet, _scope: Scope, step: Step, key: str, context: Context) -> None:
    action = cast("Fail", step.action)
    message = "" if action.message is None else action.message.evaluate(context)
    error: ErrorValue = {
        "code": str(action.code.evaluate(context)),
        "message": message if isinstance(message, str) else str(message),
    }
    if action.details is not None:
        error["details"] = action.details.evaluate(context)
    fail_step(sheet, key, error)


_STARTERS: dict[type, Callable[[TurnSheet, Scope, Step, str, Any], None]] = {
    Call: _start_call,
    If: _start_if,
    Switch: _start_switch,
    SetValues: _start_set,
    Foreach: _start_foreach,
    Repeat: _start_repeat,
    WaitTime: _start_wait_time,
    WaitSignal: _start_wait_signal,
    CallWorkflow: _start_call_workflow,
    Stop: _start_stop,
    Fail: _start_fail,
}
