"""Events that were held while their trigger was paused, and are run now."""

from collections.abc import Sequence

from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import FlowForgeError, RequestError
from flowforge.runs.once import Once
from flowforge.triggers import event_rows
from flowforge.triggers.firing import Firing, Occurrence, name_fault
from flowforge.triggers.schemas import EventRefusal
from flowforge.triggers.types import HeldEvent, Trigger


async def run_held(firing: Firing, sessions: Sessions, trigger: Trigger, events: Sequence[HeldEvent]) -> list[EventRefusal]:
    """Starts a run for each event and forgets the event; gives those that could not start, which stay held.

    Whoever dies between the two, or does it at the same time, makes no second run: it has the name under which the event came.

    Raises:
        StorageError, OverloadedError: nothing more can be started now.
    """
    refused: list[EventRefusal] = []
    for event in events:
        key = event.dedup or event.id
        once = Once("hook" if event.dedup else "held", trigger.id, key, event.digest)
        try:
            await firing.fire(Occurrence(trigger, event.data, event.at_ms, once=once, is_forced=True))
        except RequestError as fault:
            refused.append(_explain(event, fault))
            continue
        async with sessions.begin() as session:
            await event_rows.delete_held(session, event.workspace_id, event.trigger_id, [event.id])
    return refused


def _explain(event: HeldEvent, fault: FlowForgeError) -> EventRefusal:
    return EventRefusal(id=event.id, code=name_fault(fault), message=fault.message)
