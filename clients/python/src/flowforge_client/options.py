"""What calls may say besides what they must."""

from collections.abc import Mapping
from typing import Final, TypedDict

ENDED: Final = frozenset({"completed", "failed", "cancelled", "timed_out"})
"""The statuses of runs that have ended."""


class StartOptions(TypedDict, total=False):
    """What a start may say besides workflow and input."""

    version: int | str | None
    """A version of the workflow, or `draft`; else the current one."""
    labels: Mapping[str, str]
    subject: str | None
    """What the run is about; runs are found by it."""
    priority: int
    """0 goes first, 9 last."""
    use_mocks: bool
    """Steps give their `mock` instead of running."""
    wait: str
    """How long the server may take to answer (60s at most), so that a short run has ended when it does."""
    idempotency_key: str
    """The same key gives the same run, for 24 hours; else each start has one of its own."""
