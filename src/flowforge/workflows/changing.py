"""Changing what a workflow has beside its document."""

from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.web.conditions import check_if_match
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.overrides import override_labels, override_title
from flowforge.workflows.reading import lock_row, summarise, touch
from flowforge.workflows.types import WorkflowSummary


async def change_workflow(
    session: AsyncSession,
    actor: str,
    workspace_id: str,
    subject: str,
    changes: JsonObject,
    *,
    at_ms: int,
    if_match: str | None = None,
) -> WorkflowSummary:
    """`changes`: those of title, category, project_id, active, public and labels (a merge patch) that change; their types are checked.

    Raises:
        WorkflowNotFoundError: there is none.
        PreconditionFailedError: the workflow is not in the state of `if_match`.
    """
    row = await lock_row(session, workspace_id, subject)
    check_if_match(if_match, str(row.revision), is_required=False)
    if changes:
        _apply(row, changes)
        touch(row, actor, at_ms)
        await session.flush()
    return await summarise(session, row)


def _apply(row: WorkflowRow, changes: JsonObject) -> None:
    if "title" in changes:
        override_title(row, cast("str", changes["title"]))
    if "labels" in changes:
        override_labels(row, cast("JsonObject", changes["labels"]))
    if "category" in changes:
        row.category = cast("str | None", changes["category"]) or ""
    if "project_id" in changes:
        row.project_id = cast("str | None", changes["project_id"])
    if "active" in changes:
        row.active = cast("bool", changes["active"])
    if "public" in changes:
        row.public = cast("bool", changes["public"])
