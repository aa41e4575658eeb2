"""The one draft of a workflow: read, replaced, thrown away."""

from fastapi import Response

from flowforge.kit.values import JsonObject
from flowforge.web.calls import CallIn
from flowforge.web.conditions import quote_etag
from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError, PreconditionRequiredError
from flowforge.web.headers import IfMatchIn, IfNoneMatchIn
from flowforge.web.routing import Router
from flowforge.workflows.drafts import get_draft
from flowforge.workflows.endpoints.bodies import DocumentBody, DraftAnswer, SavedDraftAnswer
from flowforge.workflows.endpoints.looking import check_source, describe_details, describe_draft, find_seen, read_document_body
from flowforge.workflows.endpoints.workflows import AllowFaultsIn
from flowforge.workflows.errors import DocumentInvalidError, DraftNotFoundError, NameTakenError, WorkflowNotFoundError
from flowforge.workflows.reading import DRAFT, export_workflow
from flowforge.workflows.saving import Condition, discard_draft, save_draft
from flowforge.workflows.telling import tell_change

router = Router("workflows", "/workflows/{workflow}/draft")

_CONDITIONS = [WorkflowNotFoundError, PreconditionRequiredError, PreconditionFailedError, HeaderInvalidError]


@router.get("", "workflow:read", errors=[WorkflowNotFoundError, DraftNotFoundError])
async def get(call: CallIn, workflow: str, response: Response) -> DraftAnswer:
    """The draft with its present faults."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:read")
        source = await export_workflow(session, call.workspace_id, found.id, version=DRAFT)
    checked = await check_source(call, source)
    async with call.read() as session:
        draft = await get_draft(session, call.workspace_id, found.id, check=checked)
    response.headers["etag"] = quote_etag(draft.etag)
    return DraftAnswer.model_validate(describe_draft(draft, checked(draft.source)))


@router.put("", "workflow:update", errors=[*_CONDITIONS, DocumentInvalidError, NameTakenError])
async def put(
    call: CallIn,
    workflow: str,
    body: DocumentBody,
    response: Response,
    *,
    if_match: IfMatchIn = None,
    if_none_match: IfNoneMatchIn = None,
    allow_faults: AllowFaultsIn = False,
) -> SavedDraftAnswer:
    """Replace the draft: with `If-Match` and the ETag that was read, or `If-None-Match: *` for the first one.

    A document with faults is refused, all of them told; `allow_faults` keeps it as it is.
    """
    source = read_document_body(body)
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:update")
    sent = (await check_source(call, source)).sent
    async with call.change() as session:
        saved = await save_draft(
            session,
            call.actor,
            call.workspace_id,
            found.id,
            sent,
            condition=Condition(if_match, if_none_match),
            at_ms=call.now_ms,
            allow_faults=allow_faults,
        )
        before: JsonObject | None = None if saved.before is None else {"draft": saved.before}
        await tell_change(session, call, "draft_saved", saved.workflow, before=before, after={"draft": saved.draft.etag})
    response.headers["etag"] = quote_etag(saved.draft.etag)
    told = describe_draft(saved.draft, sent.checked) | {"warnings": describe_details(saved.warnings)}
    return SavedDraftAnswer.model_validate(told)


@router.delete("", "workflow:update", status=204, errors=[*_CONDITIONS, DraftNotFoundError])
async def delete(call: CallIn, workflow: str, *, if_match: IfMatchIn = None) -> Response:
    """Throw the draft away. What is published stays."""
    async with call.change() as session:
        found = await find_seen(session, call, workflow, permission="workflow:update")
        etag = await discard_draft(
            session, call.actor, call.workspace_id, found.id, condition=Condition(if_match), at_ms=call.now_ms
        )
        await tell_change(session, call, "draft_deleted", found, before={"draft": etag})
    return Response(status_code=204)
