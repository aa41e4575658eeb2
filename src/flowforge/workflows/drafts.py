"""Drafts: one at most for each workflow, kept as it was written."""

import re
from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import digest
from flowforge.kit.errors import Detail
from flowforge.kit.ids import make_id
from flowforge.language.kinds import WORKFLOW_NAME
from flowforge.workflows import repository
from flowforge.workflows.errors import DocumentInvalidError, DraftChangedError, DraftNotFoundError, NameTakenError
from flowforge.workflows.models import DraftRow, WorkflowRow
from flowforge.workflows.overrides import apply_document
from flowforge.workflows.reading import find_row, summarise
from flowforge.workflows.types import CheckDocument, Checked, Draft, Pushed, Source
from flowforge.workflows.views import read_source


async def push_draft(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    source: Source,
    *,
    check: CheckDocument,
    at_ms: int,
    allow_faults: bool = False,
    if_match: str | None = None,
) -> Pushed:
    """Makes the document the draft of the workflow that it names, and the workflow where there is none of that name.

    A document that is the same bytes as the draft (or, without a draft, as the current version) changes nothing. `if_match`: the etag of
    the draft that is to be replaced.

    Raises:
        DocumentInvalidError: it has faults and `allow_faults` is False, or its name cannot be read; nothing is stored.
        DraftChangedError: the draft is not the one of `if_match`.
    """
    checked = check(source)
    if checked.errors and not allow_faults:
        raise DocumentInvalidError("The document", checked.errors)
    name = read_name(checked)
    row = await repository.find_workflow(session, workspace_id, name, is_locked=True)
    is_new = row is None
    if row is None:
        row = await create_row(session, actor, workspace_id, name, at_ms=at_ms)
    draft = await repository.find_draft(session, workspace_id, row.id)
    if if_match is not None and (draft is None or draft.etag != if_match):
        raise DraftChangedError(name)
    before = None if draft is None else draft.etag
    is_changed = await _is_changed(session, row, draft, source)
    if is_changed:
        draft = write_draft(session, actor, row, draft, source, at_ms=at_ms)
    if row.current_version is None:
        apply_document(row, checked.document or {})
    await session.flush()
    etag = draft.etag if draft is not None else digest(source.data)
    return Pushed(await summarise(session, row), etag, before, is_new, is_changed, checked.errors, checked.warnings)


async def get_draft(session: AsyncSession, workspace_id: str, subject: str, *, check: CheckDocument) -> Draft:
    """The draft with its present faults.

    Raises:
        WorkflowNotFoundError, DraftNotFoundError: there is none.
    """
    row = await find_row(session, workspace_id, subject)
    draft = await repository.find_draft(session, workspace_id, row.id)
    if draft is None:
        raise DraftNotFoundError(row.name)
    return read_draft(draft, check(read_source(draft)).errors)


def read_draft(draft: DraftRow, faults: Sequence[Detail]) -> Draft:
    return Draft(draft.workflow_id, read_source(draft), draft.etag, draft.based_on, faults, draft.updated_at, draft.updated_by)


def find_name(checked: Checked) -> str | None:
    """The name in the document; None where it cannot be read or is none."""
    name = (checked.document or {}).get("name")
    return name if isinstance(name, str) and re.fullmatch(WORKFLOW_NAME, name) else None


def read_name(checked: Checked) -> str:
    """The name in the document.

    Raises:
        DocumentInvalidError: it cannot be read, or is none.
    """
    name = find_name(checked)
    if name is not None:
        return name
    message = "Even a draft needs a name that can be read: `name: order-intake`, small letters, digits and hyphens."
    raise DocumentInvalidError("The document", checked.errors or [Detail(field="name", message=message, code="name_invalid")])


async def create_row(session: AsyncSession, actor: str, workspace_id: str, name: str, *, at_ms: int) -> WorkflowRow:
    """The row of a new workflow.

    Raises:
        NameTakenError: there is one of that name.
    """
    row = WorkflowRow(
        id=make_id("wf"),
        workspace_id=workspace_id,
        name=name,
        title=name,
        description="",
        labels="{}",
        created_at=at_ms,
        created_by=actor,
        updated_at=at_ms,
        updated_by=actor,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as fault:
        raise NameTakenError(name) from fault
    return row


async def _is_changed(session: AsyncSession, row: WorkflowRow, draft: DraftRow | None, source: Source) -> bool:
    held: Source | None = None
    if draft is not None:
        held = read_source(draft)
    elif row.current_version is not None:
        version = await repository.find_version(session, row.workspace_id, row.id, row.current_version)
        held = None if version is None else read_source(version)
    return held != source


def write_draft(
    session: AsyncSession, actor: str, row: WorkflowRow, draft: DraftRow | None, source: Source, *, at_ms: int
) -> DraftRow:
    """Makes the document the draft, in the place of the one that is there."""
    if draft is None:
        draft = DraftRow(workflow_id=row.id, based_on=row.current_version)
        session.add(draft)
    draft.source, draft.format, draft.etag = source.data, source.format.value, digest(source.data)
    draft.updated_at, draft.updated_by = at_ms, actor
    row.updated_at, row.updated_by = at_ms, actor
    return draft
