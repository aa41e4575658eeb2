"""The use cases of reading runs. What changes a run is mail to it, and goes through the engine's store."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.store import Store
from flowforge.kit.border import decode
from flowforge.kit.errors import InvariantError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Workflow
from flowforge.runs import repository
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.history import History, decode_turn, read_history
from flowforge.runs.repository import QueueRow, RunFilter
from flowforge.runs.start_repository import find_last_rows
from flowforge.runs.types import JournalTurn, Page, RunHeader, RunLog
from flowforge.web.lists import cut_page, mark_list, read_cursor

__all__ = [
    "CompileDefinition",
    "LoadedRun",
    "QueueRow",
    "RunFilter",
    "find_last_rows",
    "find_queue_row",
    "find_run",
    "find_workflow",
    "get_run",
    "list_finished_runs",
    "list_log_page",
    "list_logs",
    "list_open_runs",
    "list_runs",
    "list_suspects",
    "load_run",
    "read_journal",
]

CompileDefinition = Callable[[JsonObject], Workflow | None]
"""The compiled form of a stored definition; None where this version cannot compile it."""


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run with its whole history. `definition`: the document that it is pinned to."""

    header: RunHeader
    turns: list[JournalTurn]
    definition: JsonObject
    workflow: Workflow | None
    history: History


async def list_runs(
    session: AsyncSession, workspace_id: str, wanted: RunFilter, *, cursor: str | None = None, limit: int = 50
) -> Page[RunHeader]:
    """The newest first.

    Raises:
        ParameterError: `cursor_invalid`: it is of a list with another filter, or is none.
    """
    mark = mark_list("runs", workspace_id, cast("JsonValue", asdict(wanted)))
    place = read_cursor(cursor, mark, (int, int))
    before = None if place is None else (int(place[0]), int(place[1]))
    found = await repository.list_runs(session, workspace_id, wanted, before=before, limit=limit + 1)
    page, following = cut_page(found, limit, mark, lambda header: (header.started_at_ms, header.no))
    return Page(page, following)


async def find_run(session: AsyncSession, workspace_id: str, run_id: str) -> RunHeader | None:
    """The run's row; None where there is none of that id."""
    return await repository.find_run(session, workspace_id, run_id)


async def get_run(session: AsyncSession, workspace_id: str, run_id: str) -> RunHeader:
    """The run's row.

    Raises:
        RunNotFoundError: there is none of that id.
    """
    header = await repository.find_run(session, workspace_id, run_id)
    if header is None:
        raise RunNotFoundError(run_id)
    return header


async def list_open_runs(session: AsyncSession, workspace_id: str, *, workflow_id: str | None = None) -> list[RunHeader]:
    """Every run that has not ended (of one workflow), the oldest first."""
    return await repository.list_open_runs(session, workspace_id, workflow_id=workflow_id)


async def list_suspects(session: AsyncSession, workspace_id: str) -> list[RunHeader]:
    """Open runs that may hold a dead letter (their history tells), the oldest first."""
    return await repository.list_suspects(session, workspace_id)


async def list_finished_runs(session: AsyncSession, workspace_id: str, *, after: tuple[int, int]) -> list[RunHeader]:
    """Runs in the order in which they ended, at most 200. `after`: end (in ms) and number of the last one that is known."""
    return await repository.list_finished_runs(session, workspace_id, after=after, limit=200)


async def read_journal(session: AsyncSession, header: RunHeader, *, after_seq: int = 0) -> list[JournalTurn]:
    """The journal's rows behind `after_seq`, in order."""
    rows = await repository.list_journal(session, header.workspace_id, header.no, after_seq=after_seq)
    return [decode_turn(seq, at_ms, body) for seq, at_ms, body in rows]


async def load_run(session: AsyncSession, workspace_id: str, run_id: str, *, compile_definition: CompileDefinition) -> LoadedRun:
    """The run with everything that its journal says.

    Raises:
        RunNotFoundError: there is none of that id.
    """
    header = await get_run(session, workspace_id, run_id)
    turns = await read_journal(session, header)
    text = await repository.find_definition(session, header.digest)
    definition = decode(text) if text is not None else None
    if not isinstance(definition, dict):
        raise InvariantError(f"The definition of {run_id} is not in the store any more.")
    workflow = compile_definition(definition)
    return LoadedRun(header, turns, definition, workflow, read_history(turns, workflow))


def find_workflow(store: Store, header: RunHeader, compile_definition: CompileDefinition) -> Workflow | None:
    """The compiled definition that the run is pinned to; None where it does not compile here."""
    stored = store.definition(header.digest)
    document = None if stored is None else decode(stored)
    return compile_definition(document) if isinstance(document, dict) else None


async def find_queue_row(session: AsyncSession, header: RunHeader) -> QueueRow | None:
    """Where the run stands in the queue; None while a worker has it, or after its end."""
    return await repository.find_queue_row(session, header.workspace_id, header.no)


async def list_logs(session: AsyncSession, header: RunHeader, *, after_no: int = 0) -> tuple[list[RunLog], int]:
    """At most 1,000 lines behind the line `after_no`, and the number of the last one of them."""
    rows = await repository.list_logs(session, header.workspace_id, header.no, after_no=after_no)
    return [_read_line(row) for row in rows], rows[-1]["no"] if rows else after_no


async def list_log_page(
    session: AsyncSession,
    header: RunHeader,
    *,
    after_no: int,
    limit: int,
    step: str | None = None,
    iteration: str | None = None,
    level: str | None = None,
) -> list[tuple[int, RunLog]]:
    """Lines behind the line `after_no`, each with its number. `step`, `iteration`, `level`: only those of it."""
    rows = await repository.list_logs(
        session,
        header.workspace_id,
        header.no,
        after_no=after_no,
        limit=limit,
        step=step,
        iteration=iteration,
        level=level,
    )
    return [(row["no"], _read_line(row)) for row in rows]


def _read_line(row: RowMapping) -> RunLog:
    message, fields = row["message"], cast("JsonObject", decode(row["fields"]))
    return RunLog(row["at"], row["level"], row["step"], row["attempt"], message, fields)
