"""Workspaces: whose workflows, runs and secrets things are. Organisations are workspaces, too."""

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_roles import (
    WorkspaceKeptError,
    WorkspaceNameTakenError,
    WorkspaceNotEmptyError,
    WorkspaceNotFoundError,
)
from flowforge.identity.models_accounts import ApiKeyRow, KeyUsageRow, UserRow
from flowforge.identity.models_roles import NOT_DELETED_MS, RoleAssignmentRow, WorkspaceRow
from flowforge.identity.revocations import bump
from flowforge.identity.rights import list_places
from flowforge.kit.database.metadata import metadata
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, is_id
from flowforge.web.calls import Call
from flowforge.web.selecting import Selection

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LEFT_BEHIND: Final = frozenset(
    {"audit_rows", "events", "outbox", "schedule_slots", "trigger_requests", "role_assignments", "api_keys", "users"}
)
"""Tables whose rows tell of a workspace and are not in it, or go with it."""


async def find_workspace(session: AsyncSession, text: str, *, include_deleted: bool = False) -> WorkspaceRow | None:
    """By id or name; of those that were deleted, with `include_deleted`, the last one."""
    column = WorkspaceRow.id if is_id(text, "ws") else WorkspaceRow.name
    query = select(WorkspaceRow).where(column == text)
    if not include_deleted:
        query = query.where(WorkspaceRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(query.order_by(WorkspaceRow.deleted_at.desc()).limit(1))).one_or_none()


async def get_workspace(session: AsyncSession, text: str, *, include_deleted: bool = False) -> WorkspaceRow:
    """Raises WorkspaceNotFoundError where `find_workspace` finds none."""
    row = await find_workspace(session, text, include_deleted=include_deleted)
    if row is None:
        raise WorkspaceNotFoundError(text)
    return row


async def find_default_workspace(session: AsyncSession, user_id: str) -> str:
    """Where a person works who names no workspace.

    The one that is set, while it lives; else the only one that the person's roles name; else the default one.
    """
    chosen = await session.scalar(
        select(WorkspaceRow.id)
        .join(UserRow, UserRow.workspace_id == WorkspaceRow.id)
        .where(UserRow.id == user_id, WorkspaceRow.deleted_at == NOT_DELETED_MS)
    )
    if chosen is not None:
        return chosen
    known = await list_places(session, user_id)
    return next(iter(known)) if known is not None and len(known) == 1 else DEFAULT_WORKSPACE_ID


async def list_workspaces(
    session: AsyncSession, selection: Selection, *, ids: frozenset[str] | None, include_deleted: bool
) -> Sequence[WorkspaceRow]:
    """`ids` None: all."""
    query = select(WorkspaceRow)
    if ids is not None:
        query = query.where(WorkspaceRow.id.in_(ids))
    if not include_deleted:
        query = query.where(WorkspaceRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(selection.narrow(query))).all()


async def create_workspace(session: AsyncSession, call: Call, name: str, *, title: str, description: str) -> WorkspaceRow:
    """Raises WorkspaceNameTakenError."""
    row = WorkspaceRow(
        id=call.make_id("ws"),
        name=name,
        title=title,
        description=description,
        created_at=call.now_ms,
        created_by=call.actor,
        updated_at=call.now_ms,
        updated_by=call.actor,
        deleted_at=NOT_DELETED_MS,
    )
    session.add(row)
    await _store(session, name)
    return row


async def change_workspace(session: AsyncSession, call: Call, row: WorkspaceRow, changes: dict[str, str]) -> None:
    """`changes`: new values of `name`, `title`, `description`. Raises WorkspaceNameTakenError."""
    for field, value in changes.items():
        setattr(row, field, value)
    row.updated_at, row.updated_by = call.now_ms, call.actor
    await _store(session, row.name)


async def delete_workspace(session: AsyncSession, call: Call, row: WorkspaceRow) -> None:
    """It can be restored; until then nobody finds it. Raises WorkspaceKeptError for the default one."""
    if row.id == DEFAULT_WORKSPACE_ID:
        raise WorkspaceKeptError
    await bump(session)
    row.deleted_at, row.updated_at, row.updated_by = call.now_ms, call.now_ms, call.actor
    await session.flush()


async def restore_workspace(session: AsyncSession, call: Call, row: WorkspaceRow) -> None:
    """Raises WorkspaceNameTakenError where another has its name by now."""
    await bump(session)
    row.deleted_at, row.updated_at, row.updated_by = NOT_DELETED_MS, call.now_ms, call.actor
    await _store(session, row.name)


async def purge_workspace(session: AsyncSession, row: WorkspaceRow) -> None:
    """Removes it for good, with the roles that were given in it and its API keys.

    Raises:
        WorkspaceKeptError: it is the default one.
        WorkspaceNotEmptyError: something is in it still.
    """
    if row.id == DEFAULT_WORKSPACE_ID:
        raise WorkspaceKeptError
    await bump(session)
    contents = await _list_contents(session, row.id)
    if contents:
        raise WorkspaceNotEmptyError(row.name, contents)
    keys = select(ApiKeyRow.id).where(ApiKeyRow.workspace_id == row.id)
    await session.execute(delete(KeyUsageRow).where(KeyUsageRow.key_id.in_(keys)).execution_options(synchronize_session=False))
    for table in (ApiKeyRow, RoleAssignmentRow):
        await session.execute(delete(table).where(table.workspace_id == row.id).execution_options(synchronize_session=False))
    await session.delete(row)
    await session.flush()


async def _list_contents(session: AsyncSession, workspace_id: str) -> list[str]:
    """The tables that hold something of the workspace, whatever domain they belong to."""
    tables = [table for table in metadata.sorted_tables if "workspace_id" in table.columns and table.name not in _LEFT_BEHIND]
    found: list[str] = []
    for table in tables:
        column: Any = table.columns["workspace_id"]
        if await session.scalar(select(literal(1)).select_from(table).where(column == workspace_id).limit(1)):
            found.append(table.name.replace("_", " "))
    return found


async def _store(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise WorkspaceNameTakenError(name) from fault
