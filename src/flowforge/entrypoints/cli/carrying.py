"""Running runs from the command line: an engine for as long as the command lasts."""

import asyncio
import contextlib
import os
import signal
import threading
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
from flowforge.kit.telemetry import get_logger
from flowforge.kit.values import JsonObject
from flowforge.runs.history import History, decode_turn
from flowforge.runs.types import TERMINAL_STATUSES, JournalTurn
from flowforge.runs.views import error_of, output_of

INTERRUPT_GRACE_MS: Final = 10_000
"""How long steps in flight may take to end after Ctrl-C."""
SIGN_OFF_MS: Final = 10_000
"""How long a process of a cluster may take to leave when its grace is over."""

_LOOK_S: Final = 1.0
_LAST_LINE_S: Final = 0.2
"""For the last line of the log to be written."""

logger = get_logger("cli")


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
        status = await _follow(engine, installation, followed, progress, patience_ms)
    finally:
        progress.close()
    print_result(output, make_result(installation, followed, status), followed.history)
    return status


async def _follow(
    engine: Engine, installation: Installation, followed: Followed, progress: Progress, patience_ms: int | None
) -> str:
    follower = Follower(engine, followed, progress)
    engine.listen(followed.run_no, follower.hear)
    await follower.catch_up()
    status = await _settle(engine, installation, followed, patience_ms)
    if status in TERMINAL_STATUSES and followed.history.finished is None:
        # It has ended in another process, whose commits nobody told us of.
        await follower.catch_up()
    return status


async def _settle(engine: Engine, installation: Installation, followed: Followed, patience_ms: int | None) -> str:
    settling = asyncio.create_task(settle(engine, followed.run_no, patience_ms))
    try:
        await asyncio.wait({settling}, timeout=None if patience_ms is None else patience_ms / 1_000)
        # Nobody has begun with it: another run holds the place that it needs, for longer than the patience.
        if not settling.done() and followed.history.last_seq <= 1 and followed.run_no not in engine.lives:
            return "queued"
        while not settling.done():
            if await _has_stranded_job(installation, followed.run_no):
                return "waiting"
            await asyncio.wait({settling}, timeout=_LOOK_S)
        return await settling
    finally:
        settling.cancel()


async def _has_stranded_job(installation: Installation, run_no: int) -> bool:
    """Whether the run, or one that it called, waits for a worker of a queue that nobody serves; a cluster has begun it."""
    if not installation.database_url.is_server:
        return False
    # SQLAlchemy, for a cluster only.
    from flowforge.cluster.queues import find_open_family, list_jobs_of, list_served, list_workers

    async with installation.database.read() as session:
        family = await find_open_family(session, run_no)
        wanted = {job.queue for no in family for job in await list_jobs_of(session, no) if job.owner is None}
        if not wanted:
            return False
        working = await list_workers(session, installation.clock.now_ms(), expiry_ms=installation.settings.expiry_ms)
    return not wanted <= list_served(working)


def make_result(installation: Installation, followed: Followed, status: str) -> JsonObject:
    """The last line of `run`, `watch` and `continue`."""
    return {
        "run_id": followed.run_id,
        "status": status,
        "output": output_of(followed.history, installation.load_blob),
        "error": error_of(followed.history),
    }


@contextlib.contextmanager
def stopping(stop: Callable[[], object], *, within_s: float | None = None) -> Generator[None]:
    """Calls `stop` in the loop at the first Ctrl-C or SIGTERM; a second one ends the process at once, as a kill would.

    So does the end of `within_s` seconds, if the process has not left by then: a database that neither answers nor refuses may hold up
    its threads, and the loop itself, for ever.
    """
    loop = asyncio.get_running_loop()
    is_told, has_left = threading.Event(), threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        # The interpreter's handler, not the loop's: it also comes while the loop is held up.
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        is_told.set()
        loop.call_soon_threadsafe(stop)

    def end_at_last() -> None:
        is_told.wait()
        if not has_left.wait(within_s):
            logger.error("The process did not end in time and is killed; what it had goes on when its death is noticed.")
            has_left.wait(_LAST_LINE_S)
            os._exit(ExitCode.UNREACHABLE)

    if within_s is not None:
        threading.Thread(target=end_at_last, name="flowforge-end", daemon=True).start()
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        has_left.set()
        is_told.set()
        for number, handler in before.items():
            signal.signal(number, handler)


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
