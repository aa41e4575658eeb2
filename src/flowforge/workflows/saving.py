"""Drafts as the API changes them: each change names the state that it is of, so that nobody's work is lost."""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.conditions import check_if_match, quote_etag
from flowforge.web.errors import HeaderInvalidError, PreconditionFailedError
from flowforge.workflows import repository
from flowforge.workflows.drafts import create_row, find_name, read_draft, read_name, write_draft
from flowforge.workflows.errors import (
    DocumentInvalidError,
    DraftExistsError,
    DraftNotFoundError,
    NameFixedError,
    NameTakenError,
    VersionNotFoundError,
)
from flowforge.workflows.models import DraftRow, WorkflowRow
from flowforge.workflows.overrides import apply_document, override_labels
from flowforge.workflows.reading import lock_row, summarise
from flowforge.workflows.types import Checked, Reviewed, Saved
from flowforge.workflows.views import read_source


@dataclass(frozen=True, slots=True)
class Condition:
    """The headers If-Match and If-None-Match of a change of a draft, as they were sent."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, present: str | None, *, is_required: bool = True) -> None:
        """`present`: the draft's etag, None where there is no draft.

        Raises:
            PreconditionRequiredError: neither header was sent, and one is required.
            PreconditionFailedError: the state is another.
            HeaderInvalidError: If-None-Match is not `*`.
        """
        if self.if_none_match is None:
            check_if_match(self.if_match, present, is_required=is_required)
            return
        if self.if_none_match.strip() != "*" or self.if_match is not None:
            raise HeaderInvalidError("If-None-Match", "If-None-Match is * here, and stands without If-Match.")
        if present is not None:
            raise PreconditionFailedError(quote_etag(present))


@dataclass(frozen=True, slots=True)
class Placing:
    """What a new workflow has beside its document."""

    project_id: str | None = None
    category: str = ""
    labels: JsonObject = field(default_factory=dict[str, JsonValue])
    is_active: bool = True
    is_public: bool = False


async def create_workflow(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    sent: Reviewed,
    *,
    placing: Placing,
    at_ms: int,
    allow_faults: bool = False,
) -> Saved:
    """Makes a workflow of the name in the document, and the document its draft.

    Raises:
        DocumentInvalidError: it has faults and `allow_faults` is False, or its name cannot be read.
        NameTakenError: there is a workflow of that name.
    """
    checked = sent.checked
    if checked.errors and not allow_faults:
        raise DocumentInvalidError("The document", checked.errors)
    name = read_name(checked)
    if await repository.find_workflow(session, workspace_id, name) is not None:
        raise NameTakenError(name)
    row = await create_row(session, actor, workspace_id, name, at_ms=at_ms)
    row.project_id, row.category = placing.project_id, placing.category
    row.active, row.public = placing.is_active, placing.is_public
    apply_document(row, checked.document or {})
    if placing.labels:
        override_labels(row, placing.labels)
    draft = write_draft(session, actor, row, None, sent.source, at_ms=at_ms)
    return await _finish(session, row, draft, checked, before=None)


async def save_draft(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    subject: str,
    sent: Reviewed,
    *,
    condition: Condition,
    at_ms: int,
    allow_faults: bool = False,
) -> Saved:
    """Makes the document the draft of this workflow. A workflow that was never published takes the document's name.

    Raises:
        WorkflowNotFoundError: there is none.
        PreconditionRequiredError, PreconditionFailedError, HeaderInvalidError: see `Condition.check`.
        DocumentInvalidError: it has faults and `allow_faults` is False.
        NameFixedError, NameTakenError: it has a name that this workflow cannot have.
    """
    row = await lock_row(session, workspace_id, subject)
    draft = await repository.find_draft(session, workspace_id, row.id)
    before = None if draft is None else draft.etag
    condition.check(before)
    checked = sent.checked
    if checked.errors and not allow_faults:
        raise DocumentInvalidError("The document", checked.errors)
    await _take_name(session, row, checked)
    draft = write_draft(session, actor, row, draft, sent.source, at_ms=at_ms)
    if row.current_version is None:
        apply_document(row, checked.document or {})
    return await _finish(session, row, draft, checked, before=before)


async def discard_draft(
    session: AsyncSession, actor: str, workspace_id: str, subject: str, *, condition: Condition, at_ms: int
) -> str:
    """Deletes the draft, and gives the etag that it had.

    Raises:
        WorkflowNotFoundError, DraftNotFoundError: there is none.
        PreconditionRequiredError, PreconditionFailedError: see `Condition.check`.
    """
    row = await lock_row(session, workspace_id, subject)
    draft = await repository.find_draft(session, workspace_id, row.id)
    if draft is None:
        raise DraftNotFoundError(row.name)
    condition.check(draft.etag)
    await repository.delete_draft(session, workspace_id, row.id)
    row.updated_at, row.updated_by = at_ms, actor
    await session.flush()
    return draft.etag


async def revert_to_version(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    subject: str,
    version: int,
    *,
    condition: Condition,
    at_ms: int,
) -> tuple[DraftRow, WorkflowRow, str | None]:
    """Makes the document of a version the draft; what is published stays. Gives the draft, the workflow, and the etag that was there.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError: there is none.
        DraftExistsError: there is a draft, and no If-Match says that it may be replaced.
        PreconditionFailedError: the draft is another than the one of If-Match.
    """
    row = await lock_row(session, workspace_id, subject)
    found = await repository.find_version(session, workspace_id, row.id, version)
    if found is None:
        raise VersionNotFoundError(row.name, version)
    draft = await repository.find_draft(session, workspace_id, row.id)
    before = None if draft is None else draft.etag
    if draft is not None and condition.if_match is None:
        raise DraftExistsError(row.name)
    condition.check(before, is_required=False)
    written = write_draft(session, actor, row, draft, read_source(found), at_ms=at_ms)
    written.based_on = version
    await session.flush()
    return written, row, before


async def _take_name(session: AsyncSession, row: WorkflowRow, checked: Checked) -> None:
    name = find_name(checked)
    if name is None or name == row.name:
        return
    if await repository.find_latest_number(session, row.workspace_id, row.id):
        raise NameFixedError(row.name, name)
    if await repository.find_workflow(session, row.workspace_id, name) is not None:
        raise NameTakenError(name)
    row.name = name


async def _finish(session: AsyncSession, row: WorkflowRow, draft: DraftRow, checked: Checked, *, before: str | None) -> Saved:
    await session.flush()
    told = read_draft(draft, checked.errors)
    return Saved(await summarise(session, row), told, before is None, before, checked.warnings)
