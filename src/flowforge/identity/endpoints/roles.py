"""`/roles` and `/role-assignments`."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Query, Response
from pydantic import Field

from flowforge.audit.service import INSTALLATION, record
from flowforge.identity import assignments, roles
from flowforge.identity.assignments import AssignmentFilter
from flowforge.identity.errors_roles import (
    AssignmentExistsError,
    AssignmentNotFoundError,
    LastOwnerError,
    RightsExceededError,
    RoleBuiltInError,
    RoleInUseError,
    RoleNameTakenError,
    RoleNotFoundError,
)
from flowforge.identity.lists import ASSIGNMENTS, ROLES
from flowforge.identity.models_roles import RoleAssignmentRow
from flowforge.identity.roles import Role, RoleChange
from flowforge.identity.scopes import Scope
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose
from flowforge.web.calls import CallIn
from flowforge.web.conditions import quote_etag
from flowforge.web.errors import PreconditionFailedError, PreconditionRequiredError
from flowforge.web.headers import IfMatchIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router

role_router: Final = Router("roles", "/roles")
assignment_router: Final = Router("roles", "/role-assignments")

RoleName = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Lower-case letters, digits and -.", examples=["release-manager"]),
]
Permissions = Annotated[
    list[str], Field(max_length=500, description="Of the form area:verb.", examples=[["workflow:read", "workflow:publish"]])
]


class RoleAnswer(Answer):
    id: str = Field(description="A built-in role's name, or rol_…", examples=["operator"])
    name: str = Field(examples=["operator"])
    description: str
    permissions: list[str] = Field(examples=[["run:read", "run:operate"]])
    built_in: bool = Field(description="It cannot be changed.")
    created_at: str | None = None
    updated_at: str | None = None

    @classmethod
    def of(cls, role: Role) -> "RoleAnswer":
        return cls(
            id=role.id,
            name=role.name,
            description=role.description,
            permissions=sorted(role.permissions),
            built_in=role.is_built_in,
            created_at=None if role.created_at_ms is None else format_timestamp_ms(role.created_at_ms),
            updated_at=None if role.updated_at_ms is None else format_timestamp_ms(role.updated_at_ms),
        )


class NewRole(Body):
    name: RoleName
    description: Prose = ""
    permissions: Permissions


class ChangedRole(Body):
    """What is left out stays as it is."""

    name: RoleName = Field(default_factory=str)
    description: Prose | None = None
    permissions: Permissions = Field(default_factory=list)


@role_router.get("", "access:read", summary="List roles")
async def list_roles(call: CallIn, asked: Annotated[Asked, make_asked(ROLES)]) -> Page[RoleAnswer]:
    """The built-in roles first, the least of them at first; then the others by name."""
    async with call.report() as session:
        found = await roles.list_roles(session)
    rows, following = ROLES.page(found, asked)
    return Page(data=[RoleAnswer.of(role) for role in rows], next_cursor=following)


@role_router.post(
    "", "access:manage", status=201, errors=[RoleNameTakenError, RightsExceededError], summary="Make a role of your own"
)
async def create_role(call: CallIn, body: NewRole, response: Response) -> RoleAnswer:
    """A bundle of permissions; nobody can make one that holds more than he may do himself."""
    async with call.change() as session:
        role = await roles.create_role(session, call, body.name, description=body.description, permissions=body.permissions)
        await record(session, call, "role.created", "role", role.id, after=_note(role), workspace_id=INSTALLATION)
    response.headers["location"] = f"/api/v1/roles/{role.id}"
    return _answer(role, response)


@role_router.get("/{role}", "access:read", errors=[RoleNotFoundError], summary="One role")
async def get_role(call: CallIn, role: str, response: Response) -> RoleAnswer:
    """By id or name; `ETag` names its present state."""
    async with call.read() as session:
        return _answer(await roles.get_role(session, role), response)


@role_router.patch(
    "/{role}",
    "access:manage",
    errors=[
        RoleNotFoundError,
        RoleBuiltInError,
        RoleNameTakenError,
        RightsExceededError,
        PreconditionRequiredError,
        PreconditionFailedError,
    ],
    summary="Change a role of your own",
)
async def change_role(call: CallIn, role: str, body: ChangedRole, response: Response, if_match: IfMatchIn = None) -> RoleAnswer:
    """Whoever has the role has what it holds from now on."""
    given = body.model_fields_set
    change = RoleChange(
        name=body.name if "name" in given else None,
        description=(body.description or "") if "description" in given else None,
        permissions=body.permissions if "permissions" in given else None,
    )
    async with call.change() as session:
        before, after = await roles.change_role(session, call, role, change, if_match=if_match)
        await record(
            session, call, "role.changed", "role", after.id, before=_note(before), after=_note(after), workspace_id=INSTALLATION
        )
    return _answer(after, response)


@role_router.delete(
    "/{role}",
    "access:manage",
    status=204,
    errors=[RoleNotFoundError, RoleBuiltInError, RoleInUseError, PreconditionFailedError],
    summary="Remove a role of your own",
)
async def delete_role(call: CallIn, role: str, if_match: IfMatchIn = None) -> None:
    """Only when nobody has it any more."""
    async with call.change() as session:
        gone = await roles.delete_role(session, role, if_match=if_match)
        await record(session, call, "role.deleted", "role", gone.id, before=_note(gone), workspace_id=INSTALLATION)


class AssignmentAnswer(Answer):
    id: str = Field(examples=["ras_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    principal: str = Field(description="A person (usr_…) or a group (grp_…).", examples=["usr_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    role: str = Field(description="The role's name.", examples=["operator"])
    scope: str = Field(description="installation, workspace:ws_… or project:prj_…", examples=["installation"])
    created_at: str
    created_by: str

    @classmethod
    def of(cls, row: RoleAssignmentRow, names: Mapping[str, str]) -> "AssignmentAnswer":
        return cls(
            id=row.id,
            principal=row.principal,
            role=names.get(row.role, row.role),
            scope=str(Scope(row.workspace_id, row.project_id)),
            created_at=format_timestamp_ms(row.created_at),
            created_by=row.created_by,
        )


class NewAssignment(Body):
    principal: str = Field(
        max_length=100, description="A person (usr_…) or a group (grp_…).", examples=["usr_01jz5c2q8hm7k3v9x4e6t0w1yb"]
    )
    role: str = Field(max_length=100, description="Its name or id.", examples=["operator"])
    scope: str = Field(
        default="installation",
        max_length=100,
        description="installation, workspace:ws_… or project:prj_…",
        examples=["workspace:ws_00000000000000000000000000"],
    )


ScopeIn = Annotated[str | None, Query(max_length=100, description="installation, workspace:ws_… or project:prj_…")]
PrincipalIn = Annotated[str | None, Query(max_length=100, description="A person or a group.")]
RoleIn = Annotated[str | None, Query(max_length=100, description="A role's name or id.")]


@assignment_router.get("", "access:read", errors=[RoleNotFoundError], summary="List who has which role")
async def list_assignments(
    call: CallIn,
    asked: Annotated[Asked, make_asked(ASSIGNMENTS)],
    principal: PrincipalIn = None,
    role: RoleIn = None,
    scope: ScopeIn = None,
) -> Page[AssignmentAnswer]:
    """The oldest first."""
    selection = ASSIGNMENTS.read(asked, principal, role, scope)
    async with call.report() as session:
        wanted = AssignmentFilter(
            principal=principal,
            role=None if role is None else (await roles.get_role(session, role)).id,
            scope=None if scope is None else Scope.parse(scope),
        )
        rows, following = selection.cut(await assignments.list_assignments(session, wanted, selection))
        names = await roles.read_names(session, [row.role for row in rows])
    return Page(data=[AssignmentAnswer.of(row, names) for row in rows], next_cursor=following)


@assignment_router.post(
    "",
    "access:manage",
    status=201,
    errors=[RoleNotFoundError, AssignmentExistsError, RightsExceededError],
    summary="Give a role",
)
async def create_assignment(call: CallIn, body: NewAssignment, response: Response) -> AssignmentAnswer:
    """It holds from the next request on. Nobody can give what he may not do himself."""
    async with call.change() as session:
        row = await assignments.create_assignment(session, call, body.principal, body.role, body.scope)
        names = await roles.read_names(session, [row.role])
        answer = AssignmentAnswer.of(row, names)
        await record(
            session,
            call,
            "role.assigned",
            "role_assignment",
            row.id,
            after=_note_assignment(answer),
            workspace_id=row.workspace_id,
        )
    response.headers["location"] = f"/api/v1/role-assignments/{row.id}"
    return answer


@assignment_router.get("/{assignment}", "access:read", errors=[AssignmentNotFoundError], summary="One role assignment")
async def get_assignment(call: CallIn, assignment: str) -> AssignmentAnswer:
    async with call.read() as session:
        row = await assignments.get_assignment(session, parse_id(assignment, "ras"))
        return AssignmentAnswer.of(row, await roles.read_names(session, [row.role]))


@assignment_router.delete(
    "/{assignment}",
    "access:manage",
    status=204,
    errors=[AssignmentNotFoundError, RightsExceededError, LastOwnerError],
    summary="Take a role away",
)
async def delete_assignment(call: CallIn, assignment: str) -> None:
    """It holds from the next request on. The last owner stays one."""
    async with call.change() as session:
        row = await assignments.delete_assignment(session, call, parse_id(assignment, "ras"))
        answer = AssignmentAnswer.of(row, await roles.read_names(session, [row.role]))
        await record(
            session,
            call,
            "role.unassigned",
            "role_assignment",
            row.id,
            before=_note_assignment(answer),
            workspace_id=row.workspace_id,
        )


def _answer(role: Role, response: Response) -> RoleAnswer:
    if role.etag is not None:
        response.headers["etag"] = quote_etag(role.etag)
    return RoleAnswer.of(role)


def _note(role: Role) -> JsonObject:
    return {"name": role.name, "description": role.description, "permissions": [*sorted(role.permissions)]}


def _note_assignment(answer: AssignmentAnswer) -> JsonObject:
    return {"principal": answer.principal, "role": answer.role, "scope": answer.scope}
