"""When a run will probably have ended, by how long earlier runs of its version took."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.runs import repository
from flowforge.runs.types import RunHeader

_LOOKED_AT: Final = 100


async def estimate_end_ms(session: AsyncSession, header: RunHeader, now_ms: int) -> int | None:
    """Milliseconds since 1970; None of a run that has ended, and where no earlier run took as long as this one already does.

    None too of an ad hoc document and of a draft: two of them need have nothing in common.
    """
    if not header.is_open or header.version is None:
        return None
    durations_ms = await repository.list_durations(session, header.workspace_id, header.workflow_id, header.version, _LOOKED_AT)
    remaining_ms = find_remaining_ms(durations_ms, now_ms - header.started_at_ms)
    return None if remaining_ms is None else now_ms + remaining_ms


def find_remaining_ms(durations_ms: Sequence[int], elapsed_ms: int) -> int | None:
    """The median of what was left of the earlier runs when they were as old as this one."""
    left = [duration_ms - elapsed_ms for duration_ms in durations_ms if duration_ms > elapsed_ms]
    return int(median(left)) if left else None
