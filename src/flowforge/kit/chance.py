"""Chance, as it is handed to whatever needs it."""

import secrets
from typing import Final

_STEPS: Final = 2**53


def draw_fraction() -> float:
    """An even random number, 0 or more and below 1: for spreading retries."""
    return secrets.randbelow(_STEPS) / _STEPS
