"""What one person may, or may not, whatever the roles say. What is denied is denied."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.assignments import get_person
from flowforge.identity.errors_roles import OwnerDeniedError
from flowforge.identity.granting import Grant, require_grantable
from flowforge.identity.models_roles import OverrideRow
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.revocations import bump
from flowforge.identity.rights import read_permissions, write_permissions
from flowforge.identity.roles import check_permissions
from flowforge.identity.scopes import Scope
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call


@dataclass(frozen=True, slots=True)
class Overrides:
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def describe(self) -> JsonObject:
        return {"allow": [*sorted(self.allow)], "deny": [*sorted(self.deny)]}


async def read_overrides(session: AsyncSession, user_id: str) -> Overrides:
    """Raises PersonNotFoundError."""
    await get_person(session, user_id)
    return _read(await session.get(OverrideRow, user_id))


async def replace_overrides(
    session: AsyncSession, call: Call, user_id: str, *, allow: Sequence[str], deny: Sequence[str]
) -> tuple[Overrides, Overrides]:
    """Those before and those from now on, which hold in the whole installation.

    Raises:
        PersonNotFoundError, PermissionUnknownError: something that was named is not there.
        RightsExceededError: the caller may not do all of what changes.
        OwnerDeniedError: an owner would be denied something.
    """
    await bump(session)
    await get_person(session, user_id)
    wanted = Overrides(check_permissions("allow", allow), check_permissions("deny", deny))
    row = await session.get(OverrideRow, user_id)
    before = _read(row)
    changed = (wanted.allow ^ before.allow) | (wanted.deny ^ before.deny)
    await require_grantable(session, call, [Grant(Scope(), changed)])
    if wanted.deny and user_id in await list_owner_ids(session):
        raise OwnerDeniedError
    if row is None:
        row = OverrideRow(user_id=user_id)
        session.add(row)
    row.allow, row.deny = write_permissions(wanted.allow), write_permissions(wanted.deny)
    row.updated_at, row.updated_by = call.now_ms, call.actor
    await session.flush()
    return before, wanted


def _read(row: OverrideRow | None) -> Overrides:
    return Overrides() if row is None else Overrides(read_permissions(row.allow), read_permissions(row.deny))
