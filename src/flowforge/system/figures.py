"""The figures of a workspace's dashboard. Plans: `runs` by (workspace_id, started_at, no); open runs by `finished_at`, by number."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import queue, runs

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
_FAILED_MOST: Final = 10
_RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class Figures:
    """`by_hour`: counts by status for each of the hours that began at the key (ms since 1970)."""

    running: int
    waiting: int
    queued: int
    by_status: Mapping[str, int]
    by_hour: Mapping[int, Mapping[str, int]]
    failed: Sequence[RowMapping]

    @property
    def completion_rate(self) -> float | None:
        """Completed of all that ended."""
        ended = {
            status: count
            for status, count in self.by_status.items()
            if status in {"completed", "failed", "timed_out", "cancelled"}
        }
        total = sum(ended.values())
        return round(ended.get("completed", 0) / total, 4) if total else None


async def read_figures(session: AsyncSession, workspace_id: str, now_ms: int) -> Figures:
    """Counts of the runs that are open, and of those that began in the last 24 hours."""
    first_ms = now_ms - now_ms % HOUR_MS - (HOURS - 1) * HOUR_MS
    by_hour = await _count_by_hour(session, workspace_id, first_ms)
    by_status: Counter[str] = Counter()
    for counts in by_hour.values():
        by_status.update(counts)
    standing = await _count_open(session, workspace_id)
    return Figures(
        running=standing["running"],
        waiting=standing["waiting"],
        queued=standing["queued"],
        by_status=dict(by_status),
        by_hour={first_ms + number * HOUR_MS: by_hour.get(first_ms + number * HOUR_MS, {}) for number in range(HOURS)},
        failed=await _list_failed(session, workspace_id),
    )


async def _count_by_hour(session: AsyncSession, workspace_id: str, first_ms: int) -> dict[int, dict[str, int]]:
    hour = (runs.c.started_at - runs.c.started_at % HOUR_MS).label("hour")
    query = select(hour, runs.c.status, func.count().label("count")).where(
        runs.c.workspace_id == workspace_id, runs.c.started_at >= first_ms
    )
    counted: dict[int, dict[str, int]] = {}
    for row in (await session.execute(query.group_by(hour, runs.c.status))).mappings():
        counted.setdefault(int(row["hour"]), {})[row["status"]] = row["count"]
    return counted


async def _count_open(session: AsyncSession, workspace_id: str) -> Counter[str]:
    """Runs that a worker has are running; those in the queue wait, or are due."""
    place = case((queue.c.cause == "released", "waiting"), else_="queued").label("place")
    queued = select(place, func.count().label("count")).where(queue.c.workspace_id == workspace_id).group_by(place)
    counts: Counter[str] = Counter({row["place"]: row["count"] for row in (await session.execute(queued)).mappings()})
    owned = select(func.count()).where(
        runs.c.workspace_id == workspace_id, runs.c.owner.is_not(None), runs.c.finished_at.is_(None)
    )
    counts[_RUNNING] = await session.scalar(owned) or 0
    return counts


async def _list_failed(session: AsyncSession, workspace_id: str) -> Sequence[RowMapping]:
    query = (
        select(runs.c.id, runs.c.workflow_name, runs.c.status, runs.c.started_at, runs.c.error_code)
        .where(runs.c.workspace_id == workspace_id, runs.c.status.in_(("failed", "timed_out")))
        .order_by(runs.c.started_at.desc(), runs.c.no.desc())
        .limit(_FAILED_MOST)
    )
    return (await session.execute(query)).mappings().all()
