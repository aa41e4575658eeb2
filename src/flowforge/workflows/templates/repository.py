"""Rows of templates, always within one workspace."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import is_id
from flowforge.web.selecting import Selection
from flowforge.workflows.models import TemplateRow
from flowforge.workflows.types import NOT_DELETED_MS


async def find_template(
    session: AsyncSession,
    workspace_id: str,
    subject: str,
    *,
    kind: str | None = None,
    include_deleted: bool = False,
    is_locked: bool = False,
) -> TemplateRow | None:
    """By id or name. Of several with the name: the living before the deleted, then by kind."""
    column = TemplateRow.id if is_id(subject, "tpl") else TemplateRow.name
    query = select(TemplateRow).where(TemplateRow.workspace_id == workspace_id, column == subject)
    if kind is not None:
        query = query.where(TemplateRow.kind == kind)
    if not include_deleted:
        query = query.where(TemplateRow.deleted_at == NOT_DELETED_MS)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query.order_by(TemplateRow.deleted_at.desc(), TemplateRow.kind).limit(1))).one_or_none()


async def list_templates(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    kind: str | None,
    include_deleted: bool,
) -> Sequence[TemplateRow]:
    query = select(TemplateRow).where(TemplateRow.workspace_id == workspace_id)
    if kind is not None:
        query = query.where(TemplateRow.kind == kind)
    if not include_deleted:
        query = query.where(TemplateRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(selection.narrow(query))).all()


async def purge_template(session: AsyncSession, workspace_id: str, template_id: str) -> None:
    await session.execute(delete(TemplateRow).where(TemplateRow.workspace_id == workspace_id, TemplateRow.id == template_id))
