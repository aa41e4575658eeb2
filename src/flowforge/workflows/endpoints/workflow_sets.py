"""Sets of workflows: what belongs together, in an order."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, cast

from fastapi import Response
from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose, Title, show
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router
from flowforge.workflows.endpoints.bodies import ProjectId, refuse_read_only
from flowforge.workflows.endpoints.looking import find_seen as find_workflow
from flowforge.workflows.endpoints.projects import Name, PermanentIn
from flowforge.workflows.errors import ContentError, WorkflowNotFoundError
from flowforge.workflows.lists import SETS
from flowforge.workflows.projects import sets
from flowforge.workflows.projects.errors import ProjectNotFoundError, SetNameTakenError, SetNotFoundError
from flowforge.workflows.projects.service import require_project
from flowforge.workflows.projects.types import Naming, WorkflowSet
from flowforge.workflows.subjects import read_subject

router = Router("projects", "/workflow-sets")

_READ_ONLY: Final = frozenset({"id", "workspace_id", "created_at", "created_by", "updated_at", "updated_by", "deleted_at"})

Members = Annotated[
    list[str],
    Field(max_length=1_000, description="Workflows by id or name, in their order.", examples=[["order-intake", "invoice"]]),
]


class CreateSetBody(Body):
    model_config = show({"name": "month-end", "title": "Month end", "workflows": ["purchase-orders"]})

    name: Name
    title: Title | None = None
    description: Prose = ""
    project_id: ProjectId | None = None
    workflows: Members = Field(default_factory=list[str])


class ChangeSetBody(Body):
    """A JSON Merge Patch: what is left out stays. `workflows` replaces the whole list."""

    name: Name = ""
    title: Title = ""
    description: Prose = ""
    project_id: ProjectId | None = None
    workflows: Members = Field(default_factory=list[str])

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        return refuse_read_only(value, _READ_ONLY)


class SetAnswer(Answer):
    id: str = Field(examples=["set_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    project_id: str | None
    name: str
    title: str
    description: str
    workflows: list[str] = Field(description="Their ids, in order.")
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


@router.post("", "project:manage", status=201, errors=[SetNameTakenError, ProjectNotFoundError, WorkflowNotFoundError])
async def create(call: CallIn, body: CreateSetBody, response: Response) -> SetAnswer:
    """Make a set of workflows."""
    call.require("project:manage", body.project_id)
    async with call.change() as session:
        await require_project(session, call.workspace_id, body.project_id)
        made = await sets.create_set(
            session,
            call.actor,
            call.workspace_id,
            Naming(body.name, body.title or "", body.description),
            project_id=body.project_id,
            workflow_ids=await _read_members(session, call, body.workflows),
            at_ms=call.now_ms,
        )
        await record(session, call, "workflow_set.created", "workflow_set", made.id, after=_describe(made))
    response.headers["location"] = f"/api/v1/workflow-sets/{made.id}"
    return _answer(made)


@router.get("", "project:read")
async def list_(
    call: CallIn, asked: Annotated[Asked, make_asked(SETS)], *, include_deleted: IncludeDeletedIn = False
) -> Page[SetAnswer]:
    """The sets that the caller sees, by name."""
    selection = SETS.read(asked, call.workspace_id, include_deleted)
    projects = call.caller.rights.list_projects("project:read")
    async with call.report() as session:
        found = await sets.list_sets(session, call.workspace_id, selection, project_ids=projects, include_deleted=include_deleted)
    kept, next_cursor = selection.cut(found)
    return Page(data=[_answer(one) for one in kept], next_cursor=next_cursor)


@router.get("/{workflow_set}", "project:read", errors=[SetNotFoundError])
async def get(call: CallIn, workflow_set: str, *, include_deleted: IncludeDeletedIn = False) -> SetAnswer:
    """One set, by id or name."""
    async with call.read() as session:
        return _answer(await _find_seen(session, call, workflow_set, include_deleted=include_deleted))


@router.patch(
    "/{workflow_set}",
    "project:manage",
    errors=[SetNotFoundError, SetNameTakenError, ProjectNotFoundError, WorkflowNotFoundError],
)
async def change(call: CallIn, workflow_set: str, body: ChangeSetBody) -> SetAnswer:
    """Change a set: how it is called, which workflows it has, in which order, in which project."""
    changes = cast("JsonObject", body.model_dump(exclude_unset=True))
    async with call.change() as session:
        before = await _find_seen(session, call, workflow_set, permission="project:manage")
        if changes.get("project_id", before.project_id) != before.project_id:
            call.require("project:manage", body.project_id)
            await require_project(session, call.workspace_id, body.project_id)
        if changes.pop("workflows", None) is not None:
            changes["workflow_ids"] = [*await _read_members(session, call, body.workflows)]
        after = await sets.change_set(session, call.actor, call.workspace_id, before.id, changes, at_ms=call.now_ms)
        if changes:
            noted = _describe(before), _describe(after)
            await record(session, call, "workflow_set.updated", "workflow_set", after.id, before=noted[0], after=noted[1])
    return _answer(after)


@router.delete("/{workflow_set}", "project:manage", status=204, errors=[SetNotFoundError])
async def delete(call: CallIn, workflow_set: str, *, permanent: PermanentIn = False) -> Response:
    """Delete a set; its workflows stay. It can be restored, unless it is `permanent`."""
    async with call.change() as session:
        found = await _find_seen(session, call, workflow_set, permission="project:manage", include_deleted=permanent)
        gone = await sets.delete_set(session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms, is_permanent=permanent)
        action = "workflow_set.purged" if permanent else "workflow_set.deleted"
        await record(session, call, action, "workflow_set", gone.id, before=_describe(gone))
    return Response(status_code=204)


@router.post("/{workflow_set}/restore", "project:manage", errors=[SetNotFoundError, SetNameTakenError])
async def restore(call: CallIn, workflow_set: str) -> SetAnswer:
    """Bring back a deleted set."""
    async with call.change() as session:
        found = await _find_seen(session, call, workflow_set, permission="project:manage", include_deleted=True)
        after = await sets.restore_set(session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms)
        if found.deleted_at_ms is not None:
            await record(session, call, "workflow_set.restored", "workflow_set", after.id, after=_describe(after))
    return _answer(after)


async def _read_members(session: AsyncSession, call: Call, members: Sequence[str]) -> list[str]:
    ids = [(await find_workflow(session, call, member)).id for member in members]
    if len(set(ids)) < len(ids):
        raise ContentError("workflows", "A workflow stands twice in the set.", "items")
    return ids


async def _find_seen(
    session: AsyncSession, call: Call, text: str, *, permission: str = "project:read", include_deleted: bool = False
) -> WorkflowSet:
    subject = read_subject(text, "set")
    found = await sets.get_set(session, call.workspace_id, subject, include_deleted=include_deleted)
    if not call.caller.rights.allow("project:read", found.project_id):
        raise SetNotFoundError(subject)
    call.require(permission, found.project_id)
    return found


def _describe(one: WorkflowSet) -> JsonObject:
    return {
        "name": one.name,
        "title": one.title,
        "description": one.description,
        "project_id": one.project_id,
        "workflows": [*one.workflow_ids],
    }


def _answer(one: WorkflowSet) -> SetAnswer:
    return SetAnswer(
        id=one.id,
        project_id=one.project_id,
        name=one.name,
        title=one.title,
        description=one.description,
        workflows=[*one.workflow_ids],
        created_at=format_timestamp_ms(one.created_at_ms),
        created_by=one.created_by,
        updated_at=format_timestamp_ms(one.updated_at_ms),
        updated_by=one.updated_by,
        deleted_at=None if one.deleted_at_ms is None else format_timestamp_ms(one.deleted_at_ms),
    )
