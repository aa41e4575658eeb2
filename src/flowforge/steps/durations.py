"""Lengths of time as parameters."""

from pydantic import AfterValidator

from flowforge.kit.units import format_duration, parse_duration


def bound_duration(least_ms: int, most_ms: int) -> AfterValidator:
    """For a text such as `30s` or `7d`, which must lie between the two, in milliseconds; `parse_duration` reads it."""

    def check(text: str) -> str:
        if not least_ms <= parse_duration(text) <= most_ms:
            raise ValueError(f"{text} is not from {format_duration(least_ms)} to {format_duration(most_ms)}")
        return text

    return AfterValidator(check)
