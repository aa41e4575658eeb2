"""Publishing, deprecating, reverting, and the versions of a workflow."""

import asyncio
from typing import Annotated, Final

from fastapi import Path, Query, Response

from flowforge.audit.service import author_of
from flowforge.kit.errors import ConflictError
from flowforge.kit.values import JsonObject
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import CallIn
from flowforge.web.conditions import check_if_match, quote_etag
from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError
from flowforge.web.headers import IfMatchIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router
from flowforge.workflows.comparing import compare_pair, read_pair
from flowforge.workflows.deleting import deprecate_workflow
from flowforge.workflows.descriptions import describe_settings, describe_version, describe_workflow
from flowforge.workflows.drafts import read_draft
from flowforge.workflows.endpoints.bodies import (
    DifferenceAnswer,
    DraftAnswer,
    NoteBody,
    PublishedAnswer,
    RevertBody,
    VersionAnswer,
    VersionWithSourceAnswer,
    WorkflowAnswer,
)
from flowforge.workflows.endpoints.looking import (
    check_source,
    describe_details,
    describe_draft,
    find_seen,
    make_switch,
    read_version,
    tag_revision,
)
from flowforge.workflows.errors import (
    DocumentInvalidError,
    DraftChangedError,
    DraftExistsError,
    DraftNotFoundError,
    NotPublishedError,
    VersionNotFoundError,
    WorkflowNotFoundError,
)
from flowforge.workflows.lists import VERSIONS
from flowforge.workflows.ports import Compiler, Definitions, OnPublished
from flowforge.workflows.publishing import prepare_publication, publish, publish_again
from flowforge.workflows.reading import DRAFT, export_workflow, get_version, list_versions, summarise
from flowforge.workflows.saving import Condition, revert_to_version
from flowforge.workflows.switching import TriggerSwitch
from flowforge.workflows.telling import tell_change, tell_published
from flowforge.workflows.types import Published

router = Router("workflows", "/workflows/{workflow}")

_NUMBER_MAX: Final = 2**31

NumberIn = Annotated[int, Path(ge=1, lt=_NUMBER_MAX, description="A version's number.")]
FromIn = Annotated[str | None, Query(alias="from", max_length=20, description="A version, or draft; else the published one.")]
ToIn = Annotated[str, Query(max_length=20, description="A version, or draft.")]


@router.post(
    "/publish",
    "workflow:publish",
    status=201,
    errors=[
        WorkflowNotFoundError,
        DraftNotFoundError,
        DocumentInvalidError,
        DraftChangedError,
        PreconditionFailedError,
        HeaderInvalidError,
    ],
)
async def publish_draft(
    call: CallIn, workflow: str, response: Response, body: NoteBody | None = None, *, if_match: IfMatchIn = None
) -> PublishedAnswer:
    """Make the draft the next version, which new runs take from now on. Its triggers are live from the same moment."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:publish")
        source = await export_workflow(session, call.workspace_id, found.id, version=DRAFT)
    checked = await check_source(call, source)
    async with call.read() as session:
        publication = await prepare_publication(session, call.workspace_id, found.id, check=checked)
    check_if_match(if_match, publication.etag, is_required=False)
    await call.port(Definitions).define(publication.digest, publication.definition)
    async with call.change() as session:
        published = await publish(
            session,
            call.actor,
            call.workspace_id,
            publication,
            note="" if body is None else body.note,
            at_ms=call.now_ms,
            on_published=call.port(OnPublished),
        )
        await tell_published(session, author_of(call), found, published, traceparent=call.traceparent)
    number = published.version.version
    response.headers["location"] = f"/api/v1/workflows/{published.workflow.id}/versions/{number}"
    return _answer_published(published)


def _answer_published(published: Published) -> PublishedAnswer:
    warnings: JsonObject = {"warnings": describe_details(published.warnings)}
    return PublishedAnswer.model_validate(describe_version(published.version) | warnings)


@router.post("/deprecate", "workflow:publish", errors=[WorkflowNotFoundError, NotPublishedError])
async def deprecate(call: CallIn, workflow: str, response: Response, body: NoteBody | None = None) -> WorkflowAnswer:
    """Take no new runs; open ones go on, triggers are off. Publishing brings it back."""
    async with call.change() as session:
        found = await find_seen(session, call, workflow, permission="workflow:publish")
        after = await deprecate_workflow(
            session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms, switch=make_switch(call)
        )
        if found.deprecated_at_ms is None:
            noted: JsonObject = {"note": "" if body is None else body.note}
            settings = describe_settings(found), describe_settings(after) | noted
            await tell_change(session, call, "deprecated", after, before=settings[0], after=settings[1])
    response.headers.update(tag_revision(after))
    return WorkflowAnswer.model_validate(describe_workflow(after))


@router.post(
    "/revert",
    "workflow:publish",
    errors=[WorkflowNotFoundError, VersionNotFoundError, DraftExistsError, PreconditionFailedError, HeaderInvalidError],
)
async def revert(call: CallIn, workflow: str, body: RevertBody, response: Response, *, if_match: IfMatchIn = None) -> DraftAnswer:
    """Make the document of a version the draft again. What is published stays. `If-Match` replaces the draft that is there."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:publish")
        _, source = await get_version(session, call.workspace_id, found.id, body.version)
    checked = (await check_source(call, source)).sent.checked
    async with call.change() as session:
        draft, row, before = await revert_to_version(
            session,
            call.actor,
            call.workspace_id,
            found.id,
            body.version,
            condition=Condition(if_match),
            at_ms=call.now_ms,
        )
        noted: JsonObject = {"draft": draft.etag, "version": body.version}
        summary = await summarise(session, row)
        await tell_change(session, call, "reverted", summary, before=None if before is None else {"draft": before}, after=noted)
    response.headers["etag"] = quote_etag(draft.etag)
    return DraftAnswer.model_validate(describe_draft(read_draft(draft, checked.errors), checked))


@router.get("/versions", SIGNED_IN, errors=[WorkflowNotFoundError])
async def list_(call: CallIn, workflow: str, asked: Annotated[Asked, make_asked(VERSIONS)]) -> Page[VersionAnswer]:
    """All published versions, the newest first."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow)
        selection = VERSIONS.read(asked, call.workspace_id, found.id)
        kept, next_cursor = selection.cut(await list_versions(session, call.workspace_id, found.id, selection))
    return Page(data=[VersionAnswer.model_validate(describe_version(version)) for version in kept], next_cursor=next_cursor)


@router.get("/versions/{version}", SIGNED_IN, errors=[WorkflowNotFoundError, VersionNotFoundError])
async def get(call: CallIn, workflow: str, version: NumberIn) -> VersionWithSourceAnswer:
    """A version with its document, byte for byte as it was published."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow)
        summary, source = await get_version(session, call.workspace_id, found.id, version)
    checked = (await check_source(call, source)).sent.checked
    told: JsonObject = {"document": checked.document, "yaml": source.data.decode("utf-8", "replace")}
    return VersionWithSourceAnswer.model_validate(describe_version(summary) | told)


@router.post(
    "/versions/{version}/publish", "workflow:publish", errors=[WorkflowNotFoundError, VersionNotFoundError, ConflictError]
)
async def publish_version(call: CallIn, workflow: str, version: NumberIn) -> PublishedAnswer:
    """Make an earlier version the published one again, without a new number. A draft stays as it is."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:publish")
        _, source = await get_version(session, call.workspace_id, found.id, version)
    switch = TriggerSwitch(call.port(OnPublished), await check_source(call, source))
    async with call.change() as session:
        published = await publish_again(
            session, call.actor, call.workspace_id, found.id, version, at_ms=call.now_ms, switch=switch
        )
        await tell_published(session, author_of(call), found, published, traceparent=call.traceparent)
    return _answer_published(published)


@router.get("/diff", "workflow:read", errors=[WorkflowNotFoundError, VersionNotFoundError, DraftNotFoundError, NotPublishedError])
async def diff(call: CallIn, workflow: str, *, from_: FromIn = None, to: ToIn = DRAFT) -> DifferenceAnswer:
    """What differs between two documents of a workflow: as text, and by meaning. Without both: the published version and the draft."""
    left, right = read_version("from", from_), read_version("to", to)
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission="workflow:read")
        pair = await read_pair(session, call.workspace_id, found.id, left=left, right=right)
    # Two compilations, and the search for what is alike: others are served meanwhile.
    difference = await asyncio.to_thread(compare_pair, pair, call.port(Compiler).check_source)
    told: JsonObject = {"from": difference.left, "to": difference.right, "text": difference.text}
    return DifferenceAnswer.model_validate(told | {"changes": [*difference.changes]})
