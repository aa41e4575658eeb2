"""Roles: the built-in ones, and those of this installation's own. A role is a bundle of permissions."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_roles import (
    PermissionUnknownError,
    RoleBuiltInError,
    RoleInUseError,
    RoleNameTakenError,
    RoleNotFoundError,
)
from flowforge.identity.granting import Grant, require_grantable
from flowforge.identity.models_roles import RoleAssignmentRow, RoleRow
from flowforge.identity.permissions import BUILT_IN_ROLES, PERMISSIONS, ROLE_TITLES
from flowforge.identity.revocations import bump
from flowforge.identity.rights import read_permissions, write_permissions
from flowforge.identity.scopes import Scope
from flowforge.kit.ids import is_id
from flowforge.web.calls import Call
from flowforge.web.conditions import check_if_match

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class Role:
    """`id` of a built-in role is its name. `etag` None: it cannot be changed."""

    id: str
    name: str
    description: str
    permissions: frozenset[str]
    etag: str | None = None
    created_at_ms: int | None = None
    updated_at_ms: int | None = None

    @property
    def is_built_in(self) -> bool:
        return self.etag is None


def list_built_in() -> list[Role]:
    """The least first."""
    return [Role(name, name, ROLE_TITLES[name], permissions) for name, permissions in BUILT_IN_ROLES.items()]


async def list_roles(session: AsyncSession) -> list[Role]:
    """All: the built-in ones, the least first, and then the others by name."""
    return [*list_built_in(), *(_show(row) for row in await session.scalars(select(RoleRow).order_by(RoleRow.name)))]


async def get_role(session: AsyncSession, subject: str) -> Role:
    """By id or name. Raises RoleNotFoundError."""
    if subject in BUILT_IN_ROLES:
        return Role(subject, subject, ROLE_TITLES[subject], BUILT_IN_ROLES[subject])
    return _show(await _get_row(session, subject))


async def read_names(session: AsyncSession, role_ids: Sequence[str]) -> dict[str, str]:
    """The names of custom roles by their ids; a built-in role's id is its name."""
    rows = await session.execute(select(RoleRow.id, RoleRow.name).where(RoleRow.id.in_(set(role_ids) - BUILT_IN_ROLES.keys())))
    return {row[0]: row[1] for row in rows.all()}


async def create_role(session: AsyncSession, call: Call, name: str, *, description: str, permissions: Sequence[str]) -> Role:
    """Raises PermissionUnknownError, RightsExceededError, RoleNameTakenError."""
    wanted = check_permissions("permissions", permissions)
    if name in BUILT_IN_ROLES:
        raise RoleNameTakenError(name)
    await require_grantable(session, call, [Grant(_EVERYWHERE, wanted)])
    row = RoleRow(
        id=call.make_id("rol"),
        name=name,
        description=description,
        permissions=write_permissions(wanted),
        etag=call.make_id("etg"),
        created_at=call.now_ms,
        updated_at=call.now_ms,
    )
    session.add(row)
    await _store(session, name)
    return _show(row)


@dataclass(frozen=True, slots=True)
class RoleChange:
    """None: as it was."""

    name: str | None = None
    description: str | None = None
    permissions: Sequence[str] | None = None


async def change_role(
    session: AsyncSession, call: Call, subject: str, change: RoleChange, *, if_match: str | None
) -> tuple[Role, Role]:
    """The role before and after. Whoever has it has what it holds from now on.

    Raises:
        RoleNotFoundError, RoleBuiltInError, PreconditionRequiredError, PreconditionFailedError, PermissionUnknownError,
        RightsExceededError, RoleNameTakenError: it cannot be.
    """
    await bump(session)
    row = await _get_own(session, subject)
    check_if_match(if_match, row.etag)
    before = _show(row)
    if change.permissions is not None:
        wanted = check_permissions("permissions", change.permissions)
        await require_grantable(session, call, [Grant(_EVERYWHERE, wanted ^ before.permissions)])
        row.permissions = write_permissions(wanted)
    if change.name is not None and change.name in BUILT_IN_ROLES:
        raise RoleNameTakenError(change.name)
    row.name = row.name if change.name is None else change.name
    row.description = row.description if change.description is None else change.description
    row.etag, row.updated_at = call.make_id("etg"), call.now_ms
    await _store(session, row.name)
    return before, _show(row)


async def delete_role(session: AsyncSession, subject: str, *, if_match: str | None) -> Role:
    """The role that is gone. Raises RoleNotFoundError, RoleBuiltInError, RoleInUseError, PreconditionFailedError."""
    await bump(session)
    row = await _get_own(session, subject)
    check_if_match(if_match, row.etag, is_required=False)
    count = await session.scalar(select(func.count()).select_from(RoleAssignmentRow).where(RoleAssignmentRow.role == row.id))
    if count:
        raise RoleInUseError(row.name, count)
    await session.delete(row)
    await session.flush()
    return _show(row)


def check_permissions(field: str, names: Iterable[str]) -> frozenset[str]:
    """Raises PermissionUnknownError; `field`: where they stand."""
    wanted = frozenset(names)
    if wanted - PERMISSIONS:
        raise PermissionUnknownError(field, wanted - PERMISSIONS)
    return wanted


async def _get_own(session: AsyncSession, subject: str) -> RoleRow:
    if subject in BUILT_IN_ROLES:
        raise RoleBuiltInError(subject)
    return await _get_row(session, subject)


async def _get_row(session: AsyncSession, subject: str) -> RoleRow:
    column = RoleRow.id if is_id(subject, "rol") else RoleRow.name
    row = (await session.scalars(select(RoleRow).where(column == subject))).one_or_none()
    if row is None:
        raise RoleNotFoundError(subject)
    return row


def _show(row: RoleRow) -> Role:
    permissions = read_permissions(row.permissions)
    return Role(row.id, row.name, row.description, permissions, row.etag, row.created_at, row.updated_at)


async def _store(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise RoleNameTakenError(name) from fault
