"""Running runs from the command line: an engine for as long as the command lasts."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.engine.events import Event
from flowforge.engine.executor import Engine
from flowforge.engine.executor.settling import settle
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.cli.progress import Progress, make_progress, print_result
from flowforge.entrypoints.running import log_to_folder, open_engine
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject
from flowforge.runs.history import History, decode_turn
from flowforge.runs.types import TERMINAL_STATUSES, JournalTurn
from flowforge.runs.views import error_of, output_of

INTERRUPT_GRACE_MS: Final = 10_000
"""How long steps in flight may take to end after Ctrl-C."""

_WAITING: Final = ("waiting", "paused", "queued")


def exit_code_of_status(status: str) -> ExitCode:
    """What a run's status means for the command that ran it."""
    if status == "completed":
        return ExitCode.SUCCESS
    return ExitCode.WAITING if status in _WAITING else ExitCode.FAILED


@dataclass(frozen=True, slots=True)
class Followed:
    """A run that is carried on here. `history` grows while it goes."""

    run_no: int
    run_id: str
    title: str
    history: History


class Follower:
    """Brings each journal row of a run to a progress once, in order: what is in the store first, then what is committed here."""

    def __init__(self, engine: Engine, followed: Followed, progress: Progress) -> None:
        self._engine = engine
        self._followed = followed
        self._progress = progress
        self._early: list[JournalTurn] | None = []

    async def catch_up(self) -> None:
        """Reads what was committed before, or elsewhere; rows that come meanwhile wait behind it."""
        self._early = []
        for row in await self._engine.committer.call(self._engine.store.load, self._followed.run_no):
            if row.seq > self._followed.history.last_seq:
                self._progress.update(decode_turn(row.seq, row.at, row.body))
        early, self._early = self._early, None
        for turn in early:
            self._show(turn)

    def hear(self, seq: int, at_ms: int, events: Sequence[Event]) -> None:
        """A `Listener` of the engine."""
        turn = JournalTurn(seq, at_ms, list(events))
        if self._early is None:
            self._show(turn)
        else:
            self._early.append(turn)

    def _show(self, turn: JournalTurn) -> None:
        if turn.seq > self._followed.history.last_seq:
            self._progress.update(turn)


@contextlib.asynccontextmanager
async def carrying_engine(installation: Installation, name: str) -> AsyncGenerator[Engine]:
    """An engine for the runs of one command; it leaves all others alone. Its log goes to the data folder."""
    masker = Masker()
    with log_to_folder(installation, masker):
        async with open_engine(installation, name=name, takes_all=False, grace_ms=INTERRUPT_GRACE_MS, masker=masker) as engine:
            yield engine


async def carry_run(
    engine: Engine, installation: Installation, output: Output, followed: Followed, *, patience_ms: int | None
) -> str:
    """Carries the run on until it has ended or stands still, shows it meanwhile, and tells how it ended; its status."""
    progress = make_progress(followed.history, output, followed.title, installation.clock)
    try:
        status = await _follow(engine, followed, progress, patience_ms)
    finally:
        progress.close()
    print_result(output, make_result(installation, followed, status), followed.history)
    return status


async def _follow(engine: Engine, followed: Followed, progress: Progress, patience_ms: int | None) -> str:
    follower = Follower(engine, followed, progress)
    engine.listen(followed.run_no, follower.hear)
    await follower.catch_up()
    status = await _settle(engine, followed, patience_ms)
    if status in TERMINAL_STATUSES and followed.history.finished is None:
        # It has ended in another process, whose commits nobody told us of.
        await follower.catch_up()
    return status


async def _settle(engine: Engine, followed: Followed, patience_ms: int | None) -> str:
    settling = asyncio.create_task(settle(engine, followed.run_no, patience_ms))
    try:
        await asyncio.wait({settling}, timeout=None if patience_ms is None else patience_ms / 1_000)
        # Nobody has begun with it: another run holds the place that it needs, for longer than the patience.
        if not settling.done() and followed.history.last_seq <= 1 and followed.run_no not in engine.lives:
            return "queued"
        return await settling
    finally:
        settling.cancel()


def make_result(installation: Installation, followed: Followed, status: str) -> JsonObject:
    """The last line of `run`, `watch` and `continue`."""
    return {
        "run_id": followed.run_id,
        "status": status,
        "output": output_of(followed.history, installation.load_blob),
        "error": error_of(followed.history),
    }


@contextlib.contextmanager
def stopping(stop: Callable[[], object]) -> Generator[None]:
    """Calls `stop` in the loop at the first Ctrl-C or SIGTERM; a second one ends the process at once, as a kill would."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def run_interruptibly(work: Coroutine[None, None, ExitCode], output: Output) -> ExitCode:
    """The work's exit code; INTERRUPTED if a signal stopped it, once it has put everything in order."""
    task = asyncio.create_task(work)

    def stop() -> None:
        output.say(f"Stopping: steps in flight have up to {INTERRUPT_GRACE_MS // 1_000} s to end; Ctrl-C again stops at once.")
        task.cancel()

    with stopping(stop):
        try:
            return await task
        except asyncio.CancelledError:
            return ExitCode.INTERRUPTED
