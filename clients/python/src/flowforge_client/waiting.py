"""How long to wait before a request is sent again."""

import asyncio
import random
import time
from typing import Final

TRIES: Final = 5
"""How often a request is sent at most."""
_FIRST_S: Final = 0.2
_LONGEST_S: Final = 60.0

sleep = time.sleep
sleep_async = asyncio.sleep


def find_pause_s(number: int, retry_after: str | None) -> float:
    """The pause behind the try of that number, counted from 1: what the server says, or else twice as long each time."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_S)
    return min(_FIRST_S * 2 ** (number - 1), _LONGEST_S) * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
