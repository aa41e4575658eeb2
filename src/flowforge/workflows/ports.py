"""What workflows need of the floors above them and of the machine; each is wired under its class."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.workflows.types import Checked, RecentRun, Source


class Compiler(Protocol):
    """Knows the operations that are installed here."""

    def check_source(self, source: Source) -> Checked:
        """Reads and compiles a document. Work for the processor, and safe in a thread."""
        ...


class Definitions(Protocol):
    """The engine's store of compiled definitions."""

    async def define(self, digest: str, definition: bytes) -> None:
        """Stores a compiled definition, which versions name by its digest; it may be there already."""
        ...


class OnPublished(Protocol):
    """Sets the triggers of a workflow live, in the transaction that publishes it."""

    async def __call__(
        self,
        session: AsyncSession,
        actor: str,
        workspace_id: str,
        workflow_id: str,
        name: str,
        document: JsonObject | None,
        at_ms: int,
    ) -> None:
        """`document`: the one that is current now, whose triggers replace those before; None: none are live any more."""
        ...


class OnPurged(Protocol):
    """Removes the triggers of a workflow, in the transaction that deletes it for good."""

    async def __call__(self, session: AsyncSession, workspace_id: str, workflow_id: str) -> None: ...


class RecentRuns(Protocol):
    """The last runs of workflows, for lists."""

    async def list_recent(
        self, session: AsyncSession, workspace_id: str, workflow_ids: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[RecentRun]]:
        """By workflow, the newest first, at most `limit` of each; workflows without runs may be left out."""
        ...


class OpenRuns(Protocol):
    """The runs of a workflow that have not ended."""

    async def count_open(self, session: AsyncSession, workspace_id: str, workflow_id: str) -> int: ...

    async def cancel_open(self, workspace_id: str, workflow_id: str, actor: str) -> int:
        """Asks all of them to cancel; gives how many. Never inside a transaction."""
        ...
