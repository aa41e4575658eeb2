"""The types of events that this installation tells, of which others hear: subscriptions of systems outside, triggers, live streams."""

from collections.abc import Mapping
from typing import Final

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "workflow": ("created", "updated", "published", "deprecated", "deleted", "restored"),
    "run": ("started", "waiting", "paused", "resumed", "finished"),
    "step": ("started", "completed", "failed", "waiting", "skipped", "cancelled", "log"),
    "task": ("created", "assigned", "reminded", "escalated", "completed"),
    "approval": ("decided",),
    "user": ("created", "disabled", "deleted"),
    "trigger": ("fired", "failed"),
    "batch": ("progressed",),
}
"""By kind. The events of steps are read from the run itself (docs/events.md); all others are rows of the outbox."""
STEP: Final = "step"
EVERY: Final = "*"


def is_own_type(name: str) -> bool:
    """Whether a name is of a kind that only this installation tells."""
    kind, dot, _ = name.partition(".")
    return bool(dot) and kind in EVENT_TYPES


def is_known_type(wanted: str) -> bool:
    """Whether it is the type of an event, or a whole kind (`run.*`)."""
    kind, _, name = wanted.partition(".")
    return kind in EVENT_TYPES and (name == EVERY or name in EVENT_TYPES[kind])


def means(wanted: str, event_type: str) -> bool:
    """Whether an event of this type is meant by a type, or by a kind: `run.*`, or `orders.*` of events with names of one's own."""
    return wanted == event_type or (wanted.endswith(".*") and event_type.startswith(wanted[:-1]))
