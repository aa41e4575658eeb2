"""Projects: containers of workflows, in which rights can be given."""

from typing import Annotated, Any, Final, cast

from fastapi import Query, Response
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose, Title
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router
from flowforge.workflows.endpoints.bodies import refuse_read_only
from flowforge.workflows.lists import PROJECTS
from flowforge.workflows.projects import service
from flowforge.workflows.projects.errors import ProjectNameTakenError, ProjectNotEmptyError, ProjectNotFoundError
from flowforge.workflows.projects.types import Naming, Project
from flowforge.workflows.subjects import is_name, read_subject

router = Router("projects", "/projects")

_READ_ONLY: Final = frozenset(
    {"id", "workspace_id", "workflows", "created_at", "created_by", "updated_at", "updated_by", "deleted_at"}
)

PermanentIn = Annotated[bool, Query(description="For good.")]


def _check_name(text: str) -> str:
    if not is_name(text):
        raise PydanticCustomError("name_invalid", "A name begins with a small letter and has small letters, digits and hyphens.")
    return text


Name = Annotated[str, Field(min_length=1, max_length=63, examples=["finance"]), AfterValidator(_check_name)]


class CreateProjectBody(Body):
    name: Name
    title: Title | None = None
    description: Prose = ""


class ChangeProjectBody(Body):
    """A JSON Merge Patch: what is left out stays."""

    name: Name = ""
    title: Title = ""
    description: Prose = ""

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        return refuse_read_only(value, _READ_ONLY)


class ProjectAnswer(Answer):
    id: str = Field(examples=["prj_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    name: str
    title: str
    description: str
    workflows: int = Field(description="How many it holds.")
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


@router.post("", "project:manage", status=201, errors=[ProjectNameTakenError])
async def create(call: CallIn, body: CreateProjectBody, response: Response) -> ProjectAnswer:
    """Make a project."""
    call.require("project:manage")
    naming = Naming(body.name, body.title or "", body.description)
    async with call.change() as session:
        made = await service.create_project(session, call.actor, call.workspace_id, naming, at_ms=call.now_ms)
        await record(session, call, "project.created", "project", made.id, after=_describe(made))
    response.headers["location"] = f"/api/v1/projects/{made.id}"
    return _answer(made)


@router.get("", "project:read")
async def list_(
    call: CallIn, asked: Annotated[Asked, make_asked(PROJECTS)], *, include_deleted: IncludeDeletedIn = False
) -> Page[ProjectAnswer]:
    """The projects that the caller sees, by name."""
    selection = PROJECTS.read(asked, call.workspace_id, include_deleted)
    seen = call.caller.rights.list_projects("project:read")
    async with call.report() as session:
        found = await service.list_projects(session, call.workspace_id, selection, ids=seen, include_deleted=include_deleted)
    kept, next_cursor = selection.cut(found)
    return Page(data=[_answer(project) for project in kept], next_cursor=next_cursor)


@router.get("/{project}", "project:read", errors=[ProjectNotFoundError])
async def get(call: CallIn, project: str, *, include_deleted: IncludeDeletedIn = False) -> ProjectAnswer:
    """One project, by id or name."""
    async with call.read() as session:
        return _answer(await _find_seen(session, call, project, include_deleted=include_deleted))


@router.patch("/{project}", "project:manage", errors=[ProjectNotFoundError, ProjectNameTakenError])
async def change(call: CallIn, project: str, body: ChangeProjectBody) -> ProjectAnswer:
    """Change how a project is called."""
    changes = cast("JsonObject", body.model_dump(exclude_unset=True))
    async with call.change() as session:
        before = await _find_seen(session, call, project, permission="project:manage")
        after = await service.change_project(session, call.actor, call.workspace_id, before.id, changes, at_ms=call.now_ms)
        if changes:
            await record(session, call, "project.updated", "project", after.id, before=_describe(before), after=_describe(after))
    return _answer(after)


@router.delete("/{project}", "project:manage", status=204, errors=[ProjectNotFoundError, ProjectNotEmptyError])
async def delete(call: CallIn, project: str, *, permanent: PermanentIn = False) -> Response:
    """Delete an empty project; it can be restored, unless it is `permanent`."""
    async with call.change() as session:
        found = await _find_seen(session, call, project, permission="project:manage", include_deleted=permanent)
        gone = await service.delete_project(
            session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms, is_permanent=permanent
        )
        action = "project.purged" if permanent else "project.deleted"
        await record(session, call, action, "project", gone.id, before=_describe(gone))
    return Response(status_code=204)


@router.post("/{project}/restore", "project:manage", errors=[ProjectNotFoundError, ProjectNameTakenError])
async def restore(call: CallIn, project: str) -> ProjectAnswer:
    """Bring back a deleted project."""
    async with call.change() as session:
        found = await _find_seen(session, call, project, permission="project:manage", include_deleted=True)
        after = await service.restore_project(session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms)
        if found.deleted_at_ms is not None:
            await record(session, call, "project.restored", "project", after.id, after=_describe(after))
    return _answer(after)


async def _find_seen(
    session: AsyncSession, call: Call, text: str, *, permission: str = "project:read", include_deleted: bool = False
) -> Project:
    subject = read_subject(text, "prj")
    found = await service.get_project(session, call.workspace_id, subject, include_deleted=include_deleted)
    if not call.caller.rights.allow("project:read", found.id):
        raise ProjectNotFoundError(subject)
    call.require(permission, found.id)
    return found


def _describe(project: Project) -> JsonObject:
    return {"name": project.name, "title": project.title, "description": project.description}


def _answer(project: Project) -> ProjectAnswer:
    return ProjectAnswer(
        id=project.id,
        name=project.name,
        title=project.title,
        description=project.description,
        workflows=project.workflows,
        created_at=format_timestamp_ms(project.created_at_ms),
        created_by=project.created_by,
        updated_at=format_timestamp_ms(project.updated_at_ms),
        updated_by=project.updated_by,
        deleted_at=None if project.deleted_at_ms is None else format_timestamp_ms(project.deleted_at_ms),
    )
