"""Workflows: made with their draft, listed, looked at, changed, deleted, restored."""

from typing import Annotated, cast

from fastapi import Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError
from flowforge.web.headers import IfMatchIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router
from flowforge.workflows.changing import change_workflow
from flowforge.workflows.deleting import delete_workflow, purge_workflow, restore_workflow
from flowforge.workflows.descriptions import describe_recent_run, describe_settings, describe_workflow
from flowforge.workflows.endpoints.bodies import (
    ChangeWorkflowBody,
    CreatedAnswer,
    CreateWorkflowBody,
    ValidateBody,
    ValidatedAnswer,
    WorkflowAnswer,
    WorkflowRowAnswer,
)
from flowforge.workflows.endpoints.looking import (
    check_source,
    describe_details,
    describe_draft,
    find_seen,
    make_switch,
    read_document_body,
    tag_revision,
)
from flowforge.workflows.errors import DocumentInvalidError, NameTakenError, OpenRunsError, WorkflowNotFoundError
from flowforge.workflows.listing import list_page
from flowforge.workflows.lists import WORKFLOWS
from flowforge.workflows.ports import OnPurged, OpenRuns, RecentRuns
from flowforge.workflows.projects.errors import ProjectNotFoundError
from flowforge.workflows.projects.service import require_project
from flowforge.workflows.rights import find_sight
from flowforge.workflows.saving import Placing, create_workflow
from flowforge.workflows.telling import tell_change
from flowforge.workflows.types import RecentRun, WorkflowSummary

RECENT_MAX = 20

router = Router("workflows", "/workflows")

AllowFaultsIn = Annotated[bool, Query(description="Keep an unfinished document, with its faults.")]
ForceIn = Annotated[bool, Query(description="Cancel the open runs.")]
PermanentIn = Annotated[bool, Query(description="For good; needs the permission to manage.")]


@router.post("", "workflow:create", status=201, errors=[DocumentInvalidError, NameTakenError, ProjectNotFoundError])
async def create(
    call: CallIn, body: CreateWorkflowBody, response: Response, *, allow_faults: AllowFaultsIn = False
) -> CreatedAnswer:
    """Make a workflow and its draft. All faults of the document are told at once, with line and column."""
    call.require("workflow:create", body.project_id)
    sent = (await check_source(call, read_document_body(body))).sent
    labels = dict[str, JsonValue](body.labels)
    placing = Placing(body.project_id, body.category or "", labels, body.active, body.public)
    async with call.change() as session:
        await require_project(session, call.workspace_id, body.project_id)
        made = await create_workflow(
            session,
            call.actor,
            call.workspace_id,
            sent,
            placing=placing,
            at_ms=call.now_ms,
            allow_faults=allow_faults,
        )
        await tell_change(session, call, "created", made.workflow, after=describe_settings(made.workflow))
    response.headers["location"] = f"/api/v1/workflows/{made.workflow.id}"
    draft = describe_draft(made.draft, sent.checked) | {"warnings": describe_details(made.warnings)}
    return CreatedAnswer.model_validate(describe_workflow(made.workflow) | {"draft": draft})


@router.get("", SIGNED_IN)
async def list_(
    call: CallIn, asked: Annotated[Asked, make_asked(WORKFLOWS)], *, include_deleted: IncludeDeletedIn = False
) -> Page[WorkflowRowAnswer]:
    """The workflows that the caller may read, and the public ones."""
    selection = WORKFLOWS.read(asked, call.workspace_id, include_deleted)
    async with call.report() as session:
        kept, next_cursor = await list_page(
            session, call.workspace_id, find_sight(call.caller), selection, include_deleted=include_deleted
        )
        ids = [workflow.id for workflow in kept]
        recent = await call.port(RecentRuns).list_recent(session, call.workspace_id, ids, RECENT_MAX)
    rows = [_describe_row(workflow, list(recent.get(workflow.id, ()))) for workflow in kept]
    return Page(data=rows, next_cursor=next_cursor)


def _describe_row(workflow: WorkflowSummary, recent: list[RecentRun]) -> WorkflowRowAnswer:
    runs: list[JsonValue] = [describe_recent_run(run) for run in recent]
    return WorkflowRowAnswer.model_validate(describe_workflow(workflow) | {"recent_runs": runs})


@router.post("/validate", "workflow:read")
async def validate(call: CallIn, body: ValidateBody) -> ValidatedAnswer:
    """Check a document without keeping it: all faults at once, with line and column, and how large and tangled it is."""
    checked = (await check_source(call, read_document_body(body))).sent.checked
    return ValidatedAnswer.model_validate(
        {
            "valid": not checked.errors and not (body.strict and checked.warnings),
            "errors": describe_details(checked.errors),
            "warnings": describe_details(checked.warnings),
            "metadata": checked.metadata,
        }
    )


@router.get("/{workflow}", SIGNED_IN, errors=[WorkflowNotFoundError])
async def get(call: CallIn, workflow: str, response: Response, *, include_deleted: IncludeDeletedIn = False) -> WorkflowRowAnswer:
    """One workflow, by id or name."""
    async with call.read() as session:
        found = await find_seen(session, call, workflow, include_deleted=include_deleted)
        recent = await call.port(RecentRuns).list_recent(session, call.workspace_id, [found.id], RECENT_MAX)
    response.headers.update(tag_revision(found))
    return _describe_row(found, list(recent.get(found.id, ())))


@router.patch(
    "/{workflow}",
    "workflow:update",
    errors=[WorkflowNotFoundError, ProjectNotFoundError, PreconditionFailedError, HeaderInvalidError],
)
async def change(
    call: CallIn, workflow: str, body: ChangeWorkflowBody, response: Response, *, if_match: IfMatchIn = None
) -> WorkflowAnswer:
    """Change what a workflow has beside its document (JSON Merge Patch). Runs in flight are not touched."""
    changes = cast("JsonObject", body.model_dump(exclude_unset=True))
    async with call.change() as session:
        before = await find_seen(session, call, workflow, permission="workflow:update")
        if changes.get("project_id", before.project_id) != before.project_id:
            call.require("workflow:update", body.project_id)
            await require_project(session, call.workspace_id, body.project_id)
        after = await change_workflow(
            session, call.actor, call.workspace_id, before.id, changes, at_ms=call.now_ms, if_match=if_match
        )
        if changes:
            settings = describe_settings(before), describe_settings(after)
            await tell_change(session, call, "updated", after, before=settings[0], after=settings[1])
    response.headers.update(tag_revision(after))
    return WorkflowAnswer.model_validate(describe_workflow(after))


@router.delete("/{workflow}", "workflow:delete", status=204, errors=[WorkflowNotFoundError, OpenRunsError])
async def delete(call: CallIn, workflow: str, *, force: ForceIn = False, permanent: PermanentIn = False) -> Response:
    """Delete a workflow so that it can be restored; its versions and runs stay. With open runs it is refused, or `force` cancels them."""
    permission = "workflow:manage" if permanent else "workflow:delete"
    runs = call.port(OpenRuns)
    async with call.read() as session:
        found = await find_seen(session, call, workflow, permission=permission, include_deleted=permanent)
    if force:
        await runs.cancel_open(call.workspace_id, found.id, call.actor)
    async with call.change() as session:
        open_runs = await runs.count_open(session, call.workspace_id, found.id)
        if permanent:
            await _purge(session, call, found, open_runs, is_forced=force)
        else:
            await _delete(session, call, found, open_runs, is_forced=force)
    if force:
        # Those that were started while the first ones were being cancelled; from now on there are no more.
        await runs.cancel_open(call.workspace_id, found.id, call.actor)
    return Response(status_code=204)


async def _delete(session: AsyncSession, call: Call, found: WorkflowSummary, open_runs: int, *, is_forced: bool) -> None:
    deleted = await delete_workflow(
        session,
        call.actor,
        call.workspace_id,
        found.id,
        open_runs=open_runs,
        at_ms=call.now_ms,
        is_forced=is_forced,
        switch=make_switch(call),
    )
    await tell_change(session, call, "deleted", deleted, before=describe_settings(found))


async def _purge(session: AsyncSession, call: Call, found: WorkflowSummary, open_runs: int, *, is_forced: bool) -> None:
    await purge_workflow(
        session, call.workspace_id, found.id, open_runs=open_runs, on_purged=call.port(OnPurged), is_forced=is_forced
    )
    await tell_change(session, call, "purged", found, before=describe_settings(found))


@router.post("/{workflow}/restore", "workflow:delete", errors=[WorkflowNotFoundError, NameTakenError])
async def restore(call: CallIn, workflow: str, response: Response) -> WorkflowAnswer:
    """Bring back a deleted workflow: by id, or the one of that name that was deleted last. Its triggers are live again."""
    async with call.change() as session:
        found = await find_seen(session, call, workflow, permission="workflow:delete", include_deleted=True)
        after = await restore_workflow(
            session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms, switch=make_switch(call)
        )
        if found.deleted_at_ms is not None:
            await tell_change(session, call, "restored", after, after=describe_settings(after))
    response.headers.update(tag_revision(after))
    return WorkflowAnswer.model_validate(describe_workflow(after))
