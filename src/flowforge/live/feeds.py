"""The events of runs for whoever follows them: derived once for each run that is followed, however many do.

The journal is what is true. Turns of this process come straight from its commits; where one is missing, or another process carries the
run, the journal is read on. So nothing is lost and nothing comes twice, whatever was or was not told.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from flowforge.engine.events import Event
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import InvariantError, NotFoundError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.language.graph import Workflow
from flowforge.live.ports import RunWatch
from flowforge.runs.events import EventStream, RunEvent, derive_events
from flowforge.runs.history import History
from flowforge.runs.service import find_last_rows, read_journal
from flowforge.runs.starting import RunReader
from flowforge.runs.types import JournalTurn, RunHeader

KEPT_MAX: Final = 2_000
"""Events of one run that are kept for its followers; who is further behind reads the journal."""
BATCH_MAX: Final = 200
_LOOK_S: Final = 1.0
_LONG_ROWS: Final = 200

logger = get_logger("live.feeds")


class RunFeed:
    """One run's events. Kept as long as anybody follows it."""

    def __init__(self, header: RunHeader, sessions: Sessions, workflow: Workflow | None) -> None:
        self.header = header
        self.followers = 0
        self._sessions = sessions
        self._workflow = workflow
        self._stream = EventStream(History(workflow))
        self._events: list[RunEvent] = []
        self._floor = 0
        """The seq of the last event that is not kept."""
        self._told: set[asyncio.Event] = set()
        self._lock = asyncio.Lock()
        self._is_behind = False
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def last_row(self) -> int:
        return self._stream.history.last_seq

    @property
    def has_ended(self) -> bool:
        return self._stream.history.finished is not None

    @property
    def last_seq(self) -> int:
        return self._events[-1].seq if self._events else self._floor

    # --- what comes ----------------------------------------------------------------------------------------------------------

    def on_turn(self, row: int, at_ms: int, events: Sequence[Event]) -> None:
        """A turn of this process is durable."""
        if row == self.last_row + 1 and not self._lock.locked():
            self._take([JournalTurn(row, at_ms, events)])
        elif row > self.last_row:
            self.on_news()

    def on_news(self) -> None:
        """The journal may have further rows."""
        self._is_behind = True
        if self._refreshing is None and not self.has_ended:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh_later())

    async def _refresh_later(self) -> None:
        try:
            while self._is_behind:
                self._is_behind = False
                await self.refresh()
        except StorageError as fault:
            logger.warning("A run's journal could not be read; it is tried again.", run=self.header.id, cause=fault.message)
        finally:
            self._refreshing = None

    async def refresh(self) -> None:
        """Reads the journal on.

        Raises:
            StorageError: the database cannot be used.
        """
        async with self._lock:
            while not self.has_ended:
                async with self._sessions() as session:
                    turns = await read_journal(session, self.header, after_seq=self.last_row)
                if len(turns) > _LONG_ROWS:
                    await asyncio.to_thread(self._derive, turns)
                    self._tell()
                elif turns:
                    self._take(turns)
                else:
                    return

    def _take(self, turns: Sequence[JournalTurn]) -> None:
        self._derive(turns)
        self._tell()

    def _derive(self, turns: Sequence[JournalTurn]) -> None:
        events = self._events
        for turn in turns:
            events.extend(self._stream.read(turn))
        if len(events) > KEPT_MAX:
            self._floor = events[-KEPT_MAX - 1].seq
            self._events = events[-KEPT_MAX:]

    def _tell(self) -> None:
        for told in self._told:
            told.set()

    # --- who follows ---------------------------------------------------------------------------------------------------------

    async def read_after(self, after: int) -> Sequence[RunEvent]:
        """The next events behind a number, BATCH_MAX at most; empty: there are none now.

        Raises:
            StorageError: the database cannot be used.
        """
        if after >= self._floor:
            first = bisect_right(self._events, after, key=lambda event: event.seq)
            return self._events[first : first + BATCH_MAX]
        async with self._sessions() as session:
            turns = await read_journal(session, self.header)
        found = await asyncio.to_thread(derive_events, turns, after, self._workflow)
        return found[:BATCH_MAX]

    async def wait(self, after: int) -> None:
        """Returns when there may be events behind that number, or the run has ended."""
        told = asyncio.Event()
        self._told.add(told)
        try:
            while self.last_seq <= after and not self.has_ended:
                await told.wait()
                told.clear()
        finally:
            self._told.discard(told)


class RunFeeds:
    """The feeds of one process and event loop."""

    def __init__(self, sessions: Sessions, reader: RunReader, watch: RunWatch) -> None:
        self._sessions = sessions
        self._reader = reader
        self._watch = watch
        self._feeds: dict[int, tuple[RunFeed, AsyncExitStack]] = {}
        self._opening = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many runs are followed now."""
        return len(self._feeds)

    @asynccontextmanager
    async def open(self, header: RunHeader) -> AsyncGenerator[RunFeed]:
        """The run's feed, read up to now.

        Raises:
            StorageError: the database cannot be used.
        """
        feed = await self._find(header)
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                _, watching = self._feeds.pop(header.no)
                await watching.aclose()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _find(self, header: RunHeader) -> RunFeed:
        async with self._opening:
            known = self._feeds.get(header.no)
            if known is None:
                known = self._feeds[header.no] = await self._begin(header)
            known[0].followers += 1
        return known[0]

    async def _begin(self, header: RunHeader) -> tuple[RunFeed, AsyncExitStack]:
        feed = RunFeed(header, self._sessions, await self._find_workflow(header))
        async with AsyncExitStack() as stack:
            # First heard, then read: what is stored between the two is in one of them.
            await stack.enter_async_context(self._watch.watch(header.no, header.id, feed.on_turn, feed.on_news))
            await feed.refresh()
            watching = stack.pop_all()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        return feed, watching

    async def _find_workflow(self, header: RunHeader) -> Workflow | None:
        try:
            return await self._reader.get_workflow(header.digest)
        except (NotFoundError, InvariantError):
            return None

    async def _look_on(self) -> None:
        """What nobody told of, because another process carries the run."""
        while self._feeds:
            await asyncio.sleep(_LOOK_S)
            feeds = {no: feed for no, (feed, _) in self._feeds.items() if not feed.has_ended}
            if not feeds:
                continue
            try:
                async with self._sessions() as session:
                    rows = await find_last_rows(session, list(feeds))
            except StorageError as fault:
                logger.warning("The journals of runs that are followed could not be looked at.", cause=fault.message)
                continue
            for run_no, row in rows.items():
                if row > feeds[run_no].last_row:
                    feeds[run_no].on_news()
