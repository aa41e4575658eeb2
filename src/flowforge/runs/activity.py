"""The runs of workflows, as the workflows themselves ask for them: their ports `RecentRuns` and `OpenRuns`."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.store import NewMail
from flowforge.engine.tables import runs
from flowforge.kit.database.session import Sessions
from flowforge.runs.service import list_open_runs
from flowforge.runs.starting import Runner
from flowforge.workflows.types import RecentRun

_REASON = b'{"reason":"Its workflow was deleted."}'


class RunActivity:
    """`sessions`: for reading what is to be cancelled."""

    def __init__(self, runner: Runner, sessions: Sessions) -> None:
        self._runner = runner
        self._sessions = sessions

    async def count_open(self, session: AsyncSession, workspace_id: str, workflow_id: str) -> int:
        """How many runs of the workflow have not ended."""
        query = select(func.count()).where(
            runs.c.workspace_id == workspace_id, runs.c.workflow_id == workflow_id, runs.c.finished_at.is_(None)
        )
        return await session.scalar(query) or 0

    async def cancel_open(self, workspace_id: str, workflow_id: str, actor: str) -> int:
        """Asks all of them to cancel; gives how many."""
        async with self._sessions() as session:
            found = await list_open_runs(session, workspace_id, workflow_id=workflow_id)
        for run in found:
            await self._runner.deliver(NewMail(run.no, "cancel", _REASON, actor))
        return len(found)

    async def list_recent(
        self, session: AsyncSession, workspace_id: str, workflow_ids: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[RecentRun]]:
        """By workflow, the newest first. One look into the index for each: a window over all runs would read them all."""
        if not workflow_ids:
            return {}
        parts = [
            select(
                select(runs.c.workflow_id, runs.c.id, runs.c.status, runs.c.started_at, runs.c.no)
                .where(runs.c.workspace_id == workspace_id, runs.c.workflow_id == workflow_id)
                .order_by(runs.c.started_at.desc(), runs.c.no.desc())
                .limit(limit)
                .subquery(f"part_{number}")
            )
            for number, workflow_id in enumerate(workflow_ids)
        ]
        rows = (await session.execute(union_all(*parts))).all()
        found: dict[str, list[RecentRun]] = {}
        for workflow_id, run_id, status, started_at, _ in sorted(rows, key=lambda row: (row[3], row[4]), reverse=True):
            found.setdefault(workflow_id, []).append(RecentRun(run_id, status, started_at))
        return found
