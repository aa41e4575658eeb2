"""How runs are born: from a request or from a parent's step, as the store's `NewRun` with its first journal row."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from flowforge.engine.events import PinnedVersion, RunStarted
from flowforge.engine.machine.actions import read_key
from flowforge.engine.machine.state import RunState
from flowforge.engine.machine.work import StartChild
from flowforge.engine.ports import LinkRun
from flowforge.engine.store import NewRun, SlotScope
from flowforge.kit.errors import Detail, NotInstalledError, ValidationError
from flowforge.kit.telemetry.origins import find_origin, write_origin
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, ExpressionError
from flowforge.language.graph import Workflow
from flowforge.language.inputs import validate_input
from flowforge.operations.registry import Registry

DEFAULT_PRIORITY: Final = 5
_TEXT_MAX_CHARACTERS: Final = 200
"""Of labels, subjects and keys of `concurrency`: as long as their columns are."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a start says. `priority` 0 (first) to 9; `timeout_ms` holds where the workflow sets none.

    With a `dedup` the same start gives the same run for ever.
    """

    workspace_id: str
    workflow: PinnedVersion
    input: JsonValue
    actor: str
    trigger: JsonObject = field(default_factory=dict[str, JsonValue])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    subject: str | None = None
    priority: int = DEFAULT_PRIORITY
    mocks: bool = False
    timeout_ms: int | None = None
    dedup: str | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """A run about to be born: the store's part, and its first event."""

    new_run: NewRun
    started: RunStarted


def check_start(workflow: Workflow, value: JsonValue, registry: Registry) -> JsonValue:
    """The input with defaults filled in.

    Raises:
        ValidationError: the input does not fit; the details name each field.
        NotInstalledError: an operation of the workflow is not installed here.
    """
    missing = [name for name in workflow.operations if registry.find(name) is None]
    if missing:
        names = ", ".join(missing)
        message = f"The workflow {workflow.name} uses {names}, which is not installed here: install the package that brings it."
        raise NotInstalledError(message, [Detail("", message, "not_installed")])
    checked, faults = validate_input(workflow, value)
    if faults:
        first = f"{faults[0].field}: {faults[0].message}"
        details = [Detail(fault.field, fault.message, fault.code) for fault in faults]
        raise ValidationError(f"The input does not fit the workflow {workflow.name}: {first}", details)
    return checked


def make_root(
    request: StartRequest,
    workflow: Workflow,
    variables: JsonObject,
    *,
    no: int,
    run_id: str,
    at: int,
    owner: int | None = None,
    link: LinkRun | None = None,
) -> Birth:
    """A run that a person, a trigger or a program starts. `owner`: the worker that carries it on; None: it is queued.

    `link` makes its `run.resume_url`.
    """
    started: RunStarted = {
        "type": "run.started",
        "run": run_id,
        "workspace": request.workspace_id,
        "workflow": request.workflow,
        "input": request.input,
        "vars": variables,
        "trigger": request.trigger,
        "actor": request.actor,
    }
    if request.mocks:
        started["mocks"] = True
    if request.timeout_ms is not None and workflow.timeout_ms is None:
        started["timeout_ms"] = request.timeout_ms
    _add_link(workflow, started, link)
    origin = write_origin(find_origin())
    if origin is not None:
        started["origin"] = origin
    return _finish_birth(
        workflow, started, _Facts(no, at, request.priority, request.dedup, request.labels, request.subject, None, None, owner)
    )


def _add_link(workflow: Workflow, started: RunStarted, link: LinkRun | None) -> None:
    if workflow.reads_resume_url and link is not None:
        started["resume_url"] = link(started["workspace"], started["run"])


def make_child(parent_no: int, parent: RunState, priority: int, work: StartChild, at: int, link: LinkRun | None = None) -> NewRun:
    """A called run: born in the queue, in the commit of its parent's plan. Unique by parent, step and attempt."""
    depth = 1 if parent.parent is None else parent.parent["depth"] + 1
    trigger: JsonObject = {"kind": "call", "run": parent.run_id, "step": work.key}
    started: RunStarted = {
        "type": "run.started",
        "run": work.run_id,
        "workspace": parent.workspace_id,
        "workflow": work.pinned,
        "input": work.input,
        "vars": work.variables,
        "trigger": trigger,
        "actor": parent.started["actor"],
        "parent": {"no": parent_no, "run": parent.run_id, "step": work.key, "attempt": work.attempt, "depth": depth},
    }
    if parent.mocks:
        started["mocks"] = True
    if "timeout_ms" in parent.started and work.workflow.timeout_ms is None:
        started["timeout_ms"] = parent.started["timeout_ms"]
    _add_link(work.workflow, started, link)
    if "origin" in parent.started:
        started["origin"] = parent.started["origin"]
    facts = _Facts(work.run_no, at, priority, None, {}, None, parent_no, f"{work.key}#{work.attempt}")
    try:
        return _finish_birth(work.workflow, started, facts).new_run
    except ValidationError:
        # The step that calls is planned already: a head that cannot be evaluated costs the run its labels and its place, not its life.
        bare = replace(work.workflow, labels={}, subject=None, concurrency=None)
        return _finish_birth(bare, started, facts).new_run


@dataclass(frozen=True, slots=True)
class _Facts:
    no: int
    at: int
    priority: int
    dedup: str | None
    labels: Mapping[str, str]
    subject: str | None
    parent_no: int | None
    parent_key: str | None
    owner: int | None = None


def _finish_birth(workflow: Workflow, started: RunStarted, facts: _Facts) -> Birth:
    context = _context_of(started, facts.at)
    labels = _evaluate_labels(workflow, context) | dict(facts.labels)
    subject = facts.subject if facts.subject is not None else _evaluate_subject(workflow, context)
    if labels:
        started["labels"] = labels
    if subject is not None:
        started["subject"] = subject
    pinned = started["workflow"]
    new_run = NewRun(
        no=facts.no,
        id=started["run"],
        workspace_id=started["workspace"],
        workflow_id=pinned["id"],
        workflow_name=pinned["name"],
        version=pinned["version"],
        digest=pinned["digest"],
        priority=facts.priority,
        actor=started["actor"],
        at=facts.at,
        body=orjson.dumps([started]),
        owner=facts.owner,
        due_at=facts.at,
        subject=subject,
        parent_no=facts.parent_no,
        parent_key=facts.parent_key,
        dedup=facts.dedup,
        slot=_evaluate_slot(workflow, started, context),
        labels=labels,
    )
    return Birth(new_run, started)


def _context_of(started: RunStarted, at: int) -> Context:
    run: JsonObject = {"id": started["run"], "workflow": started["workflow"]["name"], "version": started["workflow"]["version"]}
    roots = {"input": started["input"], "vars": started["vars"], "trigger": started["trigger"], "run": run}
    return Context(roots, at, started["run"].encode())


def _evaluate_labels(workflow: Workflow, context: Context) -> dict[str, str]:
    return {name: _evaluate_text(template.evaluate, context, f"labels.{name}") for name, template in workflow.labels.items()}


def _evaluate_subject(workflow: Workflow, context: Context) -> str | None:
    return None if workflow.subject is None else _evaluate_text(workflow.subject.evaluate, context, "subject")


def _evaluate_slot(workflow: Workflow, started: RunStarted, context: Context) -> SlotScope | None:
    concurrency = workflow.concurrency
    if concurrency is None:
        return None
    scope = f"run:{started['workspace']}:{started['workflow']['id']}"
    if concurrency.key is not None:
        scope += ":" + _evaluate_text(concurrency.key.evaluate, context, "concurrency.key")
    return SlotScope(scope, concurrency.limit, concurrency.when_full.value)


def _evaluate_text(evaluate: Callable[[Context], JsonValue], context: Context, field: str) -> str:
    """A text of the document's head; a start whose head cannot be evaluated is refused."""
    try:
        value = evaluate(context)
        text = value if isinstance(value, str) else read_key(value)
    except ExpressionError as fault:
        message = f"`{field}` cannot be evaluated with this input: {fault}"
        raise ValidationError(message, [Detail(field, message, fault.code)]) from fault
    if len(text) > _TEXT_MAX_CHARACTERS:
        message = f"`{field}` gives {len(text)} characters with this input; at most {_TEXT_MAX_CHARACTERS} are allowed."
        raise ValidationError(message, [Detail(field, message, "length")])
    if _CONTROL.search(text):
        message = f"`{field}` gives a text with line breaks or other control characters; runs are found by plain text."
        raise ValidationError(message, [Detail(field, message, "control_char")])
    return text
