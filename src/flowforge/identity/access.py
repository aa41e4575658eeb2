"""Why somebody may do something, or may not; and who may do it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.assignments import get_person
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.models_roles import (
    NOT_DELETED_MS,
    GroupMemberRow,
    GroupRow,
    OverrideRow,
    RoleAssignmentRow,
    RoleRow,
)
from flowforge.identity.permissions import is_of_installation
from flowforge.identity.rights import read_permissions, read_role
from flowforge.identity.scopes import Scope

_PEOPLE_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """`is_enabled` False: may not even sign in."""

    id: str
    email: str
    name: str
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks for or against it: a role, by a group or not, in a scope; or an override, which has neither."""

    effect: Literal["allow", "deny"]
    person: Person
    role: str | None = None
    group: Group | None = None
    scope: Scope | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    is_allowed: bool
    because: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class _Given:
    principal: str
    role: str
    scope: Scope


async def explain_access(session: AsyncSession, user_id: str, permission: str, place: Scope) -> Explanation:
    """Whether the person may, in that place, and everything that speaks for and against it. Raises PersonNotFoundError."""
    person = _show(await get_person(session, user_id))
    groups = await _list_groups(session, [user_id])
    principals = {user_id, *(group.id for _, group in groups)}
    given = [one for one in await _list_given(session, permission, place) if one.principal in principals]
    by_id = {group.id: group for _, group in groups}
    reasons = [_explain_role(person, one, by_id.get(one.principal)) for one in given]
    override = await session.get(OverrideRow, user_id)
    return _judge(person, permission, reasons, override)


async def find_who_can(
    session: AsyncSession, permission: str, place: Scope, *, after_id: str = "", limit: int | None = None
) -> list[Sequence[Reason]]:
    """What lets people do it, person by person, those who came first at first: of those behind `after_id`, and one more than `limit`.

    `limit` None: all.
    """
    given = await _list_given(session, permission, place)
    members = await _list_members(session, [one.principal for one in given if one.principal.startswith("grp_")])
    overrides = {row.user_id: row for row in await session.scalars(select(OverrideRow))}
    allowed = {user for user, row in overrides.items() if permission in read_permissions(row.allow)}
    wanted = {one.principal for one in given} | {user for user, _ in members} | allowed
    ids, found = sorted(user_id for user_id in wanted if user_id > after_id), list[Sequence[Reason]]()
    for start in range(0, len(ids), _PEOPLE_AT_ONCE):
        some = UserRow.id.in_(ids[start : start + _PEOPLE_AT_ONCE])
        query = select(UserRow).where(some, UserRow.deleted_at == NOT_DELETED_MS).order_by(UserRow.id)
        for person in map(_show, await session.scalars(query)):
            by_id = {group.id: group for user, group in members if user == person.id}
            roles = [one for one in given if one.principal in {person.id, *by_id}]
            reasons = [_explain_role(person, one, by_id.get(one.principal)) for one in roles]
            verdict = _judge(person, permission, reasons, overrides.get(person.id))
            found += [verdict.because] if verdict.is_allowed else ()
        if limit is not None and len(found) > limit:
            return found[: limit + 1]
    return found


def _judge(person: Person, permission: str, reasons: list[Reason], override: OverrideRow | None) -> Explanation:
    name = person.name or person.email
    if override is not None and permission in read_permissions(override.allow):
        reasons.append(Reason("allow", person, sentence=f"{name} is allowed {permission} personally, everywhere."))
    is_allowed = bool(reasons) and person.is_enabled
    if not reasons:
        reasons.append(Reason("deny", person, sentence=f"No role of {name} holds {permission} there."))
    if override is not None and permission in read_permissions(override.deny):
        reasons.append(
            Reason("deny", person, sentence=f"{name} is denied {permission} personally, everywhere; that wins over every role.")
        )
        is_allowed = False
    if not person.is_enabled:
        reasons.append(Reason("deny", person, sentence=f"{name} is disabled, and may do nothing."))
    return Explanation(is_allowed, reasons)


def _explain_role(person: Person, given: _Given, group: Group | None) -> Reason:
    way = "has" if group is None else f"is in the group {group.name}, which has"
    place = f"for {given.scope}" if given.scope.workspace_id else "for the whole installation"
    sentence = f"{person.name or person.email} {way} the role {given.role} {place}."
    return Reason("allow", person, given.role, group, given.scope, sentence)


async def _list_given(session: AsyncSession, permission: str, place: Scope) -> list[_Given]:
    """The assignments of roles that hold the permission in that place."""
    query = (
        select(
            RoleAssignmentRow.principal,
            RoleAssignmentRow.role,
            RoleAssignmentRow.workspace_id,
            RoleAssignmentRow.project_id,
            RoleRow.name,
            RoleRow.permissions,
        )
        .outerjoin(RoleRow, RoleRow.id == RoleAssignmentRow.role)
        .where(
            RoleAssignmentRow.workspace_id.in_({"", "" if is_of_installation(permission) else place.workspace_id}),
            RoleAssignmentRow.project_id.in_({"", place.project_id}),
        )
        .order_by(RoleAssignmentRow.id)
    )
    rows = (await session.execute(query)).all()
    return [
        _Given(principal, name or role, Scope(workspace_id, project_id))
        for principal, role, workspace_id, project_id, name, custom in rows
        if permission in read_role(role, custom)
    ]


async def _list_groups(session: AsyncSession, user_ids: Sequence[str]) -> list[tuple[str, Group]]:
    query = select(GroupMemberRow.user_id, GroupRow.id, GroupRow.name).join(GroupRow, GroupRow.id == GroupMemberRow.group_id)
    rows = (await session.execute(query.where(GroupMemberRow.user_id.in_(user_ids)))).all()
    return [(user, Group(group, name)) for user, group, name in rows]


async def _list_members(session: AsyncSession, group_ids: Sequence[str]) -> list[tuple[str, Group]]:
    query = select(GroupMemberRow.user_id, GroupRow.id, GroupRow.name).join(GroupRow, GroupRow.id == GroupMemberRow.group_id)
    rows = (await session.execute(query.where(GroupMemberRow.group_id.in_(group_ids)))).all()
    return [(user, Group(group, name)) for user, group, name in rows]


def _show(row: UserRow) -> Person:
    return Person(row.id, row.email, row.name, row.disabled_at is None)
