"""The time by the database's clock, which all machines of a cluster share."""

import threading
from collections.abc import Callable
from typing import Final

from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.errors import InvariantError

_GRAIN_MS: Final = 2
"""The database tells whole milliseconds, so that it may be this much ahead of what it told."""


class DatabaseClock:
    """Estimates the database's time from below: it is never ahead, so nothing is due or expired too early (F42).

    A reading asked for at `t0` and answered at `t1` says that the database's time was at least that much at `t1`. What has passed since
    is told by the monotonic clock, so that setting the machine's clock changes nothing. The best of all readings is kept, until one shows
    that the database's own clock has gone back. May be used by any thread.
    """

    __slots__ = ("_clock", "_lead_ms", "_lock")

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lead_ms: float | None = None
        """The database's time minus the monotonic one, at least."""
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Whether there was a reading."""
        return self._lead_ms is not None

    def sync(self, read: Callable[[], int]) -> int:
        """Takes a reading; `read` asks the database for its milliseconds since 1970. Returns what it told, raises what it raises."""
        asked_ms = self._clock.monotonic_s() * 1000
        told_ms = read()
        self.learn(told_ms, asked_ms, self._clock.monotonic_s() * 1000)
        return told_ms

    def learn(self, told_ms: int, asked_ms: float, answered_ms: float) -> None:
        """A reading by someone who awaits it. `asked_ms`, `answered_ms`: by the monotonic clock, in milliseconds."""
        least, most = told_ms - answered_ms, told_ms + _GRAIN_MS - asked_ms
        with self._lock:
            if self._lead_ms is None or self._lead_ms < least or self._lead_ms > most:
                self._lead_ms = least

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the database's clock, or a little less.

        Raises:
            InvariantError: there was no reading yet.
        """
        lead_ms = self._lead_ms
        if lead_ms is None:
            raise InvariantError("The database's clock was asked for the time before it was read.")
        return int(lead_ms + self._clock.monotonic_s() * 1000)

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()
