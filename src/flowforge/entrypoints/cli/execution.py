"""Running runs from the command line: an engine for as long as the command lasts."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.engine.events import Event
from flowforge.engine.executor import Engine
from flowforge.engine.executor.settling import settle
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.cli.progress import Progress, make_progress, print_result
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.values import JsonObject
from flowforge.language.graph import Workflow
from flowforge.runs.history import History, decode_turn
from flowforge.runs.types import JournalTurn
from flowforge.runs.views import error_of, output_of

INTERRUPT_GRACE_MS: Final = 10_000
"""How long steps in flight may take to end after Ctrl-C."""

_EXIT_CODES: Final = {"completed": ExitCode.SUCCESS, "waiting": ExitCode.WAITING, "paused": ExitCode.WAITING, "queued": ExitCode.WAITING}


def exit_code_of_status(status: str) -> ExitCode:
    """What a run's status means for the command that ran it."""
    return _EXIT_CODES.get(status, ExitCode.FAILED)


@dataclass(frozen=True, slots=True)
class Followed:
    """A run that is carried to its end here. `history` grows while it goes."""

    run_no: int
    run_id: str
    history: History


async def follow_run(engine: Engine, followed: Followed, progress: Progress, patience_ms: int | None) -> str:
    """Carries the run on until it has ended or stands still, and shows it meanwhile; its status then."""
    pending: list[JournalTurn] = []

    def hear(seq: int, at_ms: int, events: Sequence[Event]) -> None:
        pending.append(JournalTurn(seq, at_ms, list(events)))
        catch_up()

    def catch_up() -> None:
        while pending and is_caught_up:
            turn = pending.pop(0)
            if turn.seq > followed.history.last_seq:
                progress.update(turn)

    # What was committed before somebody listened comes from the store; what comes meanwhile waits behind it.
    is_caught_up = False
    engine.listen(followed.run_no, hear)
    rows = await engine.committer.call(engine.store.load, followed.run_no)
    for row in rows:
        if row.seq > followed.history.last_seq:
            progress.update(decode_turn(row.seq, row.at, row.body))
    is_caught_up = True
    catch_up()
    return await settle(engine, followed.run_no, patience_ms)


async def carry_run(
    engine: Engine,
    installation: Installation,
    output: Output,
    followed: Followed,
    *,
    patience_ms: int | None,
) -> tuple[str, JsonObject]:
    """Follows the run and tells its end; its status and the result object."""
    workflow_name = followed.run_id
    progress = make_progress(followed.history, output, workflow_name, installation.clock)
    try:
        status = await follow_run(engine, followed, progress, patience_ms)
        await _read_rest(engine, followed, progress)
    finally:
        progress.close()
    result = make_result(installation, followed.run_id, followed.history, status)
    print_result(output, result, followed.history)
    return status, result


async def _read_rest(engine: Engine, followed: Followed, progress: Progress) -> None:
    """A run that ended in another process left rows that nobody told us of."""
    for row in await engine.committer.call(engine.store.load, followed.run_no):
        if row.seq > followed.history.last_seq:
            progress.update(decode_turn(row.seq, row.at, row.body))


def make_result(installation: Installation, run_id: str, history: History, status: str) -> JsonObject:
    """The last line of `run`, `watch` and `continue`."""
    return {
        "run_id": run_id,
        "status": status,
        "output": output_of(history, installation.load_blob),
        "error": error_of(history),
    }


def begin_history(workflow: Workflow | None) -> History:
    return History(workflow)


class Interrupted(Exception):  # noqa: N818 (an order, no error)
    """The person, or the system, has asked the process to end."""


@contextlib.contextmanager
def interruptible(stop: Callable[[], None]) -> Generator[None]:
    """Calls `stop` in the loop at the first Ctrl-C or SIGTERM; a second one ends the process at once, as kill would."""
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.remove_signal_handler(number)
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
