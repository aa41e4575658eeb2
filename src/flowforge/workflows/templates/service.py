"""The use cases of templates. Nothing here commits: that is done at the edge."""

from typing import cast

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode, encode
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject
from flowforge.web.selecting import Selection
from flowforge.workflows.models import TemplateRow
from flowforge.workflows.templates import repository
from flowforge.workflows.templates.errors import TemplateNameTakenError, TemplateNotFoundError
from flowforge.workflows.templates.types import NewTemplate, Template, TemplateKind
from flowforge.workflows.types import NOT_DELETED_MS


async def create_template(session: AsyncSession, actor: str, workspace_id: str, new: NewTemplate, *, at_ms: int) -> Template:
    """Raises TemplateNameTakenError: there is one of that kind and name."""
    await _refuse_taken(session, workspace_id, new.kind, new.name)
    row = TemplateRow(
        id=make_id("tpl"),
        workspace_id=workspace_id,
        kind=new.kind.value,
        name=new.name,
        title=new.title or new.name,
        description=new.description,
        category=new.category,
        content=encode(new.content).decode(),
        created_at=at_ms,
        created_by=actor,
        updated_at=at_ms,
        updated_by=actor,
    )
    session.add(row)
    await _flush(session, row.kind, row.name)
    return _summarise(row)


async def get_template(
    session: AsyncSession, workspace_id: str, subject: str, *, kind: str | None = None, include_deleted: bool = False
) -> Template:
    """By id, or by name, which `kind` may make clear.

    Raises:
        TemplateNotFoundError: there is none.
    """
    row = await repository.find_template(session, workspace_id, subject, kind=kind, include_deleted=include_deleted)
    if row is None:
        raise TemplateNotFoundError(subject)
    return _summarise(row)


async def list_templates(
    session: AsyncSession,
    workspace_id: str,
    selection: Selection,
    *,
    kind: str | None,
    include_deleted: bool = False,
) -> list[Template]:
    """Of this kind, or (None) of each."""
    rows = await repository.list_templates(session, workspace_id, selection, kind=kind, include_deleted=include_deleted)
    return [_summarise(row) for row in rows]


async def change_template(
    session: AsyncSession, actor: str, workspace_id: str, template_id: str, changes: JsonObject, *, at_ms: int
) -> Template:
    """`changes`: those of name, title, description, category and content that change; they were checked.

    Raises:
        TemplateNotFoundError, TemplateNameTakenError
    """
    row = await _lock(session, workspace_id, template_id)
    name = changes.get("name")
    if isinstance(name, str) and name != row.name:
        await _refuse_taken(session, workspace_id, TemplateKind(row.kind), name)
    for field, value in changes.items():
        setattr(row, field, encode(value).decode() if field == "content" else value)
    row.updated_at, row.updated_by = at_ms, actor
    await _flush(session, row.kind, row.name)
    return _summarise(row)


async def delete_template(
    session: AsyncSession, actor: str, workspace_id: str, template_id: str, *, at_ms: int, is_permanent: bool = False
) -> None:
    """Deletes so that it can be restored, or for good.

    Raises:
        TemplateNotFoundError: there is none.
    """
    row = await _lock(session, workspace_id, template_id, include_deleted=is_permanent)
    if is_permanent:
        await repository.purge_template(session, workspace_id, row.id)
        return
    row.deleted_at = row.updated_at = at_ms
    row.updated_by = actor
    await session.flush()


async def restore_template(session: AsyncSession, actor: str, workspace_id: str, template_id: str, *, at_ms: int) -> Template:
    """Brings back a deleted template; a living one stays as it is.

    Raises:
        TemplateNotFoundError, TemplateNameTakenError
    """
    row = await _lock(session, workspace_id, template_id, include_deleted=True)
    if row.deleted_at != NOT_DELETED_MS:
        await _refuse_taken(session, workspace_id, TemplateKind(row.kind), row.name)
        row.deleted_at, row.updated_at, row.updated_by = NOT_DELETED_MS, at_ms, actor
        await _flush(session, row.kind, row.name)
    return _summarise(row)


def _summarise(row: TemplateRow) -> Template:
    return Template(
        id=row.id,
        kind=TemplateKind(row.kind),
        name=row.name,
        title=row.title,
        description=row.description,
        category=row.category,
        content=cast("JsonObject", decode(row.content)),
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
        updated_by=row.updated_by,
        deleted_at_ms=None if row.deleted_at == NOT_DELETED_MS else row.deleted_at,
    )


async def _lock(session: AsyncSession, workspace_id: str, template_id: str, *, include_deleted: bool = False) -> TemplateRow:
    row = await repository.find_template(session, workspace_id, template_id, include_deleted=include_deleted, is_locked=True)
    if row is None:
        raise TemplateNotFoundError(template_id)
    return row


async def _refuse_taken(session: AsyncSession, workspace_id: str, kind: TemplateKind, name: str) -> None:
    if await repository.find_template(session, workspace_id, name, kind=kind.value) is not None:
        raise TemplateNameTakenError(kind, name)


async def _flush(session: AsyncSession, kind: str, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise TemplateNameTakenError(kind, name) from fault
