"""The compiled workflow as plain JSON: what the fixtures pin, and what a twin in another language must give too."""

from typing import assert_never

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Template
from flowforge.language.graph import (
    Action,
    Call,
    CallWorkflow,
    Compensation,
    Concurrency,
    Fail,
    Foreach,
    Graph,
    If,
    Limit,
    Mock,
    Repeat,
    Retry,
    SetValues,
    Step,
    Stop,
    Switch,
    Trigger,
    WaitSignal,
    WaitTime,
    Workflow,
)


def describe_graph(workflow: Workflow) -> JsonObject:
    """The workflow without its document and digest. Templates appear as they are written; fields that are not set are left out."""
    return _without_none(
        {
            "name": workflow.name,
            "title": workflow.title,
            "description": workflow.description or None,
            "labels": {name: value.source for name, value in workflow.labels.items()} or None,
            "subject": _describe_template(workflow.subject),
            "input": workflow.input_schema,
            "steps": _describe_steps(workflow.graph),
            "on_failure": _describe_handler(workflow.on_failure),
            "finally": _describe_handler(workflow.finally_),
            "output": _describe_template(workflow.output),
            "timeout_ms": workflow.timeout_ms,
            "concurrency": _describe_concurrency(workflow.concurrency),
            "triggers": [_describe_trigger(trigger) for trigger in workflow.triggers] or None,
            "variables": list(workflow.variables) or None,
            "secrets": list(workflow.secrets) or None,
            "calls": list(workflow.calls) or None,
            "operations": list(workflow.operations) or None,
        }
    )


def _without_none(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _describe_template(template: Template | None) -> JsonValue:
    """In an object of its own, so that a template that gives null differs from none."""
    return None if template is None else {"value": template.source}


def _describe_handler(graph: Graph | None) -> JsonValue:
    return None if graph is None else _describe_steps(graph)


def _describe_steps(graph: Graph) -> list[JsonValue]:
    return [_describe_step(step, graph) for step in graph.steps]


def _describe_step(step: Step, graph: Graph) -> JsonObject:
    return _without_none(
        {
            "id": step.id,
            "uses": step.uses,
            "title": step.title if step.title != step.id else None,
            "ports": list(step.ports),
            "exit": step.exit,
            "edges": [[port, graph.steps[target].id] for port, target in step.edges],
            "incoming": step.incoming,
            "join": step.join.value,
            "races": graph.races or None,
            "when": _describe_template(step.when),
            "action": _describe_action(step.action),
            "retry": _describe_retry(step.retry),
            "timeout_ms": step.timeout_ms,
            "on_error": step.on_error.value,
            "on_interrupt": step.on_interrupt.value,
            "queue": step.queue,
            "limit": _describe_limit(step.limit),
            "mock": _describe_mock(step.mock),
            "compensate": _describe_compensation(step.compensate),
            "handles_error": step.handles_error or None,
        }
    )


def _describe_retry(retry: Retry) -> JsonValue:
    if retry == Retry():
        return None
    return _without_none(
        {
            "attempts": retry.attempts,
            "backoff": retry.backoff.value,
            "initial_ms": retry.initial_ms,
            "multiplier": retry.multiplier,
            "max_ms": retry.max_ms,
            "jitter": retry.jitter,
            "on": list(retry.on) if retry.on is not None else None,
        }
    )


def _describe_limit(limit: Limit | None) -> JsonValue:
    if limit is None:
        return None
    return _without_none(
        {
            "key": limit.key.source,
            "concurrency": limit.concurrency,
            "rate_count": limit.rate_count,
            "rate_per_ms": limit.rate_per_ms,
        }
    )


def _describe_mock(mock: Mock | None) -> JsonValue:
    if mock is None:
        return None
    return {"error": mock.error} if mock.error is not None else {"output": mock.output}


def _describe_compensation(compensation: Compensation | None) -> JsonValue:
    if compensation is None:
        return None
    return _without_none(
        {
            "action": _describe_action(compensation.action),
            "retry": _describe_retry(compensation.retry),
            "timeout_ms": compensation.timeout_ms,
        }
    )


def _describe_concurrency(concurrency: Concurrency | None) -> JsonValue:
    if concurrency is None:
        return None
    return _without_none(
        {"key": _describe_template(concurrency.key), "limit": concurrency.limit, "when_full": concurrency.when_full.value}
    )


def _describe_trigger(trigger: Trigger) -> JsonObject:
    return _without_none(
        {"id": trigger.id, "uses": trigger.uses, "with": trigger.with_ or None, "input": _describe_template(trigger.input)}
    )


def _describe_action(action: Action) -> JsonObject:
    return _without_none({"type": type(action).__name__, **_describe_action_fields(action)})


def _describe_action_fields(action: Action) -> JsonObject:
    match action:
        case Call():
            return {"parameters": action.parameters.source, "pure": action.pure, "installed": action.installed}
        case If():
            return {"condition": action.condition.source}
        case Switch():
            return {"cases": [[port, condition.source] for port, condition in action.cases]}
        case Foreach() | Repeat():
            return _describe_loop(action)
        case WaitTime():
            return {"duration": _describe_template(action.duration), "until": _describe_template(action.until)}
        case WaitSignal():
            return {
                "signal": action.signal.source,
                "key": _describe_template(action.key),
                "expires": _describe_template(action.expires),
            }
        case CallWorkflow():
            return {
                "workflow": action.workflow,
                "version": action.version,
                "input": _describe_template(action.input),
                "wait": action.wait,
            }
        case SetValues():
            return {"values": action.values.source}
        case Stop():
            return {"output": _describe_template(action.output)}
        case Fail():
            return {
                "code": action.code.source,
                "message": _describe_template(action.message),
                "details": _describe_template(action.details),
            }
        case _:
            assert_never(action)


def _describe_loop(action: Foreach | Repeat) -> JsonObject:
    common: JsonObject = {
        "steps": _describe_steps(action.body),
        "output": _describe_template(action.output),
        "break": _describe_template(action.break_),
    }
    if isinstance(action, Repeat):
        return {"until": action.until.source, "limit": action.limit, "every_ms": action.every_ms, **common}
    return {
        "items": {"value": action.items.source},
        "concurrency": "unlimited" if action.concurrency is None else action.concurrency,
        "continue_on_item_error": action.continue_on_item_error,
        **common,
    }
