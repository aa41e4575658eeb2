"""Groups of people. What a group was given, its members have."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.assignments import get_person
from flowforge.identity.errors_roles import GroupNameTakenError, GroupNotFoundError
from flowforge.identity.granting import list_grants, require_grantable
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.models_roles import NOT_DELETED_MS, GroupMemberRow, GroupRow, RoleAssignmentRow
from flowforge.identity.owners import keep_owner
from flowforge.identity.revocations import bump
from flowforge.kit.ids import is_id
from flowforge.web.calls import Call
from flowforge.web.selecting import Selection


@dataclass(frozen=True, slots=True)
class Member:
    user_id: str
    email: str
    name: str
    added_at_ms: int


async def list_groups(session: AsyncSession, selection: Selection) -> Sequence[GroupRow]:
    return (await session.scalars(selection.narrow(select(GroupRow)))).all()


async def count_members(session: AsyncSession, group_ids: Sequence[str]) -> dict[str, int]:
    """How many living people each group has; a group without any is left out."""
    query = (
        select(GroupMemberRow.group_id, func.count())
        .join(UserRow, UserRow.id == GroupMemberRow.user_id)
        .where(GroupMemberRow.group_id.in_(group_ids), UserRow.deleted_at == NOT_DELETED_MS)
        .group_by(GroupMemberRow.group_id)
    )
    return {row[0]: row[1] for row in (await session.execute(query)).all()}


async def get_group(session: AsyncSession, subject: str) -> GroupRow:
    """By id or name. Raises GroupNotFoundError."""
    column = GroupRow.id if is_id(subject, "grp") else GroupRow.name
    row = (await session.scalars(select(GroupRow).where(column == subject))).one_or_none()
    if row is None:
        raise GroupNotFoundError(subject)
    return row


async def create_group(session: AsyncSession, call: Call, name: str, *, description: str) -> GroupRow:
    """Raises GroupNameTakenError."""
    row = GroupRow(id=call.make_id("grp"), name=name, description=description, created_at=call.now_ms, updated_at=call.now_ms)
    session.add(row)
    await _store(session, name)
    return row


async def change_group(session: AsyncSession, call: Call, row: GroupRow, changes: dict[str, str]) -> None:
    """`changes`: new values of `name` and `description`. Raises GroupNameTakenError."""
    for field, value in changes.items():
        setattr(row, field, value)
    row.updated_at = call.now_ms
    await _store(session, row.name)


async def delete_group(session: AsyncSession, call: Call, subject: str) -> GroupRow:
    """Its members lose what it was given. Raises GroupNotFoundError, RightsExceededError, LastOwnerError."""
    async with keep_owner(session):
        row = await get_group(session, subject)
        await require_grantable(session, call, await list_grants(session, row.id))
        await session.execute(delete(GroupMemberRow).where(GroupMemberRow.group_id == row.id))
        await session.execute(delete(RoleAssignmentRow).where(RoleAssignmentRow.principal == row.id))
        await session.delete(row)
    return row


async def list_members(session: AsyncSession, group_id: str, *, after: str, limit: int) -> list[Member]:
    """Living people, by id; one more than `limit`, where there are more."""
    query = (
        select(UserRow.id, UserRow.email, UserRow.name, GroupMemberRow.added_at)
        .join(GroupMemberRow, GroupMemberRow.user_id == UserRow.id)
        .where(GroupMemberRow.group_id == group_id, UserRow.deleted_at == NOT_DELETED_MS, UserRow.id > after)
        .order_by(UserRow.id)
        .limit(limit + 1)
    )
    return [Member(*row) for row in (await session.execute(query)).all()]


async def add_member(session: AsyncSession, call: Call, subject: str, user_id: str) -> tuple[GroupRow, bool]:
    """The group, and whether the person is new in it. Raises GroupNotFoundError, PersonNotFoundError, RightsExceededError."""
    await bump(session)
    row = await get_group(session, subject)
    person = await get_person(session, user_id)
    if await session.get(GroupMemberRow, (row.id, person.id)) is not None:
        return row, False
    await require_grantable(session, call, await list_grants(session, row.id))
    session.add(GroupMemberRow(group_id=row.id, user_id=person.id, added_at=call.now_ms))
    await session.flush()
    return row, True


async def remove_member(session: AsyncSession, call: Call, subject: str, user_id: str) -> tuple[GroupRow, bool]:
    """The group, and whether the person was in it. Raises GroupNotFoundError, RightsExceededError, LastOwnerError."""
    async with keep_owner(session):
        row = await get_group(session, subject)
        member = await session.get(GroupMemberRow, (row.id, user_id))
        if member is None:
            return row, False
        await require_grantable(session, call, await list_grants(session, row.id))
        await session.delete(member)
    return row, True


async def _store(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise GroupNameTakenError(name) from fault
