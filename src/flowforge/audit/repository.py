"""Rows as lists show them: of one workspace, or of the whole chain for its verification and export."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.models import AuditRow
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.web.selecting import Selection


async def list_rows(session: AsyncSession, workspace_id: str, selection: Selection) -> Sequence[AuditRow]:
    query = select(AuditRow).where(_is_seen_in(workspace_id))
    return (await session.scalars(selection.narrow(query))).all()


async def find_row(session: AsyncSession, workspace_id: str, no: int) -> AuditRow | None:
    query = select(AuditRow).where(AuditRow.no == no, _is_seen_in(workspace_id))
    return (await session.scalars(query)).one_or_none()


async def list_rows_after(
    session: AsyncSession,
    workspace_id: str | None,
    conditions: Sequence[ColumnElement[bool]],
    after: int,
    up_to: int,
    limit: int,
) -> Sequence[AuditRow]:
    """Oldest first. `workspace_id` None: of all workspaces."""
    query = select(AuditRow).where(AuditRow.no > after, AuditRow.no <= up_to, *conditions)
    if workspace_id is not None:
        query = query.where(_is_seen_in(workspace_id))
    return (await session.scalars(query.order_by(AuditRow.no).limit(limit).execution_options(populate_existing=True))).all()


def _is_seen_in(workspace_id: str) -> ColumnElement[bool]:
    """What is of no workspace is shown in the first one, which is the installation's own."""
    own = AuditRow.workspace_id == workspace_id
    return or_(own, AuditRow.workspace_id.is_(None)) if workspace_id == DEFAULT_WORKSPACE_ID else own
