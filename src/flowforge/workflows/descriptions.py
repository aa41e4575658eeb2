"""Workflows and versions as the outside sees them."""

from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.workflows.types import RecentRun, VersionSummary, WorkflowSummary


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
        "project_id": workflow.project_id,
        "active": workflow.is_active,
        "public": workflow.is_public,
        "labels": dict(workflow.labels),
        "created_at": format_timestamp_ms(workflow.created_at_ms),
        "created_by": workflow.created_by,
        "updated_at": format_timestamp_ms(workflow.updated_at_ms),
        "updated_by": workflow.updated_by,
        "deprecated_at": _format_optional(workflow.deprecated_at_ms),
        "deleted_at": _format_optional(workflow.deleted_at_ms),
    }


def describe_settings(workflow: WorkflowSummary) -> JsonObject:
    """What the audit keeps of a workflow: what people set."""
    told = describe_workflow(workflow)
    names = ("name", "title", "status", "version", "category", "project_id", "active", "public", "labels")
    return {name: told[name] for name in names}


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


def describe_recent_run(run: RecentRun) -> JsonObject:
    return {"id": run.id, "status": run.status, "started_at": format_timestamp_ms(run.started_at_ms)}


def _format_optional(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_timestamp_ms(at_ms)
