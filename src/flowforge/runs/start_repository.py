"""Rows of runs by what started them, always within one workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import journal, runs

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class FirstRow:
    """How a run began: its row's identity, and the first row of its journal."""

    run_id: str
    run_no: int
    started_at_ms: int
    body: str


async def find_first_row(session: AsyncSession, workspace_id: str, run_no: int) -> FirstRow | None:
    query = select(runs.c.id, runs.c.no, runs.c.started_at, journal.c.body).join(journal, journal.c.run_no == runs.c.no)
    query = query.where(runs.c.workspace_id == workspace_id, runs.c.no == run_no, journal.c.seq == 1)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else FirstRow(row[0], row[1], row[2], row[3])


async def find_by_name(session: AsyncSession, workspace_id: str, name: str) -> int | None:
    """The number of the run that was started under this name (`dedup`)."""
    return await session.scalar(select(runs.c.no).where(runs.c.workspace_id == workspace_id, runs.c.dedup == name))


async def find_last_rows(session: AsyncSession, run_nos: Sequence[int]) -> dict[int, int]:
    """The number of the last journal row of each of these runs, whose numbers their reader has from rows that it may see."""
    found: dict[int, int] = {}
    for first in range(0, len(run_nos), _CHUNK):
        chunk = run_nos[first : first + _CHUNK]
        query = select(journal.c.run_no, func.max(journal.c.seq)).where(journal.c.run_no.in_(chunk)).group_by(journal.c.run_no)
        found |= {row[0]: row[1] for row in (await session.execute(query)).all()}
    return found
