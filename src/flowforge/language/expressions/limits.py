"""The bounds of one expression."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth` counts brackets inside brackets, `ticks` one for each node, item and 64 bytes; `result_bytes` leaves out handed-on values.

    `text_characters` is the length of a text with expressions inside, handed-on values included.
    """

    source_bytes: int = 4_096
    depth: int = 40
    nodes: int = 2_000
    ticks: int = 100_000
    result_bytes: int = 262_144
    text_characters: int = 10_485_760


DEFAULT_LIMITS: Final = Limits()
