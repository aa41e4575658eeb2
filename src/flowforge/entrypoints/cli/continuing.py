"""Going on with open runs, for `flowforge runs continue`."""

import asyncio
from collections.abc import Sequence

from flowforge.entrypoints.cli.carrying import Followed, carry_run, carrying_engine, run_interruptibly
from flowforge.entrypoints.cli.codes import ExitCode, exit_code_of_status
from flowforge.entrypoints.cli.frame import Frame
from flowforge.entrypoints.cli.run_place import check_run_id
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.runs.errors import RunEndedError
from flowforge.runs.history import History
from flowforge.runs.service import find_workflow, get_run, list_open_runs
from flowforge.runs.types import RunHeader


def continue_runs(frame: Frame, run_ids: Sequence[str], patience_ms: int) -> ExitCode:
    """Goes on with the runs that are named, or with all open ones; the worst of their exit codes. `patience_ms`: see `carry_run`."""
    installation = open_installation(frame.load_settings())

    async def work() -> ExitCode:
        try:
            chosen, family = await _choose(installation, run_ids)
            if not chosen:
                frame.output.say("No run is open.")
                return ExitCode.SUCCESS
            return await _carry(frame, installation, chosen, family, patience_ms)
        finally:
            await installation.aclose()

    return asyncio.run(run_interruptibly(work(), frame.output))


async def _choose(installation: Installation, run_ids: Sequence[str]) -> tuple[list[RunHeader], set[int]]:
    """The runs to follow (those that were named, or all open ones), and the numbers of all that must go on for them.

    Raises:
        RunNotFoundError, RunEndedError: one that was named does not exist, or has ended.
    """
    async with installation.database.read() as session:
        named = [await get_run(session, DEFAULT_WORKSPACE_ID, check_run_id(run_id)) for run_id in run_ids]
        everyone = await list_open_runs(session, DEFAULT_WORKSPACE_ID)
    for header in named:
        if not header.is_open:
            raise RunEndedError(header.id, header.status)
    if not run_ids:
        return [header for header in everyone if header.parent_no is None], {header.no for header in everyone}
    return named, find_family(everyone, {header.no for header in named})


def find_family(everyone: Sequence[RunHeader], roots: set[int]) -> set[int]:
    """The roots and all runs that they have called. `everyone` is sorted by time: a run comes before those that it called."""
    family = set(roots)
    for header in everyone:
        if header.parent_no in family:
            family.add(header.no)
    return family


async def _carry(
    frame: Frame, installation: Installation, chosen: Sequence[RunHeader], family: set[int], patience_ms: int
) -> ExitCode:
    codes: list[ExitCode] = []
    async with carrying_engine(installation, "continue") as engine:
        for run_no in family:
            engine.adopt(run_no)
        for header in chosen:
            workflow = find_workflow(installation.store, header, installation.compile_definition)
            followed = Followed(header.no, header.id, f"{header.workflow}  {header.id}", History(workflow))
            status = await carry_run(engine, installation, frame.output, followed, patience_ms=patience_ms)
            codes.append(exit_code_of_status(status))
    return _worst(codes)


def _worst(codes: Sequence[ExitCode]) -> ExitCode:
    for code in (ExitCode.FAILED, ExitCode.WAITING):
        if code in codes:
            return code
    return ExitCode.SUCCESS
