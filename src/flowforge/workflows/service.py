"""The use cases of workflows. Nothing here commits: that is done at the edge."""

from flowforge.workflows.comparing import compare_versions
from flowforge.workflows.deleting import delete_workflow, deprecate_workflow, restore_workflow
from flowforge.workflows.documenting import write_documentation
from flowforge.workflows.drafts import get_draft, push_draft
from flowforge.workflows.placing import find_project_of, list_ids_in_projects
from flowforge.workflows.publishing import prepare_publication, publish, publish_again
from flowforge.workflows.reading import export_workflow, get_version_source, get_workflow, list_versions, list_workflows
from flowforge.workflows.repository import WorkflowFilter
from flowforge.workflows.resolving import resolve_version

__all__ = [
    "WorkflowFilter",
    "compare_versions",
    "delete_workflow",
    "deprecate_workflow",
    "export_workflow",
    "find_project_of",
    "get_draft",
    "get_version_source",
    "get_workflow",
    "list_ids_in_projects",
    "list_versions",
    "list_workflows",
    "prepare_publication",
    "publish",
    "publish_again",
    "push_draft",
    "resolve_version",
    "restore_workflow",
    "write_documentation",
]
