"""Workflows as the command line shows them."""

from typing import Final

from flowforge.entrypoints.cli.columns import Column, field, show_value, status
from flowforge.entrypoints.cli.failures import describe_detail
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.times import format_optional_time
from flowforge.workflows.types import Published, Pushed, VersionSummary, WorkflowSummary

LIST_COLUMNS: Final = (
    field("workflow", "name", style="bold"),
    field("title", "title"),
    status(),
    field("version", "version"),
    Column("draft", lambda row: "draft" if row["has_draft"] else ""),
    field("changed", "updated_at"),
    field("by", "updated_by"),
)
VERSION_COLUMNS: Final = (
    Column("version", lambda row: show_value(row["version"]) + (" (current)" if row["is_current"] else ""), style="bold"),
    field("note", "note"),
    field("published", "published_at"),
    field("by", "published_by"),
    field("digest", "digest"),
)
CHANGE_COLUMNS: Final = (
    field("change", "change", style="bold"),
    field("field", "field"),
    field("before", "before"),
    field("after", "after"),
)


def describe_workflow(workflow: WorkflowSummary) -> JsonObject:
    return {
        "id": workflow.id,
        "name": workflow.name,
        "title": workflow.title,
        "description": workflow.description,
        "status": workflow.status,
        "version": workflow.current_version,
        "has_draft": workflow.has_draft,
        "category": workflow.category,
        "active": workflow.is_active,
        "public": workflow.is_public,
        "labels": dict(workflow.labels),
        "created_at": format_timestamp_ms(workflow.created_at_ms),
        "created_by": workflow.created_by,
        "updated_at": format_timestamp_ms(workflow.updated_at_ms),
        "updated_by": workflow.updated_by,
        "deprecated_at": format_optional_time(workflow.deprecated_at_ms),
        "deleted_at": format_optional_time(workflow.deleted_at_ms),
    }


def describe_version(version: VersionSummary) -> JsonObject:
    return {
        "workflow_id": version.workflow_id,
        "version": version.version,
        "digest": version.digest,
        "note": version.note,
        "published_at": format_timestamp_ms(version.published_at_ms),
        "published_by": version.published_by,
        "is_current": version.is_current,
    }


def describe_pushed(file: str, pushed: Pushed) -> JsonObject:
    return {
        "file": file,
        "workflow": pushed.workflow.name,
        "workflow_id": pushed.workflow.id,
        "etag": pushed.etag,
        "created": pushed.is_new,
        "changed": pushed.is_changed,
        "faults": [*map(describe_detail, pushed.faults)],
        "warnings": [*map(describe_detail, pushed.warnings)],
    }


def describe_published(published: Published) -> JsonObject:
    more: JsonObject = {"workflow": published.workflow.name, "warnings": [*map(describe_detail, published.warnings)]}
    return describe_version(published.version) | more
