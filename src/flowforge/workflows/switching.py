"""The triggers of a workflow, switched on and off with what becomes of it, in the same transaction."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.workflows.models import VersionRow, WorkflowRow
from flowforge.workflows.ports import OnPublished
from flowforge.workflows.types import CheckDocument
from flowforge.workflows.views import read_source


@dataclass(frozen=True, slots=True)
class TriggerSwitch:
    """`check` reads the documents of versions that were published before."""

    on_published: OnPublished
    check: CheckDocument

    async def turn_on(self, session: AsyncSession, actor: str, row: WorkflowRow, version: VersionRow, *, at_ms: int) -> None:
        """The version's triggers are live, and no others of the workflow."""
        document = self.check(read_source(version)).document or {}
        await self.on_published(session, actor, row.workspace_id, row.id, row.name, document, at_ms)

    async def turn_off(self, session: AsyncSession, actor: str, row: WorkflowRow, *, at_ms: int) -> None:
        """No trigger of the workflow is live any more."""
        await self.on_published(session, actor, row.workspace_id, row.id, row.name, None, at_ms)
