"""Time, as it is handed to whatever needs it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: one to tell people and rows when something was, one to measure how long it took."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since 1970-01-01 UTC; may jump either way when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back, says nothing about the time of day."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
