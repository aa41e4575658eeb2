"""`/workspaces`."""

from typing import Annotated, Final

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.identity import workspaces
from flowforge.identity.errors_roles import (
    WorkspaceKeptError,
    WorkspaceNameTakenError,
    WorkspaceNotEmptyError,
    WorkspaceNotFoundError,
)
from flowforge.identity.lists import WORKSPACES
from flowforge.identity.models_roles import NOT_DELETED_MS, WorkspaceRow
from flowforge.identity.rights import find_rights, list_places
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose, Title
from flowforge.web.callers import CredentialKind
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import PermissionMissingError
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router

router: Final = Router("workspaces", "/workspaces")

WorkspaceName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9-]{0,62}$",
        description="Lower-case letters, digits and -: a word for addresses and headers.",
        examples=["finance"],
    ),
]


class WorkspaceAnswer(Answer):
    id: str = Field(examples=["ws_00000000000000000000000000"])
    name: str = Field(examples=["finance"])
    title: str = Field(examples=["Finance"])
    description: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None = None

    @classmethod
    def of(cls, row: WorkspaceRow) -> "WorkspaceAnswer":
        return cls(
            id=row.id,
            name=row.name,
            title=row.title,
            description=row.description,
            created_at=format_timestamp_ms(row.created_at),
            created_by=row.created_by,
            updated_at=format_timestamp_ms(row.updated_at),
            updated_by=row.updated_by,
            deleted_at=None if row.deleted_at == NOT_DELETED_MS else format_timestamp_ms(row.deleted_at),
        )


class NewWorkspace(Body):
    name: WorkspaceName
    title: Title | None = Field(default=None, description="For people; left out, the name.", examples=["Finance"])
    description: Prose = ""


class ChangedWorkspace(Body):
    """What is left out stays as it is."""

    name: WorkspaceName = Field(default_factory=str)
    title: Title = Field(default_factory=str)
    description: Prose | None = None


PermanentIn = Annotated[bool, Query(description="For good; only when nothing is in it any more.")]


@router.get("", "workspace:read", summary="List the workspaces that you may see")
async def list_workspaces(
    call: CallIn, asked: Annotated[Asked, make_asked(WORKSPACES)], *, include_deleted: IncludeDeletedIn = False
) -> Page[WorkspaceAnswer]:
    """By name. Those that were deleted are shown to who may restore them."""
    selection = WORKSPACES.read(asked, include_deleted, call.actor)
    sees_deleted = include_deleted and call.caller.rights.allow("workspace:delete")
    async with call.report() as session:
        ids = await _list_visible(session, call)
        found = await workspaces.list_workspaces(session, selection, ids=ids, include_deleted=sees_deleted)
    rows, following = selection.cut(found)
    return Page(data=[WorkspaceAnswer.of(row) for row in rows], next_cursor=following)


@router.post("", "workspace:create", status=201, errors=[WorkspaceNameTakenError], summary="Make a workspace")
async def create_workspace(call: CallIn, body: NewWorkspace, response: Response) -> WorkspaceAnswer:
    """What is in one workspace cannot be seen from another: an organisation, a department, a team."""
    async with call.change() as session:
        row = await workspaces.create_workspace(
            session, call, body.name, title=body.title or body.name, description=body.description
        )
        await record(session, call, "workspace.created", "workspace", row.id, after=_note(row), workspace_id=row.id)
    response.headers["location"] = f"/api/v1/workspaces/{row.id}"
    return WorkspaceAnswer.of(row)


@router.get("/{workspace}", "workspace:read", errors=[WorkspaceNotFoundError], summary="One workspace")
async def get_workspace(call: CallIn, workspace: str) -> WorkspaceAnswer:
    """By id or name."""
    async with call.read() as session:
        return WorkspaceAnswer.of(await _enter(session, call, workspace, "workspace:read"))


@router.patch(
    "/{workspace}",
    "workspace:manage",
    errors=[WorkspaceNotFoundError, WorkspaceNameTakenError],
    summary="Change a workspace",
)
async def change_workspace(call: CallIn, workspace: str, body: ChangedWorkspace) -> WorkspaceAnswer:
    changes = {field: getattr(body, field) or "" for field in body.model_fields_set}
    async with call.change() as session:
        row = await _enter(session, call, workspace, "workspace:manage")
        before = _note(row)
        await workspaces.change_workspace(session, call, row, changes)
        await record(
            session, call, "workspace.changed", "workspace", row.id, before=before, after=_note(row), workspace_id=row.id
        )
    return WorkspaceAnswer.of(row)


@router.delete(
    "/{workspace}",
    "workspace:delete",
    status=204,
    errors=[WorkspaceNotFoundError, WorkspaceKeptError, WorkspaceNotEmptyError],
    summary="Delete a workspace",
)
async def delete_workspace(call: CallIn, workspace: str, *, permanent: PermanentIn = False) -> None:
    """Nobody finds it any more, until it is restored. The default workspace stays."""
    async with call.change() as session:
        row = await _enter(session, call, workspace, "workspace:delete", include_deleted=permanent)
        before = _note(row)
        if permanent:
            await workspaces.purge_workspace(session, row)
        else:
            await workspaces.delete_workspace(session, call, row)
        action = "workspace.purged" if permanent else "workspace.deleted"
        await record(session, call, action, "workspace", row.id, before=before, workspace_id=row.id)


@router.post(
    "/{workspace}/restore",
    "workspace:delete",
    errors=[WorkspaceNotFoundError, WorkspaceNameTakenError],
    summary="Restore a workspace",
)
async def restore_workspace(call: CallIn, workspace: str) -> WorkspaceAnswer:
    """With everything that was in it."""
    async with call.change() as session:
        row = await _enter(session, call, workspace, "workspace:delete", include_deleted=True)
        if row.deleted_at != NOT_DELETED_MS:
            await workspaces.restore_workspace(session, call, row)
            await record(session, call, "workspace.restored", "workspace", row.id, after=_note(row), workspace_id=row.id)
    return WorkspaceAnswer.of(row)


async def _enter(
    session: AsyncSession, call: Call, subject: str, permission: str, *, include_deleted: bool = False
) -> WorkspaceRow:
    """The workspace, if the caller has the permission in it: the guard has only looked at the present one.

    Raises:
        WorkspaceNotFoundError: there is none, or the caller may not see it.
        PermissionMissingError: the caller sees it, but may not do this.
    """
    row = await workspaces.get_workspace(session, subject, include_deleted=include_deleted)
    rights = call.caller.rights
    if row.id != call.workspace_id:
        if call.caller.kind is CredentialKind.KEY:
            raise WorkspaceNotFoundError(subject)
        rights = await find_rights(session, call.caller.user_id or "", row.id)
    if not rights.allow_somewhere("workspace:read"):
        raise WorkspaceNotFoundError(subject)
    if not rights.allow_somewhere(permission):
        raise PermissionMissingError(permission)
    return row


async def _list_visible(session: AsyncSession, call: Call) -> frozenset[str] | None:
    """None: all. A key sees its own alone."""
    if call.caller.kind is CredentialKind.KEY:
        return frozenset({call.workspace_id})
    return await list_places(session, call.caller.user_id or "")


def _note(row: WorkspaceRow) -> JsonObject:
    return {"name": row.name, "title": row.title, "description": row.description}
