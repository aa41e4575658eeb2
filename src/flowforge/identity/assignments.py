"""Who has which role, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.emails import make_email_key
from flowforge.identity.errors_roles import (
    AssignmentExistsError,
    AssignmentNotFoundError,
    GroupNotFoundError,
    OwnerDeniedError,
    PersonNotFoundError,
    PrincipalInvalidError,
    ProjectNotFoundError,
    WorkspaceNotFoundError,
)
from flowforge.identity.granting import Grant, require_grantable
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.models_roles import NOT_DELETED_MS, GroupRow, OverrideRow, RoleAssignmentRow
from flowforge.identity.owners import keep_owner
from flowforge.identity.permissions import OWNER
from flowforge.identity.places import ProjectPlaces
from flowforge.identity.revocations import bump
from flowforge.identity.rights import read_permissions
from flowforge.identity.roles import Role, get_role
from flowforge.identity.scopes import Scope
from flowforge.identity.workspaces import find_workspace
from flowforge.kit.ids import is_id, make_id
from flowforge.web.calls import Call
from flowforge.web.selecting import Selection


@dataclass(frozen=True, slots=True)
class AssignmentFilter:
    """`None` anywhere: all."""

    principal: str | None = None
    role: str | None = None
    scope: Scope | None = None


async def list_assignments(session: AsyncSession, wanted: AssignmentFilter, selection: Selection) -> Sequence[RoleAssignmentRow]:
    query = select(RoleAssignmentRow)
    if wanted.principal is not None:
        query = query.where(RoleAssignmentRow.principal == wanted.principal)
    if wanted.role is not None:
        query = query.where(RoleAssignmentRow.role == wanted.role)
    if wanted.scope is not None and wanted.scope.project_id:
        query = query.where(RoleAssignmentRow.project_id == wanted.scope.project_id)
    elif wanted.scope is not None:
        query = query.where(RoleAssignmentRow.workspace_id == wanted.scope.workspace_id, RoleAssignmentRow.project_id == "")
    return (await session.scalars(selection.narrow(query))).all()


async def get_assignment(session: AsyncSession, assignment_id: str) -> RoleAssignmentRow:
    """Raises AssignmentNotFoundError."""
    row = await session.get(RoleAssignmentRow, assignment_id)
    if row is None:
        raise AssignmentNotFoundError(assignment_id)
    return row


async def create_assignment(session: AsyncSession, call: Call, principal: str, role: str, scope_text: str) -> RoleAssignmentRow:
    """Gives a role to a person (`usr_…`) or a group (`grp_…`).

    Raises:
        PrincipalInvalidError, PersonNotFoundError, GroupNotFoundError, RoleNotFoundError, ScopeInvalidError, WorkspaceNotFoundError,
        ProjectNotFoundError: one of the three is none.
        RightsExceededError: the caller may not do all that the role holds.
        AssignmentExistsError: it is given there already.
    """
    await bump(session)
    await _check_principal(session, principal)
    found = await get_role(session, role)
    scope = await find_scope(session, call, scope_text)
    await require_grantable(session, call, [Grant(scope, found.permissions)])
    if found.id == OWNER and not scope.workspace_id:
        await _refuse_denied_owner(session, principal)
    row = _make_row(call.make_id("ras"), principal, found, scope)
    row.created_at, row.created_by = call.now_ms, call.actor
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as fault:
        raise AssignmentExistsError(found.name, str(scope)) from fault
    return row


async def delete_assignment(session: AsyncSession, call: Call, assignment_id: str) -> RoleAssignmentRow:
    """Takes a role away; the assignment that is gone. Raises AssignmentNotFoundError, RightsExceededError, LastOwnerError."""
    async with keep_owner(session):
        row = await get_assignment(session, assignment_id)
        role = await get_role(session, row.role)
        await require_grantable(session, call, [Grant(Scope(row.workspace_id, row.project_id), role.permissions)])
        await session.delete(row)
    return row


_EVERYWHERE: Final = Scope()


async def assign_role(
    session: AsyncSession, user_id: str, role_name: str, *, at_ms: int, actor: str, scope: Scope = _EVERYWHERE
) -> str | None:
    """Gives a person a role on nobody's authority but the caller's own: first owners, the command line. The assignment's id.

    None, and nothing happens, where the person has it there already. Raises RoleNotFoundError.
    """
    await bump(session)
    role = await get_role(session, role_name)
    if await _find_assignment(session, user_id, role, scope) is not None:
        return None
    row = _make_row(make_id("ras"), user_id, role, scope)
    row.created_at, row.created_by = at_ms, actor
    session.add(row)
    await session.flush()
    return row.id


async def unassign_role(session: AsyncSession, user_id: str, role_name: str, *, scope: Scope = _EVERYWHERE) -> str | None:
    """Takes a role away again, as `assign_role` gives it. The id of the assignment that is gone; None: there was none.

    Raises:
        RoleNotFoundError: there is no such role.
        LastOwnerError: the installation would have no owner left.
    """
    async with keep_owner(session):
        row = await _find_assignment(session, user_id, await get_role(session, role_name), scope)
        if row is not None:
            await session.delete(row)
    return None if row is None else row.id


async def _find_assignment(session: AsyncSession, principal: str, role: Role, scope: Scope) -> RoleAssignmentRow | None:
    query = select(RoleAssignmentRow).where(
        RoleAssignmentRow.principal == principal,
        RoleAssignmentRow.role == role.id,
        RoleAssignmentRow.workspace_id == scope.workspace_id,
        RoleAssignmentRow.project_id == scope.project_id,
    )
    return (await session.scalars(query)).one_or_none()


async def find_scope(session: AsyncSession, call: Call, text: str) -> Scope:
    """A scope whose workspace or project exists, with the workspace of a project.

    Raises:
        ScopeInvalidError, WorkspaceNotFoundError, ProjectNotFoundError: it names none.
    """
    scope = Scope.parse(text)
    if scope.project_id:
        place = await call.port(ProjectPlaces).find_workspace_id(session, scope.project_id)
        if place is None:
            raise ProjectNotFoundError(scope.project_id)
        return Scope(place, scope.project_id)
    if scope.workspace_id and await find_workspace(session, scope.workspace_id) is None:
        raise WorkspaceNotFoundError(scope.workspace_id)
    return scope


def _make_row(assignment_id: str, principal: str, role: Role, scope: Scope) -> RoleAssignmentRow:
    return RoleAssignmentRow(
        id=assignment_id, principal=principal, role=role.id, workspace_id=scope.workspace_id, project_id=scope.project_id
    )


async def _check_principal(session: AsyncSession, principal: str) -> None:
    if is_id(principal, "usr"):
        await get_person(session, principal)
    elif is_id(principal, "grp"):
        if await session.get(GroupRow, principal) is None:
            raise GroupNotFoundError(principal)
    else:
        raise PrincipalInvalidError(principal)


async def get_person(session: AsyncSession, user_id: str) -> UserRow:
    """A living person by id. Raises PersonNotFoundError."""
    row = await session.get(UserRow, user_id)
    if row is None or row.deleted_at != NOT_DELETED_MS:
        raise PersonNotFoundError(user_id)
    return row


async def get_person_by_text(session: AsyncSession, text: str) -> UserRow:
    """A living person by id, or by an email that only one of them has. Raises PersonNotFoundError."""
    if is_id(text, "usr"):
        return await get_person(session, text)
    query = select(UserRow).where(UserRow.email_key == make_email_key(text), UserRow.deleted_at == NOT_DELETED_MS).limit(2)
    rows = (await session.scalars(query)).all()
    if len(rows) != 1:
        raise PersonNotFoundError(text)
    return rows[0]


async def _refuse_denied_owner(session: AsyncSession, principal: str) -> None:
    override = await session.get(OverrideRow, principal)
    if override is not None and read_permissions(override.deny):
        raise OwnerDeniedError
