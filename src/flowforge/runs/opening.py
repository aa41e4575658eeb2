"""A run opened: its history, the engine's state of it, and where it stands now."""

import asyncio
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode
from flowforge.kit.errors import InvariantError, NotFoundError
from flowforge.kit.values import JsonObject
from flowforge.language.graph import Workflow
from flowforge.runs import repository
from flowforge.runs.history import read_history
from flowforge.runs.opened import OpenedRun, look_at
from flowforge.runs.ports import RunGround
from flowforge.runs.service import LoadedRun, read_journal
from flowforge.runs.standing import find_standing
from flowforge.runs.starting import RunReader
from flowforge.runs.types import JournalTurn, RunHeader

_LONG_TURNS: Final = 200
"""A longer journal is read in a thread: the loop serves others meanwhile."""


async def open_run(session: AsyncSession, header: RunHeader, reader: RunReader, ground: RunGround, now_ms: int) -> OpenedRun:
    """Everything that is known of a run."""
    run = await load_history(session, header, reader)
    standing = await find_standing(session, header, ground, now_ms)
    if len(run.turns) > _LONG_TURNS:
        return await asyncio.to_thread(look_at, run, standing)
    return look_at(run, standing)


async def load_history(session: AsyncSession, header: RunHeader, reader: RunReader) -> LoadedRun:
    """The run with everything that its journal says."""
    turns = await read_journal(session, header)
    text = await repository.find_definition(session, header.digest)
    definition = decode(text) if text is not None else None
    if not isinstance(definition, dict):
        raise InvariantError(f"The definition of {header.id} is not in the store any more.")
    workflow = await _find_workflow(reader, header.digest)
    if len(turns) > _LONG_TURNS:
        return await asyncio.to_thread(_load, header, turns, definition, workflow)
    return _load(header, turns, definition, workflow)


def _load(header: RunHeader, turns: list[JournalTurn], definition: JsonObject, workflow: Workflow | None) -> LoadedRun:
    return LoadedRun(header, turns, definition, workflow, read_history(turns, workflow))


async def _find_workflow(reader: RunReader, digest: str) -> Workflow | None:
    try:
        return await reader.get_workflow(digest)
    except (NotFoundError, InvariantError):
        return None
