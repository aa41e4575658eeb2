"""The way to a server: one connection that is made anew when it is lost, and work that is done again where that is right."""

from collections.abc import Callable
from typing import Final, TypeVar

from flowforge.engine.database_server.dialect import Session
from flowforge.kit.clock import Clock
from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.errors import DatabaseUnreachableError, explain_database_error, explained
from flowforge.kit.database.faults import FaultKind, classify_fault
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

T = TypeVar("T")

_TRIES: Final = 5
_PAUSE_S: Final = 0.02


class Line:
    """For one thread at a time."""

    def __init__(self, url: DatabaseUrl, clock: Clock, jitter: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._url = url
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._session: Session | None = None

    def open(self) -> Session:
        """The connection, made anew if it was lost.

        Raises:
            StorageError: it cannot be made.
        """
        if self._session is not None and self._session.is_usable:
            return self._session
        with explained(self._url):
            self._session = open_session(self._url)
        self.set_clock()
        return self._session

    def set_clock(self) -> None:
        """Sets the clock by the server's, if it is one that follows it."""
        if isinstance(self._clock, DatabaseClock):
            clock = self._clock
            self._read(lambda session: clock.sync(session.read_time_ms))

    def read(self, work: Callable[[Session], T]) -> T:
        """Does a few SELECTs; again where the connection was lost, as it may have been while nobody used it."""
        try:
            return self._read(work)
        except DatabaseUnreachableError:
            return self._read(work)

    def _read(self, work: Callable[[Session], T]) -> T:
        session = self.open()
        try:
            with explained(self._url):
                return work(session)
        except DatabaseUnreachableError:
            self.close()
            raise

    def write(self, work: Callable[[Session, int], T], *, is_repeatable: bool = True) -> T:
        """Does the work, which is one transaction, or takes up where it was: again where others were in the way or the connection broke.

        Work that is not `is_repeatable` is not done again where its COMMIT may have happened.
        """
        for _ in range(_TRIES - 1):
            session = self.open()
            try:
                return work(session, self._clock.now_ms())
            except session.error as fault:
                self._require_repeatable(fault, session, is_repeatable=is_repeatable)
            self._sleep(_PAUSE_S * (1 + self._jitter()))
        return self._read(lambda session: work(session, self._clock.now_ms()))

    def _require_repeatable(self, fault: Exception, session: Session, *, is_repeatable: bool) -> None:
        """Raises what the fault means unless the work may be done again."""
        kind = classify_fault(fault)
        if kind is FaultKind.UNREACHABLE:
            self.close()
            may_repeat = is_repeatable or not session.is_in_doubt
        else:
            # A row that came between is seen at the next try.
            may_repeat = kind in (FaultKind.CONTENDED, FaultKind.CONTENT)
        if not may_repeat:
            raise explain_database_error(fault, self._url) from fault

    def interrupt(self) -> None:
        """Cuts the connection, from any thread: whoever waits for an answer on it learns that it is lost."""
        session = self._session
        if session is not None:
            session.interrupt()

    def close(self) -> None:
        """Ends the connection; the next use makes one."""
        if self._session is not None:
            self._session.close()
            self._session = None


def open_session(url: DatabaseUrl) -> Session:
    """A connection to the server of this URL."""
    if url.kind is DatabaseKind.POSTGRES:
        # Start-up cost, and the extra may be missing.
        from flowforge.engine.database_server.postgres import PostgresSession

        return PostgresSession(url)
    # As above.
    from flowforge.engine.database_server.mysql import MysqlSession

    return MysqlSession(url)
