"""What a start runs: the published version, a numbered one, the draft, or a document that comes with it."""

import asyncio

from flowforge.engine.events import PinnedVersion
from flowforge.kit.border import encode, encode_canonical
from flowforge.kit.values import JsonValue
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.runs.start_request import DRAFT, StartBody
from flowforge.runs.starting import Runner
from flowforge.web.calls import Call
from flowforge.web.errors import PermissionMissingError
from flowforge.workflows.errors import DocumentInvalidError, WorkflowNotFoundError
from flowforge.workflows.ports import Compiler
from flowforge.workflows.service import get_draft, get_workflow
from flowforge.workflows.types import Checked, Source

START = "workflow:start"
_CREATE = "workflow:create"
_UPDATE = "workflow:update"
_READ = "workflow:read"


async def pin_target(call: Call, body: StartBody) -> PinnedVersion:
    """The version to run; its definition is in the engine's store.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError, DraftNotFoundError: there is no such thing, or the caller does not see it.
        PermissionMissingError: the caller sees it, and may not start it.
        ConflictError: the workflow takes no runs.
        DocumentInvalidError: the document has faults.
    """
    if body.workflow is None:
        return await _pin_document(call, body.document)
    if body.version == DRAFT:
        pinned = await _pin_draft(call, body.workflow)
    else:
        pinned = await call.port(Runner).pin(call.workspace_id, body.workflow, body.version)
    if not call.caller.rights.allow(START):
        await _require_in_project(call, START, pinned["id"], body.workflow)
    return pinned


async def _require_in_project(call: Call, permission: str, workflow_id: str, subject: str) -> None:
    """The permission may hold in the workflow's project only."""
    async with call.read() as session:
        workflow = await get_workflow(session, call.workspace_id, workflow_id)
    rights = call.caller.rights
    if rights.allow(permission, workflow.project_id):
        return
    if not rights.allow(_READ, workflow.project_id) and not workflow.is_public:
        raise WorkflowNotFoundError(subject)
    raise PermissionMissingError(permission)


async def _pin_draft(call: Call, subject: str) -> PinnedVersion:
    async with call.read() as session:
        workflow = await get_workflow(session, call.workspace_id, subject)
        if not call.caller.rights.allow(_UPDATE):
            await _require_in_project(call, _UPDATE, workflow.id, subject)
        draft = await get_draft(session, call.workspace_id, workflow.id, check=_check_later)
    pinned = await _define(call, draft.source, f"The draft of {workflow.name}")
    return {**pinned, "id": workflow.id, "name": workflow.name}


def _check_later(_source: Source) -> Checked:
    """A draft is compiled in a thread, once it is read."""
    return Checked(None, None, [], [])


async def _pin_document(call: Call, document: JsonValue) -> PinnedVersion:
    call.require(START)
    call.require(_CREATE)
    return await _define(call, Source(encode(document), DocumentFormat.JSON), "The document")


async def _define(call: Call, source: Source, what: str) -> PinnedVersion:
    checked = await asyncio.to_thread(call.port(Compiler).check_source, source)
    workflow = checked.workflow
    if workflow is None:
        raise DocumentInvalidError(what, checked.errors)
    await call.port(Runner).define(workflow.digest, encode_canonical(workflow.document))
    return PinnedVersion(id=f"adhoc_{workflow.digest}", name=workflow.name, version=None, digest=workflow.digest)
