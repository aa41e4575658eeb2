"""Publishing: a draft becomes an immutable, numbered version.

In two halves, because the engine's store commits by itself: first the definition is laid into the store, then the version that names
it is made. A definition that no version names is harmless; a version without definition would not be.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import encode_canonical
from flowforge.workflows import repository
from flowforge.workflows.errors import DocumentInvalidError, DraftChangedError, DraftNotFoundError, VersionNotFoundError
from flowforge.workflows.models import VersionRow, WorkflowRow
from flowforge.workflows.overrides import apply_document
from flowforge.workflows.ports import OnPublished
from flowforge.workflows.reading import find_row, lock_row, summarise, touch
from flowforge.workflows.switching import TriggerSwitch
from flowforge.workflows.types import CheckDocument, Publication, Published
from flowforge.workflows.views import read_source, summarise_version


async def prepare_publication(session: AsyncSession, workspace_id: str, subject: str, *, check: CheckDocument) -> Publication:
    """The draft, compiled. Its `definition` must be in the store before `publish` is called.

    Raises:
        WorkflowNotFoundError, DraftNotFoundError: there is no such workflow, or nothing to publish.
        DocumentInvalidError: the draft has faults.
    """
    row = await find_row(session, workspace_id, subject)
    draft = await repository.find_draft(session, workspace_id, row.id)
    if draft is None:
        raise DraftNotFoundError(row.name)
    source = read_source(draft)
    checked = check(source)
    if checked.workflow is None or checked.document is None:
        raise DocumentInvalidError(f"The draft of {row.name}", checked.errors)
    return Publication(
        workflow_id=row.id,
        name=row.name,
        etag=draft.etag,
        source=source,
        digest=checked.workflow.digest,
        definition=encode_canonical(checked.workflow.document),
        document=checked.document,
        warnings=checked.warnings,
    )


async def publish(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    publication: Publication,
    *,
    note: str,
    at_ms: int,
    on_published: OnPublished | None = None,
) -> Published:
    """Makes the next version, the current one from now on, and ends the draft. A deprecated workflow takes runs again.

    `on_published` sets the document's triggers live; without it those stay as they are.

    Raises:
        WorkflowNotFoundError: the workflow was deleted meanwhile.
        DraftChangedError: the draft was changed since it was prepared.
    """
    row = await lock_row(session, workspace_id, publication.workflow_id)
    draft = await repository.find_draft(session, workspace_id, row.id)
    if draft is None or draft.etag != publication.etag:
        raise DraftChangedError(row.name)
    version = VersionRow(
        workflow_id=row.id,
        version=await repository.find_latest_number(session, workspace_id, row.id) + 1,
        digest=publication.digest,
        source=publication.source.data,
        format=publication.source.format.value,
        note=note,
        published_at=at_ms,
        published_by=actor,
    )
    session.add(version)
    await session.delete(draft)
    apply_document(row, publication.document)
    _make_current(row, version.version, actor, at_ms)
    await session.flush()
    if on_published is not None:
        await on_published(session, actor, workspace_id, row.id, row.name, publication.document, at_ms)
    return Published(await summarise(session, row), summarise_version(version, row), publication.warnings)


async def publish_again(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    subject: str,
    version: int,
    *,
    at_ms: int,
    switch: TriggerSwitch | None = None,
) -> Published:
    """Makes an earlier version the current one again, without a new number. A draft stays as it is.

    `switch` sets the triggers of its document live; without it those stay as they are.

    Raises:
        WorkflowNotFoundError, VersionNotFoundError: there is no such workflow or version.
    """
    row = await lock_row(session, workspace_id, subject)
    found = await repository.find_version(session, workspace_id, row.id, version)
    if found is None:
        raise VersionNotFoundError(row.name, version)
    _make_current(row, version, actor, at_ms)
    await session.flush()
    if switch is not None:
        await switch.turn_on(session, actor, row, found, at_ms=at_ms)
    return Published(await summarise(session, row), summarise_version(found, row), [])


def _make_current(row: WorkflowRow, version: int, actor: str, at_ms: int) -> None:
    row.current_version, row.deprecated_at = version, None
    touch(row, actor, at_ms)
