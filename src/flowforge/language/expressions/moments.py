"""Times and durations as values inside an expression."""

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.values import Duration, Timestamp
from flowforge.language.times import (
    TIME_MAX_NS,
    TIME_MIN_NS,
    TimeFault,
    format_duration_ns,
    format_timestamp_ns,
    parse_duration_ns,
    parse_timestamp_ns,
)


def make_timestamp(time_ns: int) -> Timestamp:
    """The time.

    Raises:
        ExpressionError: `date_range` outside the years 1 to 9999.
    """
    if TIME_MIN_NS <= time_ns <= TIME_MAX_NS:
        return Timestamp(time_ns)
    raise problem("date_range", "The time lies outside the years 1 to 9999.")


def make_duration(length_ns: int) -> Duration:
    """The duration.

    Raises:
        ExpressionError: `date_range` beyond 292 years, the 64 bits of its nanoseconds.
    """
    if INTEGER_MIN <= length_ns <= INTEGER_MAX:
        return Duration(length_ns)
    raise problem("date_range", "The duration is longer than 292 years.")


def read_timestamp(text: str) -> Timestamp:
    """The time that the text tells.

    Raises:
        ExpressionError: `type_mismatch` for text that is no time, `date_range`.
    """
    try:
        return Timestamp(parse_timestamp_ns(text))
    except TimeFault as fault:
        raise problem("date_range" if fault.code == "date_range" else "type_mismatch", fault.message) from None


def read_duration(text: str) -> Duration:
    """The duration that the text tells.

    Raises:
        ExpressionError: `type_mismatch` for text that is no duration, `date_range`.
    """
    try:
        length_ns = parse_duration_ns(text)
    except TimeFault as fault:
        raise problem("type_mismatch", fault.message) from None
    return make_duration(length_ns)


def time_text(value: Timestamp | Duration) -> str:
    """The text as which a time or duration leaves an expression."""
    return format_timestamp_ns(value.ns) if type(value) is Timestamp else format_duration_ns(value.ns)
