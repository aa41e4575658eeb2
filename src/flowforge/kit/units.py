"""Durations and sizes as people write them: `30s`, `1h30m`, `7d`, ISO 8601; `64KiB`, `10MiB`."""

import re
from itertools import pairwise
from typing import Final

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIT_BYTES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}

DURATION_MAX_MS: Final = 100 * 365 * 86_400_000
"""A hundred years: what is longer is a mistake, and would not fit the columns that hold times."""

_SHORT = re.compile(r"(?:\d{1,15}(?:\.\d{1,9})?(?:ms|[smhdw]))+", re.ASCII)
_SHORT_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ms|[smhdw])", re.ASCII)
_ISO = re.compile(
    r"P(?=[\dT])(?:(\d{1,6})W)?(?:(\d{1,8})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
_ISO_UNITS: Final = ("w", "d", "h", "m", "s")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s?(B|KiB|MiB|GiB|KB|MB|GB)", re.ASCII)


def parse_duration(text: str) -> int:
    """Milliseconds of `500ms`, `30s`, `5m`, `2h`, `7d`, `1w`, sums like `1h30m` (each unit once, falling), or ISO 8601 (`PT30S`, `P1DT2H`).

    `0` is zero. ISO years and months have no fixed length and are refused, as is a part of a millisecond.

    Raises:
        ValueError: the text is no duration, or longer than `DURATION_MAX_MS`.
    """
    if text == "0":
        return 0
    parts = _split_iso(text) if text.startswith("P") else _split_short(text)
    total_ms = sum(_scale(number, _UNIT_MS[unit]) for number, unit in parts)
    if total_ms > DURATION_MAX_MS:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return total_ms


def _split_short(text: str) -> list[tuple[str, str]]:
    if not _SHORT.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like 30s, 5m, 1h30m, 7d or PT30S")
    parts = [(match[1], match[2]) for match in _SHORT_PART.finditer(text)]
    sizes_ms = [_UNIT_MS[unit] for _, unit in parts]
    if any(later >= earlier for earlier, later in pairwise(sizes_ms)):
        raise ValueError(f"{text!r} must name each unit once, the largest first, like 1h30m")
    return parts


def _split_iso(text: str) -> list[tuple[str, str]]:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no ISO 8601 duration of weeks, days, hours, minutes and seconds, like P1DT2H30M")
    return [(number, unit) for number, unit in zip(match.groups(), _ISO_UNITS, strict=True) if number is not None]


def _scale(number: str, factor: int) -> int:
    whole, _, fraction = number.partition(".")
    denominator = 10 ** len(fraction)
    scaled, rest = divmod(int(whole + fraction) * factor, denominator)
    if rest:
        raise ValueError(f"{number!r} is not a whole number of milliseconds or bytes")
    return scaled


def format_duration(duration_ms: int) -> str:
    """The shortest text that `parse_duration` reads back: `90000` gives `1m30s`, `0` gives `0s`."""
    if duration_ms < 0:
        return "-" + format_duration(-duration_ms)
    parts: list[str] = []
    rest_ms = duration_ms
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest_ms = divmod(rest_ms, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Bytes of `64KiB`, `10MiB`, `1GB`, or a plain number of bytes.

    Raises:
        ValueError: the text is no size, or not a whole number of bytes.
    """
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size; write it like 64KiB, 10MiB or 1GB")
    return _scale(match[1], _UNIT_BYTES[match[2]])


def format_size(size_bytes: int) -> str:
    """The shortest exact text in binary units: `10485760` gives `10MiB`, `1500` gives `1500B`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _UNIT_BYTES[unit] == 0:
            return f"{size_bytes // _UNIT_BYTES[unit]}{unit}"
    return f"{size_bytes}B"
