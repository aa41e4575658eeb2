"""What a person may do: the sum of the roles that the person and the person's groups have, then the person's own overrides."""

from collections.abc import Iterable, Mapping
from typing import cast

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from flowforge.identity.models_roles import GroupMemberRow, OverrideRow, RoleAssignmentRow, RoleRow
from flowforge.identity.permissions import BUILT_IN_ROLES, PERMISSIONS
from flowforge.identity.scopes import Scope
from flowforge.kit.border import decode, encode
from flowforge.web.callers import Rights


async def find_rights(session: AsyncSession, user_id: str, workspace_id: str) -> Rights:
    """The rights of a person in a workspace, in two queries. An empty `workspace_id`: what holds in the whole installation.

    Says nothing about whether the person is disabled, or whether the workspace exists.
    """
    query = _select_given(user_id).where(RoleAssignmentRow.workspace_id.in_({"", workspace_id}))
    given: dict[str, set[str]] = {}
    for place, project, role, custom in (await session.execute(query)).all():
        permissions = Scope(place, project).narrow(read_role(role, custom))
        given.setdefault(project, set()).update(permissions)
    return _apply(given, await session.get(OverrideRow, user_id))


async def list_places(session: AsyncSession, user_id: str, permission: str = "workspace:read") -> frozenset[str] | None:
    """The workspaces in which a person's roles hold the permission, if only in a project; None: everywhere."""
    override = await session.get(OverrideRow, user_id)
    if override is not None and permission in read_permissions(override.deny):
        return frozenset()
    if override is not None and permission in read_permissions(override.allow):
        return None
    rows = (await session.execute(_select_given(user_id))).all()
    found = frozenset(place for place, _, role, custom in rows if permission in read_role(role, custom))
    return None if "" in found else found


def _select_given(user_id: str) -> Select[str, str, str, str | None]:
    """Workspace, project, role, and a custom role's permissions, of everything that a person has by himself or by a group."""
    groups = select(GroupMemberRow.group_id).where(GroupMemberRow.user_id == user_id)
    custom = cast("InstrumentedAttribute[str | None]", RoleRow.permissions)
    query = select(RoleAssignmentRow.workspace_id, RoleAssignmentRow.project_id, RoleAssignmentRow.role, custom)
    query = query.outerjoin(RoleRow, RoleRow.id == RoleAssignmentRow.role)
    return query.where(or_(RoleAssignmentRow.principal == user_id, RoleAssignmentRow.principal.in_(groups)))


def read_role(role: str, custom: str | None) -> frozenset[str]:
    """The permissions of a built-in role, or of a custom one whose list is given as it is stored. A role that is gone has none."""
    if custom is not None:
        return read_permissions(custom)
    return BUILT_IN_ROLES.get(role, frozenset())


def read_permissions(stored: str) -> frozenset[str]:
    """A stored list; what is no permission of this version any more is left out."""
    return frozenset(cast("list[str]", decode(stored))) & PERMISSIONS


def _apply(given: Mapping[str, Iterable[str]], override: OverrideRow | None) -> Rights:
    allow = read_permissions(override.allow) if override else frozenset[str]()
    deny = read_permissions(override.deny) if override else frozenset[str]()
    everywhere = (frozenset(given.get("", ())) | allow) - deny
    projects = {project: frozenset(found) - deny for project, found in given.items() if project}
    return Rights(everywhere, projects)


def find_lacking(rights: Rights, permissions: frozenset[str], project_id: str = "") -> frozenset[str]:
    """Those of the permissions that the rights lack in that project or workspace."""
    return frozenset(permission for permission in permissions if not rights.allow(permission, project_id or None))


def write_permissions(permissions: frozenset[str]) -> str:
    """A list as it is stored."""
    return encode([*sorted(permissions)]).decode()
