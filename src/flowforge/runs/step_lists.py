"""Lists of a run's steps: which of them, how many in each state, and what is worst where."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from flowforge.runs.types import StepRecord

WORST_FIRST: Final = ("failed", "waiting", "running", "cancelled", "ready", "pending", "completed", "bypassed", "skipped")
_RANKS: Final = {status: rank for rank, status in enumerate(WORST_FIRST)}


@dataclass(frozen=True, slots=True)
class StepFilter:
    """`step`: a step's id, in whatever iteration. `container`: the key of a loop: what is inside it, at any depth. `iteration`: exactly."""

    step: str | None = None
    statuses: Sequence[str] = ()
    container: str | None = None
    iteration: str | None = None


def choose_steps(steps: Sequence[StepRecord], wanted: StepFilter) -> list[StepRecord]:
    """In their order."""
    return [step for step in steps if _is_wanted(step, wanted)]


def _is_wanted(step: StepRecord, wanted: StepFilter) -> bool:
    if wanted.step is not None and step.step != wanted.step:
        return False
    if wanted.statuses and step.status not in wanted.statuses:
        return False
    if wanted.iteration is not None and step.iteration != wanted.iteration:
        return False
    return wanted.container is None or step.key.startswith(f"{wanted.container}.")


def count_statuses(steps: Sequence[StepRecord]) -> dict[str, int]:
    """How many are in each state, by its name."""
    return dict(sorted(Counter(step.status for step in steps).items()))


def fill_buckets(steps: Sequence[StepRecord], buckets: int) -> list[str]:
    """The worst state in each of so many equal parts of the steps; no more parts than there are steps."""
    parts = min(buckets, len(steps))
    bounds = [len(steps) * part // parts for part in range(parts + 1)] if parts else [0]
    return [_find_worst(steps[first:last]) for first, last in pairwise(bounds)]


def _find_worst(steps: Sequence[StepRecord]) -> str:
    return min((step.status for step in steps), key=lambda status: _RANKS.get(status, len(_RANKS)))
