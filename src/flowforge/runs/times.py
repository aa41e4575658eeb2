"""Times as the outside sees them."""

from typing import Final

from flowforge.language.times import format_timestamp_ms

_MS_PER_DAY: Final = 86_400_000


def format_optional_time(at_ms: int | None) -> str | None:
    """RFC 3339 in UTC; None stays None."""
    return None if at_ms is None else format_timestamp_ms(at_ms)


def format_length(duration_ms: int) -> str:
    """A length for people, two units at most: `40 ms`, `1.2 s`, `3 m 05 s`, `2 h 10 m`, `5 d 03 h`."""
    if duration_ms < 1000:
        return f"{duration_ms} ms"
    if duration_ms < 59_950:  # above, it would read 60.0 s
        return f"{duration_ms / 1000:.1f} s"
    minutes, seconds = divmod(max(duration_ms // 1000, 60), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    if duration_ms < _MS_PER_DAY:
        return f"{hours} h {minutes:02d} m"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"
