"""A sliding window counter in the memory of one process: what Redis does for many, without leaving the loop.

A window begins with the first request of its name. The count is that of this window and that of the one before, weighted by how much of
it is left.
"""

from dataclasses import dataclass
from typing import Final

from flowforge.kit.clock import Clock

_KEPT_MAX: Final = 100_000


@dataclass(slots=True)
class _Window:
    begun_s: float
    now: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether a request fits, how many more would, and the seconds until there is more room."""

    is_within: bool
    remaining: int
    reset_s: float


class MemoryWindows:
    """For one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def hit(self, name: str, limit: int, length_s: int) -> Reading:
        """Counts a request if it fits."""
        now_s = self._clock.monotonic_s()
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = self._add(now_s)
        elapsed_s = now_s - window.begun_s
        if elapsed_s >= length_s:
            passed = int(elapsed_s // length_s)
            window.before, window.now = window.now if passed == 1 else 0, 0
            window.begun_s += passed * length_s
            elapsed_s -= passed * length_s
        left_s = length_s - elapsed_s
        count = int(window.before * left_s / length_s) + window.now
        is_within = count < limit
        if is_within:
            window.now += 1
            count += 1
        reset_s = left_s if not window.before else min(left_s, left_s % (length_s / window.before))
        return Reading(is_within, max(0, limit - count), reset_s)

    def _add(self, now_s: float) -> _Window:
        if len(self._windows) >= _KEPT_MAX:
            # Windows of a day are rare; who loses one begins anew.
            half = sorted(self._windows, key=lambda name: self._windows[name].begun_s)[: _KEPT_MAX // 2]
            for name in half:
                del self._windows[name]
        return _Window(now_s)
