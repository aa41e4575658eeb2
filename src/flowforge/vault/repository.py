"""Rows of the vault. Everything is asked for within one workspace, but re-encryption, which is the installation's."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.keyring import Sealed
from flowforge.vault.models import SecretRow, VariableRow


async def lock_secret(session: AsyncSession, workspace_id: str, name: str) -> SecretRow | None:
    """The row, which nobody else changes until the transaction ends."""
    query = select(SecretRow).where(SecretRow.workspace_id == workspace_id, SecretRow.name == name)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def list_secrets(session: AsyncSession, workspace_id: str, names: Sequence[str] | None = None) -> Sequence[SecretRow]:
    """By name; all, or those of `names` that exist."""
    query = select(SecretRow).where(SecretRow.workspace_id == workspace_id).order_by(SecretRow.name)
    if names is not None:
        query = query.where(SecretRow.name.in_(names))
    return (await session.scalars(query)).all()


async def delete_secret(session: AsyncSession, workspace_id: str, name: str) -> bool:
    """Whether there was one."""
    statement = delete(SecretRow).where(SecretRow.workspace_id == workspace_id, SecretRow.name == name)
    return await _change(session, statement) > 0


async def list_secrets_with_other_key(session: AsyncSession, key_id: str, after_id: str, limit: int) -> Sequence[SecretRow]:
    """A batch of rows of any workspace that were written with another key, by id."""
    query = select(SecretRow).where(SecretRow.key_id != key_id, SecretRow.id > after_id).order_by(SecretRow.id).limit(limit)
    return (await session.scalars(query)).all()


async def count_secrets_by_key(session: AsyncSession) -> dict[str, int]:
    """How many secrets of all workspaces each key has sealed."""
    rows = await session.execute(select(SecretRow.key_id, func.count()).group_by(SecretRow.key_id))
    return {row[0]: row[1] for row in rows}


async def replace_sealed(session: AsyncSession, row: SecretRow, sealed: Sealed) -> bool:
    """Put the same value, sealed anew, into the row; False, and nothing changed, if it got another value meanwhile."""
    statement = (
        update(SecretRow)
        .where(SecretRow.id == row.id, SecretRow.version == row.version, SecretRow.key_id == row.key_id)
        .values(key_id=sealed.key_id, sealed=sealed.data)
        .execution_options(synchronize_session=False)
    )
    return await _change(session, statement) > 0


async def lock_variable(session: AsyncSession, workspace_id: str, name: str) -> VariableRow | None:
    """The row, which nobody else changes until the transaction ends."""
    query = select(VariableRow).where(VariableRow.workspace_id == workspace_id, VariableRow.name == name)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def list_variables(session: AsyncSession, workspace_id: str, names: Sequence[str] | None = None) -> Sequence[VariableRow]:
    """By name; all, or those of `names` that exist."""
    query = select(VariableRow).where(VariableRow.workspace_id == workspace_id).order_by(VariableRow.name)
    if names is not None:
        query = query.where(VariableRow.name.in_(names))
    return (await session.scalars(query)).all()


async def delete_variable(session: AsyncSession, workspace_id: str, name: str) -> bool:
    """Whether there was one."""
    statement = delete(VariableRow).where(VariableRow.workspace_id == workspace_id, VariableRow.name == name)
    return await _change(session, statement) > 0


async def _change(session: AsyncSession, statement: Delete | Update) -> int:
    # Counted by the driver: MySQL has no RETURNING.
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount
