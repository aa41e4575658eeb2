"""From rows to what others see."""

from typing import cast

from flowforge.kit.border import decode
from flowforge.kit.values import JsonValue
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.models import DraftRow, VersionRow, WorkflowRow
from flowforge.workflows.types import NOT_DELETED_MS, Source, VersionSummary, WorkflowSummary


def summarise_workflow(row: WorkflowRow, *, has_draft: bool) -> WorkflowSummary:
    return WorkflowSummary(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        title=row.title,
        description=row.description,
        category=row.category,
        is_active=row.active,
        is_public=row.public,
        labels=cast("dict[str, str]", decode(row.labels)),
        current_version=row.current_version,
        has_draft=has_draft,
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
        updated_by=row.updated_by,
        deprecated_at_ms=row.deprecated_at,
        deleted_at_ms=None if row.deleted_at == NOT_DELETED_MS else row.deleted_at,
        project_id=row.project_id,
        revision=row.revision,
    )


def summarise_version(row: VersionRow, workflow: WorkflowRow) -> VersionSummary:
    return VersionSummary(
        workflow_id=row.workflow_id,
        version=row.version,
        digest=row.digest,
        note=row.note,
        published_at_ms=row.published_at,
        published_by=row.published_by,
        is_current=workflow.current_version == row.version,
    )


def read_source(row: DraftRow | VersionRow) -> Source:
    return Source(row.source, DocumentFormat(row.format))


def plain_labels(value: JsonValue) -> dict[str, str]:
    """The labels of a document that hold no expression: those are of each run."""
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str) and "${{" not in text}


def plain_text(value: JsonValue, default: str = "") -> str:
    return value if isinstance(value, str) and value else default
