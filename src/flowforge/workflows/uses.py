"""Which workflows name a secret or a variable: their current versions and their drafts are looked through."""

import re
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.vault.ports import Use
from flowforge.workflows.models import DraftRow, VersionRow, WorkflowRow
from flowforge.workflows.types import NOT_DELETED_MS


async def find_uses(session: AsyncSession, workspace_id: str, root: Literal["secrets", "vars"], name: str) -> Sequence[Use]:
    """By the workflow's name, its version before its draft. `vault.ports.FindUses`."""
    pattern = re.compile(rf"\b{root}\s*\.\s*{re.escape(name)}\b".encode())
    own = and_(WorkflowRow.workspace_id == workspace_id, WorkflowRow.deleted_at == NOT_DELETED_MS)
    current = (
        select(WorkflowRow.id, WorkflowRow.name, VersionRow.version, VersionRow.source)
        .join(VersionRow, and_(VersionRow.workflow_id == WorkflowRow.id, VersionRow.version == WorkflowRow.current_version))
        .where(own)
    )
    drafts = (
        select(WorkflowRow.id, WorkflowRow.name, DraftRow.source)
        .join(DraftRow, DraftRow.workflow_id == WorkflowRow.id)
        .where(own)
    )
    uses = [
        Use(workflow_id, workflow, version)
        for workflow_id, workflow, version, source in await session.execute(current)
        if pattern.search(source)
    ]
    uses += [
        Use(workflow_id, workflow, None)
        for workflow_id, workflow, source in await session.execute(drafts)
        if pattern.search(source)
    ]
    return sorted(uses, key=lambda use: (use.workflow, use.version is None))
