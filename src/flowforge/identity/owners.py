"""Whoever may do everything: the installation always keeps one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_roles import LastOwnerError
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.models_roles import NOT_DELETED_MS, GroupMemberRow, RoleAssignmentRow
from flowforge.identity.permissions import OWNER
from flowforge.identity.revocations import bump


async def list_owner_ids(session: AsyncSession) -> set[str]:
    """The living, enabled people who own the installation, by themselves or by a group."""
    principals = select(RoleAssignmentRow.principal).where(
        RoleAssignmentRow.role == OWNER, RoleAssignmentRow.workspace_id == "", RoleAssignmentRow.project_id == ""
    )
    members = select(GroupMemberRow.user_id).where(GroupMemberRow.group_id.in_(principals))
    query = select(UserRow.id).where(
        or_(UserRow.id.in_(principals), UserRow.id.in_(members)),
        UserRow.deleted_at == NOT_DELETED_MS,
        UserRow.disabled_at.is_(None),
    )
    return set(await session.scalars(query))


@asynccontextmanager
async def keep_owner(session: AsyncSession) -> AsyncGenerator[None]:
    """Around a change that might take the last owner away: `async with keep_owner(session): …`. The transaction's first statement.

    Raises:
        LastOwnerError: there was an owner before, and there is none after it; the transaction must not be committed.
    """
    await bump(session)
    before = await list_owner_ids(session)
    yield
    await session.flush()
    if before and not await list_owner_ids(session):
        raise LastOwnerError
