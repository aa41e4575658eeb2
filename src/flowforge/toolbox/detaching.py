"""An operation called as a run of one step, for who does not want to wait."""

from typing import Final

from flowforge.engine.births import StartRequest
from flowforge.engine.events import PinnedVersion
from flowforge.kit.border import encode, encode_canonical
from flowforge.kit.errors import ValidationError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.operations.definition import Operation
from flowforge.runs.once import Once, OnceStarted, start_once
from flowforge.runs.starting import Runner
from flowforge.web.calls import Call
from flowforge.workflows.ports import Compiler
from flowforge.workflows.types import Source

_STEP: Final = "call"


async def start_detached(call: Call, operation: Operation, value: JsonValue, once: Once | None) -> OnceStarted:
    """Starts the run; its output is the operation's.

    Raises:
        ValidationError: the parameters cannot stand in a step.
    """
    step: JsonObject = {"id": _STEP, "uses": operation.name, "with": value}
    document: JsonObject = {
        "flowforge": 1,
        "name": operation.name.replace(".", "-").replace("_", "-"),
        "title": operation.title,
        "steps": [step],
        "output": f"${{{{ steps.{_STEP}.output }}}}",
    }
    checked = call.port(Compiler).check_source(Source(encode(document), DocumentFormat.JSON))
    if checked.workflow is None:
        raise ValidationError(f"The parameters cannot stand in a step of {operation.name}.", checked.errors)
    workflow = checked.workflow
    await call.port(Runner).define(workflow.digest, encode_canonical(workflow.document))
    request = StartRequest(
        workspace_id=call.workspace_id,
        workflow=PinnedVersion(id=f"adhoc_{workflow.digest}", name=workflow.name, version=None, digest=workflow.digest),
        input={},
        actor=call.actor,
        trigger={"kind": "operation"},
        timeout_ms=call.parts.settings.run_timeout_ms or None,
    )
    return await start_once(call.port(Runner), call.parts.database.read, request, once, now_ms=call.now_ms)
