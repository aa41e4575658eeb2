"""The bus: events fan out to whoever listens now; whoever was away reads on from a number. Losing the bus costs latency, never an event."""

from flowforge.kit.bus.events import BusEvent, Message, Resync, run_topic, user_topic, workflow_topic, workspace_topic
from flowforge.kit.bus.memory import MemoryBus
from flowforge.kit.bus.port import Bus, BusError
from flowforge.kit.bus.subscription import ReadMissed, Subscription

__all__ = [
    "Bus",
    "BusError",
    "BusEvent",
    "MemoryBus",
    "Message",
    "ReadMissed",
    "Resync",
    "Subscription",
    "run_topic",
    "user_topic",
    "workflow_topic",
    "workspace_topic",
]
