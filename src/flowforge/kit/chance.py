"""Chance, as it is handed to whatever needs it."""

import secrets
from typing import Final

_STEPS: Final = 2**53


def draw_fraction() -> float:
    """An even random number, 0 or more and below 1: for spreading retries."""
    return secrets.randbelow(_STEPS) / _STEPS


def draw_bytes(size: int) -> bytes:
    """Random bytes that nobody can guess: for keys and initialization vectors."""
    return secrets.token_bytes(size)


def draw_below(limit: int) -> int:
    """An even random whole number, 0 or more and below the limit, that nobody can guess."""
    return secrets.randbelow(limit)


def draw_order(count: int) -> list[int]:
    """The numbers from 0 in a random order, each order as likely as any other (Fisher and Yates, after Knuth 3.4.2, algorithm P)."""
    order = [*range(count)]
    for last in range(count - 1, 0, -1):
        other = secrets.randbelow(last + 1)
        order[last], order[other] = order[other], order[last]
    return order
