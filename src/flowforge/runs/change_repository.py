"""Rows of a run that a person changes: the run's own, its labels, and its places in queues."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import jobs, queue, run_labels, runs
from flowforge.runs.types import RunHeader

_QUEUED = "queued"


async def lock_run(session: AsyncSession, workspace_id: str, run_no: int) -> bool:
    """Keeps the run's row from changing until the transaction ends; False: it is gone."""
    query = select(runs.c.no).where(runs.c.no == run_no, runs.c.workspace_id == workspace_id).with_for_update()
    return await session.scalar(query) is not None


async def change_row(session: AsyncSession, workspace_id: str, run_no: int, values: Mapping[str, Any]) -> None:
    """Sets columns of the run."""
    await session.execute(update(runs).where(runs.c.no == run_no, runs.c.workspace_id == workspace_id).values(**values))


async def change_turn(session: AsyncSession, workspace_id: str, run_no: int, priority: int) -> None:
    """Moves the run where it waits: for a worker, or for a place of its workflow's `concurrency`; and its steps that wait for a worker."""
    own_place = queue.c.run_no == run_no, queue.c.workspace_id == workspace_id
    await session.execute(update(queue).where(*own_place).values(priority=priority))
    own_jobs = jobs.c.run_no == run_no, jobs.c.workspace_id == workspace_id, jobs.c.status == _QUEUED
    await session.execute(update(jobs).where(*own_jobs).values(priority=priority))


async def replace_labels(session: AsyncSession, header: RunHeader, labels: Mapping[str, str]) -> None:
    """Labels as lists find them."""
    own = run_labels.c.run_no == header.no, run_labels.c.workspace_id == header.workspace_id
    await session.execute(delete(run_labels).where(*own))
    about = {"run_no": header.no, "workspace_id": header.workspace_id, "started_at": header.started_at_ms}
    rows = [{**about, "key": key, "value": value} for key, value in sorted(labels.items())]
    if rows:
        await session.execute(insert(run_labels), rows)
