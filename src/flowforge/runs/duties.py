"""Work in the background; each pass may be repeated, and made by several processes at once.

`BatchDuty(parts)`: each second. `AnswerDuty(parts)`: each hour.
"""

from typing import Final

from flowforge.runs.kept_answers import AnswerDuty
from flowforge.web.batches.working import BatchDuty

__all__ = ["BATCH_EVERY_MS", "AnswerDuty", "BatchDuty"]

BATCH_EVERY_MS: Final = 1_000
