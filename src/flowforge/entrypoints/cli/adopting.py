"""Taking up runs that are there already: which belong together, and which of them only wait."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from flowforge.engine.executor import Engine
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.border import decode
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.values import JsonObject
from flowforge.runs.service import find_queue_row, list_open_runs
from flowforge.runs.types import RunHeader

_CONCURRENCY: Final = "concurrency"


@dataclass(frozen=True, slots=True)
class Family:
    """Runs and the open runs that they have called, by number.

    `standing`: why those wait that nothing is due for; an engine would never look at them by itself.
    """

    numbers: Collection[int]
    standing: Mapping[int, JsonObject]


async def find_family(installation: Installation, roots: Collection[int] | None) -> Family:
    """The runs of these numbers and all open runs below them; None: every open run. To be asked before an engine is open."""
    async with installation.database.read() as session:
        everyone = await list_open_runs(session, DEFAULT_WORKSPACE_ID)
        members = everyone if roots is None else _list_below(everyone, set(roots))
        rows = [(header, await find_queue_row(session, header)) for header in members]
    now_ms = installation.clock.now_ms()
    standing: dict[int, JsonObject] = {}
    for header, row in rows:
        why = None if row is None or row.why is None or row.cause == _CONCURRENCY else decode(row.why)
        if row is not None and row.due_at_ms > now_ms and isinstance(why, dict):
            standing[header.no] = why
    return Family([header.no for header in members], standing)


def _list_below(everyone: list[RunHeader], roots: set[int]) -> list[RunHeader]:
    """`everyone` is sorted by time, so that a run comes before those that it called."""
    family: list[RunHeader] = []
    numbers = set(roots)
    for header in everyone:
        if header.no in numbers or header.parent_no in numbers:
            numbers.add(header.no)
            family.append(header)
    return family


def adopt_family(engine: Engine, family: Family) -> None:
    """Lets the engine carry these runs."""
    for run_no, why in family.standing.items():
        engine.watch.standing.setdefault(run_no, why)
    for run_no in family.numbers:
        engine.adopt(run_no)
