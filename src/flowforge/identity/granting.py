"""Nobody gives or takes rights that he does not have himself: or whoever may add people to groups may do everything tomorrow."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_roles import RightsExceededError
from flowforge.identity.models_roles import RoleAssignmentRow, RoleRow
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.rights import find_lacking, find_rights, read_role
from flowforge.identity.scopes import Scope
from flowforge.web.callers import CredentialKind, Rights
from flowforge.web.calls import Call


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions that are about to be given to somebody, or taken away."""

    scope: Scope
    permissions: frozenset[str]


async def require_grantable(session: AsyncSession, call: Call, grants: Iterable[Grant]) -> None:
    """Raises RightsExceededError unless the caller may do all of it, there. Owners by session may give everything."""
    user_id = call.caller.user_id or ""
    is_key = call.caller.kind is CredentialKind.KEY
    if not is_key and user_id in await list_owner_ids(session):
        return
    known: dict[str, Rights] = {}
    for grant in grants:
        place = grant.scope.workspace_id
        if place not in known:
            known[place] = await find_rights(session, user_id, place)
        wanted = grant.scope.narrow(grant.permissions)
        lacking = find_lacking(known[place], wanted, grant.scope.project_id)
        if is_key:
            # A key may do less than its person.
            lacking |= find_lacking(call.caller.rights, wanted, grant.scope.project_id)
        if lacking:
            raise RightsExceededError(lacking, str(grant.scope))


async def list_grants(session: AsyncSession, principal: str) -> list[Grant]:
    """What a person, or a group, was given by role assignments of its own."""
    query = (
        select(RoleAssignmentRow.workspace_id, RoleAssignmentRow.project_id, RoleAssignmentRow.role, RoleRow.permissions)
        .outerjoin(RoleRow, RoleRow.id == RoleAssignmentRow.role)
        .where(RoleAssignmentRow.principal == principal)
    )
    rows = (await session.execute(query)).all()
    return [Grant(Scope(place, project), read_role(role, custom)) for place, project, role, custom in rows]
