"""What goes over the bus: events, the topics under which they are heard, and the word that tells a subscriber to begin anew."""

from dataclasses import dataclass
from typing import Any, Final, Self, cast

from flowforge.kit.values import JsonObject, JsonValue

_RUN: Final = "run:"


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An event as docs/events.md has it. `id` is the same wherever and however often it is heard; `seq` is its number in the topic.

    `time` is RFC 3339 in UTC; `subject` the id of what it is about.
    """

    id: str
    seq: int
    type: str
    time: str
    workspace_id: str
    subject: str
    actor: str
    trace_id: str | None
    data: JsonObject

    def as_json(self) -> JsonObject:
        return {
            "id": self.id,
            "seq": self.seq,
            "type": self.type,
            "time": self.time,
            "workspace_id": self.workspace_id,
            "subject": self.subject,
            "actor": self.actor,
            "trace_id": self.trace_id,
            "data": self.data,
        }

    @classmethod
    def from_json(cls, value: JsonValue) -> Self:
        """Raises TypeError where the value is no event: a field is missing, or one is there that no event has."""
        if not isinstance(value, dict) or not isinstance(value.get("seq"), int):
            raise TypeError("an event is an object with a number `seq`")
        return cls(**cast("dict[str, Any]", value))


@dataclass(frozen=True, slots=True)
class Message:
    """An event for the listeners of one topic."""

    topic: str
    event: BusEvent


@dataclass(frozen=True, slots=True)
class Resync:
    """Events were left out: the subscriber asks for the present state, and hears what comes from now on. `reason`: too_slow, missed."""

    reason: str


def run_topic(run_id: str) -> str:
    return _RUN + run_id


def workflow_topic(workflow_id: str) -> str:
    return f"workflow:{workflow_id}"


def workspace_topic(workspace_id: str) -> str:
    return f"workspace:{workspace_id}"


def user_topic(user_id: str) -> str:
    return f"user:{user_id}"


def is_of_journal(topic: str) -> bool:
    """Whether a topic's numbers are those of a journal: complete in their order whenever they are read."""
    return topic.startswith(_RUN)
