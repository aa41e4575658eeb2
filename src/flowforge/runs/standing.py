"""Who works around a run, and whether somebody does."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.queues import (
    ALIVE,
    DEAD,
    SCHEDULER_ROLE,
    WorkerLine,
    list_holders,
    list_jobs_of,
    list_served,
    list_workers,
)
from flowforge.runs.explaining import Standing
from flowforge.runs.explaining_cluster import HOLDERS_MOST, Surroundings
from flowforge.runs.ports import RunGround
from flowforge.runs.repository import QueueRow
from flowforge.runs.service import find_queue_row
from flowforge.runs.types import RunHeader


async def find_standing(session: AsyncSession, header: RunHeader, ground: RunGround, now_ms: int) -> Standing:
    """Where the run stands now, as far as its journal does not tell."""
    queue = await find_queue_row(session, header)
    dead = await asyncio.to_thread(ground.list_dead_workers)
    staff = await list_workers(session, now_ms, expiry_ms=ground.expiry_ms, known_dead=dead)
    working = {worker.no for worker in staff if _is_working(worker, ground)}
    around = await _look_around(session, header, queue, staff, ground) if ground.is_cluster and header.is_open else None
    return Standing(queue, header.owner, working, now_ms, around)


def _is_working(worker: WorkerLine, ground: RunGround) -> bool:
    """On a data folder the lock alone tells: a worker that is late there has a machine that sleeps."""
    return worker.state == ALIVE if ground.is_cluster else worker.state != DEAD


async def _look_around(
    session: AsyncSession, header: RunHeader, queue: QueueRow | None, staff: list[WorkerLine], ground: RunGround
) -> Surroundings:
    scope = None if queue is None else queue.scope
    return Surroundings(
        served=list_served(staff),
        has_scheduler=any(worker.role == SCHEDULER_ROLE for worker in staff if worker.state == ALIVE),
        holders=[] if scope is None else await list_holders(session, scope, HOLDERS_MOST),
        jobs=await list_jobs_of(session, header.no),
        broker_trouble=await asyncio.to_thread(ground.find_broker_trouble),
    )
