"""Rows of settings and flags. They are of the installation, not of a workspace."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.configuration.models import FlagRow, SettingRow


async def list_settings(session: AsyncSession, *, is_locked: bool = False) -> Sequence[SettingRow]:
    query = select(SettingRow).order_by(SettingRow.name)
    return (await session.scalars(query.with_for_update() if is_locked else query)).all()


async def list_flags(session: AsyncSession) -> Sequence[FlagRow]:
    return (await session.scalars(select(FlagRow).order_by(FlagRow.name))).all()


async def find_flag(session: AsyncSession, name: str, *, is_locked: bool = False) -> FlagRow | None:
    query = select(FlagRow).where(FlagRow.name == name)
    return (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()
