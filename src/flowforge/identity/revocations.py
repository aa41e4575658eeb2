"""A number that grows with every change of people, sessions, groups and roles, so that whoever remembers rights sees that they are old."""

from typing import Any, Final, cast

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_roles import IdentityChangesRow

_ROW: Final = 1


async def bump(session: AsyncSession) -> None:
    """Says that something changes in this transaction. Call it first: until the end nobody else changes anything of this kind.

    Its row is the lock that keeps two people from taking each other's owner role away at once.
    """
    statement = update(IdentityChangesRow).where(IdentityChangesRow.id == _ROW).values(number=IdentityChangesRow.number + 1)
    statement = statement.execution_options(synchronize_session=False)
    if cast("CursorResult[Any]", await session.execute(statement)).rowcount == 0:
        await session.execute(insert(IdentityChangesRow).values(id=_ROW, number=1))


async def read_counter(session: AsyncSession) -> int:
    """The present number. Equal to one read before: nothing has changed since."""
    number = await session.scalar(select(IdentityChangesRow.number).where(IdentityChangesRow.id == _ROW))
    return number or 0
