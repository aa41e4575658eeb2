"""A clock that stands until a test moves it."""


class ManualClock:
    """Both readings move together; `now_ms` may also be set back, as a machine's clock can be."""

    def __init__(self, now_ms: int = 1_750_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ms = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_ms / 1000

    def advance(self, duration_ms: int) -> None:
        self._now_ms += duration_ms
        self._monotonic_ms += duration_ms

    def set_wall(self, now_ms: int) -> None:
        """Set the wall time alone; the monotonic reading stays."""
        self._now_ms = now_ms
