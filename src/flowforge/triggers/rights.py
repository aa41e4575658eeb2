"""Rights in triggers: those in the project of their workflow."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.web.calls import Call
from flowforge.workflows.service import WorkflowFilter, get_workflow, list_workflows

_PAGE: Final = 200


async def require_for(session: AsyncSession, call: Call, permission: str, workflow_id: str) -> None:
    """Raises PermissionMissingError unless the caller has the permission in the workspace, or in the workflow's project."""
    if call.caller.rights.allow(permission):
        return
    workflow = await get_workflow(session, call.workspace_id, workflow_id, include_deleted=True)
    call.require(permission, workflow.project_id)


async def list_visible_workflows(session: AsyncSession, call: Call, permission: str) -> list[str] | None:
    """Ids of the workflows in whose projects the caller has the permission; None: all."""
    projects = call.caller.rights.list_projects(permission)
    if projects is None:
        return None
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = await list_workflows(session, call.workspace_id, WorkflowFilter(after_name=after, limit=_PAGE))
        found += [workflow.id for workflow in page if workflow.project_id in projects]
    return found
