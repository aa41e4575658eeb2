"""Work in the background; each pass may be repeated, and made by several processes at once.

`BatchDuty(parts)`: each second.
"""

from typing import Final

from flowforge.runs.batch_work import BatchDuty

__all__ = ["BATCH_EVERY_MS", "BatchDuty"]

BATCH_EVERY_MS: Final = 1_000
