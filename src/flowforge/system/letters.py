"""Dead letters of all kinds as one list: runs of the workspace, then events, then messages of the installation."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.dead_letters import DeadEvent, RefusedMessage, list_dead_events, list_refused
from flowforge.system.ports import RunLetter
from flowforge.web.lists import cut_page, mark_list, read_cursor

AnyLetter = RunLetter | DeadEvent | RefusedMessage
_RUNS, _EVENTS, _MESSAGES = range(3)


async def list_letters(
    session: AsyncSession, workspace_id: str, runs: Sequence[RunLetter], *, limit: int, cursor: str | None
) -> tuple[list[AnyLetter], str | None]:
    """One page, and the next cursor. `runs`: all of the workspace, which are few: each has a worker's end behind it.

    Raises:
        ParameterError: `cursor_invalid`.
    """
    mark = mark_list("dead letters", workspace_id)
    place = read_cursor(cursor, mark, (int, int, int, str))
    kind, at_ms, no, run_id = (_RUNS, 0, 0, "") if place is None else (int(place[0]), int(place[1]), int(place[2]), str(place[3]))
    found: list[AnyLetter] = []
    if kind == _RUNS:
        found += sorted((run for run in runs if run.run_id > run_id), key=lambda run: run.run_id)[: limit + 1]
    if kind <= _EVENTS and len(found) <= limit:
        found += await list_dead_events(session, (at_ms, no) if kind == _EVENTS else None, limit + 1 - len(found))
    if len(found) <= limit:
        found += await list_refused(session, no if kind == _MESSAGES else None, limit + 1 - len(found))
    return cut_page(found, limit, mark, _find_place)


def _find_place(letter: AnyLetter) -> tuple[int, int, int, str]:
    if isinstance(letter, DeadEvent):
        return (_EVENTS, letter.dead_ms, letter.id.no, "")
    if isinstance(letter, RefusedMessage):
        return (_MESSAGES, 0, letter.id.no, "")
    return (_RUNS, 0, 0, letter.run_id)
